"""Whatever the body, the outcome is a checked request or a SansiError."""

import json
import re

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import completion_create_params as text_params
from openai.types.chat import completion_create_params as chat_params
from sansi.base.errors import SansiError
from sansi.serve.api.answer_stream import _streams
from sansi.serve.api.fields import Reading, schema_of
from sansi.serve.api.openai_chat import FIELDS as CHAT_FIELDS
from sansi.serve.api.openai_chat import parse_chat_request
from sansi.serve.api.openai_completions import FIELDS as TEXT_FIELDS
from sansi.serve.api.openai_completions import parse_text_request
from sansi.serve.api.requests import ChatRequest, Policy, TextRequest, parse_body
from sansi.serve.http.logs import fields_of
from sansi.serve.http.request_log import Record

STRICT = Policy(strict=True)
PARSE = (
    (parse_chat_request, {"model": "m", "messages": []}),
    (parse_text_request, {"model": "m", "prompt": "x"}),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


FORMATS = [
    *({"type": kind} for kind in ("text", "json_object", "json_schema", "regex", "choice", "json", "other")),
    *({"type": "json_schema", key: {"type": "object"}} for key in ("json_schema", "schema", "other")),
    *({"type": "regex", "regex": said} for said in ("a", "", 5)),
    *({"type": "json_schema", "json_schema": {key: "x"}} for key in ("name", "strict", "schema", "x")),
    {"type": "choice", "choice": ["a"], "choices": ["b"]},
]
VALUES = [
    *FORMATS,
    *(-1, 0, 1, 2, 20, 21, 128, 129, 2**63, 0.5, 1.5, True, False, "", "a", "auto", "none", "low", "answer", "keep"),
    *([], [1], [1, 2], ["a"], ["a"] * 5, [[1]], [[]], [-1], {}, {"type": "text"}, {"include_usage": True}, ["text"]),
    *({"type": "function", "function": {"name": "f"}}, {"enable_thinking": False}, {"a": "b"}, {"a": 1}, "x" * 257),
]


@given(st.dictionaries(st.sampled_from([*CHAT_FIELDS, "other"]), JSON, max_size=5))
@settings(max_examples=100)
def test_any_fields_give_a_request_or_a_sansi_error(fields):
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], **fields}
    try:
        request = parse_chat_request(body)
    except SansiError as error:
        assert error.param and str(error)
    else:
        assert isinstance(request, ChatRequest) and "other" not in {k for k, v in fields.items() if v is not None}


@given(st.dictionaries(st.sampled_from([*TEXT_FIELDS, "other"]), JSON, max_size=5))
@settings(max_examples=100)
def test_any_fields_of_a_text_give_a_request_or_a_sansi_error(fields):
    try:
        request = parse_text_request({"model": "m", "prompt": "x", **fields})
    except SansiError as error:
        assert error.param and str(error)
    else:
        assert isinstance(request, TextRequest) and "other" not in {k for k, v in fields.items() if v is not None}


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_give_an_object_or_a_sansi_error(raw):
    try:
        assert isinstance(parse_body(raw), dict)
    except SansiError as error:
        assert "JSON" in str(error)


ASKED = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}
FUNCTION = {"type": "function", "function": {"name": "f"}}
ALMOST = {
    "stop_token_ids": [[0], [10**5], [0, 10**9]],
    "continue_final": ["answer", "thought"],
    "continue_final_message": [True],
    "max_completion_tokens": [1, 10**9],
    "chat_template_kwargs": [{"enable_thinking": False}],
    "tools": [[FUNCTION], [{"type": "function", "function": {"name": "f", "strict": 1}}]],
    "tool_choice": ["required", {"type": "function", "function": {"name": "g"}}],
    "response_format": [{"type": "json_object"}, {"type": "x"}, {"type": "json_schema", "json_schema": {"name": "x"}}],
    "thinking_budget": [0, 10**9],
    "answer_reserve": [0, 10**9],
    "speculation": [64],
    "messages": [ASKED["messages"][:1], ASKED["messages"][1:], [{"role": "user", "content": "x " * 3000}], [{}]],
    "prompt": [[10**9], [[1], [10**9]], ["a", "a " * 3000], [""], ""],
    "echo": [True],
    "logprobs": [True, 1, 20],
    "top_logprobs": [20],
}


@pytest.mark.parametrize("parse", [parse_chat_request, parse_text_request], ids=["chat", "text"])
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_every_error_names_a_field_of_the_request(tiny_chat, parse, data):
    """Whoever finds it: `param` begins with a key that the client wrote, and the message holds its name."""
    fields = CHAT_FIELDS if parse is parse_chat_request else TEXT_FIELDS
    known = sorted(set(ALMOST) & set(fields))
    chosen = data.draw(st.lists(st.sampled_from(known), max_size=4, unique=True))
    drawn = {name: data.draw(st.sampled_from(ALMOST[name]), label=name) for name in chosen}
    body = {"model": "tiny", **(ASKED if parse is parse_chat_request else {"prompt": "x"}), **drawn}
    try:
        _streams(tiny_chat, parse(body), print)
    except SansiError as error:
        name = re.match(r"\w*", error.param or "")[0]
        assert name in body and name in str(error), (error.param, str(error))


def test_both_spellings_may_agree():
    body = {"model": "m", "messages": [], "enable_thinking": False, "chat_template_kwargs": {"enable_thinking": False}}
    assert parse_chat_request({**body, "max_tokens": 5, "max_completion_tokens": 5}).options.enable_thinking is False


def test_a_developers_message_is_the_systems():
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    read = parse_chat_request({"model": "m", "messages": messages}).messages
    assert read == [{"role": "system", "content": "Be brief."}, messages[1]]


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_the_models_are_told_no_names(role):
    body = {"model": "m", "messages": [{"role": role, "content": "x", "name": "Ann"}]}
    read = parse_chat_request(body)
    assert read.ignored == ("messages[].name",) and "name" not in read.messages[0]
    with pytest.raises(SansiError, match="into the content") as caught:
        parse_chat_request(body, STRICT)
    assert caught.value.param == "messages[0].name"
    for message in ({"role": role, "content": "x", "name": None}, {"role": "tool", "content": "x", "name": "f"}):
        assert parse_chat_request({"model": "m", "messages": [message]}).ignored == ()


def test_a_tool_is_shown_as_it_is(tiny_chat):
    tool = {"type": "function", "function": {"name": "f", "description": "Adds, or so it says.", "x-own": 1}}
    read = parse_chat_request({"model": "m", "messages": ASKED["messages"], "tools": [tool]})
    assert json.dumps(tool) in tiny_chat.codec.render(read.messages, tools=read.options.tools).text


def test_a_format_is_not_shown_to_the_model(tiny_chat):
    form = {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}}}
    body = {"model": "tiny", "messages": ASKED["messages"][:1], "max_tokens": 1, "enable_thinking": False}
    plain, bound = (
        tiny_chat.complete(read.messages, read.options)
        for read in map(parse_chat_request, (body, {**body, "response_format": form}))
    )
    assert plain.prompt_ids == bound.prompt_ids


def test_a_body_may_not_say_a_thing_twice():
    for raw in (b'{"a": 1, "a": 1}', b'{"a": [{"b": 1, "c": 2, "b": 3}]}'):
        with pytest.raises(SansiError, match="twice"):
            parse_body(raw)
    assert parse_body(b'{"a": {"a": 1}, "b": {"a": 1}}') == {"a": {"a": 1}, "b": {"a": 1}}


def test_a_line_of_the_log_is_bounded():
    labels = {"user": "u" * 512, "metadata": {str(i): "v" * 512 for i in range(16)}}
    record = Record("id", "GET", "/" + "x" * 100_000, labels=labels)
    assert len(json.dumps(fields_of(record, with_text=False))) < 10_000


# --- the tables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "fields"), [(chat_params, CHAT_FIELDS), (text_params, TEXT_FIELDS)], ids=["chat", "text"]
)
def test_every_field_of_openais_api_is_declared(params, fields):
    """Whatever the official client can send has a meaning here, or is refused with what to do instead."""
    assert set(params.CompletionCreateParamsBase.__annotations__) - set(fields) == set()


REFUSED = [
    (parse, body, name)
    for parse, body, fields in (
        (parse_chat_request, {"model": "m", "messages": []}, CHAT_FIELDS),
        (parse_text_request, {"model": "m", "prompt": "x"}, TEXT_FIELDS),
    )
    for name, field in fields.items()
    if field.use == "refused"
]


@pytest.mark.parametrize(("parse", "body", "name"), REFUSED)
def test_what_is_not_supported_is_refused_by_name_and_says_what_to_do(parse, body, name):
    with pytest.raises(SansiError) as caught:
        parse({**body, name: {"something": "else"}})
    assert caught.value.param == name and f'"{name}"' in str(caught.value) and ";" in str(caught.value)
    parse({**body, name: None})


HARMLESS = [
    (parse, body, name, field)
    for parse, body, fields in (
        (parse_chat_request, {"model": "m", "messages": []}, CHAT_FIELDS),
        (parse_text_request, {"model": "m", "prompt": "x"}, TEXT_FIELDS),
    )
    for name, field in fields.items()
    if field.use in ("ignored", "silent")
]


@pytest.mark.parametrize(("parse", "body", "name", "field"), HARMLESS)
def test_what_changes_nothing_is_accepted_and_named_and_a_strict_server_refuses_it(parse, body, name, field):
    body = {**body, name: [{"something": "else"}]}
    assert parse(body).ignored == ((name,) if field.use == "ignored" else ())
    with pytest.raises(SansiError) as caught:
        parse(body, STRICT)
    assert caught.value.param == name and f'"{name}"' in str(caught.value)


@pytest.mark.parametrize("fields", [CHAT_FIELDS, TEXT_FIELDS], ids=["chat", "text"])
def test_a_value_that_says_what_happens_anyway_is_not_called_ignored(fields):
    parse, body = PARSE[fields is TEXT_FIELDS]
    said = {"store": False, "service_tier": "auto", "verbosity": "medium", "user": "Ann", "prompt_cache_key": "k"}
    for policy in (Policy(), STRICT):
        assert parse({**body, **said}, policy).ignored == ()


@pytest.mark.parametrize("policy", [Policy(), Policy(strict=True)], ids=["lax", "strict"])
def test_a_field_that_nobody_knows_is_refused_without_a_list_of_all_fields(policy):
    for name, said in (
        ("temprature", 'did you mean "temperature"'),
        ("zzzzz", "leave out"),
        ("x" * 300, "openapi.json"),
    ):
        with pytest.raises(SansiError, match=said) as caught:
            parse_chat_request({"model": "m", "messages": [], name: 1}, policy)
        assert caught.value.param == (name if len(name) <= 64 else name[:63] + "…")
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("fields", [CHAT_FIELDS, TEXT_FIELDS], ids=["chat", "text"])
@given(data=st.data())
@settings(max_examples=150)
def test_the_schema_of_a_field_is_what_its_check_accepts(fields, data):
    """The API's document promises no value that is then refused, nor refuses one that is accepted."""
    name = data.draw(st.sampled_from(sorted(fields)))
    value = data.draw(JSON.filter(lambda value: value is not None) | st.sampled_from(VALUES))
    strict, refusal = data.draw(st.booleans()), ""
    schema = schema_of({name: fields[name]}, [], strict)["properties"][name]
    try:
        fields[name].kind.check(value, name, Reading(strict))
        accepted = True
    except SansiError as error:
        refusal = str(error)
        accepted = fields[name].use in ("ignored", "silent") and not strict
    if name in ("guided_json", "json_schema", "response_format") and "JSON schema" in refusal:
        return  # that a text is one of a JSON schema cannot be said
    whole_float = isinstance(value, float)  # JSON schema takes 1.0 for a whole number, as JSON itself may
    assert accepted == jsonschema_rs.is_valid(schema, value) or whole_float or _nested_null(value), (name, value)


def _nested_null(value):
    """Inside an object a null is "not given", which a schema of a free object does not say."""
    return isinstance(value, dict) and None in value.values()
