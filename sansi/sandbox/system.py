"""What of the machine code in a sandbox may see: programs and libraries to read, and the Python that runs it."""

from __future__ import annotations

import compileall
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

INSIDE = Path(__file__).parent / "inside"  # our own code that runs in there
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# Of /etc only what libraries look up; nothing of it holds secrets.
ETC = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/ssl/openssl.cnf",
)
HIDDEN = ("/usr/local/etc", "/usr/etc")  # configurations of programs, which may hold keys
OF_PREFIX = ("bin", "lib", "lib64", "share")


@dataclass(frozen=True)
class Visible:
    """Paths that are shown read-only, and how Python is started."""

    folders: tuple[str, ...]
    """Folders and files that exist, shown where they are."""
    links: tuple[tuple[str, str], ...]
    """(path, target) of system folders that are links, as /bin is to usr/bin."""
    hidden: tuple[str, ...]
    python: str
    python_path: tuple[str, ...]
    """What `sys.path` is set to: the standard library and installed packages, never the caller's own folders."""


@dataclass(frozen=True)
class Place:
    """What of a user's files code in a sandbox has."""

    folder: Path
    """To read and write: where it works."""
    readable: tuple[Path, ...] = ()
    """To read alone, under the paths that they have outside."""


@cache
def visible() -> Visible:
    """What this process's sandboxes show. The packages are those that this process can import."""
    compileall.compile_dir(INSIDE, quiet=2)  # in there nothing can be written, so it is compiled out here
    path = tuple(entry for entry in sys.path if _is_installed(entry))
    system = [folder for folder in (*SYSTEM, *ETC) if os.path.exists(folder)]
    links = tuple((folder, os.readlink(folder)) for folder in SYSTEM if os.path.islink(folder))
    shown = [folder for folder in system if folder not in dict(links)]
    for folder in (*(os.path.join(sys.base_prefix, name) for name in OF_PREFIX), *path):
        if os.path.isdir(folder) and not _within(folder, shown):
            shown.append(folder)
    return Visible(tuple(shown), links, tuple(p for p in HIDDEN if os.path.isdir(p)), _python(), path)


def _is_installed(entry: str) -> bool:
    """Whether an entry of `sys.path` holds the standard library or packages, not somebody's work."""
    if not os.path.isdir(entry):
        return False
    below = os.path.join(sys.base_prefix, "lib")
    return os.path.basename(entry) in ("site-packages", "dist-packages") or _within(entry, [below])


def _within(path: str, folders: list[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _python() -> str:
    """The interpreter itself, behind the links of virtual environments."""
    named = os.path.join(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    return os.path.realpath(named if os.path.exists(named) else sys.executable)


def environment(folder: str, tmp: str, threads: int) -> dict[str, str]:
    """All of the environment that code in a sandbox gets; nothing of the caller's."""
    packages = (path for path in visible().python_path if path.endswith("-packages"))
    count = str(threads)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": folder,
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "LANG": "C.UTF-8",
        "TMPDIR": tmp,
        "PYTHONPATH": ":".join(packages),  # for programs in Python that the code starts
        "MPLBACKEND": "module://inside.backend",
        "MPLCONFIGDIR": f"{tmp}/matplotlib",
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "NUMEXPR_NUM_THREADS": count,
    }
