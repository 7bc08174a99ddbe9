"""The tensors of adapter_model.safetensors: which part of the change of which module each one is. Needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sansi.model.formats.names import full_name

Part = Literal["A", "B", "magnitude", "whole", "copy", "rows"]
"""A factor; the lengths that DoRA gives rows; a tensor trained whole; the base's own, as it was; rows trained alone."""

_NAME = r"(?:\.[A-Za-z0-9_-]+)?"  # of the adapter: folders written by older or other programs may have kept it
_PARTS: tuple[tuple[Part, re.Pattern[str]], ...] = (
    ("A", re.compile(rf"(?P<module>.+)\.lora_(?:embedding_)?A{_NAME}?")),
    ("B", re.compile(rf"(?P<module>.+)\.lora_(?:embedding_)?B{_NAME}?")),
    ("magnitude", re.compile(rf"(?P<module>.+)\.lora_magnitude_vector{_NAME}?")),
    ("rows", re.compile(rf"(?P<module>.+)\.token_adapter\.trainable_tokens_delta{_NAME}")),
    ("copy", re.compile(r"(?P<module>.+?)(?:\.base_layer)+\.weight")),
    ("whole", re.compile(r"(?P<module>.+?)\.base_layer\.bias")),
    ("whole", re.compile(rf"(?P<module>.+)\.modules_to_save{_NAME}\.(?:weight|bias)")),
    ("whole", re.compile(r"(?P<module>.+)\.(?:weight|bias)")),
    ("whole", re.compile(r"(?P<module>.+\.mlp\.experts)\.(?:gate_up_proj|down_proj)")),
)
_STACKS = re.compile(r"(?P<experts>.+\.mlp\.experts)(?:\.(?P<kind>gate_up_proj|gate_proj|up_proj|down_proj))?")


@dataclass(frozen=True)
class Key:
    """What a tensor is called says."""

    name: str
    """In the file."""
    module: str
    """The module of the model, as `model.layers.0.self_attn.q_proj`; stacked experts as they are nested."""
    part: Part
    embedding: bool = False
    """A factor of an embedding, which is stored transposed."""

    @property
    def tensor(self) -> str:
        """The tensor of the model that it stands for where it is whole."""
        end = "bias" if self.name.endswith(".bias") else "weight"
        stacked = self.module.endswith(".mlp.experts")
        return f"{self.module}.{self.name.rpartition('.')[2] if stacked else end}"


@dataclass(frozen=True)
class Stack:
    """The stacked experts of a layer that a module of the adapter is for."""

    experts: str
    """`model.layers.0.mlp.experts`."""
    kind: str | None
    """gate_up_proj, gate_proj, up_proj or down_proj; None: only the shapes tell."""


def read_key(name: str) -> Key | None:
    """None for a tensor of a kind that is not known."""
    plain = re.sub(r"^(?:base_model\.model\.)?", "", name)
    for part, form in _PARTS:
        if match := form.fullmatch(re.sub(r"(lora_(?:A|B))(\.[A-Za-z0-9_-]+)?\.weight$", r"\1", plain)):
            module = full_name(match["module"])
            return None if module is None else Key(plain, module, part, "lora_embedding_" in plain)
    return None


def stack_of(module: str) -> Stack | None:
    """None for a module that is not that of stacked experts."""
    match = _STACKS.fullmatch(module.replace(".base_layer", ""))
    return Stack(match["experts"], match["kind"]) if match else None
