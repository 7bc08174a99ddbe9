"""JSONL files that people write: every line read strictly, every bad one named by its number, none skipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.base.strict_json import parse_json

T = TypeVar("T")
MOST_NAMED = 20  # bad lines in one message


def read_jsonl(path: str | Path, read: Callable[[dict[str, Any]], T], what: str, param: str) -> list[T]:
    """What `read` makes of the object in each line. what: it is, in the plural.

    Raises SansiError that names every bad line, for a file that can not be read, and for one that holds nothing.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise SansiError(f"{path}: can not be read: {error.strerror or error}", param=param) from error
    lines = lines[:-1] if lines and not lines[-1].strip() else lines  # what follows the last line break
    found, bad = [], []
    for number, line in enumerate(lines, 1):
        try:
            found.append(read(_record(line)))
        except SansiError as error:
            bad.append(f"line {number}: {error}")
    if bad:
        more = f"; and {len(bad) - MOST_NAMED} more bad lines" if len(bad) > MOST_NAMED else ""
        raise SansiError(f"{path}: {'; '.join(bad[:MOST_NAMED])}{more}", param=param)
    if not found:
        raise SansiError(f"{path}: it holds no {what}", param=param)
    return found


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = parse_json(line.decode("utf-8"), unique_keys=True)
    except UnicodeDecodeError as error:
        raise SansiError(f"not UTF-8 at byte {error.start}") from error
    except ValueError as error:
        raise SansiError(f"not JSON: {error}" if line.strip() else "empty") from error
    if not isinstance(record, dict):
        raise SansiError(f"must be a JSON object, not {show(record)}")
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise SansiError("holds half of a surrogate pair, which is not Unicode text") from error
    return record
