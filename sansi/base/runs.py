"""Run folders: `config.json`, `metrics.jsonl`, `checkpoints/step-N/`, `plots/`, `report.md`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json


class RunFolder:
    """One training or evaluation run on disk. Opening an existing folder with another configuration is an error."""

    def __init__(self, path: str | Path, config: dict[str, Any] | None = None):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.plots = self.path / "plots"
        self.metrics_file = self.path / "metrics.jsonl"
        self.path.mkdir(parents=True, exist_ok=True)
        if config is not None:
            self._pin(config)

    def _pin(self, config: dict[str, Any]) -> None:
        file = self.path / "config.json"
        config = json.loads(json.dumps(config))
        if not file.exists():
            write_json(file, config)
            return
        old = read_json(file)
        changed = sorted(k for k in old.keys() | config.keys() if old.get(k) != config.get(k))
        if changed:
            raise SansiError(
                f"{self.path} holds a run with another configuration (different: {', '.join(changed)}); "
                "resume it with the old values, or give the run another name"
            )

    def log(self, step: int, **metrics: Any) -> None:
        """Append one line to metrics.jsonl."""
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """Every logged line, in order; of two lines with the same step and keys (a resumed run) the later counts."""
        if not self.metrics_file.exists():
            return []
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for line in self.metrics_file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows[(row["step"], *sorted(row))] = row
        return sorted(rows.values(), key=lambda row: row["step"])

    def steps(self) -> list[int]:
        """Steps that have a whole checkpoint, ascending."""
        names = [re.fullmatch(r"step-(\d+)", p.name) for p in self.checkpoints.glob("step-*")]
        return sorted(int(m[1]) for m in names if m)

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step}"

    def latest(self) -> Path | None:
        steps = self.steps()
        return self.checkpoint(steps[-1]) if steps else None

    def keep_last(self, count: int) -> None:
        """Delete all but the last `count` checkpoints."""
        for step in self.steps()[:-count]:
            shutil.rmtree(self.checkpoint(step))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.metrics())
