"""The process inside a sandbox: it shuts the door behind itself, proves it, and then does what it is told.

Requests come in Python's own format, which costs no import; a reply is one line of JSON and the bytes that it
announces, for whoever reads it trusts nothing from here. A start takes milliseconds, so this file and those that it
imports at the top do without json, signal, inspect and the like.
"""

from __future__ import annotations

import _signal
import marshal
import os
import resource
import sys
from _json import encode_basestring_ascii as quoted

from .notebook import Notebook
from .proof import prove


def main() -> None:
    requests, replies = _channels(int(sys.argv[1]))
    setup = marshal.load(requests)
    sys.path[:] = [*setup["python_path"], os.getcwd()]  # modules that the code writes, after all others
    sys.argv = [""]
    if setup["confine"]:
        from .confine import confine

        confine(**setup["confine"])
    _limit(setup["limits"])
    _send(replies, escapes=prove(setup["canaries"]), id=setup["id"])
    notebook = Notebook()
    while True:
        try:
            request = marshal.load(requests)
        except EOFError:
            return  # nobody is there any more
        _answer(request, notebook, replies)


def _channels(reply_fd: int) -> tuple[BinaryIO, BinaryIO]:
    """What code in here starts inherits neither; what it reads from its standard input is nothing."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(reply_fd), "wb")
    os.close(reply_fd)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    return requests, replies


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _answer(request: dict[str, Any], notebook: Notebook, replies: BinaryIO) -> None:
    pid, blobs = os.getpid(), list[bytes]()
    if request["do"] == "command":
        from .command import run_command

        reply = run_command(request["argv"])
    else:
        reply, blobs = notebook.run(request["code"])
    if os.getpid() != pid:
        os._exit(0)  # a copy of this process that the code made, and that came back from it
    _send(replies, blobs, **reply, id=request["id"])


def _send(replies: BinaryIO, blobs: Sequence[bytes] = (), **reply: object) -> None:
    _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGINT})  # a reply is whole
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105 (contextlib would be one more import)
            stream.flush()
        except (OSError, ValueError, AttributeError):  # the code closed it, or put something else in its place
            pass
    header = _json({**reply, "blobs": [len(blob) for blob in blobs]})
    replies.write(header.encode() + b"\n" + b"".join(blobs))
    replies.flush()
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {_signal.SIGINT})


def _json(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)}: {_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return "null" if value is None else quoted(value) if isinstance(value, str) else repr(value)


TYPE_CHECKING = False  # typing's own would import it
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, BinaryIO
