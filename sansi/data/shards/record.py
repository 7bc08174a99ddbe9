"""`data.json` of a run: what it read, so that every row of every step can be found again.

It is written when the run begins: the datasets with their digests, seeds and orders, the rows of a step, and the place
in the data where the run began. The order of rows is a function of these alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json

RECORD_FILE = "data.json"
FORMAT = 1
LAST_LINES = 1 << 16  # bytes of metrics.jsonl that are read for the last step


@dataclass(frozen=True)
class DataRecord:
    """What a run read."""

    stream: dict[str, Any]
    """The description of its stream, with paths as they are now."""
    beginning: dict[str, Any]
    """The stream's state before the first step."""
    rows_per_step: int


def write_record(run: Path, stream: Any, beginning: Mapping[str, Any], rows_per_step: int | None) -> None:
    """Write down what a run reads, if its stream can tell (`RowStream.description`)."""
    describe = getattr(stream, "description", None)
    if callable(describe) and rows_per_step:
        record = {"format": FORMAT, "rows_per_step": rows_per_step, "beginning": beginning}
        write_json(run / RECORD_FILE, record | {"stream": _with_paths(describe(), run, _relative)})


def read_record(run: Path) -> DataRecord:
    """Raises SansiError where a run has none."""
    file = Path(run) / RECORD_FILE
    if not file.is_file():
        raise SansiError(
            f"{run}: no run that has written down what it read ({RECORD_FILE} is missing); give the folder "
            "of a run, or of its stage"
        )
    record = read_json(file)
    try:
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']}")
        stream = _with_paths(record["stream"], Path(run), _found)
        return DataRecord(stream, record["beginning"], int(record["rows_per_step"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SansiError(f"{file}: damaged, or of another version ({error})") from error


def _with_paths(stream: Mapping[str, Any], run: Path, change: Any) -> dict[str, Any]:
    """The description with the paths of all its datasets changed."""
    changed = dict(stream)
    if "paths" in changed:
        changed["paths"] = [change(path, run) for path in changed["paths"]]
    if "datasets" in changed:
        changed["datasets"] = [_with_paths(part, run, change) for part in changed["datasets"]]
    return changed


def _relative(path: str, run: Path) -> list[str]:
    """From the run, so that both may be moved together, and from the root."""
    return [os.path.relpath(path, run), os.path.abspath(path)]


def _found(places: list[str], run: Path) -> str:
    beside, absolute = places
    return os.path.normpath(run / beside) if (run / beside).exists() else absolute


def steps_taken(run: Path) -> int:
    """How many steps a run has taken, as far as it has logged them or kept a checkpoint."""
    saved = (re.fullmatch(r"step-(\d+)", folder.name) for folder in (run / "checkpoints").glob("step-*"))
    steps = [int(match[1]) for match in saved if match]
    file = run / "metrics.jsonl"
    if file.is_file():
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - LAST_LINES))
            found = re.findall(rb'^\{"step": (\d+)[,}]', log.read(), re.MULTILINE)
        steps += [int(step) for step in found]
    return max(steps, default=0)
