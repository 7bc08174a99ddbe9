"""The one table of tensor names: what a tensor of a checkpoint is called, and which part of the model it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

_STACKED = re.compile(r"(?P<experts>.*\.mlp\.experts)\.(?P<kind>gate_up_proj|down_proj)")
_ONE_EXPERT = re.compile(r"(?P<experts>.*\.mlp\.experts)\.(?P<number>\d+)\.(?P<kind>gate|up|down)_proj\.weight")
_SAME_INPUTS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


def same_inputs(kind: str) -> tuple[str, ...]:
    """The matrices that get what one called `kind` gets, itself among them: "k_proj" -> q_proj, k_proj, v_proj."""
    return next((kinds for kinds in _SAME_INPUTS if kind in kinds), (kind,))


def tensor_table(model: nn.Module, stacked: bool = False) -> dict[str, Tensor]:
    """Checkpoint name -> the parameter, or the part of one, that it stands for; the tensors share the model's memory.

    On the hub each expert has tensors of its own; with `stacked` the experts of a layer are one tensor, as
    transformers 5 holds them in memory and may save them.
    """
    table: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        match = _STACKED.fullmatch(name)
        if match and not stacked:
            table.update(_one_by_one(match["experts"], match["kind"], parameter.detach()))
        else:
            table[name] = parameter.detach()
    return table


def full_name(name: str) -> str | None:
    """The table's name of a tensor in a file; None for what follows from the configuration.

    A model that was saved without its head (Qwen3-Embedding) has names without the first part, as in transformers.
    """
    if name.endswith(".rotary_emb.inv_freq"):
        return None
    return f"model.{name}" if name.startswith(("layers.", "embed_tokens.", "norm.")) else name


def is_stacked(names: Mapping[str, object]) -> bool:
    """Whether a checkpoint with these names holds the experts of a layer as one tensor."""
    return any(_STACKED.fullmatch(name) for name in names)


@dataclass(frozen=True)
class StackedPlace:
    """Where the weight of one expert lies in a stacked tensor: name[expert, offset * rows : (offset + 1) * rows]."""

    name: str
    expert: int
    offset: int
    """1 for the up projections, which follow the gates."""


def stacked_place(name: str) -> StackedPlace | None:
    """The place of an expert's weight, by its name on the hub; None for every other tensor."""
    match = _ONE_EXPERT.fullmatch(name)
    if match is None:
        return None
    kind = "down_proj" if match["kind"] == "down" else "gate_up_proj"
    return StackedPlace(f"{match['experts']}.{kind}", int(match["number"]), int(match["kind"] == "up"))


def _one_by_one(experts: str, kind: str, parameter: Tensor) -> dict[str, Tensor]:
    table: dict[str, Tensor] = {}
    for number, weight in enumerate(parameter):
        if kind == "down_proj":
            table[f"{experts}.{number}.down_proj.weight"] = weight
        else:
            gate, up = weight.chunk(2, dim=0)
            table[f"{experts}.{number}.gate_proj.weight"] = gate
            table[f"{experts}.{number}.up_proj.weight"] = up
    return table
