"""What counts as repeated, and how much memory finding it may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sansi.base.config import Config

SIMILARITY = 0.8
SHINGLE_WORDS, SHINGLE_TOKENS = 3, 6


@dataclass(frozen=True)
class DedupConfig(Config):
    """Removal of what stands in a corpus more than once."""

    similarity: float = SIMILARITY
    """Jaccard index of the runs of 3 words of two documents from which the later one is removed."""
    containment: float = 0.95
    """Share of a document's runs that stand in a kept one from which it is removed; 1: only if all of them do."""
    min_paragraph: int = 12
    """Words of a paragraph from which it may not repeat; shorter ones, such as headings, may."""
    max_holes: float = 1 / 3
    """Share of the text between a document's first and last new paragraph that may go; else all of it goes."""
    min_rest: float = 1 / 3
    """Share of a document, boilerplate at its ends aside, that must be new; else all of it goes."""
    boilerplate: int = 3
    """Documents from which a paragraph that they share is boilerplate, which is cut and not counted."""
    bands: int = 32
    """Groups of MinHash values; two documents are compared if all values of one group agree."""
    rows: int = 4
    """MinHash values in a group: a pair of similarity s is compared with probability 1 - (1 - s^rows)^bands."""
    max_source_loss: float = 0.5
    """Share of a source's text that may be removed; more is reported as an alarm."""
    on_source_loss: Literal["warn", "stop"] = "warn"
    """What an alarm does: "warn" notes it in the report, "stop" ends the build."""
    entries_at_once: int = 1 << 22
    """Entries of an index that are sorted in memory at once, some 100 bytes each; more go into several partitions."""

    def problems(self) -> list[str]:
        found = [
            f'"{name}" is {getattr(self, name)}; it must lie above 0 and be at most 1'
            for name in ("similarity", "containment", "max_holes", "min_rest", "max_source_loss")
            if not 0 < getattr(self, name) <= 1
        ]
        found += [
            f'"{name}" is {getattr(self, name)}; give at least {least}'
            for name, least in (("min_paragraph", 1), ("boilerplate", 2), ("bands", 1), ("rows", 1))
            if getattr(self, name) < least
        ]
        if self.bands * self.rows > 1024:
            found.append(f'"bands" times "rows" is {self.bands * self.rows}; give at most 1024 MinHash values')
        if self.entries_at_once < 1000:
            found.append(f'"entries_at_once" is {self.entries_at_once}; give at least 1000')
        return found


def proposed(similarity: float, config: DedupConfig) -> float:
    """The probability that two documents of this similarity are compared."""
    return float(1.0 - (1.0 - similarity**config.rows) ** config.bands)
