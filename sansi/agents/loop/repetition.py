"""The loop breaker: the same call with the same result ends the calls at the fifth time, and is told the model before,
at the third; or at other times that `Limits.loop_breaker` says.

A call is the same if tool and arguments are; only together with the same result does it count, so that looking again
at what changes is no loop. The counts begin anew when a call that writes, executes or reaches the network gives
something that had not been seen: running the same tests after each change is honest work. Tools that are for asking
again and again (`Tool.polling`) do not count.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sansi.agents.loop.run import CallRecord
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.text.schema import parse_arguments

STOPPED = 5
"""The time at which the calls end."""
ORDINALS = {2: "second", 3: "third", 4: "fourth", 5: "fifth"}


@dataclass(frozen=True)
class Repetition:
    """What is to be said of a call that repeats itself."""

    times: int
    remark: str
    """Added to the result that the model reads."""
    stops: bool


@dataclass
class LoopBreaker:
    """Counts the calls of one run."""

    tools: Mapping[str, Tool]
    stopped: int | None = STOPPED
    """The time at which a call ends the calls; None: none does."""
    _seen: Counter[str] = field(default_factory=Counter)
    _changes: set[str] = field(default_factory=set)

    def note(self, record: CallRecord) -> Repetition | None:
        """Count a call; something to say, if it has become a repetition."""
        if self.stopped is None:
            return None
        tool = self.tools.get(record.call.name)
        if record.status in ("not_executed", "cancelled") or (tool is not None and tool.polling):
            return None
        key = _key(record)
        if tool is not None and record.status == "ok" and tool.effects - {"read"} and key not in self._changes:
            self._changes.add(key)
            self._seen.clear()
        self._seen[key] += 1
        times = self._seen[key]
        stops = times >= self.stopped
        told = times >= max(2, (self.stopped + 1) // 2)
        return Repetition(times, _remark(times, stops), stops) if told else None


def _remark(times: int, stops: bool) -> str:
    said = f"This is the {ORDINALS.get(times, f'{times}th')} time that this call has given this result."
    if stops:
        return f"{said} No further call is made: say what you have found out, and what is missing."
    return f"{said} Do something else, or answer with what you have."


def _key(record: CallRecord) -> str:
    try:
        arguments = json.dumps(parse_arguments(record.call.arguments), sort_keys=True)
    except SansiError:
        arguments = record.call.arguments
    text = json.dumps([record.call.name, arguments, record.status, record.observation])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
