"""Which replica gets a request: the one that has read the beginning of its prompt, unless it is much busier."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

BLOCKS_KEPT = 65_536
"""Of one replica: four million characters, what a cache of a million tokens holds."""
SPILL = 4
"""Answers that a replica may have more than the least busy one, and still get what begins as one of its prompts."""

How = Literal["prefix", "load", "spill"]


@dataclass(frozen=True)
class Choice:
    """Where a request goes, and why."""

    replica: int
    how: How
    """prefix: its beginning is there; load: it is nowhere; spill: it is elsewhere, where too much waits."""
    matched: int
    """Blocks of it that are there."""


@dataclass
class _Known:
    load: int = 0
    up: bool = False
    blocks: OrderedDict[int, None] = field(default_factory=OrderedDict)
    """Those that were read latest stand last."""


class Router:
    """Keeps what each replica has read lately, and how many answers it is at. It waits for nothing."""

    def __init__(self, replicas: int, spill: int = SPILL, blocks_kept: int = BLOCKS_KEPT):
        self._known = [_Known() for _ in range(replicas)]
        self._spill, self._most = spill, blocks_kept

    def choose(self, blocks: Sequence[int], but: Collection[int] = ()) -> Choice | None:
        """The replica for a prompt; None where none is up. but: replicas that are not to be taken."""
        open_ones = [number for number, known in enumerate(self._known) if known.up and number not in but]
        if not open_ones:
            return None
        matched = {number: self._matched(number, blocks) for number in open_ones}
        load = {number: self._known[number].load for number in open_ones}
        least = min(load.values())
        near = [number for number in open_ones if load[number] <= least + self._spill]
        best = max(near, key=lambda number: (matched[number], -load[number]))
        if matched[best]:
            return Choice(best, "prefix", matched[best])
        # Nothing of it is where there is room: to the least busy, and of these to the one that has read the least.
        chosen = min(open_ones, key=lambda number: (load[number], len(self._known[number].blocks), number))
        return Choice(chosen, "spill" if any(matched.values()) else "load", matched[chosen])

    def begin(self, replica: int, blocks: Sequence[int], answers: int = 1) -> None:
        """A request goes there: it is busier, and will have read the beginning."""
        known = self._known[replica]
        known.load += answers
        for block in reversed(blocks):  # so that the first blocks, which others share, are forgotten last
            known.blocks[block] = None
            known.blocks.move_to_end(block)
        while len(known.blocks) > self._most:
            known.blocks.popitem(last=False)

    def end(self, replica: int, answers: int = 1) -> None:
        """The request has ended, however."""
        known = self._known[replica]
        known.load -= answers
        assert known.load >= 0, "more has ended than begun"

    def up(self, replica: int) -> None:
        """It takes requests, with an empty cache."""
        self._known[replica].up = True
        self._known[replica].blocks.clear()

    def down(self, replica: int) -> None:
        """It takes none, and what it had read is gone."""
        self._known[replica].up = False
        self._known[replica].blocks.clear()

    def load(self, replica: int) -> int:
        """Answers that it is at."""
        return self._known[replica].load

    def are_up(self) -> list[int]:
        return [number for number, known in enumerate(self._known) if known.up]

    def _matched(self, replica: int, blocks: Sequence[int]) -> int:
        """How many of the first blocks are there."""
        known = self._known[replica].blocks
        for count, block in enumerate(blocks):
            if block not in known:
                return count
        return len(blocks)
