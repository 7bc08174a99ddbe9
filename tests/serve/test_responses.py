"""OpenAI's responses: what becomes of a body, and what an answer looks like, whole and as events."""

import itertools
import json

import jsonschema_rs
import pytest
from fake_chat import FakeChat
from live_server import http, running, wait_for
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from sansi.base.errors import SansiError
from sansi.serve.api.requests import Policy
from sansi.serve.api.responses.recent_items import OVERHEAD, RecentItems
from sansi.serve.api.responses.request import FIELDS, parse_responses_request
from sansi.serve.api.responses.schema import RESPONSE
from sansi.serve.api.sealed_thoughts import seal, unseal
from test_api_document import ROOT

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"enum": ["x"]}}}}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
EVENT = TypeAdapter(ResponseStreamEvent)


def parse(policy=None, recall=lambda id_: None, **body):
    return parse_responses_request({"model": "m", "input": "x", **body}, policy or Policy(), recall=recall)


def messages(*items, **body):
    return parse(input=list(items), **body).messages


def refused(param, **body):
    with pytest.raises(SansiError) as caught:
        parse(**body)
    assert caught.value.param == param, caught.value
    return str(caught.value)


def answer_of(url, **body):
    response = http.post(f"{url}/v1/responses", json={"model": "fake", "input": "What is 12 + 30?", **body})
    assert response.status_code == 200, response.text
    return response.json()


def events_of(url, **body):
    with http.stream("POST", f"{url}/v1/responses", json={"model": "fake", "input": "x", **body, "stream": True}) as r:
        assert r.headers["content-type"].startswith("text/event-stream")
        blocks = "".join(r.iter_text()).split("\n\n")[:-1]
    events = []
    for block in blocks:
        name, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


# --- a body as a request ----------------------------------------------------------------------------------------------


def test_a_text_is_a_users_message_and_instructions_are_the_systems():
    assert parse().messages == [{"role": "user", "content": "x"}]
    assert parse(instructions="Be short.").messages[0] == {"role": "system", "content": "Be short."}


def test_messages_of_all_roles_and_forms():
    read = messages(
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "a"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "b"}, {"type": "input_text", "text": "c"}]},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "d", "annotations": [], "logprobs": []}],
        },
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "user", "content": "e"},
    )
    assert [(m["role"], m["content"]) for m in read] == [
        ("system", "a"),
        ("user", "bc"),
        ("assistant", "d"),
        ("assistant", "no"),
        ("user", "e"),
    ]


def test_a_thought_a_text_and_calls_are_one_turn():
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":"x"}'}
    read = messages(
        {"role": "user", "content": "q"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"role": "assistant", "content": "Look:"},
        call,
        {**call, "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
        {**call, "call_id": "c3"},
        {"type": "function_call_output", "call_id": "c3", "output": None},
    )
    assert [m["role"] for m in read] == ["user", "assistant", "tool", "tool", "assistant", "tool"]
    assert read[1]["reasoning_content"] == "hm" and read[1]["content"] == "Look:"
    assert [c["id"] for c in read[1]["tool_calls"]] == ["c1", "c2"]
    assert [m["content"] for m in read if m["role"] == "tool"] == ["one", "two", ""]


@pytest.mark.parametrize(
    ("item", "thought"),
    [
        ({"content": [{"type": "reasoning_text", "text": "a"}], "encrypted_content": seal("b")}, "a"),
        ({"summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": seal("秘密 🙂")}, "秘密 🙂"),
        ({"summary": [{"type": "summary_text", "text": "s"}, {"type": "summary_text", "text": "t"}]}, "s\n\nt"),
        ({"summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "gAAAAforeign"}, "s"),
    ],
)
def test_thoughts_come_back_by_what_says_most_of_them(item, thought):
    (turn,) = messages({"type": "reasoning", **item})
    assert turn["reasoning_content"] == thought


def test_what_was_sealed_elsewhere_is_named():
    item = {"type": "reasoning", "encrypted_content": "gAAAA", "summary": []}
    assert parse(input=[{"role": "user", "content": "q"}, item]).ignored == ("input[].encrypted_content",)
    assert unseal("sansi-thought-1.!!!") is None


def test_the_format_of_the_text():
    schema = {"type": "object", "properties": {}}
    wanted = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    assert parse(text={"format": wanted}).options.response_format == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": schema, "strict": True},
    }
    assert parse(text={"format": {"type": "json_object"}}).options.response_format == {"type": "json_object"}
    assert "text.format" in refused("text.format.type", text={"format": {"type": "grammar"}})
    assert refused("text.format.schema", text={"format": {"type": "json_schema", "name": "n"}})
    assert parse(text={"verbosity": "low"}).ignored == ("text.verbosity",)


def test_reasoning_is_a_budget_and_how_the_thought_is_told():
    asked = parse(reasoning={"effort": "low", "summary": "auto", "context": "all_turns"})
    assert (asked.options.budget, asked.summary, asked.options.history) == (1024, True, "keep")
    assert parse(reasoning={"effort": "none"}).options.budget == 0
    assert not parse(reasoning={"summary": "none"}).summary and not parse().summary
    assert parse(thinking_budget=5).options.thinking_budget == 5


def test_tools_of_functions_of_namespaces_and_of_texts():
    space = {"type": "namespace", "name": "ns", "description": "d", "tools": [TOOL]}
    custom = {"type": "custom", "name": "note", "description": "d", "format": {"type": "text"}}
    asked = parse(tools=[{**TOOL, "strict": True}, space, custom, {"type": "web_search", "external_web_access": False}])
    names = [tool["function"]["name"] for tool in asked.options.tools]
    assert names == ["f", "ns.f", "note"] and asked.options.tools[0]["function"]["strict"] is True
    assert asked.options.tools[2]["function"]["parameters"]["required"] == ["input"]
    assert asked.ignored == ("tools[].type web_search",)
    assert refused("tools[0].format", tools=[{**custom, "format": {"type": "grammar", "syntax": "lark"}}])
    assert "stand beside type" in refused("tools[0].function", tools=[{"type": "function", "function": TOOL}])


@pytest.mark.parametrize(
    ("choice", "wanted", "offered"),
    [
        ("required", "required", ["f", "ns.g"]),
        ({"type": "function", "name": "f"}, "f", ["f", "ns.g"]),
        ({"type": "function", "name": "g", "namespace": "ns"}, "ns.g", ["f", "ns.g"]),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            "required",
            ["f"],
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, "auto", []),
    ],
)
def test_tool_choice(choice, wanted, offered):
    space = {"type": "namespace", "name": "ns", "description": "d", "tools": [{**TOOL, "name": "g"}]}
    options = parse(tools=[TOOL, space], tool_choice=choice, parallel_tool_calls=False).options
    assert options.tool_choice == wanted and (not offered or not options.parallel_tool_calls)
    assert [tool["function"]["name"] for tool in options.tools or []] == offered


def test_choices_that_nobody_could_follow():
    assert refused("tool_choice", tool_choice="required")
    assert "runs here" in refused("tool_choice", tools=[TOOL], tool_choice={"type": "web_search"})
    assert "not among the tools" in refused("tool_choice", tools=[TOOL], tool_choice={"type": "function", "name": "g"})


def test_bounds_and_sampling():
    options = parse(max_output_tokens=7, temperature=0.5, top_p=0.9, top_k=3, seed=1, stop=["x"]).options
    assert (options.max_tokens, options.temperature, options.top_p, options.top_k) == (7, 0.5, 0.9, 3)
    assert (options.seed, options.stop) == (1, ["x"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("store", True),
        ("truncation", "auto"),
        ("service_tier", "flex"),
        ("max_tool_calls", 3),
        ("prompt_cache_retention", "24h"),
        ("include", ["web_search_call.action.sources"]),
        ("top_logprobs", 2),
        ("context_management", [{"type": "compaction", "compact_threshold": 1000}]),
    ],
)
def test_hints_are_named_and_refused_by_a_strict_server(name, value):
    (ignored,) = parse(**{name: value}).ignored
    assert ignored.startswith(name)
    with pytest.raises(SansiError) as caught:
        parse(Policy(strict=True), **{name: value})
    assert caught.value.param.startswith(name)


def test_what_clients_send_by_default_is_no_word_worth():
    asked = parse(
        Policy(strict=True),
        store=False,
        truncation="disabled",
        background=False,
        prompt_cache_key="k",
        client_metadata={"a": "b"},
        parallel_tool_calls=True,
        tools=[],
        tool_choice="auto",
        metadata={"a": "b"},
        include=["reasoning.encrypted_content"],
    )
    assert asked.ignored == () and asked.encrypted and not asked.remember


@pytest.mark.parametrize(
    ("param", "body", "word"),
    [
        ("previous_response_id", {"previous_response_id": "resp_1"}, "whole conversation"),
        ("conversation", {"conversation": "c"}, "whole conversation"),
        ("background", {"background": True}, "stream"),
        ("prompt", {"prompt": {"id": "p"}}, "instructions"),
        ("max_tokens", {"max_tokens": 4}, "max_output_tokens"),
        ("response_format", {"response_format": {"type": "text"}}, "text.format"),
        ("messages", {"messages": []}, "input"),
        ("input", {"input": []}, "empty"),
        ("input", {"input": 3}, "array"),
        ("input[0].type", {"input": [{"type": "web_search_call", "id": "w"}]}, "leave it out"),
        ("input[0].type", {"input": [{"type": "functon_call"}]}, "function_call"),
        ("input[0].type", {"input": [{"type": ["message"], "role": "user", "content": "x"}]}, "no text"),
        ("input[0].type", {"input": [{"type": {"a": 1}}]}, "no text"),
        ("input[0].namespace", {"input": [CALL | {"namespace": 3}]}, "string"),
        ("input[0].role", {"input": [{"role": "tool", "content": "x"}]}, "known"),
        ("input[0].content[0].type", {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "describe"),
        ("input[0].content[0].type", {"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "text"),
        ("input[0].call_id", {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "before"),
        ("input[0]", {"input": [{"type": "item_reference", "id": "msg_1"}]}, "send the item itself"),
        ("include[0]", {"include": ["reasoning.encrypted"]}, "did you mean"),
        ("reasoning.effort", {"reasoning": {"effort": "lots"}}, "known"),
        ("tools[0].type", {"tools": [{"name": "f"}]}, "function"),
        ("thinkng_budget", {"thinkng_budget": 3}, "thinking_budget"),
    ],
)
def test_refusals_name_the_field_and_say_what_to_send(param, body, word):
    assert word in refused(param, **body)


def test_unknown_keys_of_items_are_named():
    item = {"role": "user", "content": "x", "timestamp": 3, "id": "msg_1", "status": "completed"}
    assert parse(input=[item]).ignored == ("input[].timestamp",)
    part = {"type": "output_text", "text": "x", "annotations": [], "logprobs": [], "mood": "good"}
    assert parse(input=[{"role": "assistant", "content": [part]}]).ignored == ("input[].content[].mood",)


def test_unknown_keys_of_tools_and_of_the_format_are_named():
    tools = [
        {**TOOL, "a": 1},
        {"type": "custom", "name": "g", "b": 1},
        {"type": "namespace", "name": "n", "tools": [], "c": 1},
    ]
    assert parse(tools=tools).ignored == ("tools[].a", "tools[].b", "tools[].c")
    assert parse(text={"format": {"type": "text", "mood": "good", "schema": None}}).ignored == ("text.format.mood",)


def test_references_are_to_items_that_were_told():
    known = {"msg_1": {"type": "message", "id": "msg_1", "role": "assistant", "content": "said"}}
    read = messages({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, recall=known.get)
    assert [m["content"] for m in read] == ["said", "said"]


def test_items_are_kept_as_long_as_they_fit():
    recent = RecentItems(3 * OVERHEAD)
    for name in "abc":
        recent.add({"id": name, "content": [{"text": "x" * 200}]})
    assert recent.get("a") is None and recent.get("b") and recent.get("c")
    recent.add({"id": "d", "content": "x" * 4 * OVERHEAD})
    assert recent.get("d") is None and recent.get("c")


# --- answers ----------------------------------------------------------------------------------------------------------


def fits(value):
    errors = [error.message for error in jsonschema_rs.validator_for(RESPONSE).iter_errors(value)]
    assert not errors, errors
    Response.model_validate(value)


def test_a_whole_answer(fake_url):
    answer = answer_of(fake_url, reasoning={"effort": "high"}, metadata={"a": "b"})
    Response.model_validate(answer)
    thought, message = answer["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "12 + 30 is 42."}] and not thought["summary"]
    assert message["content"][0]["text"] == "It is 42" and "encrypted_content" not in thought
    assert answer["usage"]["output_tokens_details"] == {"reasoning_tokens": 5}
    assert answer["sansi"]["mode"] == "thinking" and answer["metadata"] == {"a": "b"}


def test_the_thought_as_a_summary_and_sealed(fake_url):
    include = ["reasoning.encrypted_content"]
    answer = answer_of(fake_url, reasoning={"summary": "auto"}, include=include)
    Response.model_validate(answer)
    thought = answer["output"][0]
    assert thought["summary"] == [{"type": "summary_text", "text": "12 + 30 is 42."}] and "content" not in thought
    assert unseal(thought["encrypted_content"]) == "12 + 30 is 42."


STREAMS = {
    "plain": {},
    "summary": {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]},
    "no thought": {"enable_thinking": False},
    "scores": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "call": {"tools": [TOOL], "tool_choice": "required", "thinking_budget": 4},
    "cut": {"max_output_tokens": 5},
    "json": {"text": {"format": {"type": "json_object"}}, "enable_thinking": False},
}


@pytest.mark.parametrize("name", STREAMS)
def test_events_add_up_to_the_whole_answer(tiny_url, name):
    body = {"model": "tiny", "seed": 5, "max_output_tokens": 200, "input": "What is 12 + 30?", **STREAMS[name]}
    whole, events = answer_of(tiny_url, **body), events_of(tiny_url, **body)
    fits(whole)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        EVENT.validate_python(event)
    types = [event["type"] for event in events]
    assert types[:2] == ["response.created", "response.in_progress"]
    assert types[-1] == f"response.{whole['status']}"
    last = events[-1]["response"]
    fits(last)
    assert bare(last["output"]) == bare(whole["output"]) == bare(built(events))
    assert last["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    if name == "cut":
        assert whole["incomplete_details"] == {"reason": "max_output_tokens"}
    if name == "scores":
        assert len(whole["output"][-1]["content"][0]["logprobs"][0]["top_logprobs"]) == 2
    if name == "call":
        assert whole["output"][-1]["type"] == "function_call"


def bare(output):
    """The items without what is drawn at each answer."""
    return [{key: value for key, value in item.items() if key not in ("id", "call_id")} for item in output]


def built(events):
    """The items as a client builds them, from the pieces alone."""
    items = []
    for event in events:
        kind, at = event["type"].removeprefix("response."), event.get("output_index")
        field = "summary" if "summary" in kind else "content"
        if kind == "output_item.added":
            items.append(json.loads(json.dumps(event["item"])))
        elif kind in ("content_part.added", "reasoning_summary_part.added"):
            items[at].setdefault(field, []).append(json.loads(json.dumps(event["part"])))
        elif kind in ("output_text.delta", "reasoning_text.delta", "reasoning_summary_text.delta"):
            part = items[at][field][-1]
            part["text"] += event["delta"]
            part |= {"logprobs": part["logprobs"] + event["logprobs"]} if "logprobs" in event else {}
        elif kind == "function_call_arguments.delta":
            items[at]["arguments"] += event["delta"]
        elif kind == "output_item.done":
            items[at] |= {key: event["item"][key] for key in ("status", "encrypted_content") if key in event["item"]}
            assert items[at] == event["item"]
    return items


@pytest.mark.parametrize(
    ("thought", "reason", "kinds"),
    [
        ("It is 42.", "stop", [("reasoning", "completed"), ("message", "completed")]),
        ("It is 42.", "length", [("reasoning", "incomplete")]),
        (None, "length", [("message", "incomplete")]),
    ],
)
def test_an_empty_answer_is_a_message_where_the_turn_is_over_or_nothing_else_is_there(thought, reason, kinds):
    chat, body = FakeChat(thought=thought or "", content=""), {"enable_thinking": thought is not None}
    chat.finish_reason = reason
    with running([chat]) as url:
        whole, events = answer_of(url, **body), events_of(url, **body)
    for output in (whole["output"], events[-1]["response"]["output"], built(events)):
        assert [(item["type"], item.get("status")) for item in output] == kinds


def test_items_follow_each_other(fake_url):
    events = events_of(fake_url)
    places = [event["output_index"] for event in events if "output_index" in event]
    assert [place for place, _ in itertools.groupby(places)] == [0, 1]
    assert events[-1]["response"]["output"][1]["content"][0]["text"] == "It is 42"


def test_a_reference_to_an_item_stands_for_it(fake, fake_url):
    ids = [item["id"] for item in answer_of(fake_url)["output"]]
    fake.seen.clear()
    references = [{"type": "item_reference", "id": id_} for id_ in ids]
    answer_of(fake_url, input=[{"role": "user", "content": "q"}, *references, {"role": "user", "content": "and?"}])
    read, _ = fake.seen[-1]
    assert read[1] == {"role": "assistant", "content": "It is 42", "reasoning_content": "12 + 30 is 42."}


def test_items_of_a_request_that_stores_nothing_are_not_kept(fake_url):
    (id_, *_) = [item["id"] for item in answer_of(fake_url, store=False)["output"]]
    body = {"model": "fake", "input": [{"type": "item_reference", "id": id_}]}
    assert http.post(f"{fake_url}/v1/responses", json=body).status_code == 400


def test_errors_name_the_items(fake_url, tiny_url):
    call = {"type": "function_call", "call_id": "c", "name": 'a"b', "arguments": "{}"}
    items = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, call]
    error = http.post(f"{fake_url}/v1/responses", json={"model": "fake", "input": items}).json()["error"]
    assert error["param"] == "input[2].name" and "messages" not in error["message"]
    tools = [{"type": "web_search"}, {**TOOL, "name": 'a"b'}]
    error = http.post(f"{fake_url}/v1/responses", json={"model": "fake", "input": "q", "tools": tools}).json()["error"]
    assert error["param"] == "tools[1].name" and "function.name" not in error["message"]
    error = http.post(f"{tiny_url}/v1/responses", json={"model": "tiny", "input": "q " * 5000}).json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input")


def test_an_error_in_mid_stream_is_a_failed_response():
    chat = FakeChat()
    with running([chat]) as url:
        chat.fail_at = 2
        events = events_of(url)
    last = events[-1]
    EVENT.validate_python(last)
    assert last["type"] == "response.failed" and last["sequence_number"] == len(events) - 1
    assert last["response"]["status"] == "failed" and last["response"]["error"]["code"] == "server_error"
    assert "secret" not in json.dumps(events)


def test_a_client_that_leaves_cancels_the_generation():
    chat = FakeChat()
    with running([chat]) as url:
        chat.hold_at = 2
        body = {"model": "fake", "input": "x", "stream": True}
        with http.stream("POST", f"{url}/v1/responses", json=body) as response:
            next(response.iter_lines())
        assert wait_for(lambda: chat.cancelled == 1)
        chat.go.set()


def test_every_field_is_in_the_page():
    page = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8")
    about = page.split("## POST /v1/responses")[1].split("\n## ")[0]
    own = set(FIELDS) - {name for name, field in FIELDS.items() if field.use != "applied"}
    assert not [name for name in own if f"`{name}`" not in about]
