"""A worker: a process that runs one job after the other, and may die of one."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import threading
import traceback
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.data.work.job import Watch, run_job

LENGTH = struct.Struct("<Q")


def main(watch_file: str, requests: int, replies: int, memory: int) -> None:
    """Answer jobs from the pipe `requests` on `replies` until the other side is gone."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # as many workers as cores: one thread each
    _bound(memory)
    while (job := receive(requests)) is not None:
        watch = Watch(Path(watch_file), job.refusals())
        watch.done()
        with _ended_with(requests):
            send(replies, _outcome(job, watch))


def _outcome(job: Any, watch: Watch) -> tuple[str, Any]:
    try:
        run_job(job, watch)
    except SansiError as error:
        return "refused", str(error)
    except OSError as error:
        return "system", (error.errno, error.strerror or str(error), str(error.filename or job.output))
    except MemoryError:
        return "memory", watch.key
    except Exception:
        return "bug", traceback.format_exc()
    return "done", None


@contextlib.contextmanager
def _ended_with(requests: int) -> Any:
    """While a job runs: end when the supervisor is gone, whose end of the pipe closes with it."""
    import select

    stop_read, stop_write = os.pipe()

    def look() -> None:
        poll = select.poll()
        poll.register(requests, select.POLLHUP)
        poll.register(stop_read, select.POLLIN)
        if any(descriptor == requests for descriptor, _ in poll.poll()):
            os._exit(1)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(stop_write, b".")
        thread.join()
        os.close(stop_read)
        os.close(stop_write)


def _bound(memory: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # no such limits on this system
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def send(handle: int, value: Any) -> None:
    data = pickle.dumps(value)
    data = LENGTH.pack(len(data)) + data
    while data:
        data = data[os.write(handle, data) :]


def receive(handle: int) -> Any:
    """The next value, or None where the other side is gone."""
    head = _exactly(handle, LENGTH.size)
    if head is None:
        return None
    data = _exactly(handle, LENGTH.unpack(head)[0])
    return None if data is None else pickle.loads(data)


def _exactly(handle: int, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = os.read(handle, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
