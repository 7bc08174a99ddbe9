"""What `sansi doctor` looks at. Every check is a function that returns one finding and raises nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from sansi import __version__
from sansi.base.bundled import bundled_models
from sansi.base.errors import SansiError
from sansi.base.files import nearest_there
from sansi.base.installing import pip_install
from sansi.base.sizes import size_text
from sansi.cli.extras import missing, what_to_install

State = Literal["good", "note", "bad"]
LITTLE_MEMORY, LITTLE_DISK = 2 * 2**30, 5 * 2**30  # bytes: less serves no Qwen3 in full, holds no large one


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    state: State
    """good; note: missing, and only some need it; bad: stands in the way."""
    found: str
    todo: str = ""
    """What to do about it."""


def checkup(ask_hub: bool = True) -> list[Finding]:
    """All findings, those that everything needs first. ask_hub: whether the network may be used."""
    return [
        _sansi(),
        _torch(),
        _cpu(),
        _compiler(),
        _kernels(),
        _memory(),
        _gpu(),
        *(_cache(hub) for hub in ("huggingface", "modelscope")),
        *([_hub()] if ask_hub else []),
        _training(),
        _sandbox(),
        _browser(),
    ]


def _sansi() -> Finding:
    where = f"Sansi {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    models = ", ".join(bundled_models())
    if not models:
        return Finding("Sansi", "bad", f"{where}; the bundled model is missing", "install the package again")
    return Finding("Sansi", "good", f"{where}; bundled model: {models}")


def _torch() -> Finding:
    try:
        found = version("torch")
    except PackageNotFoundError:
        return Finding("torch", "bad", "not installed", what_to_install("torch"))
    old = tuple(int(part) for part in found.split("+")[0].split(".")[:2]) < (2, 11)
    return Finding("torch", "bad" if old else "good", found, pip_install("torch>=2.11") if old else "")


def _cpu() -> Finding:
    from sansi.model.kernels.cpu.build import supported_isas

    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    isas = supported_isas()
    if not isas:
        found = f"{count} cores, {platform.machine()} on {sys.platform}"
        return Finding("CPU", "note", found, "torch's operators compute here: our kernels are for Linux on x86-64")
    slow = "without AVX2 everything is several times slower" if isas[0] == "scalar" else ""
    return Finding("CPU", "note" if slow else "good", f"{count} cores, {', '.join(isas)}", slow)


def _compiler() -> Finding:
    name = os.environ.get("CXX") or next((name for name in ("g++", "c++", "clang++") if shutil.which(name)), "")
    if name and shutil.which(name):
        return Finding("compiler", "good", str(shutil.which(name)))
    todo = (
        "install g++ (Debian: apt-get install g++): without it torch computes, slower, and --quantize can not be used"
    )
    return Finding("compiler", "note", "no C++ compiler", todo)


def _kernels() -> Finding:
    from sansi.model.kernels.cpu.build import KernelsUnavailable, cached_kernels, load_kernels

    was_there = cached_kernels() is not None
    try:
        loaded = load_kernels()
    except KernelsUnavailable as error:
        return Finding("kernels", "note", str(error), "torch's operators take their place, slower; see compiler")
    return Finding(
        "kernels", "good", f"{loaded.isa}, {'cached' if was_there else 'compiled now'} in {loaded.path.parent}"
    )


def _memory() -> Finding:
    from sansi.base.device import resolve_device
    from sansi.engine.memory import CPU_SHARE, control_group_limit, free_memory

    free, limit = free_memory(resolve_device("cpu")), control_group_limit()
    held = f", limited to {size_text(limit)} by the control group (container)" if limit else ""
    found = f"{size_text(free)} free{held}; Sansi takes {CPU_SHARE:.0%} of it, or --memory GIB"
    todo = "close programs, raise the container's limit, or take --quantize int4" if free < LITTLE_MEMORY else ""
    return Finding("memory", "note" if todo else "good", found, todo)


def _gpu() -> Finding:
    from sansi.base.device import cuda_facts

    facts = cuda_facts()
    if not facts.names:
        built = f"torch is built with CUDA {facts.version}" if facts.version else "torch is built without CUDA"
        todo = "if there is one, see nvidia-smi for its driver" if facts.version else ""
        return Finding("GPU", "note", f"none that torch can use; {built}", todo)
    triton = find_spec("triton") is not None
    found = f"{', '.join(sorted(set(facts.names)))}, CUDA {facts.version}, {'Triton' if triton else 'no Triton'}"
    todo = "" if triton else f"{pip_install('triton')}: our GPU kernels are written in it"
    return Finding("GPU", "good" if triton else "note", found, todo)


def _cache(hub: str) -> Finding:
    from sansi.model.hub import open_hub

    try:
        place = open_hub(hub)
    except SansiError as error:
        return Finding(f"{hub} cache", "note", "its client is not installed", str(error))
    folder = nearest_there(place.cache)
    free, whole = shutil.disk_usage(folder).free, [model for model in place.models() if model.folder]
    found = f"{place.cache}: {len(whole)} models, {size_text(free)} free on the disk"
    variable = "HF_HOME" if hub == "huggingface" else "MODELSCOPE_CACHE"
    if not os.access(folder, os.W_OK):
        return Finding(f"{hub} cache", "bad", f"{found}; not writable", f"set {variable} to a folder of yours")
    todo = f"make room (sansi remove), or set {variable} to another disk" if free < LITTLE_DISK else ""
    return Finding(f"{hub} cache", "note" if todo else "good", found, todo)


def _hub() -> Finding:
    from sansi.model.hub import open_hub, read_name

    place = open_hub()
    try:
        place.repository(read_name("Qwen/Qwen3-0.6B"))
    except SansiError as error:
        if error.code == "hub_offline":
            todo = "models in folders and in the cache work; HF_ENDPOINT names a mirror"
            return Finding("hub", "note", f"{place.endpoint} can not be reached", todo)
    return Finding("hub", "good", f"{place.endpoint} answers")


def _training() -> Finding:
    absent = missing(("reasoning_gym", "matplotlib", "datasketch"))
    if not absent:
        return Finding("extras", "good", "what training and `sansi eval` need is installed")
    return Finding("extras", "note", f"not installed: {', '.join(absent)}", what_to_install(absent[0]))


def _sandbox() -> Finding:
    """Which rung code of agents would run on: each is tried, and tries to get out."""
    from sansi.sandbox import advice, survey
    from sansi.sandbox.ladder import rung_of
    from sansi.sandbox.rungs import NAMES

    tried = survey()
    rungs = [rung_of(kind) for kind, reason in tried.items() if reason is None]
    others = "; ".join(f"{NAMES[kind]}: {reason}" for kind, reason in tried.items() if reason is not None)
    if not rungs:
        return Finding("sandbox", "note", f"none, so agents run no code ({others})", advice(tried))
    found = f"{rungs[0].name}: {rungs[0].proven}"
    if rungs[0].kind == "bubblewrap":
        below = ", ".join(rung.name for rung in rungs[1:])
        return Finding("sandbox", "good", f"{found}{f'; next: {below}' if below else ''}")
    return Finding("sandbox", "note", f"{found} ({others})", advice(tried))


def _browser() -> Finding:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    if found:
        return Finding("Chromium", "good", found)
    return Finding("Chromium", "note", "not found; only `make browser` needs it", "Debian: apt-get install chromium")
