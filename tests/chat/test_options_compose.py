"""Options compose: whatever is asked together, each promise of each option holds."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import jsonschema_rs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.chat import ChatOptions
from sansi.text import Content, Reasoning
from test_chat_options import ASK, PLACE, schema, tool

TOOLS = [[tool("f"), tool("g")], [tool("f", strict=True), tool("g")]]
FORMATS = [None, {"type": "text"}, schema(PLACE), schema(PLACE, strict=False)]
with_tools = st.fixed_dictionaries(
    {
        "tools": st.sampled_from(TOOLS),
        "tool_choice": st.sampled_from(["auto", "none", "required", "g"]),
        "parallel_tool_calls": st.booleans(),
    }
)
others = st.fixed_dictionaries(
    {
        "response_format": st.sampled_from(FORMATS),
        "thinking_budget": st.sampled_from([None, 0, 1, 7, 40]),
        "stop": st.sampled_from([(), ("O",), ('"days"', "e"), ("<", "\n")]),
        "speculation": st.sampled_from([0, 5]),
        "max_tokens": st.sampled_from([1, 8, 300]),
        "temperature": st.sampled_from([0.0, 1.0]),
        "seed": st.integers(0, 1000),
        "logprobs": st.booleans(),
        "min_tokens": st.sampled_from([0, 0, 1]),
        "ignore_eos": st.sampled_from([False, False, True]),
        "logit_bias": st.sampled_from([None, {65: 3.0, 66: -100}]),
    }
)


def streamed(chat, options):
    async def collect():
        return [item async for item in chat.stream(ASK, options)]

    *events, last = asyncio.run(collect())
    return events, last


def fits(text):
    return jsonschema_rs.is_valid(PLACE, json.loads(text))


def check(options, result):
    message, calls, used = result.message, result.message.tool_calls, result.usage
    assert used.completion_tokens == len(result.ids) <= options.max_tokens
    assert options.thinking_budget is None or used.reasoning_tokens <= options.thinking_budget
    if result.report.thinking_end_reason == "budget":
        assert used.reasoning_tokens == options.thinking_budget == result.report.budget_applied
    assert (message.reasoning_content or "").endswith(result.report.closing_phrase)
    assert bool(result.report.closing_phrase) == bool(result.report.closing_phrase_tokens)
    assert not any(stop in message.content for stop in options.stop)
    whole = result.finish_reason != "length"
    assert (result.finish_reason == "tool_calls") == (whole and any(call.executable for call in calls))
    if options.thinking_budget == 0:
        assert message.reasoning_content is None
    if options.tool_choice == "none":
        assert not calls
    if whole and options.tool_choice in ("required", "g"):
        assert calls and all(call.executable for call in calls) and not message.content
        assert options.tool_choice == "required" or [call.name for call in calls] == ["g"]
    elif whole and (options.response_format or {}).get("type") == "json_schema" and result.stop is None:
        assert all(call.executable for call in calls) if calls else fits(message.content)
    if whole and options.tools and not options.parallel_tool_calls and options.tool_choice != "none":
        assert len(calls) <= 1


def without_call_ids(result):
    """Those of two answers are never the same."""
    calls = tuple(dataclasses.replace(call, id="") for call in result.message.tool_calls)
    return dataclasses.replace(result, message=dataclasses.replace(result.message, tool_calls=calls))


@given(st.one_of(st.just({}), with_tools), others)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_promise_holds_beside_the_others(untrained, tools, rest):
    options = ChatOptions(**tools, **rest)
    whole = untrained.complete(ASK, options)
    check(options, whole)
    events, last = streamed(untrained, options)
    cached = dataclasses.replace(whole.usage, cached_tokens=last.usage.cached_tokens)
    assert without_call_ids(last) == without_call_ids(dataclasses.replace(whole, usage=cached))
    assert "".join(e.text for e in events if isinstance(e, Content)) == whole.message.content
    assert "".join(e.text for e in events if isinstance(e, Reasoning)) == (whole.message.reasoning_content or "")
    assert "".join(e.text for e in events if isinstance(e, Reasoning) and e.closing) == whole.report.closing_phrase


texts = st.text("ab <>\n/think", max_size=8)
unfinished = st.fixed_dictionaries(
    {
        "continue_final": st.sampled_from(["answer", "thought"]),
        "enable_thinking": st.sampled_from([None, True, False]),
        "thinking_budget": st.sampled_from([None, 0, 3, 30]),
        "history": st.sampled_from(["official", "keep"]),
        "soft_switch": st.sampled_from(["prefill", "model"]),
        "seed": st.integers(0, 99),
    }
)


@given(texts, st.none() | texts, st.sampled_from(["", " /no_think"]), unfinished)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_turn_is_gone_on_with_or_refused_by_name(untrained, content, thought, flag, given_options):
    message = {"role": "assistant", "content": content}
    chat = [{"role": "user", "content": "What is 1 + 1?" + flag}, message]
    if thought is not None:
        message["reasoning_content"] = thought
    options = ChatOptions(max_tokens=120, **given_options)
    try:
        result = untrained.complete(chat, options)
    except SansiError as error:
        assert error.param in ("messages[1].content", "messages[1].reasoning_content")
        return
    if options.continue_final == "answer":
        assert result.usage.reasoning_tokens == 0 and result.message.reasoning_content is None
    else:
        assert result.report.thinking_end_reason is not None
        assert options.thinking_budget is None or result.usage.reasoning_tokens <= options.thinking_budget
