"""What Ollama's clients ask of the models that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sansi.chat import ChatModel
from sansi.serve.api.ollama.times import at
from sansi.serve.api.schemas import COUNT, TEXT, Schema, list_of, object_of
from sansi.text import ChatCodec

UNITS = ((10**9, "B"), (10**6, "M"), (10**3, "K"))
FOREVER = "9999-12-31T23:59:59Z"  # a model leaves the memory with the server
_STRINGS = list_of(TEXT)
_DETAILS: Mapping[str, Schema] = {
    **dict.fromkeys(("parent_model", "format", "family", "parameter_size", "quantization_level"), TEXT),
    "families": _STRINGS,
}
_ENTRY: Mapping[str, Schema] = {
    **dict.fromkeys(("name", "model", "digest"), TEXT),
    "size": COUNT,
    "details": object_of(_DETAILS),
}
TAGS = object_of({"models": list_of(object_of({**_ENTRY, "modified_at": TEXT}))})
RUNNING = {**_ENTRY, "expires_at": TEXT, "size_vram": COUNT, "context_length": COUNT}
PS = object_of({"models": list_of(object_of(RUNNING))})
VERSION = object_of({"version": TEXT})
SHOWN = object_of(
    {
        **dict.fromkeys(("modelfile", "parameters", "template", "modified_at"), TEXT),
        "details": object_of(_DETAILS),
        "model_info": {"type": "object"},
        "capabilities": _STRINGS,
    }
)


def entry(chat: ChatModel, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What every list says of a model. `facts`: as /v1/models tells them, or nothing."""
    return {
        "name": chat.name,
        "model": chat.name,
        "digest": "",
        "size": facts.get("weight_bytes", 0),
        "details": _details(chat, facts),
    }


def tags(models: Mapping[str, Mapping[str, Any]], since: float) -> dict[str, Any]:
    """`models`: entries by name; `since`: when the server began, in seconds of the epoch."""
    return {"models": [{**one, "modified_at": at(since)} for one in models.values()]}


def running(chat: ChatModel, facts: Mapping[str, Any]) -> dict[str, Any]:
    on_gpu = not str(facts.get("device", "cpu")).startswith("cpu")
    more = {"expires_at": FOREVER, "size_vram": facts.get("memory_bytes", 0) if on_gpu else 0}
    return {**entry(chat, facts), **more, "context_length": chat.context_length}


def shown(chat: ChatModel, facts: Mapping[str, Any], since: float) -> dict[str, Any]:
    """The answer of /api/show."""
    codec, family = getattr(chat, "codec", None), _family(chat)
    preset = chat.presets.of(codec is None or codec.thinks)
    sampling = {"temperature": preset.temperature, "top_k": preset.top_k, "top_p": preset.top_p, "min_p": preset.min_p}
    return {
        "modelfile": f"FROM {chat.name}\n",
        "parameters": "\n".join(f"{name:<30} {value}" for name, value in sampling.items() if value is not None),
        "template": "" if codec is None else codec.chat_template,
        "modified_at": at(since),
        "details": _details(chat, facts),
        "model_info": {
            "general.architecture": family,
            "general.basename": chat.name,
            "general.parameter_count": facts.get("parameters", 0),
            f"{family}.context_length": chat.context_length,
        },
        "capabilities": _capabilities(codec),
    }


def _capabilities(codec: ChatCodec | None) -> list[str]:
    """What a model can do; of one that is elsewhere nothing else is known than that it is of the family."""
    can = {"tools": codec is None or codec.knows_tools, "thinking": codec is None or codec.thinks}
    return ["completion", *(name for name, able in can.items() if able)]


def _details(chat: ChatModel, facts: Mapping[str, Any]) -> dict[str, Any]:
    family, bits = _family(chat), facts.get("bits_per_parameter")
    return {
        "parent_model": "",
        "format": "safetensors",
        "family": family,
        "families": [family],
        "parameter_size": _size(facts.get("parameters", 0)),
        "quantization_level": "" if bits is None else f"{bits:g} bits",
    }


def _family(chat: ChatModel) -> str:
    return getattr(getattr(chat, "engine", None), "architecture", "qwen3")


def _size(parameters: int) -> str:
    for unit, letter in UNITS:
        if parameters >= unit:
            return f"{parameters / unit:.3g}{letter}"
    return str(parameters)
