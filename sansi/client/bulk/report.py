"""What became of many requests, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sansi.base.words import count
from sansi.client.bulk.request import Answer


@dataclass(frozen=True)
class BulkReport:
    """Counts over the answers that were given out; ok + refused + failed + cut = answers."""

    answers: int = 0
    ok: int = 0
    refused: int = 0
    failed: int = 0
    cut: int = 0
    cached: int = 0
    """Of the answers, those that were there already."""
    prompt_tokens: int = 0
    """Of this run, as are all that follow."""
    completion_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    """That requests were under way, summed."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Why answers are not ok, with their number."""
    oddities: Mapping[str, int] = field(default_factory=dict)
    """What was wrong with answers that are used all the same."""

    def __str__(self) -> str:
        told = f"{count(self.answers, 'answer')}: {self.ok:,} ok, {self.refused:,} refused, {self.cut:,} cut, "
        told += f"{self.failed:,} failed; {self.cached:,} from the cache; {self.prompt_tokens:,} prompt and "
        told += f"{self.completion_tokens:,} completion tokens" + (f", cost {self.cost:.4f}" if self.cost else "")
        for title, counts in (("not ok", self.reasons), ("odd", self.oddities)):
            if counts:
                told += f"; {title}: " + ", ".join(f"{name} {number:,}" for name, number in counts.items())
        return told


class Tally:
    """A report in the making."""

    def __init__(self) -> None:
        self._statuses: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._oddities: Counter[str] = Counter()
        self._cached = self._prompt = self._completion = 0
        self._cost = self._seconds = 0.0

    def add(self, answer: Answer) -> None:
        self._statuses[answer.status] += 1
        self._reasons.update([answer.reason] if answer.reason else [])
        self._oddities.update(answer.oddities)
        self._cached += answer.cached
        if not answer.cached:
            self._prompt += answer.usage.prompt_tokens
            self._completion += answer.usage.completion_tokens
            self._cost += answer.cost
            self._seconds += answer.seconds

    @property
    def report(self) -> BulkReport:
        told = {name: self._statuses[name] for name in ("ok", "refused", "failed", "cut")}
        return BulkReport(
            answers=self._statuses.total(),
            **told,
            cached=self._cached,
            prompt_tokens=self._prompt,
            completion_tokens=self._completion,
            cost=self._cost,
            seconds=round(self._seconds, 3),
            reasons=dict(sorted(self._reasons.items())),
            oddities=dict(sorted(self._oddities.items())),
        )
