"""One process inside a sandbox and the talk with it: requests, output and replies over three pipes.

Nothing that comes back is trusted: it is bounded, and read as JSON.
"""

from __future__ import annotations

import itertools
import json
import marshal
import os
import select
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from sansi.base.errors import SansiError
from sansi.sandbox.canaries import canaries
from sansi.sandbox.idle import watch_between_calls
from sansi.sandbox.launch import has_ended
from sansi.sandbox.limits import Limits
from sansi.sandbox.rungs import Kind, NotHolding, Started, start_on
from sansi.sandbox.stream import HeadTail
from sansi.sandbox.system import Place
from sansi.sandbox.usage import children, folder_usage
from sansi.sandbox.watch import Watch

SETUP_SECONDS = 30.0
GRACE_SECONDS = 2.0  # between the interrupt and the kill
SLOT = 0.02  # seconds between looks at the clock, the limits and `cancelled`
LONGEST_HEADER, MOST_BLOBS = 4 * 2**20, 160 * 2**20  # bytes of a reply
CHUNK = 1 << 16
MOST_COUNTED = 100_000  # files

_ids = itertools.count(1)


@dataclass
class Exchange:
    """What came of one request."""

    reply: dict[str, Any] | None = None
    """None when the process did not answer."""
    blobs: list[bytes] = field(default_factory=list)
    output: str = ""
    stopped: str | None = None
    """Why the request was cut off: its time, a limit, somebody who cancelled it."""
    timed_out: bool = False
    dead: str | None = None
    """How the process ended, if it did."""
    seconds: float = 0.0


class Session:
    """A started and proven process. Raises NotHolding where the rung does not hold."""

    def __init__(self, kind: Kind, place: Place, limits: Limits):
        self.kind, self.place, self.limits = kind, place, limits
        request_end, self._requests = os.pipe()
        self._output, output_end = os.pipe()
        self._replies, reply_end = os.pipe()
        ends = {"requests": request_end, "output": output_end, "replies": reply_end}
        self._started: Started | None = None
        self.closing = threading.Event()
        """Set by whoever wants it to end now, in the middle of a call too."""
        try:
            self._started = start_on(kind, place, limits, ends)
        finally:
            for end in ends.values():
                os.close(end)
            if self._started is None:
                self.close()
        self.before = folder_usage(os.fspath(place.folder), MOST_COUNTED)
        self._poll = select.poll()
        for end in (self._requests, self._output, self._replies):
            os.set_blocking(end, False)
        for end in (self._output, self._replies):
            self._poll.register(end, select.POLLIN)
        self._asked = threading.Lock()
        self._between: Watch | None = None
        self.ended_between: str | None = None
        self._prove()
        watch_between_calls(self)

    def _prove(self) -> None:
        assert self._started
        done = self.exchange({**self._started.setup, "canaries": canaries()}, SETUP_SECONDS)
        escapes = (done.reply or {}).get("escapes")
        if escapes == []:
            return
        self.close()
        if isinstance(escapes, list):
            raise NotHolding(f"an attempt to get out succeeded ({'; '.join(map(str, escapes))})")
        if done.stopped:  # a busy machine, not a rung that does not hold
            raise SansiError(f"the sandbox did not start ({done.stopped}); try again when the machine is less busy")
        last = done.output.strip().splitlines()[-1:] or [done.dead or "no answer"]
        raise NotHolding(last[0])

    def exchange(self, request: dict[str, Any], seconds: float, cancelled: threading.Event | None = None) -> Exchange:
        """Ask and wait for the answer; after `seconds` it is interrupted, then killed, as beyond any limit."""
        with self._asked:
            if self.ended_between:
                return Exchange(stopped=f"{self.ended_between}, between two calls", dead="it was killed")
            done = _Talk(self, request, seconds, cancelled).finish()
            self._between = None
            return done

    def watch(self) -> Watch:
        """Its limits, counted from now."""
        assert self._started
        shared, folder, tmp = self.kind == "landlock", self.place.folder, self._started.tmp
        return Watch(self.pid, shared, folder, tmp, self.limits, self.before)

    def look(self) -> None:
        """Between calls: end it where what a call left behind is beyond a limit."""
        if not self._asked.acquire(blocking=False):
            return
        try:
            if self._started is None or self._requests < 0 or self.ended_between:
                return
            self._between = self._between or self.watch()
            if breach := self._between.breach(time.monotonic()):
                self.ended_between = breach
                self._started.end()
        finally:
            self._asked.release()

    @property
    def pid(self) -> int:
        assert self._started
        return self._started.process.pid

    def interrupt(self) -> None:
        """Ctrl-C for the code."""
        if worker := self._worker():
            os.kill(worker, signal.SIGINT)

    def _worker(self) -> int:
        """Our process inside; 0 when it is gone."""
        worker = self.pid
        if self.kind != "landlock":  # bwrap, its first process inside, and ours
            for _ in range(2):
                worker = next(iter(children(worker)), 0)
        return worker

    def died(self) -> str:
        """End what is left, and say how it ended."""
        assert self._started
        in_time = has_ended(self._started.process, 0.2)  # closed pipes are seen a moment before
        self.close()
        status = self._started.process.returncode if in_time else None
        if status is None:
            return "it closed its connection"
        number = -status if status < 0 else status - 128 if status > 128 else 0
        return f"killed by signal {_signal_name(number)}" if number else f"it ended with exit status {status}"

    def close(self) -> None:
        """Kill everything in there; the folder stays as it is."""
        if self._started:
            self._started.end()
        for name in ("_requests", "_output", "_replies"):
            end = getattr(self, name)
            if end >= 0:
                os.close(end)
                setattr(self, name, -1)


class _Talk:
    """One exchange while it lasts."""

    def __init__(self, session: Session, request: dict[str, Any], seconds: float, cancelled: threading.Event | None):
        self.session, self.cancelled = session, cancelled
        self.seconds, self.start = seconds, time.monotonic()
        self.id = next(_ids)
        self.waiting = memoryview(marshal.dumps({**request, "id": self.id}))
        self.output, self.answer = HeadTail(session.limits.output), bytearray()
        self.watch = session.watch()
        self.done = Exchange()
        self.header: dict[str, Any] | None = None
        self.killing_at: float | None = None
        self.sending = False  # whether a part of the request still waits

    def finish(self) -> Exchange:
        session = self.session
        handles = {
            session._requests: self._send,
            session._output: self._read_output,
            session._replies: self._read_reply,
        }
        self._send()
        while self.done.reply is None and self.done.dead is None:
            for end, _ in session._poll.poll(SLOT * 1000):
                handles[end]()
                if self.done.dead:
                    break
            else:
                self._look_at_the_clock()
        self._read_what_is_left()
        self.done.output = self.output.text()
        self.done.seconds = time.monotonic() - self.start
        return self.done

    def _send(self) -> None:
        """As much as fits now; the rest when there is room."""
        session = self.session
        try:
            self.waiting = self.waiting[os.write(session._requests, self.waiting[:CHUNK]) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            return self._dead()
        if self.waiting:
            session._poll.register(session._requests, select.POLLOUT)
            self.sending = True
        elif self.sending:
            session._poll.unregister(session._requests)
            self.sending = False

    def _read_output(self) -> None:
        data = _read(self.session._output)
        if data == b"":
            self.session._poll.unregister(self.session._output)
        self.output.add(data or b"")

    def _read_reply(self) -> None:
        data = _read(self.session._replies)
        if data == b"":
            return self._dead()
        self.answer += data or b""
        try:
            self._parse()
        except ValueError as error:
            self._kill(f"its answer could not be read ({error})")

    def _parse(self) -> None:
        if self.header is None:
            if b"\n" not in self.answer:
                if len(self.answer) > LONGEST_HEADER:
                    raise ValueError("it is too long")
                return
            line, _, rest = bytes(self.answer).partition(b"\n")
            self.header, self.answer = _header(line, self.id), bytearray(rest)
        lengths = self.header["blobs"]
        if len(self.answer) >= sum(lengths):
            for length in lengths:
                self.done.blobs.append(bytes(self.answer[:length]))
                del self.answer[:length]
            if self.answer:
                raise ValueError("there is more than one")
            self.done.reply = self.header

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if self.killing_at is not None:
            if now >= self.killing_at:
                self._kill(self.done.stopped or "")
        elif self.session.closing.is_set():
            self._kill("stopped: the worker was closed")
        elif breach := self.watch.breach(now):
            self._kill(breach)
        elif now - self.start >= self.seconds:
            self.done.timed_out = True
            self._interrupt(f"stopped after {self.seconds:g} seconds")
        elif self.cancelled is not None and self.cancelled.is_set():
            self._interrupt("stopped: it was cancelled")

    def _interrupt(self, why: str) -> None:
        self.done.stopped = why
        self.killing_at = time.monotonic() + GRACE_SECONDS
        try:
            self.session.interrupt()
        except OSError:
            self._kill(why)

    def _kill(self, why: str) -> None:
        self.done.stopped, self.done.dead = why, "it was killed"
        assert self.session._started
        self.session._started.end()

    def _dead(self) -> None:
        self._read_what_is_left()
        self.done.dead = self.session.died()

    def _read_what_is_left(self) -> None:
        """What was printed before the answer is in the pipe by now; a flood that goes on is not waited for."""
        for _ in range(64):
            data = _read(self.session._output) if self.session._output >= 0 else b""
            if not data:
                return
            self.output.add(data)


def _read(descriptor: int) -> bytes | None:
    """What is there; None when nothing is there yet, b"" at the end."""
    try:
        return os.read(descriptor, CHUNK)
    except BlockingIOError:
        return None


def _header(line: bytes, wanted: int) -> dict[str, Any]:
    header = json.loads(line)
    lengths = header.get("blobs") if isinstance(header, dict) else None
    counts = isinstance(lengths, list) and all(type(length) is int and length >= 0 for length in lengths)
    if not counts or sum(lengths or ()) > MOST_BLOBS:
        raise ValueError("it is no answer of ours")
    if header.get("id") != wanted:
        raise ValueError("it is to another question")
    return header


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
