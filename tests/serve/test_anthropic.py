"""Anthropic's messages: what becomes of a body, and what an answer looks like, whole and as events."""

import json

import anthropic
import jsonschema_rs
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from fake_chat import FakeChat
from live_server import LONG, http, running, wait_for
from pydantic import TypeAdapter
from sansi.base.errors import SansiError
from sansi.serve.api.anthropic.reply import BROKEN, _input
from sansi.serve.api.anthropic.request import FIELDS, parse_messages_request
from sansi.serve.api.anthropic.schema import ERROR, MESSAGE
from sansi.serve.api.requests import Policy
from sansi.serve.api.sealed_thoughts import seal, unseal
from sansi.serve.http.settings import Keys
from test_api_document import ROOT

EVENT = TypeAdapter(RawMessageStreamEvent)
QUESTION = [{"role": "user", "content": "What is 12 + 30?"}]
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"a": {"enum": ["x"]}}}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": ""}}
BARE = {"type": "document", "source": "x"}
UNTITLED = {"type": "document", "title": 3, "source": {"type": "text", "data": "x"}}
ORPHAN = {"type": "tool_result", "tool_use_id": "c", "content": "x"}
CALL = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": "x"}}


def parse(policy=None, **body):
    return parse_messages_request({"model": "m", "max_tokens": 9, "messages": QUESTION, **body}, policy or Policy())


def messages(*turns, **body):
    return parse(messages=list(turns), **body).messages


def refused(param, **body):
    with pytest.raises(SansiError) as caught:
        parse(**body)
    assert caught.value.param == param, caught.value
    return str(caught.value)


def ask(url, **body):
    return http.post(f"{url}/v1/messages", json={"model": "fake", "max_tokens": 99, "messages": QUESTION, **body})


def answer_of(url, **body):
    response = ask(url, **body)
    assert response.status_code == 200, response.text
    return response.json()


def events_of(url, **body):
    events = []
    for block in ask(url, stream=True, **body).text.split("\n\n")[:-1]:
        name, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def client_of(url, **options):
    return anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=LONG, **options)


# --- a body as a request ----------------------------------------------------------------------------------------------


def test_system_and_messages_of_all_forms():
    read = messages(
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
        {"role": "system", "content": "c"},
        {"role": "user", "content": [{"type": "document", "title": "T", "source": {"type": "text", "data": "d"}}]},
        system=[{"type": "text", "text": "s"}, {"type": "text", "text": "t"}],
    )
    assert [(m["role"], m["content"]) for m in read] == [
        ("system", "st"),
        ("user", "a"),
        ("assistant", "b"),
        ("system", "c"),
        ("user", "T\nd\n"),
    ]
    assert parse(system="s").messages[0] == {"role": "system", "content": "s"}


def test_a_document_may_be_empty_and_what_is_not_read_of_it_is_named():
    empty = {"type": "document", "source": {"type": "content"}, "title": "t"}
    assert messages({"role": "user", "content": [empty]})[0]["content"] == "t\n\n"
    odd = {"type": "document", "pages": 3, "source": {"type": "text", "data": "x", "url": "y", "media_type": "z"}}
    assert parse(messages=[{"role": "user", "content": [odd]}]).ignored == ("document.pages", "source.url")


@pytest.mark.parametrize("written", ['{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"a": 1, "a": 2}', "[]"])
def test_a_broken_call_is_told_as_json_whatever_was_written(written):
    assert _input(written) == {BROKEN: written}
    assert _input('{"a": 1.10}') == {"a": 1.1} and _input("") == {}


def test_calls_and_their_results():
    thought = {"type": "thinking", "thinking": "hm", "signature": "unsigned"}
    two = {**CALL, "id": "c2"}
    results = [
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "one"}]},
        {"type": "tool_result", "tool_use_id": "c2", "content": "no such file", "is_error": True},
        {"type": "text", "text": "go on"},
    ]
    read = messages(
        *QUESTION,
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Look:"}, CALL, two]},
        {"role": "user", "content": results},
        {"role": "assistant", "content": [{**CALL, "id": "c3"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c3"}]},
    )
    assert [m["role"] for m in read] == ["user", "assistant", "tool", "tool", "user", "assistant", "tool"]
    assert (read[1]["reasoning_content"], read[1]["content"]) == ("hm", "Look:")
    assert [call["function"]["arguments"] for call in read[1]["tool_calls"]] == [{"a": "x"}] * 2
    assert [m["content"] for m in read[2:5]] == ["one", "Error: no such file", "go on"] and read[6]["content"] == ""


@pytest.mark.parametrize(
    ("block", "thought", "ignored"),
    [
        ({"type": "thinking", "thinking": "a", "signature": "EqQB"}, "a", ("thinking.signature",)),
        ({"type": "thinking", "thinking": "", "signature": seal("b")}, "b", ()),
        ({"type": "redacted_thinking", "data": seal("c")}, "c", ()),
        ({"type": "redacted_thinking", "data": "EmwK"}, None, ("redacted_thinking.data",)),
    ],
)
def test_thoughts_come_back(block, thought, ignored):
    asked = parse(messages=[*QUESTION, {"role": "assistant", "content": [block, {"type": "text", "text": "x"}]}])
    assert asked.messages[1].get("reasoning_content") == thought
    assert asked.ignored == (() if thought == "a" else ignored)


def test_the_last_turn_is_gone_on_with_where_it_is_the_assistants():
    prefill = {"role": "assistant", "content": "It is"}
    assert parse(messages=[*QUESTION, prefill]).options.continue_final == "answer"
    assert parse(messages=[*QUESTION, {"role": "assistant", "content": [CALL]}]).options.continue_final is None
    assert parse().options.continue_final is None
    thought = [{"type": "thinking", "thinking": "hm", "signature": ""}]
    asked = parse(messages=[*QUESTION, {"role": "assistant", "content": thought}], thinking={"type": "adaptive"})
    assert asked.options.continue_final == "thought"


@pytest.mark.parametrize(
    ("fields", "switch", "budget"),
    [
        ({}, False, None),
        ({"thinking": {"type": "disabled"}}, False, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, True, 1024),
        ({"thinking": {"type": "enabled"}}, True, None),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, None, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, None, 1024),
        ({"output_config": {"effort": "low"}}, None, 1024),
        ({"thinking_budget": 5}, None, 5),
        ({"enable_thinking": True}, True, None),
    ],
)
def test_thinking(fields, switch, budget):
    options = parse(**fields).options
    assert (options.enable_thinking, options.budget) == (switch, budget)


def test_tools_and_choices():
    asked = parse(
        tools=[
            {**TOOL, "strict": True, "cache_control": {"type": "ephemeral"}},
            {"type": "web_search_20250305", "name": "web_search"},
        ]
    )
    (tool,) = asked.options.tools
    assert tool["function"] == {"name": "f", "description": "d", "parameters": TOOL["input_schema"], "strict": True}
    assert asked.ignored == ("tools[].type web_search_20250305",)
    for choice, wanted in (
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "f"}, "f"),
        ({"type": "none"}, "none"),
    ):
        assert parse(tools=[TOOL], tool_choice=choice).options.tool_choice == wanted
    assert not parse(
        tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}
    ).options.parallel_tool_calls
    assert parse(tools=[TOOL]).options.parallel_tool_calls
    assert refused("tool_choice", tool_choice={"type": "any"})
    assert refused("tool_choice.name", tools=[TOOL], tool_choice={"type": "tool", "name": "g"})
    assert "input_schema" in refused("tools[0].type", tools=[{"type": "bash_20250124", "name": "bash"}])


def test_bounds_sampling_and_form():
    schema = {"type": "object", "properties": {}}
    form = {"type": "json_schema", "schema": schema}
    options = parse(
        temperature=0.5, top_p=0.9, top_k=3, seed=1, stop_sequences=["x"], output_config={"format": form}
    ).options
    assert (options.max_tokens, options.temperature, options.top_p, options.top_k, options.seed) == (9, 0.5, 0.9, 3, 1)
    assert options.stop == ["x"] and options.response_format["json_schema"]["schema"] == schema
    assert parse(output_format=form).options.response_format == options.response_format


@pytest.mark.parametrize(
    ("param", "body", "word"),
    [
        ("messages[0].content[0].type", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "describe"),
        ("messages[0].content[0].source", {"messages": [{"role": "user", "content": [PDF]}]}, "document's text"),
        ("messages[0].content[0].tool_use_id", {"messages": [{"role": "user", "content": [ORPHAN]}]}, "before it"),
        ("messages[0].content[0].text", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "required"),
        ("messages[0].content[0].source", {"messages": [{"role": "user", "content": [BARE]}]}, "object"),
        ("messages[0].content[0].title", {"messages": [{"role": "user", "content": [UNTITLED]}]}, "string"),
        ("messages[0].role", {"messages": [{"role": "tool", "content": "x"}]}, "known"),
        ("messages[0].content", {"messages": [{"role": "user"}]}, "blocks"),
        ("max_tokens", {"max_tokens": 0}, "at least 1"),
        ("stop", {"stop": ["x"]}, "stop_sequences"),
        ("container", {"container": "c"}, "executed"),
        ("mcp_servers", {"mcp_servers": [{}]}, "tools"),
        ("thinking.type", {"thinking": {"type": "on"}}, "enabled"),
        ("thinking_budgets", {"thinking_budgets": 1}, "thinking_budget"),
    ],
)  # fmt: skip
def test_refusals_name_the_field_and_say_what_to_send(param, body, word):
    assert word in refused(param, **body)


def test_what_changes_nothing_is_named_and_refused_by_a_strict_server():
    hints = {"service_tier": "priority", "speed": "fast", "context_management": {"edits": []}, "inference_geo": "eu"}
    assert sorted(parse(**hints).ignored) == sorted(hints)
    for name, value in hints.items():
        with pytest.raises(SansiError):
            parse(Policy(strict=True), **{name: value})
    asked = parse(Policy(strict=True), service_tier="auto", metadata={"user_id": "u"}, stream=True)
    assert (asked.ignored, asked.labels) == ((), {"user": "u"})


# --- answers ----------------------------------------------------------------------------------------------------------


def fits(value, schema=MESSAGE):
    errors = [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(value)]
    assert not errors, errors


def test_who_says_nothing_gets_no_thought(fake_url):
    answer = answer_of(fake_url)
    Message.model_validate(answer)
    assert answer["content"] == [{"type": "text", "text": "It is 42"}] and answer["stop_reason"] == "end_turn"


def test_a_thought_within_its_budget(fake_url):
    answer = answer_of(fake_url, thinking={"type": "enabled", "budget_tokens": 3})
    thought, text = answer["content"]
    assert thought["thinking"].startswith("12 + 30 Considering") and thought["signature"] == "unsigned"
    assert text["text"] == "It is 42" and answer["usage"]["output_tokens_details"]["thinking_tokens"] > 0
    assert answer["usage"]["input_tokens"] + answer["usage"]["cache_read_input_tokens"] == 11
    assert answer["sansi"]["thinking_budget_requested"] == 3


def test_a_thought_that_is_omitted_is_sealed(fake_url):
    shown = {"thinking": {"type": "enabled", "display": "omitted"}}
    thought = answer_of(fake_url, **shown)["content"][0]
    assert thought["thinking"] == "" and unseal(thought["signature"]) == "12 + 30 is 42."
    events = events_of(fake_url, **shown)
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert unseal(deltas[0]["signature"]) == "12 + 30 is 42." and "thinking_delta" not in {d["type"] for d in deltas}


STREAMS = {
    "plain": {},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 8}},
    "call": {"tools": [TOOL], "tool_choice": {"type": "any"}, "thinking": {"type": "enabled", "budget_tokens": 4}},
    "cut": {"max_tokens": 5},
    "stop": {"stop_sequences": ["a", "e", "1", "t"], "max_tokens": 400},
    "form": {"output_config": {"format": {"type": "json_schema", "schema": {"enum": ["a", "b"]}}}},
    "prefill": {"messages": [*QUESTION, {"role": "assistant", "content": "It is"}], "max_tokens": 9},
}


@pytest.mark.parametrize("name", STREAMS)
def test_events_add_up_to_the_whole_answer(tiny_url, name):
    body = {"model": "tiny", "seed": 5, "max_tokens": 300, **STREAMS[name]}
    whole, events = answer_of(tiny_url, **body), events_of(tiny_url, **body)
    fits(whole)
    Message.model_validate(whole)
    for event in events:
        if event["type"] != "ping":
            EVENT.validate_python(event)
    types = [event["type"] for event in events]
    assert types[:2] == ["message_start", "ping"] and types[-2:] == ["message_delta", "message_stop"]
    named = {"messages": QUESTION, **{key: value for key, value in body.items() if key != "seed"}}
    with client_of(tiny_url).messages.stream(**named, extra_body={"seed": 5}) as stream:
        built = stream.get_final_message().model_dump(mode="json", exclude_none=True)
    assert bare(built["content"]) == bare(whole["content"])
    assert (built["stop_reason"], built.get("stop_sequence")) == (whole["stop_reason"], whole["stop_sequence"])
    start, end = events[0]["message"]["usage"], events[-2]["usage"]
    assert start["input_tokens"] == end["input_tokens"] + end["cache_read_input_tokens"] > 0
    assert end["output_tokens"] == whole["usage"]["output_tokens"]
    reasons = {"cut": "max_tokens", "call": "tool_use", "stop": "stop_sequence"}
    assert whole["stop_reason"] == reasons.get(name, whole["stop_reason"])


def bare(content):
    """The blocks without what is drawn at each answer."""
    return [{key: value for key, value in block.items() if key != "id"} for block in content]


def test_the_end_of_the_context_is_told(tiny_url, tiny_chat):
    words = "word " * (tiny_chat.context_length // 8)
    answer = answer_of(tiny_url, model="tiny", max_tokens=10**6, messages=[{"role": "user", "content": words}], seed=1)
    assert answer["stop_reason"] in ("model_context_window_exceeded", "end_turn")
    assert answer["sansi"]["max_tokens"] < 10**6


def test_tokens_are_counted_as_the_answer_counts_them(tiny_url):
    body = {"model": "tiny", "messages": QUESTION, "system": "Be short.", "tools": [TOOL]}
    counted = http.post(f"{tiny_url}/v1/messages/count_tokens", json=body).json()
    usage = answer_of(tiny_url, **body, max_tokens=1)["usage"]
    assert counted == {"input_tokens": usage["input_tokens"] + usage["cache_read_input_tokens"]}
    long = [{"role": "user", "content": "word " * 20_000}]
    assert client_of(tiny_url).messages.count_tokens(model="tiny", messages=long).input_tokens > 20_000


# --- errors -----------------------------------------------------------------------------------------------------------


def test_errors_have_the_form_that_the_client_knows(fake_url):
    client = client_of(fake_url)
    ask = {"model": "fake", "max_tokens": 9, "messages": QUESTION}
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(**ask | {"model": "claude"})
    assert caught.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(**ask, extra_body={"thinkng": 1})
    assert caught.value.body["type"] == "error" and "thinkng" in caught.value.message
    assert caught.value.request_id
    response = http.post(f"{fake_url}/v1/messages/nothing", json={})
    assert response.status_code == 404 and response.json()["error"]["type"] == "not_found_error"
    fits(response.json(), ERROR)


def test_keys_come_in_either_header():
    key = "a-key-of-sixteen-characters-or-more"
    ask = {"model": "fake", "max_tokens": 9, "messages": QUESTION}
    with running([FakeChat()], keys=Keys([key])) as url:
        right = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
        bearer = anthropic.Anthropic(base_url=url, auth_token=key, max_retries=0)
        wrong = anthropic.Anthropic(base_url=url, api_key="another", max_retries=0)
        assert right.messages.create(**ask).content and bearer.messages.create(**ask).content
        with pytest.raises(anthropic.AuthenticationError) as caught:
            wrong.messages.create(**ask)
        assert caught.value.body["error"]["type"] == "authentication_error"
        assert http.post(f"{url}/v1/messages", json=ask).status_code == 401


def test_a_bug_and_a_full_queue_are_errors_of_this_api():
    chat = FakeChat()
    with running([chat], max_queue=0) as url:
        chat.fail_at = 2
        assert ask(url).json()["error"]["type"] == "api_error"
        last = events_of(url)[-1]
        assert last["type"] == "error" and last["error"]["type"] == "api_error" and "secret" not in json.dumps(last)
        fits(last, ERROR)


def test_a_client_that_leaves_cancels_the_generation():
    chat = FakeChat()
    with running([chat]) as url:
        chat.hold_at = 2
        body = {"model": "fake", "max_tokens": 9, "messages": QUESTION, "stream": True}
        with http.stream("POST", f"{url}/v1/messages", json=body) as response:
            next(response.iter_lines())
        assert wait_for(lambda: chat.cancelled == 1)
        chat.go.set()


def test_every_field_is_in_the_page():
    page = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8")
    about = page.split("## POST /v1/messages\n")[1].split("\n## ")[0]
    own = {name for name, field in FIELDS.items() if field.use == "applied"}
    assert not [name for name in own if f"`{name}`" not in about]
