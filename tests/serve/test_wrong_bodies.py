"""Bodies that are wrong in one place, posted to every route: each is answered, or refused by the name of that place.

What is right is taken, a node of it replaced, and the whole sent through the application: nothing may fail in it (500),
and an error names the field that the client wrote, in JSON's words and never in those of the language it is made in.
"""

import asyncio
import copy
import json
import re

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.serve.api.openai_completions import FIELDS as TEXT_FIELDS
from sansi.serve.app import create_app

FUNCTION = {
    "name": "f",
    "description": "d",
    "strict": False,
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", None]}}},
}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
ANSWERED = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "n"},
    {"role": "assistant", "content": None, "reasoning_content": "r", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "5"},
]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
ITEMS = [
    {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "e"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "id": "fc_1", "status": "completed"},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "5"}]},
    {"type": "custom_tool_call", "call_id": "d", "name": "g", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "d", "output": "y"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "y", "annotations": []}]},
]
FLAT = {"type": "function", **FUNCTION}
BLOCKS = [
    {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "document", "source": {"type": "text"}}]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text"}]}]},
]
BLOCKS[0]["content"][1]["source"]["data"] = BLOCKS[2]["content"][0]["content"][0]["text"] = "d"
LOCAL = [
    {"role": "user", "content": "x", "images": []},
    {"role": "assistant", "content": "", "thinking": "t", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
    {"role": "tool", "content": "5", "tool_name": "f"},
]
BODIES = {
    "/v1/completions": (
        {"prompt": ["a", "b"], "max_tokens": 1, "logprobs": 2, "echo": True, "stop": "zz", "n": 2, "best_of": 2},
        {"prompt": [[1, 2], [3]], "max_tokens": 1, "logit_bias": {"5": 1}, "stop_token_ids": [5], "seed": 1},
        {"prompt": [1, 2], "max_tokens": 1, "logit_bias": [[5, False]], "metadata": {"k": "v"}, "temperature": 1},
        {"prompt": "a", "max_tokens": 1, "response_format": {"type": "json_object"}, "thinking_budget": 3},
        {"prompt": "a", "max_tokens": 1, "stream": True, "stream_options": {"include_usage": True}, "user": "u"},
    ),
    "/v1/chat/completions": (
        {"messages": ANSWERED, "max_tokens": 1, "tools": [TOOL], "tool_choice": "auto", "read_tags": ["assistant"]},
        {
            "messages": ANSWERED[:1],
            "max_tokens": 1,
            "reasoning": {"effort": "low"},
            "logprobs": True,
            "top_logprobs": 2,
        },
        {"messages": ANSWERED[:2], "max_tokens": 1, "thinking": {"type": "enabled", "budget_tokens": 4}},
        {"messages": ANSWERED[:1], "max_tokens": 1, "response_format": {"type": "json_schema", "schema": SCHEMA}},
    ),
    "/v1/responses": (
        {
            **{"input": ITEMS, "max_output_tokens": 1, "tools": [FLAT, {"type": "custom", "name": "g"}]},
            **{"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]},
        },
        {
            "input": "x",
            "max_output_tokens": 1,
            "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
        },
        {"input": "x", "max_output_tokens": 1, "tools": [FLAT], "tool_choice": {"type": "function", "name": "f"}},
    ),
    "/v1/messages": (
        {
            **{
                "messages": BLOCKS,
                "max_tokens": 1,
                "system": [{"type": "text", "text": "s"}],
                "stop_sequences": ["zz"],
            },
            **{"tools": [{"name": "f", "input_schema": SCHEMA}], "tool_choice": {"type": "auto"}},
            **{"thinking": {"type": "enabled", "budget_tokens": 1}, "metadata": {"user_id": "u"}},
        },
        {"messages": BLOCKS[:1], "max_tokens": 1, "output_config": {"effort": "low"}},
    ),
    "/api/chat": (
        {"messages": LOCAL, "tools": [TOOL], "options": {"num_predict": 1, "stop": ["zz"]}, "stream": False},
        {"messages": LOCAL[:1], "format": SCHEMA, "options": {"num_predict": 1}, "think": False, "stream": False},
    ),
    "/api/generate": (
        {"prompt": "x", "system": "s", "format": "json", "options": {"num_predict": 1}, "think": "low", "images": []},
        {"prompt": "x", "raw": True, "options": {"num_predict": 1, "repeat_penalty": 1.1}, "stream": False},
    ),
    "/tokenize": ({"messages": ANSWERED, "tools": [TOOL], "add_generation_prompt": True}, {"prompt": "x"}),
    "/detokenize": ({"tokens": [1, 2, 3]},),
    "/api/show": ({"verbose": True},),
}
WRONG = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(2**70), 0.5, -0.0, 1e300, "", "a", "auto", "0", "\0"),
        *("\ud800", "日本", "x" * 300, [], [None], [1], [True], ["a"], [""], [[]], [{}], [[1]], [10**30], {}, {"a": 1}),
        *({"type": None}, {"type": []}, {"": ""}, {"type": "text", "text": None}, {"$ref": "#"}, {"role": "user"}),
        json.loads("[" * 60 + "]" * 60),
    ]
)
# None of these is a word of JSON's, or of what is asked for over HTTP.
PYTHON = re.compile(
    r"\b(int|str|float|bool|dict|tuple|NoneType|None|True|False|nan|inf|unhashable|iterable|subscript\w*|pydantic)\b"
    r"|'[\w.]*' object|Expecting|Traceback|codec can|[a-z]Error\b"
)


@pytest.fixture(scope="module")
def ask(tiny_chat):
    """POST a body to the application itself: no port is between, so that thousands can be asked."""
    transport = httpx.ASGITransport(create_app([tiny_chat]), raise_app_exceptions=False)
    loop = asyncio.new_event_loop()
    client = httpx.AsyncClient(transport=transport, base_url="http://test", timeout=None)
    yield lambda path, body: loop.run_until_complete(client.post(path, content=json.dumps(body)))
    loop.run_until_complete(client.aclose())
    loop.close()


def nodes(value, path=()):
    """The path of each value that stands in a value."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from nodes(value[key], (*path, key))


def replaced(body, path, value):
    """The body with another value at a path; None: without it."""
    body = copy.deepcopy(body)
    at = body
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return body


def said(response):
    error = response.json()["error"]
    return (error, None) if isinstance(error, str) else (error["message"], error.get("param"))


def check(response, body):
    """Answered, or refused by a name that the body has, or should have."""
    assert response.status_code in (200, 400, 404), (response.status_code, response.text)
    if response.status_code == 200:
        return
    message, param = said(response)
    assert not PYTHON.search(message), message
    # What a client wrote is named, unless what is missing is what is wrong.
    names = {*body, "model", "messages", "prompt", "input", "max_tokens", "tokens"}
    assert any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message) for name in names), message
    assert param is None or re.match(r"\w*", param)[0] in names, (param, message)


@pytest.mark.parametrize("path", BODIES)
def test_the_bodies_are_right(ask, path):
    for body in BODIES[path]:
        response = ask(path, {"model": "tiny", **body})
        assert response.status_code == 200, response.text


@pytest.mark.parametrize("path", BODIES)
@given(data=st.data())
@settings(max_examples=60)
def test_a_body_with_one_wrong_value_is_answered_or_refused_by_its_name(ask, path, data):
    body = {"model": "tiny", **data.draw(st.sampled_from(BODIES[path]))}
    place = data.draw(st.sampled_from(list(nodes(body))), label="place")
    wrong = replaced(body, place, data.draw(WRONG, label="value"))
    check(ask(path, wrong), wrong)


@given(name=st.sampled_from(sorted(TEXT_FIELDS)), value=WRONG)
@settings(max_examples=200)
def test_every_field_of_completions_is_answered_or_refused_by_its_name(ask, name, value):
    body = {"model": "tiny", "prompt": "a", "max_tokens": 1, name: value}
    response = ask("/v1/completions", body)
    check(response, body)
    if response.status_code == 400:
        assert name in said(response)[0] or body["prompt"] != "a", said(response)
