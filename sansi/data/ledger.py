"""The ledger: every record that enters a step ends in exactly one state, and the counts must balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sansi.base.errors import SansiError

State = Literal["kept", "dropped", "quarantined"]


@dataclass(frozen=True)
class Dropped:
    """Why a document is left out: the rule that it broke, and the value that broke it."""

    rule: str
    value: float | str | None = None


@dataclass(frozen=True)
class Quarantined:
    """Why a record could not be judged: it is broken, or it broke what read it."""

    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Entry:
    """What became of one record."""

    id: str  # source/record id
    step: str  # that decided: "read", "dedup", "write"
    state: State
    rule: str | None = None  # of what is dropped, or the reason of a quarantine
    value: str | None = None  # what broke the rule; of what is quarantined, the error
    sha256: str | None = None  # of the record's content; None where none could be read
    size: int = 0  # bytes of that content
    text_size: int = 0  # bytes of the text, as far as one was extracted
    language: str | None = None

    @classmethod
    def of(cls, id: str, step: str, fate: Dropped | Quarantined | None, **facts: object) -> Entry:
        """fate None: the record is kept."""
        if fate is None:
            return cls(id, step, "kept", **facts)  # type: ignore[arg-type]
        if isinstance(fate, Dropped):
            value = None if fate.value is None else f"{fate.value:.6g}" if isinstance(fate.value, float) else fate.value
            return cls(id, step, "dropped", fate.rule, str(value) if value is not None else None, **facts)  # type: ignore[arg-type]
        return cls(id, step, "quarantined", fate.reason, fate.detail[:500] or None, **facts)  # type: ignore[arg-type]


@dataclass
class Balance:
    """Counts of one step over some records."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, entries: Iterable[Entry], read: int) -> Balance:
        balance = cls(read)
        for entry in entries:
            balance.add(entry)
        return balance

    def add(self, entry: Entry) -> None:
        if entry.state == "kept":
            self.kept += 1
        else:
            (self.dropped if entry.state == "dropped" else self.quarantined)[entry.rule or ""] += 1

    @property
    def ended(self) -> int:
        return self.kept + self.dropped.total() + self.quarantined.total()

    def check(self, where: str) -> None:
        """Raise SansiError unless every record that was read has ended in one state."""
        if self.read != self.ended:
            raise SansiError(
                f"{where}: the ledger does not balance: {self.read:,} records were read, and {self.ended:,} are "
                f"accounted for ({self.kept:,} kept, {self.dropped.total():,} dropped, "
                f"{self.quarantined.total():,} quarantined); nothing of this step is used, start it again"
            )

    def __add__(self, other: Balance) -> Balance:
        return Balance(
            self.read + other.read,
            self.kept + other.kept,
            self.dropped + other.dropped,
            self.quarantined + other.quarantined,
        )
