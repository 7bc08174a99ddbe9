"""The ways in which a GGUF file stores numbers: in blocks of so many values and so many bytes. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

SUPER = 256
"""Values of a block of the K types."""


@dataclass(frozen=True)
class BlockType:
    """One way to store numbers."""

    name: str
    number: int
    """In a file's list of tensors."""
    values: int
    """Of a block; the columns of a tensor are a multiple of it."""
    nbytes: int
    """Of a block."""

    def row_bytes(self, columns: int) -> int:
        return columns // self.values * self.nbytes

    def tensor_bytes(self, shape: Sequence[int]) -> int:
        return math.prod(shape[:-1]) * self.row_bytes(shape[-1])


def mean_bits(tensors: Sequence[tuple[BlockType, Sequence[int]]]) -> float:
    """Mean per value of tensors, by their types and shapes."""
    values = sum(math.prod(shape) for _, shape in tensors)
    return 8 * sum(kind.tensor_bytes(shape) for kind, shape in tensors) / max(values, 1)


F32, F16, BF16 = BlockType("F32", 0, 1, 4), BlockType("F16", 1, 1, 2), BlockType("BF16", 30, 1, 2)
Q4_0, Q4_1 = BlockType("Q4_0", 2, 32, 18), BlockType("Q4_1", 3, 32, 20)
Q5_0, Q5_1 = BlockType("Q5_0", 6, 32, 22), BlockType("Q5_1", 7, 32, 24)
Q8_0 = BlockType("Q8_0", 8, 32, 34)
Q4_K, Q5_K, Q6_K = (
    BlockType("Q4_K", 12, SUPER, 144),
    BlockType("Q5_K", 13, SUPER, 176),
    BlockType("Q6_K", 14, SUPER, 210),
)
TYPES = MappingProxyType({kind.name: kind for kind in (F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K)})
"""Those that are read and written here."""
BY_NUMBER = MappingProxyType({kind.number: kind for kind in TYPES.values()})

# fmt: off
OTHERS = MappingProxyType({
    9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
})
"""Names of those that are not, for the message that says so."""
FILE_TYPES = MappingProxyType({
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
})
"""What a whole file is called, by general.file_type."""
# fmt: on
