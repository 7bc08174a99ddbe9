"""Devices and dtypes by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sansi.base.errors import SansiError, did_you_mean

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class CudaFacts:
    """What torch knows of GPUs here."""

    names: tuple[str, ...]
    """Of the GPUs that it can use; none where there are none."""
    version: str | None
    """Of the CUDA that it was built with; None: without."""


def cuda_facts() -> CudaFacts:
    """The GPUs of this machine as torch sees them."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return CudaFacts(tuple(torch.cuda.get_device_name(index) for index in range(count)), torch.version.cuda)


def resolve_device(device: str = "auto") -> torch.device:
    """ "auto" is CUDA when there is one, else the CPU. Raises SansiError for a device that is not there."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        near = did_you_mean(device, ["auto", "cpu", "cuda"])
        raise SansiError(f'unknown device "{device}"{near}', param="device") from error
    try:
        torch.empty(0, device=resolved)  # the one question that every kind of device answers
    except (RuntimeError, AssertionError, ImportError) as error:
        message = f'device "{device}" was asked for, but torch does not see it here; use "cpu" or "auto"'
        raise SansiError(message, param="device") from error
    return resolved


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """ "auto" is bfloat16 on CUDA and float32 on the CPU, where few machines have a fast bfloat16."""
    import torch

    if dtype == "auto":
        dtype = "bfloat16" if device.type == "cuda" else "float32"
    if dtype not in DTYPES:
        raise SansiError(f'unknown dtype "{dtype}"{did_you_mean(dtype, ["auto", *DTYPES])}', param="dtype")
    return getattr(torch, dtype)
