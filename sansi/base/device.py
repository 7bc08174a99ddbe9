"""Devices and dtypes by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import show

if TYPE_CHECKING:
    import torch

DeviceLike: TypeAlias = "str | torch.device | int | None"
DtypeLike: TypeAlias = "str | torch.dtype | None"
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


def resolve_device(device: DeviceLike = "auto") -> torch.device:
    """A device by name, as torch's object, or as the number of a GPU; "auto" or None: CUDA if there is any.

    Raises SansiError for a device that is not there, or that holds no values ("meta").
    """
    import torch

    if device is None or device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if isinstance(device, bool) or not isinstance(device, str | torch.device | int):
        reason = f'"device" must be a name such as "cpu" or "cuda:0", not {show(device)}'
        raise SansiError(reason, param="device")
    if isinstance(device, int):
        device = f"cuda:{device}"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        near = did_you_mean(device, ["auto", "cpu", "cuda"])
        raise SansiError(f'unknown device "{device}"{near}', param="device") from error
    try:
        torch.empty(1, device=resolved).item()  # the one question that every kind of device answers
    except (RuntimeError, AssertionError, ImportError, NotImplementedError) as error:
        where = "holds no values" if resolved.type == "meta" else "was asked for, but torch does not see it here"
        raise SansiError(f'device "{device}" {where}; use "cpu" or "auto"', param="device") from error
    return resolved


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls each GPU that this process may use."""
    import torch

    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named or [str(number) for number in range(torch.cuda.device_count())]


def resolve_dtype(dtype: DtypeLike, device: torch.device) -> torch.dtype:
    """A dtype by name or as torch's object. "auto" or None: bfloat16 on CUDA, and float32 on the CPU, where few
    machines have a fast bfloat16. Raises SansiError for one that no model computes in.
    """
    import torch

    if dtype is None or dtype == "auto":
        dtype = "bfloat16" if device.type == "cuda" else "float32"
    if not isinstance(dtype, str | torch.dtype):
        reason = f'"dtype" must be one of {", ".join(["auto", *DTYPES])}, not {show(dtype)}'
        raise SansiError(reason, param="dtype")
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise SansiError(f'unknown dtype "{name}"{did_you_mean(name, ["auto", *DTYPES])}', param="dtype")
    return getattr(torch, name)
