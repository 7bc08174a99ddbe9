"""A model of another family in a ChatModel: its template, its ends, and no thinking mode."""

import asyncio

import pytest
from sansi.base import SansiError
from sansi.chat import ChatModel, ChatOptions, Presets
from sansi.engine import Engine
from sansi.model import ModelConfig
from sansi.text import Content, open_codec
from sansi.text.foreign_codec import NO_THOUGHTS
from scripted_model import Scripted

from foreign_models import ASKED, TOOL, write_family


def chat_of(folder, family):
    codec = open_codec(write_family(folder, family))
    config = ModelConfig.preset("nano", vocab_size=codec.vocab_size, num_hidden_layers=1, hidden_size=32)
    model = Scripted(config, codec.stop_ids[0])
    chat = ChatModel(Engine(model, prefix_cache=False, max_prefill_tokens=4096), codec, family)

    def say(text):
        model.script = codec.tokenizer.encode_parts(codec.tokenizer.split_added(text))

    chat.say = say
    return chat


@pytest.fixture(scope="module")
def chats(tmp_path_factory):
    made = {family: chat_of(tmp_path_factory.mktemp(family), family) for family in ("chatml", "headers", "tagged")}
    made["always"] = chat_of(tmp_path_factory.mktemp("always"), "always")
    yield made
    for chat in made.values():
        chat.close()


@pytest.mark.parametrize("family", ["chatml", "headers", "tagged"])
def test_it_answers_at_once_and_says_so_where_a_thought_was_asked_for(chats, family):
    chat = chats[family]
    chat.say("The answer is 2.")
    told = chat.complete(ASKED, ChatOptions(max_tokens=40))
    assert (told.message.content, told.message.reasoning_content, told.finish_reason) == (
        "The answer is 2.",
        None,
        "stop",
    )
    assert (told.report.mode, told.report.warnings, told.report.answer_reserve) == ("non-thinking", (), 0)
    for asked in ({"enable_thinking": True}, {"thinking_budget": 8}, {"reasoning_effort": "low"}):
        assert chat.complete(ASKED, ChatOptions(max_tokens=40, **asked)).report.warnings == (NO_THOUGHTS,), asked
    for asked in ({"enable_thinking": False}, {"thinking_budget": 0}, {"reasoning_effort": "none"}):
        assert chat.complete(ASKED, ChatOptions(max_tokens=40, **asked)).report.warnings == (), asked


def test_calls_are_read_where_the_template_knows_tools(chats):
    options = ChatOptions(max_tokens=60, tools=[TOOL])
    chats["tagged"].say('<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>')
    chats["headers"].say('{"name": "add", "parameters": {"a": 1}}')
    for family in ("tagged", "headers"):
        told = chats[family].complete(ASKED, options)
        assert told.finish_reason == "tool_calls", family
        assert [(call.name, call.arguments) for call in told.message.tool_calls] == [("add", '{"a": 1}')], family
        answered = [
            *ASKED,
            told.message,
            {"role": "tool", "tool_call_id": told.message.tool_calls[0].id, "content": "2"},
        ]
        assert chats[family].prompt_ids(answered, options)
    with pytest.raises(SansiError, match="knows no tools"):
        chats["chatml"].complete(ASKED, options)
    with pytest.raises(SansiError, match="without tags"):
        chats["headers"].complete(ASKED, ChatOptions(max_tokens=60, tools=[TOOL], tool_choice="required"))


def test_formats_bind_the_answer(chats):
    chats["headers"].say("no JSON at all")
    told = chats["headers"].complete(ASKED, ChatOptions(max_tokens=40, response_format={"type": "json_object"}))
    assert told.message.content.startswith("{")


def test_a_thought_of_a_template_that_always_opens_one_is_bounded(chats):
    chat = chats["always"]
    chat.say("1 + 1 is what I was asked, and so on, for long.</think>2")
    told = chat.complete(ASKED, ChatOptions(max_tokens=200, thinking_budget=4))
    assert (told.report.mode, told.report.thinking_end_reason, told.usage.reasoning_tokens) == ("thinking", "budget", 4)


def test_a_text_is_gone_on_with(chats):
    chats["chatml"].say(" and more")

    async def written():
        events = chats["chatml"].stream_text("What", ChatOptions(max_tokens=20))
        return "".join([event.text async for event in events if isinstance(event, Content)])

    assert asyncio.run(written()) == " and more"


def test_sampling_is_what_the_folder_says(tmp_path):
    assert Presets.from_pretrained(tmp_path, foreign=True).source == "general"
    (tmp_path / "generation_config.json").write_text('{"temperature": 0.2, "top_p": 0.5, "top_k": null}')
    found = Presets.from_pretrained(tmp_path, foreign=True)
    assert (found.non_thinking.temperature, found.non_thinking.top_p, found.source) == (
        0.2,
        0.5,
        "generation_config.json",
    )
    assert Presets.from_pretrained(tmp_path).non_thinking.temperature == 0.7
