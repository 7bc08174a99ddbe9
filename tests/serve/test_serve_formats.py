"""What the answer must be, under every name that servers gave it."""

import json
import re

import pytest
from live_server import http
from sansi.base.errors import SansiError
from sansi.serve.api.openai_chat import parse_chat_request
from sansi.serve.api.openai_completions import parse_text_request
from test_serve_api import QUESTION
from test_serve_choices import whole_of

SCHEMA = {"type": "object", "properties": {"v": {"enum": [7, 8]}}, "required": ["v"], "additionalProperties": False}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("add", "sub", "mul")]

OF_SCHEMA = [
    {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": "true"}}},
    {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
    {"response_format": {"type": "json_schema", "schema": SCHEMA}},
    {"response_format": {"type": "json_object", "schema": SCHEMA}},
    {"response_format": {"type": "json", "value": SCHEMA}},
    {"guided_json": SCHEMA},
    {"guided_json": json.dumps(SCHEMA)},
    {"json_schema": SCHEMA},
    {"structured_outputs": {"json": SCHEMA}},
    {"guided_json": SCHEMA, "response_format": {"type": "text"}},
    {"guided_json": SCHEMA, "structured_outputs": {"json": SCHEMA}},
]
OF_WORDS = [
    {"guided_choice": ["yes (1)", "no\n"]},
    {"structured_outputs": {"choice": ["yes (1)", "no\n"]}},
    {"response_format": {"type": "choice", "choice": ["yes (1)", "no\n"]}},
    {"guided_regex": r"yes \(1\)|no\n"},
    {"regex": r"yes \(1\)|no\n"},
    {"structured_outputs": {"regex": r"yes \(1\)|no\n"}},
    {"response_format": {"type": "regex", "pattern": r"yes \(1\)|no\n"}},
]


@pytest.mark.parametrize("fields", OF_SCHEMA)
def test_a_schema_binds_the_answer_under_every_name(tiny_url, fields):
    body = {"model": "tiny", "max_tokens": 60, "seed": 1, **fields}
    answer = whole_of(tiny_url, messages=QUESTION, enable_thinking=False, **body)
    assert json.loads(answer["choices"][0]["message"]["content"])["v"] in (7, 8)
    text = whole_of(tiny_url, "completions", prompt="x", **body)["choices"][0]["text"]
    assert json.loads(text)["v"] in (7, 8)


@pytest.mark.parametrize("fields", OF_WORDS)
def test_an_expression_binds_the_answer_under_every_name(tiny_url, fields):
    for seed in range(3):
        body = {"model": "tiny", "max_tokens": 60, "seed": seed, **fields}
        answer = whole_of(tiny_url, messages=QUESTION, thinking_budget=4, answer_reserve=20, **body)
        assert answer["choices"][0]["message"]["content"] in ("yes (1)", "no\n", "no")
        assert whole_of(tiny_url, "completions", prompt="x", **body)["choices"][0]["text"] in ("yes (1)", "no\n")


@pytest.mark.parametrize(
    "fields", [{"structured_outputs": {"json_object": True}}, {"response_format": {"type": "json"}}]
)
def test_any_object_under_its_other_names(fields):
    assert parse_chat_request({**CHAT, **fields}).options.response_format == {"type": "json_object"}


def test_what_is_beside_the_format_is_ignored_by_name():
    said = {"structured_outputs": {"json": SCHEMA, "disable_any_whitespace": True}}
    assert parse_chat_request({**CHAT, **said}).ignored == ("structured_outputs.disable_any_whitespace",)
    assert parse_chat_request({**CHAT, "structured_outputs": {}}).options.response_format is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"guided_json": SCHEMA, "guided_regex": "a"}, "guided_regex"),
        ({"response_format": {"type": "json_object"}, "guided_choice": ["a"]}, "guided_choice"),
        ({"structured_outputs": {"json": SCHEMA, "regex": "a"}}, "structured_outputs.regex"),
        ({"guided_json": "no schema"}, "guided_json"),
        ({"guided_json": [1]}, "guided_json"),
        ({"guided_choice": []}, "guided_choice"),
        ({"guided_choice": [1]}, "guided_choice[0]"),
        ({"guided_regex": ""}, "guided_regex"),
        ({"guided_grammar": "root ::= x"}, "guided_grammar"),
        ({"structured_outputs": {"grammar": "x"}}, "structured_outputs.grammar"),
        ({"response_format": {"type": "grammar", "grammar": "x"}}, "response_format.type"),
        ({"response_format": {"type": "jsn_schema"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": 5}}},
            "response_format.json_schema.schema",
        ),
        ({"response_format": {"type": "json_schema", "json_schema": {"x": 5}}}, "response_format.json_schema.x"),
        ({"response_format": {"type": "json_object", "x": 5}}, "response_format.x"),
        ({"response_format": {"type": "regex"}}, "response_format.regex"),
    ],
)
def test_wrong_formats_are_refused_by_name(fields, param):
    for parse, body in ((parse_chat_request, CHAT), (parse_text_request, {"model": "m", "prompt": "x"})):
        with pytest.raises(SansiError) as caught:
            parse({**body, **fields})
        assert caught.value.param == param and param.split(".")[-1].split("[")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"guided_json": {"type": "strin"}}, "guided_json"),
        ({"structured_outputs": {"json": {"type": "strin"}}}, "structured_outputs.json"),
        ({"response_format": {"type": "json_object", "schema": {"type": "strin"}}}, "response_format"),
        ({"guided_regex": "("}, "guided_regex"),
        ({"guided_regex": "a", "tools": TOOLS}, "guided_regex"),
    ],
)
def test_what_cannot_be_compiled_is_named_as_the_request_has_it(tiny_url, fields, param):
    response = http.post(f"{tiny_url}/v1/chat/completions", json={"model": "tiny", "messages": QUESTION, **fields})
    error = response.json()["error"]
    assert response.status_code == 400 and error["param"].split(".json_schema")[0] == param, error
    assert not re.search(r"response_format", error["message"]) or param == "response_format"


# --- which tools may be called ---------------------------------------------------------------------------------------


def allowed(*names, mode="auto"):
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def test_of_tools_that_are_not_allowed_the_model_is_not_told():
    request = parse_chat_request({**CHAT, "tools": TOOLS, "tool_choice": allowed("mul", "add", mode="required")})
    assert [tool["function"]["name"] for tool in request.options.tools] == ["add", "mul"]
    assert request.options.tool_choice == "required"
    error = request.named(SansiError("tools[1].function.name is wrong", param="tools[1].function.name"))
    assert error.param == "tools[2].function.name" and "tools[2]" in str(error)
    with pytest.raises(SansiError, match="did you mean") as caught:
        parse_chat_request({**CHAT, "tools": TOOLS, "tool_choice": allowed("mult")})
    assert caught.value.param == "tool_choice"


def test_only_allowed_tools_are_called(tiny_url):
    body = {"model": "tiny", "messages": QUESTION, "tools": TOOLS, "enable_thinking": False, "max_tokens": 100}
    for seed in range(4):
        answer = whole_of(tiny_url, **body, seed=seed, tool_choice=allowed("mul", mode="required"))
        calls = answer["choices"][0]["message"].get("tool_calls", [])
        assert {call["function"]["name"] for call in calls} == {"mul"}


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        ("any", "required"),
        ({"type": "function", "name": "add"}, "add"),
        ({"type": "function", "function": {"name": "add"}}, "add"),
    ],
)
def test_the_choice_of_a_tool_as_others_write_it(choice, read):
    assert parse_chat_request({**CHAT, "tools": TOOLS, "tool_choice": choice}).options.tool_choice == read


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ({"type": "allowed_tools"}, "tool_choice.allowed_tools"),
        ({"type": "allowed_tools", "allowed_tools": {"tools": []}}, "tool_choice.allowed_tools.tools"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "some"}}, "tool_choice.allowed_tools.mode"),
        (
            {"type": "allowed_tools", "allowed_tools": {"tools": [{"name": "f"}]}},
            "tool_choice.allowed_tools.tools[0].type",
        ),
        ({"type": "file_search"}, "tool_choice.type"),
    ],
)
def test_wrong_choices_are_refused_by_name(choice, param):
    with pytest.raises(SansiError) as caught:
        parse_chat_request({**CHAT, "tools": TOOLS, "tool_choice": choice})
    assert caught.value.param == param
