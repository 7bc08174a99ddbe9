"""What the attempts of the full check aim at, beside the canaries of every start."""

from __future__ import annotations

import os
import platform
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from sansi.sandbox.canaries import canaries
from sansi.sandbox.launch import end_group, start
from sansi.sandbox.seccomp import MACHINES
from sansi.sandbox.syscalls import LAST, NUMBERS
from sansi.sandbox.system import INSIDE


@contextmanager
def targets() -> Iterator[dict[str, Any]]:
    """Files, sockets, a process and open files of this machine, for as long as the block runs."""
    laid = dict(canaries())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sansi-targets-")))
        shared = Path(f"/dev/shm/sansi-{secrets.token_hex(4)}")
        shown = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sansi-shown-"))) / "file"
        for path in (shown, folder / "secret", folder / "movable", folder / "expendable", shared):
            with suppress(OSError):  # not every machine has /dev/shm
                path.write_text(laid["token"])
        stack.callback(lambda: shared.unlink(missing_ok=True))
        victim = start(["sleep", "1000", "0", "0"], start_new_session=True)
        stack.callback(end_group, victim)
        talker = start(["sh", "-c", f"sleep 1000 # {laid['token']}"], start_new_session=True)
        stack.callback(end_group, talker)
        laid |= _sockets(folder, stack) | _open_files(folder, stack) | _calls()
        home = os.path.expanduser("~")
        laid |= {
            "secret": str(folder / "secret"),
            "shown": str(shown),
            "outside": str(folder),
            "movable": str(folder / "movable"),
            "expendable": str(folder / "expendable"),
            "shared": shared.name,
            "victim": victim.pid,
            "home": home,
            "home_entries": [name for name in _entries(home) if name != shown.parent.name],
            "package": str(INSIDE.parent),
        }
        yield laid


def _sockets(folder: Path, stack: ExitStack) -> dict[str, str]:
    name = f"sansi-{secrets.token_hex(6)}"
    places = {"unix": str(folder / "stream"), "abstract": f"{name}-stream"}
    letters = {"datagrams": str(folder / "datagrams"), "abstract_datagrams": f"{name}-datagrams"}
    for kind, addresses in ((socket.SOCK_STREAM, places), (socket.SOCK_DGRAM, letters)):
        for use, address in addresses.items():
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
            listener.bind("\0" + address if use.startswith("abstract") else address)
            if kind == socket.SOCK_STREAM:
                listener.listen(50)
    return places | letters


def _open_files(folder: Path, stack: ExitStack) -> dict[str, list[int]]:
    opened = [os.open(folder / "secret", os.O_RDONLY), os.open(folder, os.O_RDONLY)]
    for descriptor in opened:
        os.set_inheritable(descriptor, True)
        stack.callback(os.close, descriptor)
    return {"inheritable": opened}


def _calls() -> dict[str, Any]:
    column = MACHINES[platform.machine()][0]
    calls = {name: numbers[column] for name, numbers in NUMBERS.items()}
    calls["tgkill"] = (234, 131)[column]
    return {"calls": calls, "last_call": LAST}


def _entries(home: str) -> list[str]:
    """What is in the home folder beside what leads to the Python that is shown."""
    try:
        names = os.listdir(home)
    except OSError:
        return []
    return [name for name in names if not sys.base_prefix.startswith(os.path.join(home, name))]
