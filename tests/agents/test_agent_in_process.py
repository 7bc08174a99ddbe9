"""The agent over the real codec, and over a real (untrained) chat model: what it sends is what the model reads."""

import json
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
        self.codec, self.turns, self.prompts, self.read, self.written = codec, list(turns), [], [], []

    def complete(self, messages, options):
        thinking = False if options.thinking_budget == 0 else None
        prompt = self.codec.render(
            messages, tools=options.tools, open_thought=True, history=options.history, enable_thinking=thinking
        )
        self.prompts.append(prompt.text)
        ids = self._ids(self.turns.pop(0))
        self.read.append(prompt.ids)
        self.written.append(ids)
        message = self.codec.parse(prompt, ids)
        usage = SimpleNamespace(prompt_tokens=len(prompt.ids), completion_tokens=1, reasoning_tokens=1)
        reason = "tool_calls" if message.tool_calls else "stop"
        return SimpleNamespace(
            message=message, finish_reason=reason, usage=usage, report=Report(), prompt_ids=tuple(prompt.ids)
        )

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


THOUGHTS = [
    "multiply first",
    "  spaced,\n\nin two parts ",
    "三思\n- 而\n- 行",
    "\tx = 1\n",
    "say <|im_end|> or </tool_call>",
]


def calls(thought, *expressions):
    parts = [thought, "@think_end", "\n\n"] if thought is not None else []
    for i, expression in enumerate(expressions):
        call = json.dumps({"name": "calculator", "arguments": {"expression": expression}})
        parts += ["\n"] * (i > 0) + ["@tool_call", f"\n{call}\n", "@tool_call_end"]
    return [*parts, "@im_end"]


@pytest.mark.parametrize("thought", THOUGHTS)
@pytest.mark.parametrize("history", ["official", "keep"])
def test_what_one_step_read_begins_what_the_next_one_reads_id_by_id(codec, history, thought):
    answer = [thought, "@think_end", "\n\nso it is", "@im_end"]
    steps = [calls(thought, "17*23"), calls(thought, "1+1", "2+2"), calls(thought, "1/0"), answer]
    chat = ScriptedChat(codec, *steps)
    agent = Agent(InProcessChatClient(chat, ChatOptions(history=history)), [Tool.from_function(calculator)])
    events = list(agent.stream(QUESTION))
    run = events[-1].run
    assert (run.stopped_reason, run.answer, len(run.calls)) == ("answer", "so it is", 4)
    for read, written, following in zip(chat.read, chat.written, chat.read[1:], strict=False):
        assert following[: len(read)] == read
        if history == "keep":  # and what it wrote, as it wrote it
            assert following[: len(read) + len(written)] == [*read, *written]
    replies = [event for event in events if event.kind == "reply"]
    assert [list(reply.prompt_ids) for reply in replies] == chat.read  # what a transcript keeps
    assert [[*reply.ids, codec.control.im_end] for reply in replies] == chat.written


def test_thoughts_stand_within_the_turn_and_go_after_it(codec):
    chat = ScriptedChat(codec, calls("first", "1+1"), ["second", "@think_end", "\n\n2", "@im_end"], ["x", "@im_end"])
    agent = Agent(InProcessChatClient(chat, ChatOptions()), [Tool.from_function(calculator)])
    run = agent.run(QUESTION)
    assert "<think>\nfirst\n</think>" in chat.prompts[1]
    agent.run([*run.messages, {"role": "user", "content": "Sure?"}])
    assert "first" not in chat.prompts[2] and "second" not in chat.prompts[2]


def test_a_step_without_a_budget_left_keeps_the_thoughts_of_the_turn(codec):
    chat = ScriptedChat(codec, calls("first", "1+1"), calls(None, "2+2"), ["\n\n4", "@im_end"])
    agent = Agent(
        InProcessChatClient(chat, ChatOptions()), [Tool.from_function(calculator)], thinking_budget=1, max_calls=1
    )
    run = agent.run(QUESTION)
    assert "first" in chat.prompts[1] and chat.prompts[1].endswith("<think>\n\n</think>\n\n")
    assert run.report.granted_by_step[0] == 0


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
