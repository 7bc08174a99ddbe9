"""Which type each tensor of a GGUF file gets: the mixtures that people know by name. Needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType

from sansi.base.errors import SansiError, did_you_mean
from sansi.model.config import ModelConfig
from sansi.model.formats.gguf import blocks
from sansi.model.formats.gguf.blocks import FILE_TYPES, BlockType
from sansi.model.formats.gguf.names import architecture_of

_BASES = MappingProxyType(
    {
        **{name: kind for name, kind in blocks.TYPES.items() if not name.endswith("_K")},
        **{"Q4_K_M": blocks.Q4_K, "Q5_K_M": blocks.Q5_K, "Q6_K": blocks.Q6_K},
    }
)
"""What most of the weights of a mixture are."""
MIXTURES = tuple(_BASES)
FALLBACKS = MappingProxyType(
    {blocks.Q4_K: blocks.Q5_0, blocks.Q5_K: blocks.Q5_1, blocks.Q6_K: blocks.Q8_0},
)
"""For rows that are no multiple of 256."""
_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.weight")


@dataclass(frozen=True)
class Recipe:
    """One mixture for one model."""

    name: str
    config: ModelConfig
    importance: bool = False
    """Whether the importance of inputs is known, which changes two types of the plain mixtures."""

    @classmethod
    def named(cls, name: str, config: ModelConfig, importance: bool = False) -> Recipe:
        """Raises SansiError for a mixture that is not written here."""
        found = next((known for known in MIXTURES if known.lower() == str(name).lower().replace("-", "_")), None)
        if found is None:
            raise SansiError(f'unknown kind of GGUF file "{name}"{did_you_mean(name, MIXTURES)}', param="kind")
        return cls(found, config, importance)

    @property
    def file_type(self) -> int:
        return next(number for number, name in FILE_TYPES.items() if name == self.name)

    def kind_of(self, name: str, shape: tuple[int, ...]) -> BlockType:
        """The type of the tensor `name` of the file."""
        if len(shape) == 1 or name.endswith("ffn_gate_inp.weight"):
            return blocks.F32  # norms, biases and routers are a thousandth of the weights
        kind = self._mixed(name)
        if shape[-1] % kind.values:
            kind = FALLBACKS.get(kind, blocks.F16)
        return kind if shape[-1] % kind.values == 0 else blocks.F16

    def _mixed(self, name: str) -> BlockType:
        base = _BASES[self.name]
        if base.values == 1 or base == blocks.Q8_0:
            return base
        head = "token_embd.weight" if self.config.tie_word_embeddings else "output.weight"
        if name == head:
            return blocks.Q6_K
        match = _LAYER.fullmatch(name)
        return base if match is None else self._of_layer(base, int(match[1]), match[2])

    def _of_layer(self, base: BlockType, layer: int, part: str) -> BlockType:
        layers, eight = self.config.num_hidden_layers, self.config.num_experts == 8
        more = self.name in ("Q4_K_M", "Q5_K_M") and _gets_more(layer, layers)
        if part in ("attn_v", "attn_k") and eight:
            return blocks.Q8_0
        if part == "attn_output" and eight and self.name == "Q4_K_M":
            return blocks.Q5_K
        if part == "attn_v":
            wide = base == blocks.Q4_K and layers == 80 and architecture_of(self.config) in ("llama", "qwen2")
            return blocks.Q6_K if more else blocks.Q5_K if wide else base
        if part.startswith("ffn_down"):
            first = self.importance and layer < layers // 8
            plain = {blocks.Q4_0: blocks.Q4_1, blocks.Q5_0: blocks.Q5_1} if first else {}
            return blocks.Q6_K if more else plain.get(base, base)
        return base


def _gets_more(layer: int, layers: int) -> bool:
    """The first and the last eighth of the layers, and every third between them."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
