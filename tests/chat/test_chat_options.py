"""What a caller may ask of a chat beyond sampling: each option does what it says, alone and with the others."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import jsonschema_rs
import pytest
from sansi.base.errors import SansiError
from sansi.chat import ChatOptions, ChatResult, TextResult, Tokens
from sansi.chat.presets import EFFORTS
from sansi.text import Content, Reasoning

ASK = [{"role": "user", "content": "What is 1 + 1?"}]
PLACE = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Rome"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


def tool(name, strict=None, parameters=PLACE):
    function = {"name": name, "parameters": parameters}
    return {"type": "function", "function": function if strict is None else function | {"strict": strict}}


def schema(wanted, strict=True):
    return {"type": "json_schema", "json_schema": {"name": "place", "schema": wanted, "strict": strict}}


def fits(text, wanted=PLACE):
    return jsonschema_rs.is_valid(wanted, json.loads(text))


def collected(stream):
    async def collect():
        return [item async for item in stream]

    return asyncio.run(collect())


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


# --- tools and formats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thought", ["one", None])
def test_with_tool_choice_none_the_model_sees_the_tools_and_calls_none(scripted, codec, thought):
    call = [codec.control.tool_call, *codec.tokenizer.encode('\n{"name": "f", "arguments": {}}\n')]
    closed = [] if thought is None else [*codec.tokenizer.encode(thought), codec.control.think_end]
    scripted.model.script = closed + call
    options = ChatOptions(tools=[tool("f")], max_tokens=60, seed=0)
    free = scripted.complete(ASK, options)
    assert codec.control.tool_call in free.ids
    bound = scripted.complete(ASK, dataclasses.replace(options, tool_choice="none"))
    assert codec.control.tool_call not in bound.ids and not bound.message.tool_calls
    assert bound.prompt_ids == free.prompt_ids


@pytest.mark.parametrize(("choice", "names"), [("required", {"f", "g"}), ("g", {"g"})], ids=["required", "named"])
@pytest.mark.parametrize("mode", [{"enable_thinking": False}, {"thinking_budget": 6}], ids=["direct", "thinking"])
def test_a_model_of_random_words_can_be_made_to_call(untrained, choice, names, mode):
    options = [
        ChatOptions(tools=[tool("f"), tool("g")], tool_choice=choice, max_tokens=400, seed=n, **mode) for n in range(4)
    ]
    for result in untrained.complete_batch([ASK] * 4, options):
        assert result.finish_reason == "tool_calls" and not result.message.content
        calls = result.message.tool_calls
        assert all(call.executable and call.name in names and fits(call.arguments) for call in calls)
        assert len(calls) == 1 or choice == "required"
        assert result.report.thinking_end_reason == (None if "enable_thinking" in mode else "budget")


def calls_of(codec, *arguments):
    """What the model writes to call f so often."""
    script = [codec.control.think_end]
    for text in arguments:
        body = codec.tokenizer.encode(f'\n{{"name": "f", "arguments": {text}}}\n')
        between = codec.tokenizer.encode("\n") if len(script) > 1 else []
        script += [*between, codec.control.tool_call, *body, codec.control.tool_call_end]
    return script


ONE, SAME, OTHER = ('{"city": "Oslo", "days": 1}', '{"days": 1, "city": "Oslo"}', '{"city": "Rome", "days": 1}')


@pytest.mark.parametrize("more", [{}, {"stop": ["never"]}, {"speculation": 4}], ids=["plain", "stop", "speculation"])
def test_equal_calls_without_end_end_the_turn(scripted, codec, more):
    scripted.model.script = calls_of(codec, ONE, OTHER, SAME, ONE, *[ONE] * 50)
    options = ChatOptions(tools=[tool("f")], max_tokens=2000, **more)
    result = scripted.complete(ASK, options)
    assert [call.arguments for call in result.message.tool_calls] == [ONE, OTHER, SAME, ONE]
    assert (result.finish_reason, result.problems, result.stop) == ("tool_calls", ("repeated_calls",), None)
    *_, last = collected(scripted.stream(ASK, options))
    assert (last.finish_reason, last.problems, last.ids) == (result.finish_reason, result.problems, result.ids)


def test_calls_that_differ_are_as_many_as_the_model_wants(scripted, codec):
    wanted = [f'{{"city": "Oslo", "days": {n}}}' for n in range(1, 6)]
    free = tool("f", parameters={"type": "object"})
    scripted.model.script = calls_of(codec, *wanted, ONE.replace("1", "2"))
    result = scripted.complete(ASK, ChatOptions(tools=[free], max_tokens=2000))
    assert len(result.message.tool_calls) == 6 and not result.problems


def test_a_bound_turn_has_a_limit_of_calls_and_says_so(scripted, codec, monkeypatch):
    for module in ("sansi.engine.grammar", "sansi.chat.model"):
        monkeypatch.setattr(f"{module}.MAX_CALLS", 4)  # sixteen are more than this model's context holds
    wanted = [json.dumps({"n": n}) for n in range(40)]
    scripted.model.script = calls_of(codec, *wanted)
    counting = tool("f", parameters={"properties": {"n": {"type": "integer"}}})
    result = scripted.complete(ASK, ChatOptions(tools=[counting], tool_choice="required", max_tokens=3000))
    assert [call.arguments for call in result.message.tool_calls] == wanted[:4]
    assert (result.finish_reason, result.problems) == ("tool_calls", ("call_limit",))


def test_equal_calls_of_a_thought_are_its_plan_and_end_nothing(scripted, codec):
    scripted.model.script = [
        *calls_of(codec, *[ONE] * 5)[1:],
        codec.control.think_end,
        *codec.tokenizer.encode("1 + 1"),
    ]
    result = scripted.complete(ASK, ChatOptions(tools=[tool("f")], max_tokens=2000, loop_breaker=False))
    assert (result.message.content, result.finish_reason) == ("1 + 1", "stop")


def test_no_two_answers_have_a_call_of_the_same_id(scripted, codec):
    scripted.model.script = calls_of(codec, ONE, OTHER)
    options = ChatOptions(tools=[tool("f")], max_tokens=2000, seed=1)
    streams = scripted.streams(ASK, options, n=3)
    results = [*(collected(stream)[-1] for stream in streams), scripted.complete(ASK, options)]
    ids = [call.id for result in results for call in result.message.tool_calls]
    assert len(set(ids)) == len(ids) == 8


NOT_HELD = {
    "recursive": {"type": "object", "properties": {"city": {"type": "string"}, "next": {"$ref": "#"}}},
    "look-ahead": {"type": "object", "properties": {"city": {"type": "string", "pattern": "(?=O)Oslo"}}},
    "back-reference": {"type": "object", "properties": {"city": {"type": "string", "pattern": r"(Os)lo|\1"}}},
}


@pytest.mark.parametrize("name", NOT_HELD)
@pytest.mark.parametrize("choice", ["auto", "none", "required", "f"])
def test_a_tool_that_cannot_be_held_to_the_letter_fails_no_request(scripted, codec, name, choice):
    scripted.model.script = calls_of(codec, '{"city": "Oslo"}')
    tools = [tool("f", parameters=NOT_HELD[name]), tool("g", strict=True)]
    result = scripted.complete(ASK, ChatOptions(tools=tools, tool_choice=choice, max_tokens=300, seed=0))
    calls = result.message.tool_calls
    assert all(call.executable for call in calls) and bool(calls) == (choice != "none")
    if choice != "none" and name != "recursive":
        strict = [tool("f", strict=True, parameters=NOT_HELD[name])]
        with pytest.raises(SansiError, match=r"at properties.city: pattern .* cannot be enforced; leave strict out"):
            scripted.complete(ASK, ChatOptions(tools=strict, tool_choice=choice))


def test_a_tool_that_no_grammar_can_be_made_of_fails_no_request_among_others(scripted, codec):
    scripted.model.script = calls_of(codec, '{"city": "Oslo", "days": 1}')
    never = tool("g", parameters={"type": "object", "properties": {"x": {"enum": []}}, "required": ["x"]})
    result = scripted.complete(ASK, ChatOptions(tools=[tool("f", strict=True), never], max_tokens=300))
    assert [call.name for call in result.message.tool_calls] == ["f"]
    with pytest.raises(SansiError, match="no object can fit") as error:
        scripted.complete(ASK, ChatOptions(tools=[tool("f"), never], tool_choice="g"))
    assert error.value.param == "tools[1].function.parameters"


def test_a_tool_without_parameters_is_called_without_arguments(untrained):
    bare = [{"type": "function", "function": {"name": "f"}}]
    options = ChatOptions(tools=bare, tool_choice="f", enable_thinking=False, max_tokens=100, seed=0)
    (call,) = untrained.complete(ASK, options).message.tool_calls
    assert (call.arguments, call.executable) == ("{}", True)


@pytest.mark.parametrize("strict", [None, True])
def test_the_type_of_arguments_need_not_be_said(untrained, strict):
    parameters = {key: value for key, value in PLACE.items() if key != "type"}
    for seed in range(3):
        options = ChatOptions(
            tools=[tool("f", strict, parameters)], tool_choice="f", enable_thinking=False, max_tokens=200, seed=seed
        )
        (call,) = untrained.complete(ASK, options).message.tool_calls
        assert fits(call.arguments) and call.arguments == json.dumps(json.loads(call.arguments), ensure_ascii=False)


def test_without_parallel_calls_there_is_one(scripted, codec):
    one = [
        codec.control.tool_call,
        *codec.tokenizer.encode('\n{"name": "f", "arguments": {"city": "Oslo", "days": 1}}\n'),
        codec.control.tool_call_end,
    ]
    scripted.model.script = [codec.control.think_end, *one, *codec.tokenizer.encode("\n"), *one]
    options = ChatOptions(tools=[tool("f")])
    assert len(scripted.complete(ASK, options).message.tool_calls) == 2
    single = scripted.complete(ASK, dataclasses.replace(options, parallel_tool_calls=False))
    assert len(single.message.tool_calls) == 1 and single.finish_reason == "tool_calls"


def test_a_strict_tool_binds_the_arguments(scripted, codec):
    wrong = '\n{"name": "f", "arguments": {"city": "What", "days": 77}}\n'
    scripted.model.script = [
        codec.control.think_end,
        codec.control.tool_call,
        *codec.tokenizer.encode(wrong),
        codec.control.tool_call_end,
    ]
    free = scripted.complete(ASK, ChatOptions(tools=[tool("f")], max_tokens=300))
    assert free.problems == ("invalid_arguments",)
    for seed in range(3):
        bound = scripted.complete(ASK, ChatOptions(tools=[tool("f", strict=True)], max_tokens=300, seed=seed))
        (call,) = bound.message.tool_calls
        assert call.executable and fits(call.arguments)


@pytest.mark.parametrize("form", [schema(PLACE), schema(PLACE, strict=False)], ids=["strict", "lenient"])
@pytest.mark.parametrize("mode", [{"enable_thinking": False}, {"thinking_budget": 6}, {"thinking_budget": 40}])
def test_the_answer_fits_its_schema_and_the_thought_is_free(untrained, form, mode):
    options = [ChatOptions(response_format=form, max_tokens=400, seed=n, temperature=1.0, **mode) for n in range(3)]
    for result in untrained.complete_batch([ASK] * 3, options):
        assert result.finish_reason == "stop" and fits(result.message.content)
        assert bool(result.message.reasoning_content) == ("thinking_budget" in mode)


def test_a_bound_answer_comes_though_the_model_would_end_its_turn_in_the_thought(scripted):
    scripted.model.script = []  # the end of the turn is all it wants to say
    options = ChatOptions(response_format=schema(PLACE), thinking_budget=8, max_tokens=400, seed=0)
    assert fits(scripted.complete(ASK, options).message.content)
    assert scripted.complete(ASK, ChatOptions(thinking_budget=8)).report.thinking_end_reason == "end_of_turn"


def test_an_end_of_turn_in_the_thought_closes_it_and_an_answer_follows(scripted, codec):
    control, encode = codec.control, codec.tokenizer.encode
    thought, answer = encode("one + one"), encode("The answer is 2.")
    after = codec.thinking_ids.end_sequence[codec.thinking_ids.end_sequence.index(control.think_end) :]
    for end in codec.stop_ids:
        scripted.model.script = [*thought, end, *[control.im_end] * (len(after) - 1), *answer]
        for options in (ChatOptions(max_tokens=400), ChatOptions(max_tokens=400, stop_ids=(end,))):
            result = scripted.complete(ASK, options)
            assert (result.message.reasoning_content, result.message.content) == ("one + one", "The answer is 2.")
            assert (result.report.thinking_end_reason, result.finish_reason) == ("end_of_turn", "stop")
            assert result.usage.reasoning_tokens == len(thought) and not result.problems
            assert result.ids[len(thought) : len(thought) + len(after)] == after


@pytest.mark.parametrize("bound", [False, True])
def test_a_stop_id_of_the_users_ends_the_thought_and_the_completion_beside_a_format_too(scripted, codec, bound):
    scripted.say("one + two + three", '"yes"')
    stop = codec.tokenizer.encode("one + two + three")[4]
    form = schema({"enum": ["yes", "no"]}) if bound else None
    result = scripted.complete(ASK, ChatOptions(stop_ids=(stop,), response_format=form, max_tokens=200))
    assert (result.finish_reason, result.report.thinking_end_reason) == ("stop", "stop")
    assert "one + two + three".startswith(result.message.reasoning_content) and result.message.content == ""
    assert result.ids == (*codec.tokenizer.encode("one + two + three")[:4], stop)


def test_an_object_of_any_kind(scripted):
    scripted.say("one", "{}")
    assert (
        json.loads(scripted.complete(ASK, ChatOptions(response_format={"type": "json_object"})).message.content) == {}
    )
    scripted.say("one", "2")
    assert scripted.complete(ASK, ChatOptions(response_format={"type": "text"})).message.content == "2"


def test_a_schema_and_tools_together_give_one_or_the_other(untrained):
    kinds = set()
    options = [
        ChatOptions(tools=[tool("f")], response_format=schema(PLACE), max_tokens=400, seed=n, thinking_budget=4)
        for n in range(24)
    ]
    for result in untrained.complete_batch([ASK] * 24, options):
        calls = result.message.tool_calls
        assert result.finish_reason == ("tool_calls" if calls else "stop")
        assert all(call.executable for call in calls) if calls else fits(result.message.content)
        kinds.add(bool(calls))
    assert kinds == {True, False} or kinds == {False}


def test_a_stop_string_and_a_schema(untrained):
    options = ChatOptions(response_format=schema(PLACE), thinking_budget=4, max_tokens=400)
    result = untrained.complete(ASK, dataclasses.replace(options, stop=['"days"']))
    assert result.finish_reason == "stop" and result.stop == '"days"' and "days" not in result.message.content


@pytest.mark.parametrize(
    ("options", "param"),
    [({"response_format": schema(PLACE)}, "response_format"), ({"tools": [tool("f", strict=True)]}, "tools")],
)
def test_a_grammar_that_fails_on_the_way_names_what_it_was_made_from(scripted, monkeypatch, options, param):
    def fail(*_):
        raise SansiError("grammar: too many states", param="grammar")

    scripted.say("one", "2")
    monkeypatch.setattr("sansi.engine.grammar.GrammarState.mask", fail)
    with pytest.raises(SansiError, match="too many states") as caught:
        collected(scripted.stream(ASK, ChatOptions(**options)))
    assert caught.value.param == param


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
