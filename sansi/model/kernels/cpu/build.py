"""Compile the C++ of this folder on first use, keep the library in the user's cache, load it by ctypes.

The sources have a plain C interface and include no header of torch, so a build takes seconds instead of most of a
minute, and the library survives an update of torch. torch's extension builder chooses and checks the compiler; the
compiler is then called directly, because `torch.utils.cpp_extension.load` also wants ninja on the PATH, links all of
torch, and waits for ever on the lock of a process that was killed.

Each instruction set is a library of its own, compiled with its own flags: inline functions of the standard library
are merged across object files when a library is linked, so one library for all could run AVX-512 code on a CPU
without it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from sansi.base.caches import cache_folder
from sansi.base.errors import SansiError, did_you_mean
from sansi.base.files import scratch_folder

FOLDER = Path(__file__).parent
COMMON_FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-pthread",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",  # fused where the source says so and nowhere else: see simd.h
)

AVX2_FLAGS = ("-mavx2", "-mfma", "-mf16c", "-mbmi2", "-mpopcnt")
AVX512_FLAGS = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni")
ISA_FLAGS: dict[str, tuple[str, ...]] = {
    "avx512": (*AVX2_FLAGS, *AVX512_FLAGS, "-mprefer-vector-width=512"),
    "avx2": AVX2_FLAGS,
    "scalar": (),
}
"""Best first. "scalar" is what every x86-64 CPU has."""


class KernelsUnavailable(SansiError):
    """This machine can not build or run the kernels; the message says why. The torch operators do the same work."""


@dataclass(frozen=True)
class Kernels:
    """A loaded library."""

    library: ctypes.CDLL
    isa: str
    """The instruction set that it was compiled for: a key of ISA_FLAGS."""
    path: Path


def load_kernels(isa: str | None = None, cache_folder: str | Path | None = None) -> Kernels:
    """The kernels for `isa` (None: the best that this CPU has), built if the cache does not hold them.

    cache_folder: default `kernel_cache`. Two processes may ask at the same time; one builds. Raises
    KernelsUnavailable with the reason: another platform, no compiler, a build that failed, an unwritable cache.
    """
    chosen = _choose(isa)
    try:
        return _load(chosen, Path(cache_folder) if cache_folder else kernel_cache())
    except (OSError, RuntimeError) as error:  # no home, a folder that may not be entered or that nothing is run from
        raise KernelsUnavailable(f"the CPU kernels can not be kept or loaded: {error}") from error


def kernel_cache() -> Path:
    """Where built libraries are kept. Raises RuntimeError where there is no home."""
    return cache_folder("kernels")


def cached_kernels() -> Path | None:
    """The library that `load_kernels` would take from its cache without building; None if it would build."""
    try:
        path = _library(_choose(None), kernel_cache())
    except (KernelsUnavailable, RuntimeError):
        return None
    return path if path.is_file() else None


@cache
def supported_isas() -> tuple[str, ...]:
    """The instruction sets that this CPU and system can run, best first; empty on another kind of machine."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        return ()
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    has = set(next((line for line in lines if line.startswith("flags")), "").split())
    found = []
    if {"avx2", "fma", "f16c", "bmi2"} <= has:
        found.append("avx2")
        if {flag.removeprefix("-m").replace("avx512vnni", "avx512_vnni") for flag in AVX512_FLAGS} <= has:
            found.insert(0, "avx512")
    return (*found, "scalar")


def _choose(isa: str | None) -> str:
    supported = supported_isas()
    if isa is not None and isa not in ISA_FLAGS:
        raise SansiError(f'unknown isa "{isa}"{did_you_mean(isa, ISA_FLAGS)}', param="isa")
    if not supported:
        raise KernelsUnavailable(f"the CPU kernels are for Linux on x86-64, not {sys.platform} on {platform.machine()}")
    if isa is not None and isa not in supported:
        raise KernelsUnavailable(f'this CPU does not have "{isa}"; it can run {", ".join(supported)}')
    return isa or supported[0]


@cache
def _load(isa: str, folder: Path) -> Kernels:
    path = _library(isa, folder)
    if not path.is_file():
        _make_folder(folder)
        with _locked(path.with_suffix(".lock")):
            if not path.is_file():  # another process may have built it while this one waited
                _build(isa, path)
    return Kernels(ctypes.CDLL(str(path)), isa, path)


def _library(isa: str, folder: Path) -> Path:
    return folder / f"sansi-{isa}-{_fingerprint(isa)}.so"


def _fingerprint(isa: str) -> str:
    """Changes with the sources, the flags and the builder."""
    digest = hashlib.sha256(repr((COMMON_FLAGS, ISA_FLAGS[isa], torch.__version__)).encode())
    for file in sorted((*FOLDER.glob("*.cpp"), *FOLDER.glob("*.h"))):
        digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KernelsUnavailable(f"the CPU kernels can not be cached in {folder}: {error.strerror}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; the system frees it when a process dies."""
    import fcntl  # not on Windows, which `_choose` has refused by now

    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise KernelsUnavailable(f"the CPU kernels can not be cached in {path.parent}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _build(isa: str, target: Path) -> None:
    compiler = _compiler()
    print("sansi: building the CPU kernels (once, about 10 s)", file=sys.stderr, flush=True)
    with scratch_folder(target) as draft:
        sources = sorted(FOLDER.glob("*.cpp"))
        objects = [draft / f"{source.stem}.o" for source in sources]
        flags = [compiler, *COMMON_FLAGS, *ISA_FLAGS[isa]]
        _run(*([*flags, "-c", str(s), "-o", str(o)] for s, o in zip(sources, objects, strict=True)))
        _run([*flags, "-shared", *map(str, objects), "-o", str(draft / target.name)])
        os.replace(draft / target.name, target)  # whole or absent


def _compiler() -> str:
    """The compiler that torch builds extensions with (the standard variable CXX chooses another)."""
    from torch.utils import cpp_extension  # slow to import, and needed only to build

    name = cpp_extension.get_cxx_compiler()
    if shutil.which(name) is None:
        raise KernelsUnavailable(f'there is no C++ compiler ("{name}") to build the CPU kernels; install g++ or clang')
    usable, version = cpp_extension.get_compiler_abi_compatibility_and_version(name)
    if not usable:
        raise KernelsUnavailable(f'the C++ compiler "{name}" {version} is too old for the CPU kernels; install g++ 9')
    return name


def _run(*commands: list[str]) -> None:
    """All at once. Raises KernelsUnavailable with the compiler's first words when one fails."""
    running = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for c in commands]
    said = [process.communicate()[0] for process in running]
    for process, words in zip(running, said, strict=True):
        if process.returncode:
            errors = [line for line in words.splitlines() if "error" in line] or words.splitlines()[-3:]
            raise KernelsUnavailable("building the CPU kernels failed: " + "; ".join(errors[:3]))
