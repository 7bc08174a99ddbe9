"""The rungs of the ladder: how a process is started so that it is shut in."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sansi.base.errors import SansiError
from sansi.sandbox import bubblewrap
from sansi.sandbox.brake import Brake, may_fork, threads_of_user
from sansi.sandbox.launch import Guard, end_group, start
from sansi.sandbox.limits import Limits
from sansi.sandbox.seccomp import filter_program
from sansi.sandbox.system import INSIDE, Place, Visible, environment, visible
from sansi.sandbox.usage import remove_tree

Kind = Literal["bubblewrap", "bubblewrap-as-root", "landlock"]
KINDS: tuple[Kind, ...] = ("bubblewrap", "bubblewrap-as-root", "landlock")  # the strongest first
NAMES: dict[Kind, str] = {
    "bubblewrap": "bubblewrap",
    "bubblewrap-as-root": "bubblewrap without a user namespace",
    "landlock": "Landlock + seccomp",
}
BOOT = "import sys; sys.path.insert(0, sys.argv[2]); from inside.main import main; main()"
DEVICES = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"]
OF_THE_MACHINE = ["/proc/cpuinfo", "/proc/meminfo"]
THREADS_EACH = 16  # a brake on threads where the kernel counts them for us: this many for each process


class NotHolding(Exception):
    """A rung can not be had here, or something got through it; the message says why."""


@dataclass(frozen=True)
class Started:
    """A process that is about to shut itself in, and what it takes to end it."""

    process: subprocess.Popen[bytes]
    setup: dict[str, Any]
    """The first message to it, without the canaries."""
    brake: Brake
    guard: Guard | None = None
    tmp: Path | None = None
    """A folder on the machine that stands for /tmp."""

    def end(self) -> None:
        """Kill everything in there. What is left of it at return is dying."""
        end_group(self.process)
        self.brake.remove()
        if self.guard:
            self.guard.dismiss()
        if self.tmp:
            remove_tree(self.tmp)


def start_on(kind: Kind, place: Place, limits: Limits, pipes: Mapping[str, int]) -> Started:
    """Start our process of this rung. pipes: the ends for requests, output and replies. Raises NotHolding."""
    if platform.system() != "Linux":
        raise NotHolding(f"it needs Linux, not {platform.system()}")
    try:
        program = filter_program(shared=kind == "landlock", forks=may_fork())
    except SansiError as error:
        raise NotHolding(str(error)) from error
    try:
        brake = Brake(limits.processes * THREADS_EACH)
    except OSError as error:
        raise NotHolding(f"the number of processes can not be bounded ({error})") from error
    try:
        if kind == "landlock":
            return _start_landlock(place, limits, program, pipes, brake)
        return _start_bubblewrap(kind == "bubblewrap", place, limits, program, pipes, brake)
    except BaseException as error:
        brake.remove()
        if isinstance(error, OSError):
            raise NotHolding(f"it can not be started ({error})") from error
        raise


def _start_bubblewrap(
    user_namespace: bool, place: Place, limits: Limits, program: bytes, pipes: Mapping[str, int], brake: Brake
) -> Started:
    if not (bwrap := bubblewrap.find_bwrap()):
        raise NotHolding("bwrap is not installed")
    if not user_namespace and os.geteuid() != 0:
        raise NotHolding("only root has namespaces without a user namespace")
    seen, filter_fd = visible(), _filled_pipe(program)
    try:
        command = bubblewrap.arguments(bwrap, seen, place, limits, filter_fd, user_namespace)
        command += _python(seen, pipes["replies"], bubblewrap.OWN)
        process = _start(brake.entered(command), pipes, folder=Path("/"), env={}, pass_fds=[filter_fd])
    finally:
        os.close(filter_fd)
    counted = {"NPROC": limits.processes * THREADS_EACH} if user_namespace else {}
    return Started(process, _setup(seen, limits, counted), brake)


def _start_landlock(place: Place, limits: Limits, program: bytes, pipes: Mapping[str, int], brake: Brake) -> Started:
    seen, tmp = visible(), Path(tempfile.mkdtemp(prefix="sansi-sandbox-"))
    try:
        env = environment(str(place.folder), str(tmp), limits.threads)
        process = _start(_python(seen, pipes["replies"], str(INSIDE.parent)), pipes, place.folder, env, [])
        guard = Guard(process.pid)
    except OSError:
        remove_tree(tmp)
        raise
    readable = [path for folder in seen.folders for path in _without(folder, seen.hidden)]
    readable += [str(INSIDE), *map(str, place.readable), *filter(os.path.exists, OF_THE_MACHINE)]
    confine = {
        "readable": readable,
        "writable": [str(place.folder), str(tmp)],
        "devices": list(filter(os.path.exists, DEVICES)),
        "program": program,
        "parent": os.getpid(),
        "group": brake.file,  # not by a shell on the way: some add variables to the environment
    }
    counted = {"NPROC": threads_of_user() + limits.processes * THREADS_EACH} if os.geteuid() else {}
    return Started(process, _setup(seen, limits, counted, confine), brake, guard, tmp)


def _without(folder: str, hidden: tuple[str, ...]) -> list[str]:
    """The folder, or what is in it where something in it is hidden: Landlock can only allow."""
    if folder in hidden:
        return []
    if not any(path.startswith(folder + "/") for path in hidden):
        return [folder]
    entries = (os.path.join(folder, name) for name in sorted(os.listdir(folder)))
    return [path for entry in entries for path in _without(entry, hidden)]


def _python(seen: Visible, replies: int, own: str) -> list[str]:
    return [seen.python, "-I", "-S", "-B", "-c", BOOT, str(replies), own]


def _setup(
    seen: Visible, limits: Limits, counted: dict[str, int], confine: dict[str, Any] | None = None
) -> dict[str, Any]:
    quotas = {"AS": limits.memory, "FSIZE": limits.file_size, "NOFILE": limits.open_files}
    quotas |= {"CORE": 0, "MEMLOCK": 0, "MSGQUEUE": 0} | counted
    return {"python_path": list(seen.python_path), "confine": confine, "limits": quotas}


def _start(
    command: list[str], pipes: Mapping[str, int], folder: Path, env: dict[str, str], pass_fds: list[int]
) -> subprocess.Popen[bytes]:
    return start(
        command,
        stdin=pipes["requests"],
        stdout=pipes["output"],
        stderr=pipes["output"],
        cwd=folder,
        env=env,
        start_new_session=True,  # no terminal to type into, and a group of its own
        pass_fds=[pipes["replies"], *pass_fds],
    )


def _filled_pipe(data: bytes) -> int:
    reading, writing = os.pipe()
    with suppress(BrokenPipeError), os.fdopen(writing, "wb") as file:
        file.write(data)
    return reading
