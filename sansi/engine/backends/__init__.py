"""What computes: the torch module itself (reference and fallback, any device), or our own kernels on the CPU."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

import torch

from sansi.base.device import resolve_device
from sansi.base.errors import SansiError, did_you_mean
from sansi.engine.backends.torch_backend import TorchBackend
from sansi.engine.batch import Backend
from sansi.model import Transformer, load
from sansi.model.kernels.cpu.build import KernelsUnavailable

__all__ = ["BACKENDS", "TorchBackend", "load_backend", "make_backend"]

BACKENDS = ("auto", "native", "torch")
QUANTISATIONS = ("int8", "int4")

log = logging.getLogger("sansi")


def make_backend(
    model: Transformer, choice: str = "auto", quantize: str | None = None, batch_invariant: bool = False
) -> Backend:
    """The backend called `choice` for a model in memory. Raises SansiError where this machine can not run it.

    "auto": native for a float32 or bfloat16 Transformer on the CPU, or torch, with a warning, where there are no
    kernels; torch for everything else.
    """
    check_choice(choice, quantize)
    # A subclass may compute something else than what the kernels do.
    suits = type(model) is Transformer and next(model.parameters()).dtype in (torch.float32, torch.bfloat16)
    on_cpu = next(model.parameters()).device.type == "cpu"
    if native := _native(choice, quantize, suits and on_cpu, model):
        return native
    return TorchBackend(model, batch_invariant)


def load_backend(
    folder: str | Path,
    device: str = "auto",
    dtype: str = "auto",
    choice: str = "auto",
    quantize: str | None = None,
    batch_invariant: bool = False,
) -> tuple[Backend, Transformer | None]:
    """The backend for a model folder, and the torch module where there is one: native reads the folder itself.

    Raises SansiError for a folder that is missing or damaged, and for a choice that this machine can not run.
    """
    check_choice(choice, quantize)
    place = resolve_device(device)
    suits = place.type == "cpu" and dtype in ("auto", "float32", "bfloat16")
    if native := _native(choice, quantize, suits, folder):
        return native, None
    model = load(folder, device=device, dtype=dtype)
    return TorchBackend(model, batch_invariant), model


def check_choice(choice: str, quantize: str | None) -> None:
    if choice not in BACKENDS:
        raise SansiError(f'unknown backend "{choice}"{did_you_mean(choice, BACKENDS)}', param="backend")
    if quantize is not None and quantize not in QUANTISATIONS:
        raise SansiError(f'unknown quantisation "{quantize}"{did_you_mean(quantize, QUANTISATIONS)}', param="quantize")


def _native(choice: str, quantize: str | None, suits: bool, source: Any) -> Backend | None:
    """The native backend, or None where torch is to take its place. Raises SansiError where it may not."""
    needed = choice == "native" or quantize is not None
    if choice == "torch" or not suits:
        if needed:
            what = f"quantize={quantize!r}" if quantize else 'backend="native"'
            raise SansiError(
                f"{what} needs the CPU kernels: a float32 or bfloat16 model on the CPU, and backend native or auto",
                param="quantize" if quantize else "backend",
            )
        return None
    try:
        module = importlib.import_module("sansi.engine.backends.native")
    except ModuleNotFoundError:
        return None
    try:
        return module.NativeBackend(source, quantize=quantize)
    except KernelsUnavailable as error:
        if needed:
            raise
        log.warning("no CPU kernels, so torch operators take their place, which is slower: %s", error)
        return None
