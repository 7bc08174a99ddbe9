"""Opens the weights of a model, whichever format they are in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from sansi.model.formats.awq import AwqFolder
from sansi.model.formats.compressed_tensors import CompressedFolder
from sansi.model.formats.files import method_of
from sansi.model.formats.folders import described_in, model_folder
from sansi.model.formats.fp8 import Fp8Folder
from sansi.model.formats.gguf.source import GgufSource
from sansi.model.formats.gptq import GptqFolder
from sansi.model.formats.mlx import MlxFolder
from sansi.model.formats.quantized import QuantizedReader
from sansi.model.formats.tensors import WeightReader
from sansi.model.formats.weights import WeightFormat, WeightSource

__all__ = ["WeightFormat", "WeightSource", "open_source"]


READERS: Mapping[str, Callable[[Path], WeightSource]] = MappingProxyType(
    {
        **{"sansi": QuantizedReader, "gguf": GgufSource, "fp8": Fp8Folder, "awq": AwqFolder, "gptq": GptqFolder},
        **{"compressed-tensors": CompressedFolder, "mlx": MlxFolder},
    }
)
"""By quant_method; `OPENED_METHODS` names them for whoever may not load torch."""


def open_source(path: str | Path) -> WeightSource:
    """The weights in a model folder, or in a file of a format that has the whole model in one.

    Raises SansiError where there is no model, where it is of another design, and for damaged files.
    """
    folder = model_folder(path)
    method = method_of(described_in(folder))
    return READERS.get(method or "", WeightReader)(folder)
