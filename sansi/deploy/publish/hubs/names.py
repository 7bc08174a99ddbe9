"""What models can be called on the hubs; needs no client of theirs."""

from __future__ import annotations

import re

from sansi.base.errors import SansiError, did_you_mean

OWNER_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?/[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?", re.ASCII)
LONGEST = 96  # characters
FRAMEWORKS = (
    *("transformers", "pyTorch", "gguf", "ggml", "vllm", "tensorRtLlm", "triton", "onnx", "jax", "flax", "keras"),
    *("tensorFlow1", "tensorFlow2", "tfLite", "tfJs", "pax", "maxText", "gemmaCpp", "api", "other"),
)
"""Of Kaggle."""
_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def check_name(hub: str, name: str) -> None:
    """Raise SansiError for a name that no model of the hub can have."""
    if hub == "kaggle":
        _check_kaggle(name)
    elif OWNER_NAME.fullmatch(name) is None or "--" in name or ".." in name or len(name) > LONGEST:
        wanted = "OWNER/NAME of letters, digits, points, hyphens and underscores, 96 characters at most"
        raise SansiError(f'"{name}" is no name of a model there; give {wanted}', param="name")


def _check_kaggle(name: str) -> None:
    parts = name.split("/")
    if len(parts) != 4 or not all(map(_PART.fullmatch, parts)):
        wanted = "OWNER/MODEL/FRAMEWORK/VARIATION, such as me/my-model/transformers/fp8"
        raise SansiError(f'"{name}" is no name of a model on Kaggle; give {wanted}', param="name")
    known = {framework.lower() for framework in FRAMEWORKS}
    if parts[2].lower().replace("_", "") not in known:
        raise SansiError(f'"{parts[2]}" is no framework of Kaggle\'s{did_you_mean(parts[2], FRAMEWORKS)}', param="name")
