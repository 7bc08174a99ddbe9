"""What the files of a model folder are called. Needs no torch."""

from __future__ import annotations

from typing import Any

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
QUANTIZED_FILE = "quantized.safetensors"
"""Not model.safetensors: some programs would warn of an unknown quantisation and go on with random weights."""
QUANT_METHOD = "sansi"
"""In the quantization_config of a folder that `sansi.model.quantize` wrote: a name that other programs refuse."""


def is_ours(quantization_config: Any) -> bool:
    return isinstance(quantization_config, dict) and quantization_config.get("quant_method") == QUANT_METHOD
