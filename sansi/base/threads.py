"""How many threads torch's operators use, for one thread that calls them."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path


def run_operators_alone() -> None:
    """From now on torch's operators that this thread calls run on it alone; all other threads keep what they have.

    For a thread that works beside a team of threads of its own: those of torch's OpenMP keep spinning for a while after
    each operator, on the cores that the team wants next. `torch.set_num_threads` would change the default of all
    threads to come, so OpenMP is told, whose setting is a thread's own. Without GNU's OpenMP nothing changes.
    """
    import torch

    torch.get_num_threads()  # a thread's first call takes the default: now, and not after the setting
    if (openmp := _openmp()) is not None:
        openmp.omp_set_num_threads(1)


@cache
def _openmp() -> ctypes.CDLL | None:
    """The OpenMP that torch has loaded."""
    import torch

    for library in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*")):
        try:
            return ctypes.CDLL(str(library))  # the same library, not another copy
        except OSError:
            continue
    return None
