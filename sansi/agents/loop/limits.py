"""The caps of a run, and its one thinking budget. Of each a quarter is kept for the answer.

| cap           | until the reserve                              | then                                               |
|---------------|------------------------------------------------|----------------------------------------------------|
| `max_calls`   | calls run                                      | further ones are refused, one last reply           |
| `max_tokens`  | replies may be as long as what is left of 3/4  | one last reply, as long as what is left of all     |
| `max_seconds` | replies and tools may take what is left of 3/4 | what runs is given up, one last reply in the rest  |

The last reply is asked for with `tool_choice: "none"`: the prompt begins as before, so that its cache holds.

The thinking budget is spent thus. A step may think for two thirds (rounded up) of what is left beyond the reserve, so
that the plan gets most, and what one step leaves the next ones have. The last reply may use all that is left, which is
never less than the reserve. A step that gets less than the reserve, uses it up and then answers is asked once more,
with the reserve: no answer has less. With Sansi the sum is exact; for a server that counts no reasoning tokens, the
thought is counted by its text, and the report says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from sansi.agents.stopwatch import Stopwatch
from sansi.base import SansiError
from sansi.client.reply import Usage

RESERVED = 4  # the reserve is this part of a cap


@dataclass(frozen=True)
class Limits:
    """The caps of one run; None: no cap."""

    max_calls: int | None = 16
    """Tool calls, mistaken ones too."""
    max_tokens: int | None = None
    """Tokens that the model writes, thoughts included."""
    max_seconds: float | None = None
    """From the first step to the end, less the time in which somebody is asked something."""
    thinking_budget: int | None = None
    """Tokens of thought, over all steps."""
    thinking_reserve: int | None = None
    """Of these kept for the answer; None: a quarter, rounded up."""
    loop_breaker: int | None = 5
    """At which time the same call with the same result ends the calls; the model is told of it from half of that on:
    see `sansi.agents.loop.repetition`."""
    ask_again: bool = True
    """Ask once more where calls are planned or claimed and not made: see `sansi.agents.loop.honesty`."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            kinds = (int, float) if f.name == "max_seconds" else int
            if f.name == "ask_again":
                if not isinstance(value, bool):
                    raise SansiError(f"{f.name} must be True or False, not {value!r}", param=f.name)
                continue
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, kinds) or value < 0 or not math.isfinite(value):
                raise SansiError(f"{f.name} must be a number of 0 or more, not {value!r}", param=f.name)
        if self.max_tokens is not None and self.max_tokens < RESERVED:
            raise SansiError(f"max_tokens must be at least {RESERVED}, not {self.max_tokens}", param="max_tokens")
        if self.loop_breaker in (0, 1):
            told = f"loop_breaker must be 2 or more, or None for none, not {self.loop_breaker}"
            raise SansiError(told, param="loop_breaker")
        if (self.thinking_reserve or 0) > (self.thinking_budget or 0):
            raise SansiError(
                f"thinking_reserve is {self.thinking_reserve}, more than the thinking_budget {self.thinking_budget}",
                param="thinking_reserve",
            )


@dataclass
class ThinkingLedger:
    """What is spent of the run's thinking budget, step by step."""

    budget: int | None
    reserve: int = 0
    spent: list[int] = field(default_factory=list)
    granted: list[int | None] = field(default_factory=list)

    @classmethod
    def of(cls, limits: Limits, granted: list[int | None], spent: list[int]) -> ThinkingLedger:
        """The ledger over the lists of a run's state."""
        budget, reserve = limits.thinking_budget, limits.thinking_reserve
        return cls(budget, -(-(budget or 0) // RESERVED) if reserve is None else reserve, spent, granted)

    @property
    def left(self) -> int:
        return max(0, (self.budget or 0) - sum(self.spent))

    def grant(self, last: bool) -> int | None:
        """Most tokens that the next step may think for; None: no bound."""
        if self.budget is None:
            return None
        return self.left if last else -(-2 * max(0, self.left - self.reserve) // 3)

    def spend(self, grant: int | None, tokens: int) -> None:
        self.granted.append(grant)
        self.spent.append(tokens)

    def may_starve(self, grant: int | None, last: bool) -> bool:
        """The next step gets less than the reserve: if it uses it up, its answer deserves more."""
        return not last and grant is not None and grant < min(self.reserve, self.left)

    def starved(self) -> bool:
        """The last step had less than the reserve, and has used it up."""
        grant = self.granted[-1]
        return grant is not None and grant < min(self.reserve, self.left) and self.spent[-1] >= grant


@dataclass(frozen=True)
class Meter:
    """What is left of a run's tokens and seconds, for a step and for the last reply."""

    limits: Limits
    before: float
    """Seconds of the run before it was resumed."""
    watch: Stopwatch = field(default_factory=Stopwatch)

    def seconds(self) -> float:
        """Since the run began, less those in which it waited for somebody's answer."""
        return self.before + self.watch.seconds()

    def seconds_left(self, last: bool) -> float | None:
        cap = self.limits.max_seconds
        if cap is None:
            return None
        return max(0.0, cap * (1 if last else 1 - 1 / RESERVED) - self.seconds())

    def tokens_left(self, usage: Usage, last: bool) -> int | None:
        """At least one for the last reply."""
        cap = self.limits.max_tokens
        if cap is None:
            return None
        reserve = 0 if last else -(-cap // RESERVED)
        return max(int(last), cap - usage.completion_tokens - reserve)
