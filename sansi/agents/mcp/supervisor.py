"""Runs one program and leaves nothing of it behind: `python -I -S supervisor.py LIFELINE PARENT PROGRAM ARGUMENTS…`.

A process of its own beside each server, since only a process can be the parent of what a dead parent left. LIFELINE is
the descriptor of a pipe whose other end the caller holds: when it closes, because the caller closed it or was killed,
everything that the program started is ended, what made itself a session of its own included (Linux; elsewhere its
process group). When the program ends by itself, so does what it left, and the exit code is passed on (128 + a signal).

Nothing of Sansi is imported, and of the standard library only what takes no time: it starts as a bare interpreter does.
"""

from __future__ import annotations

import _signal as signal  # without the enumerations, which take longer to load than all the rest
import fcntl
import os
import select
import sys
import time

GRACE = 0.5
"""Seconds between asking (SIGTERM) and ending (SIGKILL)."""
PIPE_SIZE, SET_PIPE_SIZE = 2**20, 1031
"""Bytes, and fcntl(2): with pipes of 64 KiB a long message costs a change of process for each."""
SET_PARENT_DEATH_SIGNAL, SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


def main() -> None:
    lifeline, parent, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    prctl = _prctl()
    prctl(SET_CHILD_SUBREAPER, 1)
    prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    _widen_pipes()
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(woken)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        _become(command, prctl, (lifeline, wake, woken))
    _let_go_of_streams()
    status = _wait(child, lifeline, wake, parent)
    if status is None:
        status = _end_all(child)
    else:
        _end_all(child)
    os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def _prctl():  # type: ignore[no-untyped-def]  # mypy does not see this file's callers
    if not sys.platform.startswith("linux"):
        return lambda *_: 0
    import ctypes

    return ctypes.CDLL(None).prctl


def _widen_pipes() -> None:
    for descriptor in (0, 1):
        try:
            fcntl.fcntl(descriptor, SET_PIPE_SIZE, PIPE_SIZE)
        except OSError:  # not Linux, or its limit is reached: slower, no worse
            return


def _become(command, prctl, descriptors) -> None:  # type: ignore[no-untyped-def]
    """In the child: turn into the program."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    for descriptor in descriptors:
        os.close(descriptor)
    os.setpgid(0, 0)
    prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error.strerror}\n".encode())
        os._exit(126)


def _let_go_of_streams() -> None:
    """Hold no end of the program's pipes, so that its end of them is the end of them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def _wait(child: int, lifeline: int, wake: int, parent: int) -> int | None:
    """The program's status once it has ended; None when it shall be ended."""
    while True:
        if os.getppid() != parent:  # it died before the death signal was asked for
            return None
        ready, _, _ = select.select([lifeline, wake], [], [])
        if lifeline in ready:
            return None
        signals = os.read(wake, 512)
        ended = _reap(child)
        if ended is not None:
            return ended
        if signal.SIGTERM in signals or signal.SIGHUP in signals:
            return None


def _reap(child: int) -> int | None:
    """Collect whoever has ended; the program's own status if it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def _end_all(child: int) -> int:
    """End every descendant. The program's status, or that of SIGKILL where it was collected before."""
    found = None
    deadline = time.monotonic() + GRACE
    for pid in _descendants(child):
        _signal(pid, signal.SIGTERM)
    while _left(child) and time.monotonic() < deadline:
        time.sleep(0.005)
        status = _reap(child)
        found = status if status is not None else found
    for _ in range(1000):  # whoever forks while it is being ended
        left = _descendants(child)
        for pid in left:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.002 if left else 0)
        status = _reap(child)
        found = status if status is not None else found
        if not _left(child):
            break
    return signal.SIGKILL if found is None else found


def _left(child: int) -> bool:
    return bool(_descendants(child))


def _signal(pid: int, number: int) -> None:
    try:  # noqa: SIM105 (contextlib would be one more import, of four milliseconds)
        os.kill(pid, number)
    except OSError:
        pass


def _descendants(child: int) -> list[int]:
    """All processes below this one; elsewhere than on Linux, the program's group."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return [-child] if _alive(-child) else []
    children: dict[int, list[int]] = {}
    for name in names:
        if name.isdigit():
            parent = _parent(name)
            if parent is not None:
                children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _parent(pid: str) -> int | None:
    """The parent of a process that has not ended; None for a zombie, which needs only to be collected."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent = file.read().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return None if state == b"Z" else int(parent)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
