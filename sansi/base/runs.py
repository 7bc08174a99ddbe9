"""Run folders: `config.json`, `metrics.jsonl`, `checkpoints/step-N/`, `plots/`, `report.md`."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sansi.base.differences import changes
from sansi.base.errors import SansiError
from sansi.base.files import as_path, clean_drafts, make_folder, read_json, remove_folder, write_json


class RunFolder:
    """One training or evaluation run on disk. Opening an existing folder with another configuration is an error.

    Raises SansiError for a path that is none, that is a file, or that can not be written.
    """

    def __init__(self, path: str | Path, config: dict[str, Any] | None = None):
        self.path = as_path(path, "a run")
        self.checkpoints = self.path / "checkpoints"
        self.plots = self.path / "plots"
        self.metrics_file = self.path / "metrics.jsonl"
        if self.path.exists() and not self.path.is_dir():
            raise SansiError(f"{self.path} is a file; a run needs a folder, so give the run another name")
        make_folder(self.path)
        for folder in (self.path, self.checkpoints):
            clean_drafts(folder)  # each killed save would cost the size of a checkpoint
        if config is not None:
            self._pin(config)

    def _pin(self, config: dict[str, Any]) -> None:
        file = self.path / "config.json"
        config = json.loads(json.dumps(config))
        if not file.exists():
            write_json(file, config)
            return
        old = read_json(file)
        if not isinstance(old, dict):
            raise SansiError(f"{file} is not the configuration of a run; give the run another name")
        if old == config:
            return
        raise SansiError(
            f"{self.path} holds a run with another configuration ({'; '.join(changes(old, config))}); "
            "resume it with the old values, or give the run another name"
        )

    def log(self, step: int, **metrics: Any) -> None:
        """Append one line to metrics.jsonl. Raises SansiError when it can not be written."""
        line = json.dumps({"step": step, **metrics}) + "\n"
        try:
            with self.metrics_file.open("ab+") as file:
                file.write(("" if _ends_a_line(file) else "\n").encode() + line.encode())
        except OSError as error:
            raise SansiError(f"{self.metrics_file} can not be written ({error}); make room or allow it") from error

    def metrics(self) -> list[dict[str, Any]]:
        """Every logged line, in order; of two lines with the same step and keys (a resumed run) the later counts.

        A line that a crash cut short is left out: a resumed run has logged its step again.
        """
        if not self.metrics_file.exists():
            return []
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for line in self.metrics_file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if not isinstance(row, dict) or type(row.get("step")) is not int:
                told = f"{line[:40]!r} is no row with a step"
                raise SansiError(
                    f"{self.metrics_file}: {told}; the file is not a run's, or was changed: correct it there"
                )
            rows[(row["step"], *sorted(row))] = row
        return sorted(rows.values(), key=lambda row: row["step"])

    def steps(self) -> list[int]:
        """Steps that have a whole checkpoint, ascending."""
        names = [re.fullmatch(r"step-(\d+)", p.name) for p in self.checkpoints.glob("step-*") if p.is_dir()]
        return sorted(int(m[1]) for m in names if m)

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step}"

    def latest(self) -> Path | None:
        steps = self.steps()
        return self.checkpoint(steps[-1]) if steps else None

    def keep_last(self, count: int) -> None:
        """Delete all but the last `count` checkpoints; one that holds somebody else's files stays, with a warning."""
        steps = self.steps()
        for step in steps[: max(len(steps) - count, 0)]:
            try:
                remove_folder(self.checkpoint(step))
            except SansiError as error:
                warnings.warn(f"this checkpoint is kept: {error}", stacklevel=2)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.metrics())


def _ends_a_line(file: BinaryIO) -> bool:
    """Whether an appended line starts a new one: a crash may have cut the last one short."""
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
