"""Conversations of one's own become samples: every answer learned once, every bad line named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sansi.base import SansiError
from sansi.post.conversations import apart_from, read_conversations
from tiny_policy import make_codec

HELLO = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day."}]
THOUGHT = [HELLO[0], {**HELLO[1], "reasoning_content": "A greeting."}]


@pytest.fixture(scope="module")
def codec():
    return make_codec()


def written(folder: Path, *lines: Any) -> Path:
    file = folder / "chats.jsonl"
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return file


def learned(codec, sample) -> str:
    return codec.tokenizer.decode([i for i, own in zip(sample.ids, sample.loss_mask, strict=True) if own])


def test_each_answer_is_learned_as_it_is_served(codec, tmp_path):
    more = [*HELLO, {"role": "user", "content": "And now?"}, {"role": "assistant", "content": "Goodbye."}]
    tools = [{"name": "clock", "description": "Tells the time.", "parameters": {"type": "object", "properties": {}}}]
    call = {"name": "clock", "arguments": {}}
    used = [
        HELLO[0],
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function", "function": call}]},
        {"role": "tool", "tool_call_id": "1", "content": "noon"},
        {"role": "assistant", "content": "It is noon."},
    ]
    file = written(
        tmp_path,
        {"messages": HELLO, "metadata": {"from": "me"}},
        {"messages": THOUGHT},
        {"messages": more},
        {"messages": used, "tools": tools},
    )
    found = read_conversations(file, codec)
    texts = [[learned(codec, sample) for sample in one.samples] for one in found]
    assert texts[0] == ["Good day.<|im_end|>"]  # no thought: its empty block is prefilled
    assert texts[1] == ["<think>\nA greeting.\n</think>\n\nGood day.<|im_end|>"]
    assert texts[2] == ["Good day.<|im_end|>", "Goodbye.<|im_end|>"]
    assert sum(text.count("<|im_end|>") for text in texts[3]) == 2 and "clock" in "".join(texts[3])
    assert [one.text for one in found[:1]] == ["Hello\nGood day."]


def test_a_switch_in_the_text_decides(codec, tmp_path):
    asked = [{"role": "user", "content": "Hello /no_think"}, HELLO[1]]
    (one,) = read_conversations(written(tmp_path, {"messages": asked}), codec)
    assert [learned(codec, sample) for sample in one.samples] == ["Good day.<|im_end|>"]


def test_every_bad_line_is_named(codec, tmp_path):
    file = written(
        tmp_path,
        {"messages": HELLO},
        "{",
        {"mesages": HELLO},
        {"messages": HELLO[:1]},
        {"messages": [{"role": "usr", "content": "x"}, HELLO[1]]},
        {"messages": HELLO, "enable_thinking": "yes"},
        {"messages": HELLO, "metadata": 1},
        {"messages": THOUGHT, "enable_thinking": False},
        {"messages": HELLO, "tools": 3},
        {"messages": "hello"},
    )
    with pytest.raises(SansiError) as caught:
        read_conversations(file, codec)
    told = str(caught.value)
    for number, words in {
        2: "not JSON",
        3: 'unknown field "mesages"; did you mean "messages"?',
        4: "the last of the messages is the user's; it must be the assistant's answer",
        5: "messages[0].role",
        6: "\"enable_thinking\" must be true or false, not 'yes'",
        7: '"metadata" must be an object',
        8: "messages[1]",
        9: "tools must be a list",
        10: "messages must be a list",
    }.items():
        line = next(
            part for part in told.split("; line ") if part.removeprefix(f"{file}: line ").startswith(f"{number}:")
        )
        assert words in line, line
    assert "line 1:" not in told
    with pytest.raises(SansiError, match="it holds no conversations"):
        read_conversations(written(tmp_path), codec)


def test_what_an_evaluation_asks_is_left_out(codec, tmp_path):
    question = "A farmer has seventeen sheep and buys twenty four more at the market on Monday. How many has he now?"
    asked = [{"role": "user", "content": question}, {"role": "assistant", "content": "41"}]
    found = read_conversations(written(tmp_path, {"messages": HELLO}, {"messages": asked}), codec)
    assert [one.text for one in apart_from(found, [question])] == ["Hello\nGood day."]
