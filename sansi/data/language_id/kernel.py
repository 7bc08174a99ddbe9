"""`kernel.cpp`, compiled on first use and kept in the user's cache. Where there is no compiler, numpy does the same."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

from sansi.base.caches import cache_folder
from sansi.base.files import scratch_folder

SOURCE = Path(__file__).with_name("kernel.cpp")
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared")
# Wider registers where the processor has them: integer sums are the same in any order.
WIDE = ("-mavx2",)
BUILD_SECONDS = 120


class Tables(ctypes.Structure):
    """As in kernel.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("classes", "folded", "shapes", "groups", "weights", "longest")),
        *((name, ctypes.c_int32) for name in ("scripts", "groups_count", "han", "max_word", "max_shape", "run")),
    ]


@cache
def load_kernel() -> ctypes.CDLL | None:
    """The library, built if the cache does not hold it; None where it can not be built or loaded."""
    try:
        return ctypes.CDLL(str(_library()))
    except (OSError, RuntimeError, subprocess.SubprocessError):
        return None


def _library() -> Path:
    compiler = next((path for name in ("c++", "g++", "clang++") if (path := shutil.which(name))), None)
    if compiler is None:
        raise RuntimeError("no C++ compiler")
    flags = (*FLAGS, *(WIDE if _has_avx2() else ()))
    source = SOURCE.read_bytes()
    digest = hashlib.sha256(b"\0".join([source, " ".join(flags).encode(), platform.machine().encode()])).hexdigest()[
        :16
    ]
    kept = cache_folder("kernels") / f"language-id-{digest}.so"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(kept.parent / f"language-id-{digest}") as draft:
            made = draft / kept.name
            command = [compiler, *flags, "-o", str(made), str(SOURCE)]
            subprocess.run(command, check=True, capture_output=True, timeout=BUILD_SECONDS)
            os.replace(made, kept)
    return kept


def _has_avx2() -> bool:
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
