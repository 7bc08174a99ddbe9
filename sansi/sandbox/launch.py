"""Starting processes that end when we do, and ending them with all that they started."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from sansi.base.processes import once_per_process

Jobs = queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]]


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """`subprocess.Popen`, from a thread that lives as long as this process.

    "Die with your parent" is to Linux "with the thread that started you", and a tool's thread is soon over.
    """
    future: Future[subprocess.Popen[bytes]] = Future()
    _queue().put((future, lambda: subprocess.Popen(command, **options)))
    return future.result()


@once_per_process
def _queue() -> Jobs:
    jobs: Jobs = queue.SimpleQueue()
    threading.Thread(target=_serve, args=(jobs,), name="sansi-sandbox-launcher", daemon=True).start()
    return jobs


def _serve(jobs: Jobs) -> None:
    while True:
        future, job = jobs.get()
        try:
            future.set_result(job())
        except BaseException as error:
            future.set_exception(error)


class Guard:
    """Ends a process group when this process dies, however it dies: it waits for the end of a pipe that we hold."""

    def __init__(self, group: int):
        script = f"trap '' INT TERM HUP QUIT; read never; kill -9 -{group}"
        self.process = start(["/bin/sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True, env={})

    def dismiss(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()


def has_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it ends in this time. It is not waited for: until then its group keeps its number."""
    until = time.monotonic() + seconds
    while process.returncode is None:
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.002)
    return True


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its group, and wait for it. The group's number is its own until it has been waited for."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.wait()
