"""What a grammar of tool calls allows is what the codec reads as a tool call."""

from __future__ import annotations

import json
from pathlib import Path

from sansi.chat.grammar import grammar_compiler
from sansi.engine import Engine, SamplingParams
from sansi.text import Codec

NANO = Path(__file__).parents[2] / "checkpoints" / "nano"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "", "parameters": PARAMETERS}}]


def test_forced_tool_calls_are_executable():
    """The bundled model has never seen a tool; every call it is made to write is whole, known and typed."""
    codec = Codec.from_pretrained(NANO)
    control = codec.tokenizer.control
    grammar = grammar_compiler(codec).tool_calls(
        {"weather": PARAMETERS}, control.tool_call, control.tool_call_end, "required", parallel=False
    )
    prompt = codec.render([{"role": "user", "content": "Weather?"}], tools=TOOLS, enable_thinking=False)
    with Engine.from_pretrained(NANO, device="cpu", memory=150_000_000) as engine:
        for seed in range(4):
            params = SamplingParams(seed=seed, max_tokens=200, stop_ids=codec.stop_ids, grammar=grammar, speculation=4)
            found = engine.generate([prompt.ids], params)[0]
            message = codec.parse(prompt, found.ids)
            assert found.finish_reason == "stop" and not message.content
            (call,) = message.tool_calls
            assert call.executable and call.name == "weather" and json.loads(call.arguments)["city"] in ("Oslo", "Rome")
