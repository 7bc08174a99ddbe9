"""Where replicas compute: each on cores or a GPU of its own, with its part of the memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sansi.base.cores import processors
from sansi.base.device import resolve_device, visible_gpus
from sansi.chat.memory import free_to_use
from sansi.serve.fleet.replica import Place


def places_for(replicas: int, device: str) -> list[Place]:
    """On the CPU neighbouring cores for each, where there are two at least, for the engine and for the connections:
    threads of two replicas on one core wait for each other. On GPUs one after the other."""
    if resolve_device(device).type != "cpu":
        gpus = visible_gpus()
        return [Place(gpu=gpus[number % len(gpus)] if gpus else None) for number in range(replicas)]
    return [Place(cpus) for cpus in _parts(processors(), replicas)]


def memory_for(replicas: int, device: str, memory: Sequence[float] | None) -> list[float] | None:
    """Bytes for the models of one replica: a part of what was given for all, or of what is free.

    None leaves it to the engine: each replica has a GPU of its own.
    """
    if memory:
        return [share / replicas for share in memory]
    place = resolve_device(device)
    if place.type != "cpu" and len(visible_gpus()) >= replicas:
        return None
    return [free_to_use(device) / replicas]


def _parts(cores: Sequence[tuple[int, ...]], replicas: int) -> list[tuple[int, ...]]:
    """As many cores for each; all cores for all where there are too few."""
    if len(cores) < 2 * replicas:
        return [()] * replicas
    ends = [len(cores) * number // replicas for number in range(replicas + 1)]
    return [tuple(cpu for core in cores[first:last] for cpu in core) for first, last in pairwise(ends)]
