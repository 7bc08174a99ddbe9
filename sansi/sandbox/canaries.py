"""What a sandbox must not reach, laid out so that reaching it shows: each attempt of the proof aims at one of these."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from sansi.base.processes import once_per_process
from sansi.sandbox.system import environment


@once_per_process
def canaries() -> dict[str, Any]:
    """This process's own, made once: secret (a file that holds `token`), outside (a folder to write to), pid, namespace
    (of its processes), port (of 127.0.0.1, where somebody listens), environment (the only variables to be seen)."""
    folder = Path(tempfile.mkdtemp(prefix="sansi-canary-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    token = secrets.token_hex(16)
    (folder / "secret").write_text(token)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    _listeners.append(listener)
    return {
        "secret": str(folder / "secret"),
        "token": token,
        "outside": str(folder),
        "pid": os.getpid(),
        "namespace": _namespace(),
        "port": listener.getsockname()[1],
        "environment": [*environment("", "", 1), "PWD", "LC_CTYPE"],
    }


_listeners: list[socket.socket] = []  # stay open as long as the process


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
