"""How several models share the memory of one machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sansi.base.device import DeviceLike, resolve_device
from sansi.base.errors import SansiError
from sansi.base.sizes import size_text
from sansi.engine.memory import CPU_SHARE, GPU_SHARE, free_memory, stored_bytes


def share_memory(
    folders: Sequence[str | Path], device: DeviceLike = "auto", memory: Sequence[float] | None = None
) -> list[int | None]:
    """Bytes for each model: for weights, cache and activations together. None leaves it to the engine's own plan.

    memory: bytes for all together, or for each. With several models, each gets the size of its weights on disk, and
    all get the same of what is left. Raises SansiError when the weights alone are more, or the counts do not agree.
    """
    given = [int(size) for size in memory or ()]
    if len(given) > 1 and len(given) != len(folders):
        message = f"{len(given)} sizes of memory for {len(folders)} models; give one for all, or one for each"
        raise SansiError(message, param="memory")
    if len(given) == len(folders):
        return list(given)
    if len(folders) == 1:
        return [None]
    total, weights = given[0] if given else free_to_use(device), [stored_bytes(folder) for folder in folders]
    if sum(weights) >= total:
        message = f"{len(folders)} models have {size_text(sum(weights))} of weights; {size_text(total)} may be used"
        raise SansiError(f"{message}: serve fewer of them, or allow more memory", param="memory")
    rest = (total - sum(weights)) // len(folders)
    return [size + rest for size in weights]


def free_to_use(device: DeviceLike) -> int:
    """Bytes of the free memory that a server takes where it is not told how many."""
    place = resolve_device(device)
    return int(free_memory(place) * (CPU_SHARE if place.type == "cpu" else GPU_SHARE))
