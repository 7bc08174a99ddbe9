"""The agent over the real codec, and over a real (untrained) chat model: what it sends is what the model reads."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from sansi.agents import Agent, Tool, calculator
from sansi.base import SansiError
from sansi.chat import ChatModel, ChatOptions
from sansi.client import InProcessChatClient
from sansi.engine import Engine
from sansi.model import ModelConfig, Transformer
from sansi.text import Codec, Tokenizer

QUESTION = [{"role": "user", "content": "What is 17 * 23?"}]


@pytest.fixture(scope="module")
def codec():
    return Codec(Tokenizer.train(["What is 17 * 23? The answer is 391."] * 3, 320))


@dataclass(frozen=True)
class Report:
    mode: str = "thinking"


class ScriptedChat:
    """Renders what it is asked and parses what it is told to say, as `sansi.chat` does; no model between the two."""

    def __init__(self, codec, *turns):
        self.codec, self.turns, self.prompts = codec, list(turns), []

    def complete(self, messages, options):
        prompt = self.codec.render(messages, tools=options.tools, open_thought=True)
        self.prompts.append(prompt.text)
        message = self.codec.parse(prompt, self._ids(self.turns.pop(0)))
        usage = SimpleNamespace(prompt_tokens=len(prompt.ids), completion_tokens=1, reasoning_tokens=1)
        reason = "tool_calls" if message.tool_calls else "stop"
        return SimpleNamespace(message=message, finish_reason=reason, usage=usage, report=Report())

    def _ids(self, parts):
        control = self.codec.tokenizer.control
        return [i for part in parts for i in ([getattr(control, part[1:])] if part[0] == "@" else self._encode(part))]

    def _encode(self, text):
        return self.codec.tokenizer.encode(text)


def test_the_model_reads_its_call_its_thought_and_the_observation(codec):
    call = '\n{"name": "calculator", "arguments": {"expression": "17*23"}}\n'
    chat = ScriptedChat(
        codec,
        ["multiply first", "@think_end", "\n\n", "@tool_call", call, "@tool_call_end", "@im_end"],
        ["I have it", "@think_end", "\n\n391", "@im_end"],
    )
    run = Agent(InProcessChatClient(chat, ChatOptions()), [Tool.from_function(calculator)]).run(QUESTION)
    assert (run.answer, run.stopped_reason) == ("391", "answer")
    assert [record.observation for record in run.calls] == ["391"]
    first, second = chat.prompts
    assert '"name": "calculator"' in first
    assert second.startswith(first)  # append-only within the turn: the prefix cache holds
    assert "multiply first" in second
    assert "<tool_response>\n391\n</tool_response>" in second


def test_an_untrained_chat_model_ends_its_run(codec):
    torch.manual_seed(0)
    config = ModelConfig.preset(
        "nano", vocab_size=codec.tokenizer.vocab_size, num_hidden_layers=1, hidden_size=32, max_position_embeddings=4096
    )
    with ChatModel(Engine(Transformer(config)), codec, "untrained") as chat:
        client = InProcessChatClient(chat, ChatOptions(max_tokens=8, enable_thinking=False, seed=1))
        run = Agent(client, [Tool.from_function(calculator)], max_calls=2).run(QUESTION)
        assert run.stopped_reason in ("answer", "length")
        assert 0 < run.usage.completion_tokens <= 8
        with pytest.raises(SansiError, match="budget"):
            client.complete(run.messages[:1], thinking_budget=-1)
        reply = client.complete(run.messages[:1])
        assert reply.report["mode"] == "non-thinking"
