"""Processes that verify answers, so that a verifier which hangs, eats memory or dies takes nothing with it.

A worker is a fresh Python process, or, for what only this process knows (a task defined in a script, in a notebook or
in a function), a fork of it. It handles one answer after the other; a request that it does not survive costs the worker
alone. Work is bounded by processor time, which a busy machine does not use up, and, for verifiers that wait for
something that never comes, by time in which nothing of the worker ran at all.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import io
import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.processes import once_per_process, process_ids, stat_fields
from sansi.data.problems.task import Problem, Task, Verdict, check_whole, unknown
from sansi.data.problems.worker_main import receive, send, serve
from sansi.text import Message

LOOK_EVERY = 5.0  # seconds between looks at a worker that does not answer
MOST_WORKERS = 8
MOST_HUNG = 10_000  # of which a pool remembers that they hung


@dataclass(frozen=True)
class Limits:
    """Last-resort bounds on one verification; what reaches one is tried once more alone, then unknown."""

    cpu_seconds: int = 30
    """Processor time. The slowest of the built-in verifiers takes about 0.5 s."""
    memory_bytes: int = 4 << 30
    """Address space beyond what the process has at its start."""
    idle_seconds: float = 60.0
    """Time in which the worker and what it started neither run nor want to."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise SansiError(f'"{name}" of the limits must be above 0, not {value!r}', param=name)


class Lost(Exception):
    """The worker did not survive; the reason and what was seen."""

    def __init__(self, reason: str, seen: str):
        super().__init__(reason, seen)
        self.reason, self.seen = reason, seen


class Worker:
    """One process, and the socket to it. `task` None: a fresh process; else a fork of this one that knows `task`."""

    def __init__(self, limits: Limits, task: Task | None = None):
        self.limits, self.task = limits, task
        self.status: int | None = None  # of the process, once it has ended; negative: the signal
        self.socket, theirs = socket.socketpair()
        bounds = (limits.cpu_seconds, limits.memory_bytes)
        self.process: subprocess.Popen[bytes] | None = None
        if task is None:
            # The paths of this process: an installed package, or a checkout that somebody put there.
            start = f"import sys; sys.path[:] = {sys.path!r}; from sansi.data.problems.worker_main import main; main()"
            self.process = subprocess.Popen(
                [sys.executable, "-c", start, str(theirs.fileno()), *map(str, bounds)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            self.pid = self.process.pid
        else:
            self.pid = _fork(theirs, bounds, task)
        theirs.close()

    def ask(self, request: bytes) -> dict[str, Any]:
        """The reply to one request. Raises Lost when the worker has died, or was killed for not answering."""
        try:
            send(self.socket, request)
            self._wait()
            reply = receive(self.socket)
        except OSError:
            reply = None
        if reply is None:
            raise self._post_mortem()
        try:
            return dict(json.loads(reply))
        except (ValueError, TypeError) as error:
            self.kill()
            raise Lost("killed", "its process sent no verdict") from error

    def _wait(self) -> None:
        """Until the worker answers or ends. Raises Lost when it has to be killed."""
        seen, idle_since = None, time.monotonic()
        first: float | None = None
        look_every = min(LOOK_EVERY, self.limits.idle_seconds / 2)
        while not select.select([self.socket], [], [], look_every)[0]:
            now = _Activity.of_session(self.pid)
            first = now.cpu_seconds if first is None else first
            if seen is None or now.running or now.cpu_seconds > seen.cpu_seconds:
                idle_since = time.monotonic()
            seen = now
            # The kernel's limit is per process and can be caught: children and handlers are counted here.
            if now.cpu_seconds - first > self.limits.cpu_seconds:
                self.kill()
                raise Lost("hang", f"used over {self.limits.cpu_seconds} s of processor time")
            if time.monotonic() - idle_since > self.limits.idle_seconds:
                self.kill()
                raise Lost("hang", f"waited {self.limits.idle_seconds:g} s for something without running")

    def _post_mortem(self) -> Lost:
        status = self.kill()
        if status == -signal.SIGXCPU:
            return Lost("hang", f"used over {self.limits.cpu_seconds} s of processor time")
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
        return Lost("killed", f"its process ended with {how}")

    def kill(self) -> int:
        """End the process and all that it started, if it has not ended; its status."""
        self.socket.close()
        if self.status is not None:
            return self.status
        status = self._poll()
        self.end()
        self.status = self._reap() if status is None else status
        return self.status

    def end(self) -> None:
        """Send the process and all that it started the signal that ends them; from any thread."""
        if self.status is None:
            for send_signal in (os.killpg, os.kill):  # a fork may not have come to have a group of its own yet
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    send_signal(self.pid, signal.SIGKILL)

    def _poll(self) -> int | None:
        # One that has just ended by itself has a moment to become a corpse that tells of it.
        for pause in (0.0, 0.01, 0.1):
            time.sleep(pause)
            if self.process is not None:
                status = self.process.poll()
            else:
                pid, raw = os.waitpid(self.pid, os.WNOHANG)
                status = os.waitstatus_to_exitcode(raw) if pid else None
            if status is not None:
                return status
        return None

    def _reap(self) -> int:
        if self.process is not None:
            return self.process.wait()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _fork(theirs: socket.socket, bounds: tuple[int, int], task: Task) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:  # the child: nothing of this may return into the caller's program
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        os.dup2(quiet, 0)
        os.dup2(quiet, 1)
        keep = theirs.fileno()
        os.closerange(3, keep)
        os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), line_buffering=True)
        serve(theirs, *bounds, task=task)
    finally:
        os._exit(0)


@dataclass(frozen=True)
class _Activity:
    """What the processes of a session have used, and whether one of them runs or wants to."""

    cpu_seconds: float
    running: bool

    @classmethod
    def of_session(cls, session: int) -> _Activity:
        ticks, running = 0, False
        for pid in process_ids():
            if (fields := stat_fields(pid)) and int(fields[3]) == session:
                ticks += sum(map(int, fields[11:15]))  # its own time, user and system, and that of its dead children
                running |= fields[0] in "RD"
        return cls(ticks / os.sysconf("SC_CLK_TCK"), running)


class WorkerPool:
    """Up to `workers` processes, kept for the next answer; safe to use from any thread."""

    def __init__(self, workers: int | None = None, limits: Limits | None = None):
        if workers is not None:
            check_whole("workers", workers, 1)
        self.workers = workers or min(MOST_WORKERS, len(os.sched_getaffinity(0)))
        self.limits = limits or Limits()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._interrupts = 0
        self._hung: dict[bytes, Verdict] = {}  # digests of requests that hung twice: the same answer is not tried again
        self._lock, self._alone = threading.Lock(), threading.Lock()
        self._places = threading.Semaphore(self.workers)

    def verify(self, task: Task, problem: Problem, message: Message, by_name: bool) -> Verdict:
        """The verdict of a worker; unknown, after a second try alone, where it does not survive.

        by_name: the worker finds the task by the problem's own names.
        """
        try:
            request, forked = _request(task, problem, message, by_name)
        except Exception as error:
            return unknown("raised", f"it can not be sent to a worker process: {type(error).__name__}: {error}")
        digest = hashlib.sha256(request).digest()
        if digest in self._hung:
            return self._hung[digest]
        before = self._interrupts
        try:
            with self._places:
                return self._verdict(request, task if forked else None)
        except Lost:
            pass
        try:
            with self._whole_pool():
                if self._interrupts != before:
                    return unknown("aborted", "the verification was interrupted")
                self.close()  # a fresh process: what came before may have left it little memory
                return self._verdict(request, task if forked else None)
        except Lost as lost:
            verdict = unknown(lost.reason, f"{lost.seen}, twice")
            if lost.reason == "hang" and len(self._hung) < MOST_HUNG:
                self._hung[digest] = verdict
            return verdict

    def _verdict(self, request: bytes, forked: Task | None) -> Verdict:
        worker = self._take(forked)
        try:
            reply = worker.ask(request)
        except BaseException:
            worker.kill()
            raise
        finally:
            with self._lock:
                self._busy.discard(worker)
        if "memory" in reply:  # what it holds, it may hold for ever
            worker.kill()
            raise Lost("memory", reply["memory"])
        with self._lock:
            self._idle.append(worker)
        return unknown("raised", str(reply["raised"])) if "raised" in reply else Verdict(**reply)

    def _take(self, forked: Task | None) -> Worker:
        with self._lock:
            for worker in self._idle:
                if worker.task is forked:
                    self._idle.remove(worker)
                    self._busy.add(worker)
                    return worker
            spare = self._idle.pop(0) if len(self._idle) >= self.workers else None
        if spare is not None:  # of another task
            spare.kill()
        worker = Worker(self.limits, forked)
        with self._lock:
            self._busy.add(worker)
        return worker

    @contextlib.contextmanager
    def _whole_pool(self) -> Iterator[None]:
        """Every place at once: nothing else runs. One at a time, or two of them would wait for each other."""
        with self._alone, contextlib.ExitStack() as places:
            for _ in range(self.workers):
                places.enter_context(self._places)
            yield

    def interrupt(self) -> None:
        """End the workers that are at work: what they were asked comes back unknown, and is not tried again."""
        with self._lock:
            self._interrupts += 1
            busy = list(self._busy)
        for worker in busy:
            worker.end()

    def close(self) -> None:
        """End the idle workers. The pool may be used again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()


def _request(task: Task, problem: Problem, message: Message, by_name: bool) -> tuple[bytes, bool]:
    """The request as bytes, and whether only a fork of this process understands it."""
    given = None if by_name else task
    try:
        what = pickle.dumps((given, problem))
        forked = b"__main__" in what
    except Exception:  # a lambda, a local class: a fork has it already
        what, forked = pickle.dumps((None, problem)), True
    if forked:
        what = pickle.dumps((None, problem))
    # A path that was added after the worker started may be where the task lives.
    return pickle.dumps((sys.path, what, pickle.dumps(message))), forked


@once_per_process
def shared_pool() -> WorkerPool:
    """The pool of this process: made on first use, closed at exit. A fork of this process makes its own."""
    pool = WorkerPool()
    atexit.register(pool.close)
    return pool
