"""Where replicas compute: each on cores or a GPU of its own, with its part of the memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise

from sansi.base.device import resolve_device
from sansi.chat.memory import free_to_use
from sansi.serve.fleet.replica import Place


def places_for(replicas: int, device: str) -> list[Place]:
    """On the CPU neighbouring cores for each, where there are two at least, for the engine and for the connections:
    threads of two replicas on one core wait for each other. On GPUs one after the other."""
    if resolve_device(device).type != "cpu":
        gpus = _gpus()
        return [Place(gpu=gpus[number % len(gpus)] if gpus else None) for number in range(replicas)]
    return [Place(cpus) for cpus in _parts(_cpus(), replicas)]


def memory_for(replicas: int, device: str, memory: Sequence[float] | None) -> list[float] | None:
    """Bytes for the models of one replica: a part of what was given for all, or of what is free.

    None leaves it to the engine: each replica has a GPU of its own.
    """
    if memory:
        return [share / replicas for share in memory]
    place = resolve_device(device)
    if place.type != "cpu" and len(_gpus()) >= replicas:
        return None
    return [free_to_use(device) / replicas]


def _gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls each."""
    import torch

    if named := [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]:
        return named
    return [str(number) for number in range(torch.cuda.device_count())]


def _cpus() -> list[tuple[int, ...]]:
    """The processors of this process, those of one core together, neighbours beside each other."""
    from sansi.model.kernels.cpu.cores import core_of

    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    cores: dict[str, list[int]] = {}
    for cpu in allowed:
        cores.setdefault(core_of(cpu), []).append(cpu)
    return [tuple(cpus) for cpus in cores.values()]


def _parts(cores: Sequence[tuple[int, ...]], replicas: int) -> list[tuple[int, ...]]:
    """As many cores for each; all cores for all where there are too few."""
    if len(cores) < 2 * replicas:
        return [()] * replicas
    ends = [len(cores) * number // replicas for number in range(replicas + 1)]
    return [tuple(cpu for core in cores[first:last] for cpu in core) for first, last in pairwise(ends)]
