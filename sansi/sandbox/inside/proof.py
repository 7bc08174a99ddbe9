"""The quick attempts to get out that every sandbox makes before it runs anything: a millisecond, without ctypes.

Each takes what the outside prepared (sansi.sandbox.canaries), and returns what got through, or None. An OSError is a
refusal. The many more of the full check are in `attempts`.
"""

from __future__ import annotations

import _socket
import os

TYPE_CHECKING = False  # typing's own would import it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Canaries = dict[str, Any]
    Attempt = Callable[[Canaries], str | None]


def read_a_secret(outside: Canaries) -> str | None:
    with open(outside["secret"]) as file:
        return f"read {outside['secret']}" if outside["token"] in file.read() else None


def list_its_folder(outside: Canaries) -> str | None:
    name = os.path.basename(outside["secret"])
    return f"saw {name}" if name in os.listdir(os.path.dirname(outside["secret"])) else None


def write_outside(outside: Canaries) -> str | None:
    path = os.path.join(outside["outside"], "written-by-sandbox")
    with open(path, "w") as file:
        file.write("x")
    return f"wrote {path}"


def write_to_the_system(outside: Canaries) -> str | None:
    for folder in ("/usr", "/usr/bin", "/etc", "/"):
        try:
            with open(os.path.join(folder, ".sansi-probe"), "w"):
                pass
        except OSError:
            continue
        os.unlink(os.path.join(folder, ".sansi-probe"))
        return f"wrote to {folder}"
    return None


def see_the_environment(outside: Canaries) -> str | None:
    more = set(os.environ) - set(outside["environment"])
    return f"saw the variables {', '.join(sorted(more))}" if more else None


def see_environments_of_others(outside: Canaries) -> str | None:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ") as file:
                names = {entry.partition("=")[0] for entry in file.read().split("\0") if entry}
        except OSError:
            continue
        if more := names - set(outside["environment"]):
            return f"read the variables {', '.join(sorted(more)[:3])} of process {name}"
    return None


def signal_outside(outside: Canaries) -> str | None:
    if not same_processes(outside):
        return None
    os.kill(outside["pid"], 0)
    return f"may signal process {outside['pid']}"


def same_processes(outside: Canaries) -> bool:
    """Whether a process's number means in here what it means outside. Without /proc it is taken to."""
    try:
        return bool(os.readlink("/proc/self/ns/pid") == outside["namespace"])
    except OSError:
        return True


def connect_to_the_machine(outside: Canaries) -> str | None:
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    connection.settimeout(1)
    connection.connect(("127.0.0.1", outside["port"]))
    connection.close()
    return f"connected to 127.0.0.1:{outside['port']}"


def make_an_internet_socket(outside: Canaries) -> str | None:
    for family in (_socket.AF_INET, _socket.AF_INET6, _socket.AF_NETLINK, _socket.AF_PACKET):
        try:
            _socket.socket(family, _socket.SOCK_DGRAM).close()
        except OSError:
            continue
        return f"made a socket of family {family}"
    return None


def change_the_kernel(outside: Canaries) -> str | None:
    names = ("kernel/core_pattern", "kernel/hostname", "vm/overcommit_memory")
    found = first_opened([f"/proc/sys/{name}" for name in names], os.O_WRONLY)
    return f"may write {found}" if found else None


def first_opened(paths: Iterable[str], flags: int) -> str | None:
    """The first of the files that could be opened, if one could."""
    for path in paths:
        try:
            os.close(os.open(path, flags))
        except OSError:
            continue
        return path
    return None


def change_root(outside: Canaries) -> str | None:
    os.chroot("/")
    return "chroot"


def become_somebody_else(outside: Canaries) -> str | None:
    for user in (0, 1, 65534):
        if user == os.getuid():
            continue
        try:
            os.setresuid(user, user, user)
        except OSError:
            continue
        return f"became user {user}"
    return None


QUICK: tuple[Attempt, ...] = (
    read_a_secret,
    list_its_folder,
    write_outside,
    write_to_the_system,
    see_the_environment,
    see_environments_of_others,
    signal_outside,
    connect_to_the_machine,
    make_an_internet_socket,
    change_the_kernel,
    change_root,
    become_somebody_else,
)


def prove(outside: Canaries) -> list[str]:
    """What got through; empty when the sandbox holds."""
    return [f"{attempt.__name__}: {found}" for attempt in QUICK if (found := tried(attempt, outside))]


def tried(attempt: Attempt, outside: Canaries) -> str | None:
    try:
        return attempt(outside)
    except OSError:
        return None
