"""Which requests a model takes on, how long they may take, and how they end when they must.

A request holds a Ticket from its admission to its last byte. Three things can end it early: its time is up, the server
stops, or the client leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

from sansi.chat import ChatModel
from sansi.serve.api.errors import ServeError
from sansi.serve.http.bodies import NO_RETRY
from sansi.serve.http.settings import ServerSettings

WINDOW = 60.0  # seconds that the estimate of `Retry-After` looks back
DEFAULT_SLOTS = 64
LONGEST_WAIT = 60  # seconds; OpenAI's clients take no longer advice


class Ticket:
    """A place at a model for `count` answers. Whoever took it and whoever holds it releases it once."""

    def __init__(self, gate: Gate, count: int, timeout: float | None, begun: float):
        self._gate, self.count, self._timeout, self._begun = gate, count, timeout, begun
        self._holders = 1
        self._scope: asyncio.Timeout | None = None
        self._reason: Exception | None = None

    def end(self, reason: Exception) -> None:
        """End what runs under `limits`, with `reason`. The first reason stands."""
        if self._reason is not None:
            return
        self._reason = reason
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    @contextlib.asynccontextmanager
    async def limits(self) -> AsyncIterator[None]:
        """Raises ServeError (503, 504) or ClientGone in the place of what it interrupts."""
        if self._reason is not None:
            raise self._reason
        scope = asyncio.timeout_at(None if self._timeout is None else self._begun + self._timeout)
        try:
            async with scope:
                self._scope = scope
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise (self._reason or _timed_out(self._timeout)) from None
        finally:
            self._scope = None

    def hold(self) -> Ticket:
        """Keep the place for one more, who releases it too."""
        self._holders += 1
        return self

    def release(self) -> None:
        self._holders -= 1
        if not self._holders:
            self._gate.leave(self)


class Gate:
    """The requests at one model: at most `slots` that run and `max_queue` that wait."""

    def __init__(self, slots: int, settings: ServerSettings):
        self._slots, self._settings = slots, settings
        self._tickets: set[Ticket] = set()
        self._left: deque[tuple[float, int]] = deque(maxlen=256)  # (second, answers) of those that have ended
        self.closing = False

    @property
    def held(self) -> int:
        """Answers that run or wait."""
        return sum(ticket.count for ticket in self._tickets)

    def enter(self, count: int, begun: float) -> Ticket:
        """A place for `count` answers. Raises ServeError: 429 when the queue is full, 503 when the server stops.

        begun: when the request came, by the monotonic clock, which is the event loop's too.
        """
        if (refusal := self.refusal(count)) is not None:
            raise refusal
        ticket = Ticket(self, count, self._settings.timeout, begun)
        self._tickets.add(ticket)
        return ticket

    def refusal(self, count: int = 1) -> ServeError | None:
        """Why `count` answers can not be taken on now."""
        if self.closing:
            return stopping()
        # One request for more than all places is let in when there is nobody else: it could never be otherwise.
        if not self._tickets or self.held + count <= self._slots + self._settings.max_queue:
            return None
        wait = self._wait()
        message = f"the queue is full ({self._settings.max_queue} requests wait); try again in {wait} seconds"
        return ServeError(429, message, "queue_full", {"Retry-After": str(wait)})

    def leave(self, ticket: Ticket) -> None:
        self._tickets.remove(ticket)
        self._left.append((time.monotonic(), ticket.count))

    def end_all(self) -> None:
        for ticket in list(self._tickets):
            ticket.end(stopping())

    def _wait(self) -> int:
        """Seconds until half of those who wait now will run, by how fast answers ended lately; at least 1."""
        now = time.monotonic()
        recent = [(second, count) for second, count in self._left if now - second <= WINDOW]
        if len(recent) < 2:
            return 1
        rate = sum(count for _, count in recent) / max(now - recent[0][0], 0.1)
        return min(max(1, math.ceil(self._settings.max_queue / 2 / rate)), LONGEST_WAIT)


class UnderWay(Protocol):
    """Work of another kind than answers of models."""

    @property
    def under_way(self) -> int: ...
    def end_all(self) -> None: ...


class Admission:
    """The gates of all models of a server, and its end."""

    def __init__(self, models: Iterable[ChatModel], settings: ServerSettings):
        gates: dict[int, Gate] = {}
        self._gates: dict[str, Gate] = {}
        for chat in models:  # a model and its adapters have one engine, hence one gate
            owner = id(getattr(chat, "engine", chat))
            self._gates[chat.name] = gates.setdefault(owner, Gate(_slots_of(chat), settings))
        self.closers: list[Callable[[], None]] = []
        """Called when nothing more is taken on, for what holds no place at a model and would wait for ever."""
        self.others: list[UnderWay] = []
        """What may be under way without a place at a model, as a run is while its tools work."""

    def check(self) -> None:
        """Raises as `enter` would, before it is known what is asked: where no model can take on anything."""
        refusals = [gate.refusal() for gate in self._gates.values()]
        if refusals[0] is not None and all(refusals):
            raise refusals[0]

    def enter(self, model: str, count: int, begun: float) -> Ticket:
        """As `Gate.enter`."""
        return self._gates[model].enter(count, begun)

    def held(self, model: str | None = None) -> int:
        """Answers that run or wait, of one model and its adapters, or of all."""
        if model is not None:
            return self._gates[model].held
        return sum(gate.held for gate in set(self._gates.values()))

    def under_way(self) -> int:
        """How much has to end before the server may; a run that is at a model counts once."""
        return max(self.held(), sum(other.under_way for other in self.others))

    @property
    def closing(self) -> bool:
        return any(gate.closing for gate in self._gates.values())

    def close(self) -> None:
        """Take on nothing more; what runs goes on."""
        for gate in self._gates.values():
            gate.closing = True
        for close in self.closers:
            close()

    def end_all(self) -> None:
        """End what runs, each with an error that says why."""
        for gate in self._gates.values():
            gate.end_all()
        for other in self.others:
            other.end_all()


def stopping() -> ServeError:
    return ServeError(503, "the server is shutting down", "shutting_down", {"Retry-After": "5"})


def _timed_out(seconds: float | None) -> ServeError:
    message = f"the request took longer than the {seconds:g} seconds that this server allows"
    return ServeError(504, message, "timeout", NO_RETRY)


def _slots_of(chat: ChatModel) -> int:
    engine = getattr(chat, "engine", None)  # a chat model may be without one, in tests and behind other servers
    return DEFAULT_SLOTS if engine is None else engine.plan.max_batch
