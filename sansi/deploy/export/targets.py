"""What a model can be exported to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.deploy.packages import RUNTIMES
from sansi.model.formats.gguf.recipe import MIXTURES
from sansi.model.formats.writers import WRITERS


@dataclass(frozen=True)
class Target:
    """One of them."""

    name: str
    form: str
    """ "weights": a folder or file in another format; "package": weights, and what a program wants beside them;
    "launch": the line that starts a server on weights which are there."""
    help: str
    kinds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What --kind may be, and what the writer of folders is told by it; the first unless it is given."""
    calibration: str = "never"
    """Whether a text is read for it: "never", "optional", "needed"."""
    grouped: bool = False
    """Whether the size of its groups can be chosen."""


def _folder(name: str, help: str, kinds: Mapping[str, Mapping[str, Any]]) -> Target:
    writer = WRITERS[name]
    grouped = "group_size" in {f.name for f in fields(writer.options_type)}
    return Target(name, "weights", help, kinds, writer.calibrated, grouped)


def _of_gguf(name: str, form: str, help: str) -> Target:
    return Target(name, form, help, {kind: {} for kind in ("Q4_K_M", *MIXTURES)}, "optional")


_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
_SCHEMES = {"int4": "W4A16", "int8": "W8A16", "fp8": "FP8_DYNAMIC"}
_ALL = (
    _of_gguf("gguf", "weights", "one file for llama.cpp, Ollama, LM Studio, Sansi"),
    _folder(
        "hf",
        "full weights as on the hubs, for everything that reads those",
        {kind: {"dtype": dtype} for kind, dtype in _DTYPES.items()},
    ),
    _folder("fp8", "the official FP8 form, for vLLM and SGLang", {"fp8": {}}),
    _folder("awq", "4 bits by activations, for vLLM and SGLang", {"int4": {}}),
    _folder("gptq", "4 or 8 bits by calibration, for vLLM and SGLang", {"int4": {"bits": 4}, "int8": {"bits": 8}}),
    _folder("compressed-tensors", "vLLM's own form", {kind: {"scheme": scheme} for kind, scheme in _SCHEMES.items()}),
    _folder("mlx", "for Apple's chips", {"4bit": {"bits": 4}, "8bit": {"bits": 8}}),
    _of_gguf("ollama", "package", "a GGUF file and a Modelfile: the template that thinks, parameters, context"),
    _of_gguf("lmstudio", "package", "a GGUF file and model.yaml, with a switch for thinking"),
    *(Target(name, "launch", "the line that starts it, for a stated version") for name in RUNTIMES),
)
TARGETS: Mapping[str, Target] = MappingProxyType({target.name: target for target in _ALL})


def target_of(name: str) -> Target:
    """Raises SansiError for a name that is unknown."""
    found = TARGETS.get(name.lower())
    if found is None:
        raise SansiError(f'unknown target "{name}"{did_you_mean(name, TARGETS)}', param="to")
    return found


def kind_of(target: Target, kind: str | None) -> str:
    """The kind that is meant. Raises SansiError for one that the target has not."""
    if not target.kinds:
        if kind is not None:
            raise SansiError(f"--kind {kind}: {target.name} is a launch line and rounds nothing; leave --kind out")
        return ""
    if kind is None:
        return next(iter(target.kinds))
    same = next((known for known in target.kinds if known.lower() == kind.lower().replace("-", "_")), None)
    if same is None:
        raise SansiError(f'--kind "{kind}" is none of {target.name}{did_you_mean(kind, target.kinds)}', param="kind")
    return same
