"""What deduplication took out: in all, by rule and by source, with an alarm for a source that lost very much."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sansi.base.config import load_config
from sansi.base.files import read_json, write_json
from sansi.data.columns import Columns
from sansi.data.dedup.config import DedupConfig

FEWEST = 20  # documents of a source that can raise an alarm


@dataclass(frozen=True)
class SourceLoss:
    """What became of the documents of one source."""

    documents: int = 0
    kept: int = 0  # among them those that lost paragraphs
    cut: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)  # by rule
    bytes: int = 0
    kept_bytes: int = 0

    @property
    def loss(self) -> float:
        """Share of the text that is gone."""
        return 1 - self.kept_bytes / max(self.bytes, 1)


@dataclass(frozen=True)
class DedupReport:
    """What became of all documents, by source; `alarms` are sentences to be read."""

    sources: Mapping[str, SourceLoss]
    alarms: tuple[str, ...] = ()

    @property
    def total(self) -> SourceLoss:
        dropped: Counter[str] = Counter()
        for source in self.sources.values():
            dropped.update(source.dropped)
        numbers = ("documents", "kept", "cut", "bytes", "kept_bytes")
        sums = {name: sum(getattr(source, name) for source in self.sources.values()) for name in numbers}
        return SourceLoss(**sums, dropped=dict(sorted(dropped.items())))

    @classmethod
    def load(cls, path: Path) -> DedupReport:
        data = read_json(path)
        sources = {name: load_config(SourceLoss, source) for name, source in data["sources"].items()}
        return cls(sources, tuple(data["alarms"]))


def write_report(output: Path, features: Sequence[Path], verdicts: Path, config: DedupConfig) -> None:
    """The job that counts."""
    counts: dict[str, _Count] = {}
    judged = Columns(verdicts).rows()
    for path in features:
        file = Columns(path)
        for source, size in zip(file.values("source"), file.values("size"), strict=True):
            counts.setdefault(source, _Count()).add(size, next(judged))
    sources = {name: counts[name].loss() for name in sorted(counts)}
    alarms = [alarm for name, loss in sources.items() if (alarm := _alarm(name, loss, config))]
    write_json(
        output, {"sources": {name: dataclasses.asdict(loss) for name, loss in sources.items()}, "alarms": alarms}
    )


class _Count:
    """The counts of one source as they grow."""

    def __init__(self) -> None:
        self.numbers: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def add(self, size: int, verdict: Mapping[str, Any]) -> None:
        self.numbers["documents"] += 1
        self.numbers["bytes"] += size
        if verdict["rule"] is not None:
            self.dropped[verdict["rule"]] += 1
            return
        self.numbers["kept"] += 1
        self.numbers["kept_bytes"] += size - verdict["cut_bytes"]
        self.numbers["cut"] += bool(verdict["cut"])

    def loss(self) -> SourceLoss:
        return SourceLoss(**self.numbers, dropped=dict(sorted(self.dropped.items())))


def _alarm(name: str, source: SourceLoss, config: DedupConfig) -> str | None:
    if source.documents < FEWEST or source.loss <= config.max_source_loss:
        return None
    why = ", ".join(f"{count:,} {rule}" for rule, count in source.dropped.items()) or "repeated paragraphs"
    return (
        f'the source "{name}" lost {source.loss:.0%} of its text to deduplication, more than "max_source_loss" '
        f"({config.max_source_loss:.0%}): {source.documents - source.kept:,} of {source.documents:,} documents "
        f"({why}); see in its decisions which documents they are said to repeat"
    )
