"""What a caller may ask of a chat beyond sampling: each option does what it says, alone and with the others."""

from __future__ import annotations

import dataclasses

import pytest
from asking import ASK, PLACE, collected, fits, schema, tool
from sansi.base.errors import SansiError
from sansi.chat import ChatOptions, ChatResult, TextResult, Tokens
from sansi.chat.presets import EFFORTS
from sansi.text import Content, Reasoning

# --- stop strings ----------------------------------------------------------------------------------------------------


def test_a_stop_string_ends_the_answer_and_not_the_thought(scripted):
    scripted.say("The answer is one", "The answer is 2. The end")
    plain, cut = scripted.complete(ASK), scripted.complete(ASK, ChatOptions(stop=["end", "is 2"]))
    assert cut.message.reasoning_content == plain.message.reasoning_content == "The answer is one"
    assert (cut.message.content, cut.finish_reason, cut.stop) == ("The answer ", "stop", "is 2")
    assert plain.stop is None and cut.usage.completion_tokens < plain.usage.completion_tokens
    assert cut.ids == plain.ids[: len(cut.ids)], "the engine ends with the token that completes the stop string"
    assert cut.message.ids is None, "they would say more than the text"


def test_stop_strings_are_the_same_in_a_stream(scripted):
    scripted.say("one", "The answer is 2. The answer")
    options = ChatOptions(stop=["2. T"], seed=1)
    *events, last = collected(scripted.stream(ASK, options))
    assert "".join(e.text for e in events if isinstance(e, Content)) == last.message.content == "The answer is "
    whole = scripted.complete(ASK, options)
    assert (whole.ids, whole.usage.completion_tokens) == (last.ids, last.usage.completion_tokens)


def test_a_stop_string_in_a_call_that_was_cut_off_hides_no_limit(scripted, codec):
    """Such a call becomes text, but only once it is known to be cut off."""
    scripted.model.script = [
        codec.control.think_end,
        codec.control.tool_call,
        *codec.tokenizer.encode("\n{" + " " * 60),
    ]
    tools = [{"type": "function", "function": {"name": "f"}}]
    result = scripted.complete(ASK, ChatOptions(stop=["{"], max_tokens=12, answer_reserve=0, tools=tools))
    assert (result.finish_reason, result.stop, result.message.content) == ("length", "{", "<tool_call>\n")


def test_stop_ids_end_the_completion_and_are_no_text(scripted, codec):
    (comma,) = codec.tokenizer.encode("?")
    scripted.say("one", "What is? The")
    result = scripted.complete(ASK, ChatOptions(stop_ids=(comma,)))
    assert (result.message.content, result.finish_reason, result.ids[-1]) == ("What is", "stop", comma)
    *events, last = collected(scripted.stream(ASK, ChatOptions(stop_ids=(comma,))))
    assert "".join(e.text for e in events if isinstance(e, Content)) == last.message.content == "What is"


def test_a_stop_id_that_closes_the_thought_closes_it(scripted, codec):
    scripted.say("one", "What is?")
    options = ChatOptions(stop_ids=(codec.control.think_end,), stream_tokens=True)
    for result in (scripted.complete(ASK, options), collected(scripted.stream(ASK, options))[-1]):
        assert (result.message.reasoning_content, result.message.content) == ("one", "")
        assert result.report.thinking_end_reason == "natural" and not result.problems
        assert result.ids[-1] == codec.control.think_end == result.message.ids[-1]


def test_what_a_stop_id_or_string_cuts_off_is_told_as_dropped(scripted, codec):
    scripted.say("one", "What is? The")
    for options in (ChatOptions(stop_ids=tuple(codec.tokenizer.encode("?"))), ChatOptions(stop=["?"])):
        *items, last = collected(scripted.stream(ASK, dataclasses.replace(options, stream_tokens=True, logprobs=True)))
        told = [pair for t in items if isinstance(t, Tokens) for pair in zip(t.ids, t.kinds, strict=True)]
        assert tuple(id_ for id_, _ in told) == last.ids
        assert [kind for _, kind in told].count("dropped") == 1 and told[-1][1] == "dropped"


# --- efforts and budgets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effort", EFFORTS)
def test_an_effort_is_a_budget_by_name(scripted, effort):
    scripted.say("one", "2")
    report = scripted.complete(ASK, ChatOptions(reasoning_effort=effort)).report
    assert report.budget_requested == EFFORTS[effort]
    assert report.mode == ("non-thinking" if effort == "none" else "thinking")


def test_an_explicit_budget_wins_over_an_effort(scripted):
    scripted.say("The answer is " * 9, "2")
    report = scripted.complete(ASK, ChatOptions(reasoning_effort="none", thinking_budget=5)).report
    assert (report.budget_requested, report.budget_applied, report.thinking_end_reason) == (5, 5, "budget")


def test_the_loop_breaker_can_be_left_out(scripted):
    scripted.say("is " * 200, "2")
    assert scripted.complete(ASK).report.thinking_end_reason == "loop"
    assert scripted.complete(ASK, ChatOptions(loop_breaker=False)).report.thinking_end_reason == "natural"


def test_speculation_changes_no_token(scripted):
    scripted.say("The answer is the answer is the answer is", "2")
    plain, fast = (scripted.complete(ASK, ChatOptions(speculation=n, seed=1)) for n in (0, 8))
    assert plain.ids == fast.ids


# --- unfinished turns -------------------------------------------------------------------------------------------------


def test_an_answer_is_gone_on_with_and_nothing_is_thought(untrained, codec):
    untrained.engine.model.model.embed_tokens.weight.data[codec.control.think] *= 50
    begun = [*ASK, {"role": "assistant", "content": "The answer", "reasoning_content": "one"}]
    result = untrained.complete(begun, ChatOptions(continue_final="answer", max_tokens=40, temperature=2.0))
    assert codec.tokenizer.decode(result.prompt_ids).endswith("</think>\n\nThe answer")
    assert codec.control.think not in result.ids and result.usage.reasoning_tokens == 0
    assert result.report.mode == "thinking" and result.message.reasoning_content is None


def test_a_thought_is_gone_on_with_and_its_given_part_counts(scripted, codec):
    given = "The answer is the answer is"
    begun = [*ASK, {"role": "assistant", "content": "", "reasoning_content": given}]
    scripted.say(" one", "2")
    result = scripted.complete(begun, ChatOptions(continue_final="thought"))
    assert (result.message.reasoning_content, result.message.content) == (" one", "2")
    used = len(codec.tokenizer.encode(given))
    cut = scripted.complete(begun, ChatOptions(continue_final="thought", thinking_budget=used))
    assert cut.report.thinking_end_reason == "budget"
    assert cut.usage.reasoning_tokens == 0 and cut.report.budget_applied == used
    scripted.say(" one" * 9, "2")
    more = scripted.complete(begun, ChatOptions(continue_final="thought", thinking_budget=used + 3))
    assert more.usage.reasoning_tokens == 3 and more.report.thinking_end_reason == "budget"


# --- streams of tokens ------------------------------------------------------------------------------------------------


def test_tokens_of_a_stream_are_those_of_the_result(scripted):
    scripted.say("one and one", "The answer is 2.")
    options = ChatOptions(stream_tokens=True, logprobs=True, top_logprobs=2, seed=1)
    items = collected(scripted.stream(ASK, options))
    tokens, last = [item for item in items if isinstance(item, Tokens)], items[-1]
    assert isinstance(last, ChatResult) and tokens[0].prompt_ids == last.prompt_ids
    assert tuple(id_ for some in tokens for id_ in some.ids) == last.ids
    assert tuple(value for some in tokens for value in some.logprobs or ()) == last.logprobs
    assert tuple(top for some in tokens for top in some.top_logprobs or ()) == last.top_logprobs
    decode = scripted.codec.tokenizer.decode

    def of(kind):
        return decode([i for some in tokens for i, k in zip(some.ids, some.kinds, strict=True) if k == kind])

    assert of("reasoning") == "one and one" and of("content") == "The answer is 2."
    assert of("other") == "</think>\n\n<|im_end|>"
    assert not any(isinstance(item, Tokens) for item in collected(scripted.stream(ASK)))


# --- plain text -------------------------------------------------------------------------------------------------------


def test_a_text_goes_on_without_a_template(scripted, codec):
    scripted.model.script = codec.tokenizer.encode(" is 2. The end")
    *events, last = collected(scripted.stream_text("The answer", ChatOptions(max_tokens=40)))
    assert isinstance(last, TextResult) and last.prompt_ids == tuple(codec.tokenizer.encode("The answer"))
    assert "".join(event.text for event in events) == last.text == " is 2. The end"
    assert (last.finish_reason, last.ids[-1]) == ("stop", codec.control.im_end)
    assert (last.report.preset, last.report.mode) == ("neutral", "non-thinking")
    cut = collected(scripted.stream_text("The answer", ChatOptions(max_tokens=40, stop=["The"])))[-1]
    assert (cut.text, cut.stop) == (" is 2. ", "The")


def test_tags_in_a_text_are_characters_and_ids_are_ids(scripted, codec):
    scripted.model.script = codec.tokenizer.encode("one")
    spelled = collected(scripted.stream_text("<think>\n"))[-1]
    assert codec.control.think not in spelled.prompt_ids and spelled.usage.reasoning_tokens == 0
    thought = codec.tokenizer.encode("one is one")
    scripted.model.script = [*thought, codec.control.think_end, *codec.tokenizer.encode("2")]
    opened = [codec.control.im_start, *codec.tokenizer.encode("assistant\n"), codec.control.think]
    *events, last = collected(scripted.stream_text(opened))
    assert last.text == "one is one</think>2" and not any(isinstance(event, Reasoning) for event in events)
    assert last.usage.reasoning_tokens == len(thought) and last.report.mode == "thinking"
    cut = collected(scripted.stream_text(opened, ChatOptions(thinking_budget=2)))[-1]
    assert cut.report.thinking_end_reason == "budget"


def test_a_text_can_be_bound_to_a_schema(untrained):
    options = ChatOptions(response_format=schema(PLACE), max_tokens=300, seed=1)
    assert fits(collected(untrained.stream_text("Where? ", options))[-1].text)


# --- wrong ------------------------------------------------------------------------------------------------------------

LOOKAROUND = {"type": "string", "pattern": "(?=a)b"}


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"stop": ["a"] * 65}, "stop"),
        ({"stop_ids": (10**9,)}, "stop_ids"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "f"}, "tool_choice"),
        ({"tool_choice": "h", "tools": [tool("f")]}, "tool_choice"),
        ({"tools": [tool("f", strict="yes")]}, "tools[0].function.strict"),
        ({"tools": [tool("f", True, {"type": "object", "not": {}})]}, "tools[0].function.parameters"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "jsn"}}, "response_format.type"),
        ({"response_format": {"type": "text", "schema": {}}}, "response_format.schema"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        ({"response_format": schema(5)}, "response_format.json_schema.schema"),
        ({"response_format": schema({"type": "wrong"})}, "response_format.json_schema.schema"),
        ({"response_format": schema(LOOKAROUND)}, "response_format.json_schema.schema"),
        ({"response_format": schema(PLACE), "continue_final": "answer"}, "response_format"),
        ({"continue_final": "answer"}, "continue_final"),
        ({"reasoning_effort": "most"}, "reasoning_effort"),
        ({"loop_breaker": 1}, "loop_breaker"),
        ({"parallel_tool_calls": None}, "parallel_tool_calls"),
        ({"speculation": 65}, "speculation"),
    ],
)
def test_wrong_options_name_their_field(untrained, options, param):
    for ask in (untrained.complete, untrained.stream):
        with pytest.raises(SansiError) as error:
            ask(ASK, ChatOptions(**options))
        assert error.value.param == param


@pytest.mark.parametrize(
    ("prompt", "options", "param"),
    [
        ("", {}, "prompt"),
        ([], {}, "prompt"),
        ([10**9], {}, "prompt"),
        ("word " * 3000, {}, "prompt"),
        ("x", {"tools": [tool("f")]}, "tools"),
        ("x", {"enable_thinking": False}, "enable_thinking"),
        ("x", {"continue_final": "answer"}, "continue_final"),
    ],
)
def test_wrong_texts_name_their_field(untrained, prompt, options, param):
    with pytest.raises(SansiError) as error:
        untrained.stream_text(prompt, ChatOptions(**options))
    assert error.value.param == param


# --- how long, and what is likely -------------------------------------------------------------------------------------


def test_the_end_of_the_turn_is_ignored_to_the_last_token(scripted, codec):
    scripted.say("one", "2")
    result = scripted.complete(ASK, ChatOptions(ignore_eos=True, max_tokens=60))
    assert (len(result.ids), result.finish_reason) == (60, "length") and not set(codec.stop_ids) & set(result.ids)
    assert result.message.content.startswith("2")
    text = collected(scripted.stream_text("The answer", ChatOptions(ignore_eos=True, max_tokens=60)))[-1]
    assert (len(text.ids), text.finish_reason) == (60, "length")
    scripted.model.script = []  # the end of the turn is all it wants, in its thought too
    result = scripted.complete(ASK, ChatOptions(ignore_eos=True, max_tokens=60))
    assert len(result.ids) == 60 and result.report.thinking_end_reason in ("reserve", "loop")


def test_where_the_turn_never_ends_the_users_stops_end_the_completion(scripted, codec):
    scripted.say("one", "2 and 3 and 4")
    cut = scripted.complete(ASK, ChatOptions(ignore_eos=True, max_tokens=60, stop=["3"]))
    assert (cut.message.content, cut.finish_reason, cut.stop) == ("2 and ", "stop", "3")
    last = codec.tokenizer.encode("2 and 3 and 4")[-1]
    assert scripted.complete(ASK, ChatOptions(ignore_eos=True, max_tokens=60, stop_ids=(last,))).ids[-1] == last


@pytest.mark.parametrize("way", [{"ignore_eos": True}, {"min_tokens": 190}])
def test_a_bound_answer_ends_where_it_is_complete(untrained, way):
    options = ChatOptions(response_format=schema(PLACE), max_tokens=200, enable_thinking=False, seed=1, **way)
    result = untrained.complete(ASK, options)
    assert result.finish_reason == "stop" and fits(result.message.content) and len(result.ids) < 190


def test_min_tokens_keep_the_turn_and_stop_strings_from_ending(scripted, codec):
    scripted.say("one", "2 and 3 and 4 and 3 and 5")
    stop, whole = ["3"], scripted.complete(ASK)
    first = scripted.complete(ASK, ChatOptions(stop=stop))
    assert first.message.content == "2 and "
    later = ChatOptions(stop=stop, min_tokens=len(first.ids), max_tokens=80, seed=1)
    *events, result = collected(scripted.stream(ASK, later))
    assert result.message.content == "2 and 3 and 4 and " and result.stop == "3"
    assert "".join(e.text for e in events if isinstance(e, Content)) == result.message.content
    again = scripted.complete(ASK, later)
    assert again == dataclasses.replace(result, usage=again.usage)
    assert len(scripted.complete(ASK, ChatOptions(stop=stop, min_tokens=60, max_tokens=80)).ids) >= 60
    longer = scripted.complete(ASK, ChatOptions(min_tokens=len(whole.ids) + 9, max_tokens=80))
    assert len(longer.ids) > len(whole.ids) + 9 and not set(codec.stop_ids) & set(longer.ids[: len(whole.ids) + 9])


def test_a_bias_reaches_the_answer_and_not_what_limits_it(scripted, codec):
    scripted.say("one", "2")
    three = codec.tokenizer.encode("3")[0]
    result = scripted.complete(ASK, ChatOptions(logit_bias={three: 100.0}, enable_thinking=False, max_tokens=5))
    assert result.message.content == "33333"
    closing = scripted.complete(ASK, ChatOptions(logit_bias={codec.control.think: 100}, enable_thinking=False))
    assert codec.control.think not in closing.ids
    for bias in ({10**6: 1}, {three: 101}, {three: "much"}, [three]):
        with pytest.raises(SansiError) as caught:
            scripted.complete(ASK, ChatOptions(logit_bias=bias))
        assert caught.value.param == "logit_bias"


def test_a_prompt_is_scored_without_an_answer(scripted, codec):
    options = ChatOptions(max_tokens=0, prompt_logprobs=True, prompt_top_logprobs=3)
    *_, text = collected(scripted.stream_text("The answer is", options))
    assert (text.text, text.ids, text.finish_reason, text.usage.completion_tokens) == ("", (), "length", 0)
    assert len(text.prompt_logprobs) == len(text.prompt_ids) and text.prompt_logprobs[0] is None
    assert [len(best) for best in text.prompt_top_logprobs] == [0] + [3] * (len(text.prompt_ids) - 1)
    result = scripted.complete(ASK, options)
    assert len(result.prompt_logprobs) == len(result.prompt_ids) and result.message.content == "" and result.ids == ()
    for wrong in ({"max_tokens": 0}, {"min_tokens": 5, "max_tokens": 4}, {"min_tokens": -1}, {"ignore_eos": 1}):
        with pytest.raises(SansiError) as caught:
            scripted.complete(ASK, ChatOptions(**wrong))
        assert caught.value.param == next(iter(wrong))
    with pytest.raises(SansiError, match="prompt_logprobs"):
        scripted.complete(ASK, ChatOptions(prompt_top_logprobs=3))
