"""What computes: the torch module itself (reference and fallback, any device), or our own kernels on the CPU."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sansi.base.device import DeviceLike, DtypeLike, resolve_device, resolve_dtype
from sansi.base.errors import SansiError, did_you_mean
from sansi.engine.backends.torch_backend import TorchBackend
from sansi.engine.batch import Backend
from sansi.model import Transformer, load
from sansi.model.adapters import Adapter
from sansi.model.adapters.packed import check_low_rank
from sansi.model.formats.quantized import check_stored, stored_kinds
from sansi.model.kernels.cpu.build import KernelsUnavailable
from sansi.model.quantize import check_outer, dequantize, load_quantized

__all__ = ["BACKENDS", "TorchBackend", "load_backend", "make_backend"]

BACKENDS = ("auto", "native", "cuda", "torch")
QUANTISATIONS = ("int8", "int4")
NATIVE_DTYPES = (torch.float32, torch.bfloat16)

log = logging.getLogger("sansi")


def make_backend(
    model: Transformer,
    choice: str = "auto",
    quantize: str | None = None,
    batch_invariant: bool = False,
    outer: str | None = None,
    adapters: Sequence[Adapter] = (),
) -> Backend:
    """The backend called `choice` for a model in memory. Raises SansiError where this machine can not run it.

    "auto": native for a float32 or bfloat16 Transformer on the CPU, cuda for one on a GPU, or torch, with a warning,
    where there are no kernels; torch for everything else. adapters: what requests may ask for; the GPU kernels know of
    none, and the CPU's of low-rank changes alone.
    """
    check_choice(choice, quantize, outer)
    like, plain = next(model.parameters()), type(model) is Transformer  # a subclass may compute something else
    if plain and like.device.type == "cpu" and like.dtype in NATIVE_DTYPES:
        kernels = _native(choice, quantize, outer, model, adapters)
    else:
        suits = plain and like.device.type == "cuda" and not batch_invariant
        kernels = _cuda(choice, quantize, model, suits, adapters)
    return kernels or TorchBackend(model, batch_invariant, adapters)


def load_backend(
    folder: str | Path,
    device: DeviceLike = "auto",
    dtype: DtypeLike = "auto",
    choice: str = "auto",
    quantize: str | None = None,
    batch_invariant: bool = False,
    outer: str | None = None,
    adapters: Sequence[Adapter] = (),
) -> tuple[Backend, Transformer | None]:
    """The backend for a model folder, and the torch module where there is one: native reads the folder itself.

    Where native can not run, a quantised folder is turned into full weights again, with a warning. Raises SansiError
    for a folder that is missing or damaged, and for a choice that this machine can not run.
    """
    stored = stored_kinds(folder)
    if stored:
        check_stored(folder, quantize, outer)
    check_choice(choice, quantize, None if stored else outer)
    place = resolve_device(device)
    on_cpu = place.type == "cpu" and resolve_dtype(dtype, place) in NATIVE_DTYPES
    if on_cpu and (native := _native(choice, quantize, outer, folder, adapters)):
        return native, None
    model = _dequantised(folder, place, dtype) if stored else load(folder, device=device, dtype=dtype)
    kernels = _cuda(choice, quantize, model, place.type == "cuda" and not batch_invariant, adapters)
    return kernels or TorchBackend(model, batch_invariant, adapters), model


def check_choice(choice: str, quantize: str | None, outer: str | None = None) -> None:
    if choice not in BACKENDS:
        raise SansiError(f'unknown backend "{choice}"{did_you_mean(choice, BACKENDS)}', param="backend")
    if quantize is not None and quantize not in QUANTISATIONS:
        raise SansiError(f'unknown quantisation "{quantize}"{did_you_mean(quantize, QUANTISATIONS)}', param="quantize")
    check_outer(quantize, outer)


def _dequantised(folder: str | Path, place: torch.device, dtype: DtypeLike) -> Transformer:
    log.warning(
        "%s: only Sansi's CPU kernels compute with quantised weights; here they are turned into full ones, which take "
        "more memory and are no faster; where the full model is at hand, load that",
        folder,
    )
    return dequantize(load_quantized(folder), resolve_dtype(dtype, place), place)


def _native(
    choice: str, quantize: str | None, outer: str | None, source: Any, adapters: Sequence[Adapter]
) -> Backend | None:
    """Our CPU kernels, or None where torch is to take their place. Raises SansiError where it may not."""
    if choice in ("torch", "cuda"):
        _refuse(choice, quantize)
        return None
    from sansi.engine.backends.native import NativeBackend

    try:
        for adapter in adapters:
            check_low_rank(adapter)
    except SansiError as error:
        if choice == "native" or quantize is not None:
            raise
        log.warning("torch operators take the place of the CPU kernels, which is slower: %s", error)
        return None
    try:
        return NativeBackend(source, quantize=quantize, outer=outer, adapters=adapters)
    except KernelsUnavailable as error:
        if choice == "native" or quantize is not None:
            raise
        log.warning("no CPU kernels, so torch operators take their place, which is slower: %s", error)
        return None


def _cuda(
    choice: str, quantize: str | None, model: Transformer, suits: bool, adapters: Sequence[Adapter]
) -> Backend | None:
    """Our GPU kernels, or None where torch is to take their place. Raises SansiError where it may not."""
    if suits and adapters and choice == "auto":
        log.warning("the GPU kernels know of no adapters, so torch operators take their place, which is slower")
    if choice == "torch" or not suits or adapters:
        _refuse(choice, quantize)
        return None
    if choice == "native" or quantize is not None:
        _refuse("native", quantize)
    try:
        from sansi.engine.backends.cuda import CudaBackend

        return CudaBackend(model)
    except (KernelsUnavailable, ImportError) as error:  # Triton is not everywhere that torch is
        if choice == "cuda":
            raise SansiError(f'backend="cuda" can not run here: {error}', param="backend") from error
        log.warning("no GPU kernels, so torch operators take their place, which is slower: %s", error)
        return None


def _refuse(choice: str, quantize: str | None) -> None:
    """Say what a choice needs that is not there; nothing where torch can do as well."""
    if quantize is not None:
        needs = "the CPU kernels: a float32 or bfloat16 model on the CPU, and backend native or auto"
        raise SansiError(f'quantize="{quantize}" needs {needs}', param="quantize")
    if choice == "native":
        raise SansiError('backend="native" needs a float32 or bfloat16 Transformer on the CPU', param="backend")
    if choice == "cuda":
        raise SansiError(
            'backend="cuda" needs a Transformer on a GPU, and neither batch_invariant nor adapters', param="backend"
        )
