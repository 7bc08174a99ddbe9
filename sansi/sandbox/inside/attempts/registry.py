"""How attempts are written down and made.

An attempt takes what the outside laid out (sansi.sandbox.targets) and returns what got through, or None; an OSError is
a refusal, any other exception a mistake in the attempt. Each runs in a copy of the process: none spoils another.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..proof import QUICK

Canaries = dict[str, Any]

SECONDS = 20.0  # until an attempt is given up, as blocked
REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ESRCH)

libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Attempt:
    """One way out."""

    name: str
    function: Callable[[Canaries], str | None]
    outside: str
    """Where it succeeds without a sandbox: "anyone", "root", or why that is not tried or not certain."""


ATTEMPTS: dict[str, Attempt] = {}


def attempt(outside: str = "anyone") -> Callable[[Callable[[Canaries], str | None]], Callable[[Canaries], str | None]]:
    """Note a function as an attempt."""

    def note(function: Callable[[Canaries], str | None]) -> Callable[[Canaries], str | None]:
        ATTEMPTS[function.__name__] = Attempt(function.__name__, function, outside)
        return function

    return note


OF_ROOT = ("write_to_the_system", "change_the_kernel", "change_root", "become_somebody_else")
for _quick in QUICK:
    attempt("root" if _quick.__name__ in OF_ROOT else "anyone")(_quick)


def reach(outside: Canaries, name: str, *arguments: Any) -> str | None:
    """Make a system call, with wrong arguments where it could hurt: whether the kernel came to look at them."""
    number = outside["calls"].get(name)
    if number is None:
        return None  # this machine has no such call
    if libc.syscall(number, *arguments) >= 0:
        return f"{name} worked"
    error = ctypes.get_errno()
    return None if error in REFUSALS else f"{name} was looked at ({errno.errorcode.get(error, error)})"


def run_attempts(outside: Canaries) -> dict[str, str]:
    """By attempt: "blocked", or what got through."""
    return {name: _in_a_copy(each, outside) for name, each in ATTEMPTS.items()}


def _in_a_copy(each: Attempt, outside: Canaries) -> str:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _tell(writing, each, outside)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], SECONDS)
        said = os.read(reading, 4000).decode() if ready else "blocked: it waits"
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return said or f"blocked: killed by signal {os.WTERMSIG(status)}"


def _tell(writing: int, each: Attempt, outside: Canaries) -> None:
    try:
        found = each.function(outside)
        said = f"escaped: {found}" if found else "blocked"
    except OSError as error:
        said = f"blocked: {error}"
    except BaseException as error:
        said = f"mistake: {type(error).__name__}: {error}"
    os.write(writing, said.encode()[:4000])
    os._exit(0)
