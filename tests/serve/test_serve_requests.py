"""Whatever the body, the outcome is a checked request or a SansiError."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.serve.requests import (
    CHAT_FIELDS,
    TEXT_FIELDS,
    ChatRequest,
    TextRequest,
    parse_body,
    parse_chat_request,
    parse_text_request,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


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


def test_both_spellings_may_agree():
    body = {"model": "m", "messages": [], "enable_thinking": False, "chat_template_kwargs": {"enable_thinking": False}}
    assert parse_chat_request({**body, "max_tokens": 5, "max_completion_tokens": 5}).options.enable_thinking is False
