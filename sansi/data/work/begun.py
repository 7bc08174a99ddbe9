"""A folder of decisions: begun from certain inputs, gone on with as long as they are the same."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json

FOOTER = 1 << 16  # bytes at the end of a Parquet file, where it tells what is in it


def begin(out: Path, inputs: Mapping[str, Any], what: str) -> None:
    """Go on in `out` if it was begun with the same inputs; else what was written there from others goes.

    Raises SansiError for a folder with files that are not those of `what`.
    """
    noted = out / "inputs.json"
    if noted.is_file() and read_json(noted) == inputs:
        return
    if out.is_dir() and not noted.is_file() and any(out.iterdir()):
        raise SansiError(f"{out}: holds files that are not those of {what}; name an empty folder for the decisions")
    (out / "report.json").unlink(missing_ok=True)
    for path in out.glob("[0-9]*.parquet"):
        path.unlink()
    shutil.rmtree(out / "work", ignore_errors=True)
    write_json(noted, inputs)


def fingerprint(file: Path) -> list[Any]:
    """What tells a file of documents from another: its size, and a digest of its end, which tells what is in it."""
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            opened.seek(max(size - FOOTER, 0))
            return [size, hashlib.sha256(opened.read()).hexdigest()]
    except OSError as error:
        raise SansiError(f"{file}: can not be read: {error.strerror or error}") from error
