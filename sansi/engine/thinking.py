"""The thinking limits as a state machine over token ids: no tensors, no clock, so every decode path can share it.

    before --closing id--> closed
    before --start_id--> open --end id--> closed
                          |                 ^
                          +--limit--> forcing (the end sequence, token by token)

A thought opens and closes at most once: `start_id` is banned except in `before`, `end_ids` except in `open`.

Its tokens are the model's own: not the tags, not a line break that frames its start (the prompt's, or the model's own
right after the tag that it wrote itself), not what is forced. What comes before the end id in the end sequence is the
closing phrase. It is left out, so that the end id comes alone (and what follows it), where `max_tokens` has no room for
it beside the answer's reserve, and where the model ended its turn in the thought: that thought was not cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sansi.base.shown import show
from sansi.engine.results import FinishReason, ThinkingEnd, ThinkingReport

LOOP_TOKENS = 96  # a repetition must cover this many tokens,
LOOP_REPEATS = 4  # hold its period this many times,
LOOP_PERIOD = 256  # and have a period of at most this; below all three it may well be honest work (tables, counting)
LOOP_CHECK_EVERY = 16


@dataclass(frozen=True)
class ThinkingLimits:
    """How long a thought may be, in token ids. `<think>` and `</think>` are `start_id` and `end_ids`."""

    start_id: int
    """Id that opens a thought."""
    end_ids: tuple[int, ...]
    """Ids that close a thought."""
    end_sequence: tuple[int, ...]
    """Ids that are forced, one by one, when a thought is cut; one of `end_ids` is among them. What comes before that,
    the closing phrase, is left out where `max_tokens` has no room for it beside `answer_reserve`."""
    framing_ids: tuple[int, ...] = ()
    """Ids of line breaks: one that directly follows `start_id`, in the prompt or not, is no token of the thought."""
    turn_ids: tuple[int, ...] = ()
    """Ids with which the model ends its turn. When it samples one in an open thought, the thought is closed and the
    model goes on: it still owes the answer, of a token at least. A stop id that is not among these ends the completion
    in a thought too."""
    open: bool = False
    """The prompt ends inside an open thought."""
    budget: int | None = None
    """Most tokens of a thought, the prompt's part of an open thought included; None: no limit. A budget of 0 without an
    open thought forbids thinking: `start_id` is never sampled."""
    answer_reserve: int = 0
    """Tokens of `max_tokens` that a thought, its closing phrase and its end may not use."""
    loop_breaker: bool = True
    """Close a thought that repeats itself."""
    closing_ids: tuple[int, ...] = ()
    """Ids after which no thought can open any more, such as that of a tool call."""

    def problems(self) -> list[str]:
        found = []
        if self.budget is not None and not _is_count(self.budget):
            found.append(f"budget must be a whole number, 0 or more, not {show(self.budget)}")
        if not _is_count(self.answer_reserve):
            found.append(f"answer_reserve must be a whole number, 0 or more, not {show(self.answer_reserve)}")
        flags = {"open": self.open, "loop_breaker": self.loop_breaker}
        found += [f"{name} must be true or false" for name, flag in flags.items() if not isinstance(flag, bool)]
        if not self.end_ids:
            found.append("end_ids must name at least one id")
        elif not set(self.end_ids) & set(self.end_sequence):
            found.append("end_sequence must hold one of end_ids, or the cut thought would stay open")
        if self.start_id in (*self.end_ids, *self.end_sequence):
            found.append("neither end_ids nor end_sequence may hold start_id, or the thought would open again")
        return found


class ThinkingState:
    """Follows one completion. For each token: sample outside `banned`, `resolve` what was sampled, `push` the result.

    prompt: ids before the completion (its part of an open thought counts against the budget).
    max_tokens: how many tokens the completion may have in all.
    """

    def __init__(self, limits: ThinkingLimits, prompt: Sequence[int], max_tokens: int):
        self.limits = limits
        self.state: Literal["before", "open", "forcing", "closed"] = "before"
        self.tokens = 0  # of the thought, as far as the model sampled them
        self.phrase_tokens = 0  # of the end sequence, as far as they come before the end id
        self.forced_tokens = 0  # of the end sequence in all
        self.forced_at: int | None = None  # how many tokens came before it
        self.end_reason: ThinkingEnd | None = None
        self.owes_answer = False
        """The model wanted to end its turn in the thought, and has said nothing since it was closed: it should not get
        away with that a second time."""
        self._max_tokens = max_tokens
        self._emitted = 0
        self._bare_end = _from_first(limits.end_ids, limits.end_sequence)
        self._sequence: tuple[int, ...] = ()  # what is forced: the end sequence, or the bare end
        self._thought: list[int] = []
        self._framing_due = False  # nothing came after the opening id
        self._limit = 0  # most tokens of the thought; known once it is open
        self._opened = False
        self._limit_reason: ThinkingEnd = "budget"
        if limits.open:
            self._open(_tail_after(prompt, limits.start_id))
        elif limits.budget == 0:
            self.state = "closed"

    @property
    def banned(self) -> tuple[int, ...]:
        """Ids that must not come next."""
        if self.state == "open":
            return (self.limits.start_id,)
        if self.state == "before":
            return self.limits.end_ids
        return (self.limits.start_id, *self.limits.end_ids)

    @property
    def forced(self) -> tuple[int, ...]:
        """What comes next whatever is sampled: the rest of the end sequence."""
        return self._sequence[self.forced_tokens :] if self.state == "forcing" else ()

    def resolve(self, sampled: int) -> int:
        """The id that takes the place of `sampled`: itself, or the next of the end sequence once a limit is reached.

        At the limit the model may still close its thought itself: a thought of exactly `budget` tokens is whole.
        """
        if self.state == "open" and sampled not in self.limits.end_ids:
            if sampled in self.limits.turn_ids:
                self._force("end_of_turn")
            elif len(self._thought) >= self._limit:
                self._force(self._limit_reason)
        return self._sequence[self.forced_tokens] if self.state == "forcing" else sampled

    def push(self, token: int) -> None:
        """Take the token that came."""
        self._emitted += 1
        if self.state == "open":
            self._push_open(token)
        elif self.state == "forcing":
            self._push_forced(token)
        elif self.owes_answer:
            self.owes_answer = False
        elif self.state == "before" and token == self.limits.start_id:
            self._open(())
        elif self.state == "before" and token in self.limits.closing_ids:
            self.state = "closed"

    def follow(self, ids: Sequence[int], forced_at: int | None) -> None:
        """Take the tokens of a completion, those from `forced_at` on as forced, for whatever reason."""
        for index, token in enumerate(ids):
            if index == forced_at:
                self._begin_end(self.limits.end_sequence if token == self.limits.end_sequence[0] else self._bare_end)
            self.push(token)

    def report(self, finish_reason: FinishReason) -> ThinkingReport:
        """The report for a completion that ended now, for `finish_reason`."""
        reason = self.end_reason
        inside = self.state == "open" or (self.state == "forcing" and not self._end_is_out())
        if inside:  # what ended the completion ended the thought too
            reason = None if finish_reason == "abort" else finish_reason
        applied = self._limit if self._opened else self.limits.budget
        return ThinkingReport(self.tokens, reason, applied, self.forced_tokens, self.phrase_tokens, self.forced_at)

    def _open(self, inside: Sequence[int]) -> None:
        """A thought opens; inside: what the prompt holds of it."""
        self.state, self._opened = "open", True
        self._framing_due = not inside
        framed = bool(inside) and inside[0] in self.limits.framing_ids
        self._thought = list(inside[framed:])
        self._bound()

    def _bound(self) -> None:
        """Find out how long the thought may be."""
        budget, room = self.limits.budget, len(self._thought) + self._room()
        if budget is not None and budget <= room:
            self._limit, self._limit_reason = budget, "budget"
        else:
            self._limit, self._limit_reason = room, "reserve"

    def _room(self) -> int:
        """Tokens that `max_tokens` leaves the thought. It makes way for a closing phrase that is no longer than itself:
        where there is room for little more than the phrase, a thought is worth more than a phrase without one."""
        left = self._max_tokens - self._emitted - self.limits.answer_reserve
        beside_phrase = left - len(self.limits.end_sequence)
        phrase = len(self.limits.end_sequence) - len(self._bare_end)
        return beside_phrase if beside_phrase >= phrase else max(0, left - len(self._bare_end))

    def _force(self, reason: ThinkingEnd) -> None:
        """End the thought from the next token on."""
        left = self._max_tokens - self._emitted - self.limits.answer_reserve
        whole = reason != "end_of_turn" and left >= len(self.limits.end_sequence)
        self._begin_end(self.limits.end_sequence if whole else self._bare_end)
        self.end_reason = reason

    def _begin_end(self, sequence: tuple[int, ...]) -> None:
        self._sequence, self.state, self.forced_at = sequence, "forcing", self._emitted

    def _push_open(self, token: int) -> None:
        if token in self.limits.end_ids:
            self.state, self.end_reason = "closed", "natural"
            return
        if self._framing_due:
            self._framing_due = False
            if token in self.limits.framing_ids:
                self._bound()
                return
        self.tokens += 1
        self._thought.append(token)
        if self.limits.loop_breaker and len(self._thought) % LOOP_CHECK_EVERY == 0 and repeats(self._thought):
            self._force("loop")

    def _push_forced(self, token: int) -> None:
        assert token == self._sequence[self.forced_tokens], "the engine must emit the forced token"
        self.forced_tokens += 1
        if not self._end_is_out():
            self.phrase_tokens += 1
        if self.forced_tokens == len(self._sequence):
            self.state, self.owes_answer = "closed", self.end_reason == "end_of_turn"

    def _end_is_out(self) -> bool:
        """Whether the forced part so far holds the closing id (line breaks may follow it)."""
        return any(id_ in self.limits.end_ids for id_ in self._sequence[: self.forced_tokens])


def repeats(ids: list[int]) -> bool:
    """Whether `ids` ends in a stretch that repeats exactly, long enough to call it a loop."""
    for period in range(1, min(LOOP_PERIOD, len(ids) // LOOP_REPEATS) + 1):
        if ids[-1] != ids[-1 - period]:
            continue
        span = max(LOOP_TOKENS, LOOP_REPEATS * period)
        if span <= len(ids) and ids[-span + period :] == ids[-span:-period]:
            return True
    return False


def _from_first(wanted: Sequence[int], ids: tuple[int, ...]) -> tuple[int, ...]:
    """The part of `ids` that starts at the first of `wanted` in it."""
    return ids[next(index for index, id_ in enumerate(ids) if id_ in wanted) :]


def _tail_after(ids: Sequence[int], start: int) -> Sequence[int]:
    """The ids after the last `start`; none when there is no `start`."""
    for index in range(len(ids) - 1, -1, -1):
        if ids[index] == start:
            return ids[index + 1 :]
    return ()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
