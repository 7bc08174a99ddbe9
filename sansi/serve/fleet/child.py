"""The process of a replica: `python -m sansi.serve.fleet.child`, started by `Replica` and told by a pipe what to serve.

It ends when its parent does, however that ends: the pipe is then at its end.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sansi.base.errors import SansiError

if TYPE_CHECKING:
    from sansi.serve.fleet.replica import Job


def main() -> None:
    length = int.from_bytes(_read(8), "little")
    job, path, cpus = pickle.loads(_read(length))  # what the parent, this same program, wrote
    if cpus:
        os.sched_setaffinity(0, cpus)
    threading.Thread(target=_end_with_parent, args=(Path(path),), daemon=True).start()
    try:
        serve(job, path)
    except SansiError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)


def serve(job: Job, path: str) -> None:
    """Serve on a socket at `path` until told to stop."""
    from sansi.serve.app import create_app
    from sansi.serve.http import logs
    from sansi.serve.http.launch import models_of
    from sansi.serve.http.server import Server

    logs.configure(job.log_format)
    settings = replace(job.settings, grace=0.0)  # the front has waited already
    with models_of(job.folders, job.names, job.memory, job.verbose, **job.options) as (chats, cards):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()  # of the one before, which was ended
        listener.bind(path)
        listener.listen(2048)
        with listener:
            Server(create_app(chats, cards, settings), settings).run(sockets=[listener])


def _read(count: int) -> bytes:
    """Of standard input; not by `sys.stdin`, whose lock a thread that waits would keep beyond the end."""
    data = b""
    while len(data) < count:
        part = os.read(0, count - len(data))
        if not part:
            sys.exit(1)  # the parent is gone
        data += part
    return data


def _end_with_parent(path: Path) -> None:
    """What a parent that was killed can not clear away, the last of its children does."""
    while os.read(0, 1):
        pass
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()  # fails while the sockets of others are in it
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(5)
    os._exit(1)


if __name__ == "__main__":
    main()
