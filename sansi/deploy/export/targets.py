"""What a model can be exported to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sansi.base.errors import SansiError, did_you_mean
from sansi.deploy.packages import RUNTIMES
from sansi.model.formats.gguf.recipe import MIXTURES


@dataclass(frozen=True)
class Target:
    """One of them."""

    name: str
    form: str
    """ "weights": a folder or file in another format; "package": weights, and what a program wants beside them;
    "launch": the line that starts a server on weights which are there."""
    help: str
    kinds: tuple[str, ...] = ()
    """What --kind may be; the first unless it is given."""
    calibration: str = "never"
    """Whether a text is read for it: "never", "optional", "needed"."""

    @property
    def grouped(self) -> bool:
        """Whether the size of its groups can be chosen."""
        return self.name in ("awq", "gptq", "compressed-tensors", "mlx")


_GGUF = ("Q4_K_M", *(name for name in MIXTURES if name != "Q4_K_M"))
_ALL = (
    Target("gguf", "weights", "one file for llama.cpp, Ollama, LM Studio, Sansi", _GGUF, "optional"),
    Target("hf", "weights", "full weights as on the hubs, for everything that reads those", ("bf16", "fp16", "fp32")),
    Target("fp8", "weights", "the official FP8 form, for vLLM and SGLang", ("fp8",)),
    Target("awq", "weights", "4 bits by activations, for vLLM and SGLang", ("int4",), calibration="needed"),
    Target(
        "gptq", "weights", "4 or 8 bits by calibration, for vLLM and SGLang", ("int4", "int8"), calibration="needed"
    ),
    Target("compressed-tensors", "weights", "vLLM's own form", ("int4", "int8", "fp8"), "optional"),
    Target("mlx", "weights", "for Apple's chips", ("4bit", "8bit")),
    Target(
        "ollama",
        "package",
        "a GGUF file and a Modelfile: the template that thinks, parameters, context",
        _GGUF,
        "optional",
    ),
    Target("lmstudio", "package", "a GGUF file and model.yaml, with a switch for thinking", _GGUF, "optional"),
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
        return target.kinds[0]
    same = next((known for known in target.kinds if known.lower() == kind.lower().replace("-", "_")), None)
    if same is None:
        raise SansiError(f'--kind "{kind}" is none of {target.name}{did_you_mean(kind, target.kinds)}', param="kind")
    return same
