"""How far an export is from its source: on fixed prompts, in both modes and with a call of a tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.chat import ChatModel
from sansi.deploy.export.reference import answered
from sansi.deploy.receipt import Divergence
from sansi.engine import SamplingParams
from sansi.engine.backends import load_backend
from sansi.engine.compare import divergence

ANSWER = 48
"""Tokens of the source's own answer that are compared beside each prompt."""
QUESTIONS = (
    "How much is 17 times 23?",
    "Why is the sky blue? Answer in two sentences.",
    "写一首关于秋天的短诗。",
    "Write a Python function that reverses a list.",
)
WEATHER: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALLED = (
    {"role": "user", "content": "What is the weather in Bremen?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"type": "function", "id": "1", "function": {"name": "get_weather", "arguments": '{"city": "Bremen"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": '{"temperature": 11, "sky": "rain"}'},
)


def compare(chat: ChatModel, exported: Path, told: Callable[[str], None] = lambda note: None) -> dict[str, Divergence]:
    """Divergence by kind of prompt from `chat`, the source. What it can not be asked is told, and left out.

    Needs the memory of both. Raises SansiError where one of them does not open.
    """
    texts = {}
    for kind, render in KINDS.items():
        try:
            texts[kind] = _answered(chat, render(chat))
        except SansiError as error:
            told(f"not compared: {kind.replace('_', '-')} ({error})")
    other, _ = load_backend(exported, device="cpu")
    reports = {kind: divergence(chat.engine.backend, other, ids) for kind, ids in texts.items()}
    return {kind: Divergence(r.tokens, r.mean, r.p99, r.same_top) for kind, r in reports.items()}


def _asked(thinking: bool) -> Callable[[ChatModel], list[list[int]]]:
    def render(chat: ChatModel) -> list[list[int]]:
        if thinking and not chat.codec.thinks:
            raise SansiError("the model has no thinking mode")
        asked = [[{"role": "user", "content": question}] for question in QUESTIONS]
        return [list(chat.codec.render(one, enable_thinking=thinking).ids) for one in asked]

    return render


def _tools(chat: ChatModel) -> list[list[int]]:
    if not chat.codec.knows_tools:
        raise SansiError("the model's template knows no tools")
    turns = (CALLED[:1], CALLED)
    return [list(chat.codec.render(turn, tools=[WEATHER], enable_thinking=False).ids) for turn in turns]


KINDS: Mapping[str, Callable[[ChatModel], list[list[int]]]] = {
    "thinking": _asked(True),
    "non_thinking": _asked(False),
    "tools": _tools,
}


def _answered(chat: ChatModel, prompts: Sequence[list[int]]) -> list[list[int]]:
    """Prompts, and what the source says to them: where a model is used, it is compared. Too long ones are left out."""
    room = chat.context_length - ANSWER
    fitting = [ids for ids in prompts if len(ids) <= room]
    if not fitting:
        raise SansiError(f"its context of {chat.context_length} tokens has no room for the prompts")
    params = SamplingParams(temperature=0.0, max_tokens=ANSWER, stop_ids=chat.codec.stop_ids)
    return answered(chat, fitting, params)
