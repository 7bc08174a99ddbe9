"""A model of a hub for a command: what it is and whether it fits in memory is told before anything is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sansi.base.errors import SansiError

if TYPE_CHECKING:
    from sansi.engine.memory import MemoryPlan, Stored
    from sansi.model.hub import ModelName
    from sansi.model.hub.offer import Offer


def fetch(model: str, hub_name: str, plan: Mapping[str, Any]) -> tuple[ModelName, Path]:
    """The folder of a hub's model in the hub's own cache, or the one that stands for its GGUF file.

    What is whole there is taken without asking the hub.

    Raises SansiError, before the download, for what is unknown, not for you, not of this kind, or too large.
    """
    from sansi.model.formats.folders import model_folder
    from sansi.model.hub import open_hub, read_name
    from sansi.model.hub.offer import download, look_up

    name, hub = read_name(model), open_hub(hub_name)
    folder = hub.folder(name)
    if folder is None:
        offer = look_up(hub, name)
        tell(str(offer))
        check_memory(stored_of(offer), plan)
        folder = download(hub, offer)
    return name, model_folder(folder)


def stored_of(offer: Offer) -> Stored:
    """Its weights, for who plans memory."""
    from sansi.engine.memory import Stored  # torch comes with it: last, since most mistakes are found before

    return Stored(offer.config, offer.weight_bytes, offer.kind)


def check_memory(stored: Stored, plan: Mapping[str, Any]) -> MemoryPlan:
    """What it will take. Raises SansiError with the numbers, and with what would fit, where it can not run here."""
    from sansi.engine.memory import plan_checkpoint

    try:
        return plan_checkpoint(stored, **plan)
    except SansiError as error:
        if error.param != "memory":
            raise
        raise SansiError(f"{error}{what_fits(stored, plan)}", param="memory") from error


def what_fits(stored: Stored, plan: Mapping[str, Any]) -> str:
    """'; …' with the quantisation that lets the model fit, or the largest published one that does."""
    if kind := smallest_change(stored, plan):
        return f"; --quantize {kind} fits"
    from sansi.engine.memory import Stored as Weights
    from sansi.model import PRESETS, ModelConfig

    for preset in reversed(list(PRESETS)):
        config = ModelConfig.preset(preset)
        kind = smallest_change(Weights(config, 2 * config.num_parameters()), plan)
        if kind is not None:
            return f"; the largest that fits is {preset}{f' with --quantize {kind}' if kind else ''}"
    return ""


def smallest_change(stored: Stored, plan: Mapping[str, Any]) -> str | None:
    """The quantisation with which a model fits: "" if it fits as it is, None if it does with none."""
    if _fits(stored, plan):
        return ""
    return next((kind for kind in _kinds(plan) if _fits(stored, {**plan, "quantize": kind})), None)


def _kinds(plan: Mapping[str, Any]) -> list[str]:
    from sansi.base.device import resolve_device

    on_cpu = resolve_device(plan.get("device", "auto")).type == "cpu"
    smaller = {None: ["int8", "int4"], "int8": ["int4"], "int4": []}
    return smaller.get(plan.get("quantize"), []) if on_cpu else []


def _fits(stored: Stored, plan: Mapping[str, Any]) -> bool:
    from sansi.engine.memory import plan_checkpoint

    try:
        plan_checkpoint(stored, **plan)
    except SansiError:
        return False
    return True


def tell(text: str) -> None:
    """A line for who watches; standard output stays the answer's."""
    typer.echo(text, err=True)
