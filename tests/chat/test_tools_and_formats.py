"""Tools that are called and formats that are held, alone and together."""

from __future__ import annotations

import dataclasses
import json

import pytest
from asking import ASK, PLACE, collected, fits, schema, tool
from sansi.base.errors import SansiError
from sansi.chat import ChatOptions

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
