"""This machine, measured in a second: what Sansi's own kernels will make of it."""

from __future__ import annotations

import time
from functools import cache

import torch

from sansi.base.cores import available_cores
from sansi.deploy.plan.devices import Device
from sansi.engine.memory import free_memory

READ_BYTES = 256 * 2**20
SIDE = 1024


@cache
def here() -> Device:
    """The memory that is free, and how fast it is read and products are made, the best of a few short tries."""
    free = free_memory(torch.device("cpu"))
    cores = available_cores()
    return Device("here", f"this machine ({cores} cores)", "cpu", free / 1e9, _read_rate(free), _product_rate())


def _read_rate(free: int) -> float:
    """GB/s."""
    data = torch.ones(min(READ_BYTES, max(free // 4, 2**20)) // 8, dtype=torch.int64)
    return data.nbytes / _shortest(lambda: data.max(), 5) / 1e9


def _product_rate() -> float:
    """10^12 operations a second in float32."""
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    return 2 * SIDE**3 / _shortest(lambda: a @ b, 5) / 1e12


def _shortest(run: object, tries: int) -> float:
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        run()  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return max(min(times), 1e-9)
