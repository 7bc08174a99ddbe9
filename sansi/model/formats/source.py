"""Opens the weights of a model, whichever format they are in."""

from __future__ import annotations

from pathlib import Path

from sansi.model.formats.files import method_of
from sansi.model.formats.folders import model_folder, read_config_values
from sansi.model.formats.gguf.source import GgufSource
from sansi.model.formats.quantized import QuantizedReader
from sansi.model.formats.tensors import WeightReader
from sansi.model.formats.weights import WeightFormat, WeightSource

__all__ = ["WeightFormat", "WeightSource", "open_source"]


def open_source(path: str | Path) -> WeightSource:
    """The weights in a model folder, or in a file of a format that has the whole model in one.

    Raises SansiError where there is no model, where it is of another design, and for damaged files.
    """
    folder = model_folder(path)
    method = method_of(read_config_values(folder).get("quantization_config"))
    if method == "sansi":
        return QuantizedReader(folder)
    if method == "gguf":
        return GgufSource(folder)
    return WeightReader(folder)
