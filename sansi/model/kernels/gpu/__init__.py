"""Triton kernels for CUDA devices over the paged cache. Importing this package is free; its modules import Triton.

Every kernel runs in Triton's interpreter on CPU tensors too (`interpret`); the tests do that. Tile sizes follow from
bytes, registers and programs of an H100, never from a search at run time, so that the order of every sum is fixed.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import torch


def why_not(device: torch.device, dtype: torch.dtype, cache_dtype: torch.dtype) -> str | None:
    """What keeps the kernels from running on `device`, or None."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return f"weights in {dtype}"
    if device.type == "cpu":
        return None if interpreted() else "the device is the CPU, and Triton's interpreter is off"
    if device.type != "cuda":
        return f"the device is {device.type}, not cuda"
    capability = torch.cuda.get_device_capability(device)
    needed = (8, 9) if cache_dtype == torch.float8_e4m3fn else (8, 0)
    if capability < needed:
        return f"compute capability {capability[0]}.{capability[1]}, and {needed[0]}.{needed[1]} is needed"
    return None


def interpreted() -> bool:
    """Whether kernels are interpreted, on the CPU, for tests."""
    from triton import knobs

    return bool(knobs.runtime.interpret)


def interpret() -> None:
    """Have kernels interpreted on the CPU, for tests and rehearsals. To be called before anything imports Triton."""
    os.environ["TRITON_INTERPRET"] = "1"
    from triton.runtime import interpreter

    patch = interpreter._patch_lang_tensor

    def patch_for_numpy(tensor: Any, scope: Any) -> None:
        patch(tensor, scope)
        # Triton 3.6 calls int() on arrays of one element, as the bounds of a loop; numpy 2.4 refuses that.
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    interpreter._patch_lang_tensor = patch_for_numpy
