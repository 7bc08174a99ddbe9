"""An assistant's turn that is not finished is gone on with where it stands: its answer, or its open thought."""

from __future__ import annotations

import pytest
from chat_strategies import TOOLS, completions, conversations, modes, texts
from conversations import assistant, tiny_codec, tool, user
from hypothesis import assume, given
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.text import Content, Message, Reasoning, ToolCall

CODEC = tiny_codec()
ASK = [user("What is 17 + 24?")]
histories = st.sampled_from(["official", "keep"])
thoughts = texts.filter(lambda text: text.strip("\n"))


def continued(chat, part="answer", **options):
    return CODEC.render(chat, continue_final=part, **options)


def turn(prompt):
    """The text of the last turn."""
    return prompt.text.rpartition("<|im_start|>assistant\n")[2]


def test_the_turn_stands_as_a_finished_one_would():
    assert turn(continued([*ASK, assistant("It is")])) == "<think>\n\n</think>\n\nIt is"
    assert turn(continued([*ASK, assistant("It is", "41?")])) == "<think>\n41?\n</think>\n\nIt is"
    assert turn(continued([*ASK, assistant("", "First, ")], "thought")) == "<think>\nFirst, "
    assert turn(continued([*ASK, assistant("<think>\n41?\n</think>\n\nIt is")])) == "<think>\n41?\n</think>\n\nIt is"


def test_the_mode_is_that_of_the_turn():
    assert continued([*ASK, assistant("It is", "41?")]).mode.thinking
    without = continued([*ASK, assistant("It is")])
    assert (without.mode.thinking, without.mode.source, without.thought_open) == (False, "request", False)
    assert continued([*ASK, assistant("", "First")], "thought").thought_open
    assert continued([user("Sum? /no_think"), assistant("It is")]).mode.source == "soft_switch"


@given(conversations(), texts, texts, st.none() | thoughts, histories, modes)
def test_what_is_given_and_what_is_added_is_the_whole(chat, start, rest, thought, history, mode_options):
    assume(thought is None or mode_options["enable_thinking"] is not False)

    def text(answer):
        return continued([*chat, user("Sum? /think"), assistant(answer, thought or "")], **options).text

    options = {"history": history, **mode_options}
    assert text(start) + (rest if start.strip("\n") else rest.lstrip("\n")) == text(start + rest)
    finished = CODEC.render(
        [*chat, user("Sum? /think"), assistant(start, thought or "")], add_generation_prompt=False, **options
    )
    assert text(start) + "<|im_end|>\n" == finished.text or history == "keep"


@given(conversations(), texts, texts, histories, st.sampled_from([None, True]))
def test_a_thought_and_what_is_added_is_the_whole(chat, start, rest, history, enable_thinking):
    def text(thought):
        unfinished = [*chat, user("Sum? /think"), assistant("", thought)]
        return continued(unfinished, "thought", history=history, enable_thinking=enable_thinking).text

    assert text(start) + (rest if start.strip("\n") else rest.lstrip("\n")) == text(start + rest)


@given(conversations(), texts, st.none() | thoughts, histories, modes, st.booleans())
def test_the_ids_begin_with_the_prompt_that_the_turn_was_asked_with(chat, text, thought, history, mode_options, opens):
    options = {"history": history, "tools": TOOLS, "open_thought": True, **mode_options}
    asked = [*chat, user("Sum?")]
    prompt = CODEC.render(asked, **options)
    assume(bool(thought) == prompt.mode.thinking and prompt.mode.source != "model")
    part = "thought" if opens and thought else "answer"
    whole = continued([*asked, assistant("" if part == "thought" else text, thought or "")], part, **options)
    assert whole.ids[: len(prompt.ids)] == prompt.ids
    assert CODEC.tokenizer.decode(whole.ids) == whole.text or not whole.text.isascii()
    assert [span.start for span in whole.spans] == [0, *(span.end for span in whole.spans[:-1])]
    assert whole.spans[-1].end == len(whole.ids) and whole.spans[-1].message == len(asked)
    assert not any(whole.loss_mask[len(prompt.ids) :])


@given(completions(), completions(), histories)
def test_a_turn_with_its_ids_goes_on_after_the_last_of_them(first, more, history):
    """Token in, token out: the prompt is the old prompt and what was written; parsing the rest loses no character."""
    prompt = CODEC.render(ASK, history=history, open_thought=True)
    first, more = ([t for t in ids if t not in CODEC.stop_ids] for ids in (first, more))
    message = CODEC.parse(prompt, first)
    tags = [t for t in first if t in (CODEC.control.think, CODEC.control.think_end)]
    part = "answer" if CODEC.control.think_end in first else "thought"
    assume(not message.tool_calls and (tags[-1:] == [CODEC.control.think] or not tags) == (part == "thought"))
    again = continued([*ASK, message], part, history=history)
    assert again.ids == [*prompt.ids, *first]
    parser = CODEC.parser(again)
    parser.feed(more)
    parser.finish()
    assert "".join(piece.text for piece in parser.trace) == CODEC.tokenizer.decode(more)


def test_line_breaks_after_the_start_belong_to_the_text():
    parser = CODEC.parser(continued([*ASK, assistant("It is")]))
    assert parser.feed_text("\n\n41") == [Content("\n\n41")]
    parser = CODEC.parser(continued([*ASK, assistant("", "First")], "thought"))
    assert parser.feed_text("\n\nthen</think>\n\n41") == [Reasoning("\n\nthen"), Content("41")]
    parser = CODEC.parser(continued([*ASK, assistant("", "")], "thought"))
    assert parser.feed_text("\n\nthen") == [Reasoning("then")]
    parser = CODEC.parser(continued([*ASK, assistant("")]))
    assert parser.feed_text("\n\n41") == [Content("41")]


@pytest.mark.parametrize(
    ("chat", "part", "options", "param"),
    [
        (ASK, "answer", {}, "continue_final"),
        ([assistant("It")], "answer", {}, "messages"),
        ([*ASK, assistant("It")], "all", {}, "continue_final"),
        ([*ASK, assistant("It", "why")], "thought", {}, "messages[1].content"),
        ([*ASK, assistant("", None, [("add", {})])], "answer", {}, "messages[1].tool_calls"),
        ([*ASK, assistant("", None, [("add", {})]), tool("3")], "answer", {}, "continue_final"),
        ([*ASK, assistant("", "why")], "thought", {"enable_thinking": False}, "messages[1].reasoning_content"),
        ([*ASK, assistant("It", "why")], "answer", {"enable_thinking": False}, "messages[1].reasoning_content"),
        ([user("x /no_think"), assistant("", "why")], "thought", {}, "messages[1].reasoning_content"),
        ([*ASK, Message("assistant", "a", ids=(5,), prefill=())], "thought", {}, "continue_final"),
        (
            [*ASK, Message("assistant", "a", tool_calls=(ToolCall("1", "f", "{}"),))],
            "answer",
            {},
            "messages[1].tool_calls",
        ),
    ],
)
def test_turns_that_cannot_be_gone_on_with(chat, part, options, param):
    with pytest.raises(SansiError) as caught:
        continued(chat, part, **options)
    assert caught.value.param == param
