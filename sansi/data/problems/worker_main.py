"""What runs inside a process that verifies answers: a request is pickled bytes, a reply is JSON.

The reply is read by the trainer, and the process that wrote it has handled what a model wrote: so nothing is unpickled
on that side.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import resource
import select
import signal
import socket
import sys
import threading
import time
from typing import Any

LONGEST_DETAIL = 500  # characters


def main() -> None:
    """The fresh process: `fd cpu_seconds memory_bytes` are its arguments."""
    fd, cpu_seconds, memory_bytes = map(int, sys.argv[1:])
    serve(socket.socket(fileno=fd), cpu_seconds, memory_bytes)


def serve(connection: socket.socket, cpu_seconds: int, memory_bytes: int, task: Any = None) -> None:
    """Answer requests until the other side is gone. `task`, if given, verifies them all."""
    import sansi.data.problems.registry  # noqa: F401 - what it takes is none of the first request's time

    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory(memory_bytes)
    while (request := receive(connection)) is not None:
        _limit_cpu(cpu_seconds)
        send(connection, json.dumps(_reply(request, task)).encode())


def _reply(request: bytes, task: Any) -> dict[str, Any]:
    try:
        verdict = _verify(request, task)
        return {
            "score": verdict.score,
            "outcome": verdict.outcome,
            "parts": dict(verdict.parts),
            "detail": verdict.detail[:LONGEST_DETAIL],
        }
    except MemoryError:
        gc.collect()
        return {"memory": "needed more memory than it may have"}
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: none of them is a verdict
        return {"raised": f"{type(error).__name__}: {error}"[:LONGEST_DETAIL]}


def _verify(request: bytes, task: Any) -> Any:
    from sansi.data.problems.registry import task_of
    from sansi.data.problems.task import as_verdict

    paths, what, answer = pickle.loads(request)
    sys.path += [path for path in paths if path not in sys.path]
    given, problem = pickle.loads(what)
    task = task or given or task_of(problem)
    return as_verdict(task.verify(problem, pickle.loads(answer)))


def _limit_cpu(seconds: int) -> None:
    """The soft limit sends SIGXCPU, which ends the process; the next request moves it on."""
    _limit(resource.RLIMIT_CPU, int(time.process_time()) + 1 + seconds)


def _limit_memory(extra: int) -> None:
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    _limit(resource.RLIMIT_AS, now + extra)


def _limit(kind: int, most: int) -> None:
    """The soft limit, or the hard one where that is lower already."""
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _end_with_parent(connection: socket.socket) -> None:
    """A verifier that hangs does not read that its parent is gone: this thread waits for nothing else."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    poll.poll()
    os.killpg(0, signal.SIGKILL)


def send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(len(data).to_bytes(8, "big") + data)


def receive(connection: socket.socket) -> bytes | None:
    """One message; None where the other side is gone."""
    size = _read(connection, 8)
    return None if size is None else _read(connection, int.from_bytes(size, "big"))


def _read(connection: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(count - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)
