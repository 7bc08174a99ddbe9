"""Messages as clients keep them and send them back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.serve.api.openai_chat import parse_chat_request
from sansi.serve.api.requests import Policy
from sansi.text import read_messages
from test_serve_requests import JSON

USER = {"role": "user", "content": "x"}
SAID = {"role": "assistant", "content": "y"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}


def read(*messages, strict=False, **fields):
    return parse_chat_request({"model": "m", "messages": list(messages), **fields}, Policy(strict=strict))


def test_plain_messages_are_passed_on_as_they_are():
    thought = {**SAID, "reasoning_content": "z"}
    chat = [{"role": "system", "content": "s"}, USER, thought, USER]
    assert all(one is other for one, other in zip(read(*chat).messages, chat, strict=True))


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ({**USER, "id": "m1", "timestamp": 1.5}, ("messages[].id", "messages[].timestamp")),
        ({**USER, "extra": {"a": 1}}, ("messages[].extra",)),
        ({**USER, "partial": False, "name": "", "extra": {}, "other": None}, ()),
        ({**USER, "cache_control": {"type": "ephemeral"}}, ()),
        ({"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}, ()),
        ({"role": "user", "content": [{"type": "text", "text": "x", "index": 1}]}, ("messages[].content[].index",)),
        ({**USER, "reasoning_content": "only an assistant thinks"}, ("messages[].reasoning_content",)),
        ({**SAID, "annotations": [{"type": "url_citation"}]}, ("messages[].annotations",)),
        ({**SAID, "provider_specific_fields": {"refusal": None, "x": 1}}, ("messages[].provider_specific_fields",)),
        ({**SAID, "refusal": "no"}, ("messages[].refusal",)),
    ],
)
def test_what_programs_keep_in_messages_is_ignored_by_name(message, names):
    request = read(USER, message, USER)
    assert request.ignored == names
    assert request.messages[1] == {"role": message["role"], "content": "x" if message["role"] == "user" else "y"}
    read_messages(request.messages)
    if names:
        with pytest.raises(SansiError) as caught:
            read(USER, message, USER, strict=True)
        assert caught.value.param.startswith("messages[1].")


def test_a_long_history_names_a_field_once():
    assert read(*[{**USER, "name": "Ann", "id": str(i)} for i in range(100)]).ignored == (
        "messages[].name",
        "messages[].id",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "z"},
        {"reasoning": "z"},
        {"thinking": "z"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "z", "signature": "s"}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "z"}, {"type": "reasoning.encrypted", "data": "e"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "z"}]},
        {"provider_specific_fields": {"reasoning_content": "z"}},
        {"provider_specific_fields": {"thinking_blocks": [{"type": "thinking", "thinking": "z"}]}},
        {"content": [{"type": "thinking", "thinking": "z"}, {"type": "text", "text": "y"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "z"}]}, "y"]},
        {"content": [{"type": "reasoning", "text": "z"}, {"type": "output_text", "text": "y"}]},
        {"reasoning_content": "z", "thinking_blocks": [{"type": "thinking", "thinking": "z"}]},
        {"reasoning_content": "", "thinking_blocks": [{"type": "thinking", "thinking": "z"}]},
    ],
)
def test_a_thought_is_read_wherever_a_history_holds_it(fields):
    request = read(USER, {**SAID, **fields}, USER, strict=True)
    (_, said, _) = read_messages(request.messages)
    assert (said.reasoning_content, said.content, request.ignored) == ("z", "y", ())


def test_of_two_thoughts_the_plainest_counts_and_the_other_is_named():
    request = read(USER, {**SAID, "reasoning_content": "z", "thinking_blocks": [{"thinking": "a"}]}, USER)
    assert request.messages[1]["reasoning_content"] == "z" and request.ignored == ("messages[].thinking_blocks",)


@pytest.mark.parametrize(
    "chat",
    [
        [USER, CALLED, {"role": "tool", "tool_call_id": "c1", "content": None}],
        [USER, CALLED, {"role": "tool", "tool_call_id": "c1"}],
        [USER, {"role": "assistant", "content": None}, USER],
        [USER, {"role": "assistant"}, USER],
        [{"role": "user", "content": None}],
        [{"role": "system", "content": None}, USER],
        [{"role": "user", "content": [{"type": "text", "text": None}]}],
        [{"role": "user", "content": []}],
    ],
)
def test_null_content_is_empty_text(chat):
    request = read(*chat, strict=True)
    assert "" in [message.content for message in read_messages(request.messages)]


def test_a_refusal_is_what_the_turn_said():
    for content in (None, ""):
        assert read(USER, {"role": "assistant", "content": content, "refusal": "no"}).messages[1]["content"] == "no"
    parts = [{"type": "refusal", "refusal": "no"}]
    assert read(USER, {"role": "assistant", "content": parts}).messages[1]["content"] == "no"


@pytest.mark.parametrize("name", ["id", "call_id"])
def test_the_id_of_a_result_may_stand_for_that_of_its_call(name):
    request = read(USER, CALLED, {"role": "tool", "content": "r", "name": "f", name: "c1"})
    assert request.messages[2]["tool_call_id"] == "c1" and request.ignored == ()
    own = read(USER, CALLED, {"role": "tool", "content": "r", "id": "m7"})
    assert "tool_call_id" not in own.messages[2] and own.ignored == ("messages[].id",)
    both = read(USER, CALLED, {"role": "tool", "content": "r", "id": "m7", "tool_call_id": "c1"})
    assert both.messages[2]["tool_call_id"] == "c1" and both.ignored == ("messages[].id",)
    for one in (request, own, both):
        read_messages(one.messages)


def test_what_a_call_holds_beside_is_ignored_by_name():
    call = {**CALL, "index": 0, "extra_content": {"a": 1}, "other": None}
    assert read(USER, {**CALLED, "tool_calls": [call]}).ignored == ("messages[].tool_calls[].extra_content",)


@pytest.mark.parametrize("name", ["partial", "prefix"])
def test_a_last_message_that_says_so_is_gone_on_with(name):
    assert read(USER, {**SAID, name: True}).options.continue_final == "answer"
    thought = {"role": "assistant", "reasoning_content": "z", name: True}
    assert read(USER, thought).options.continue_final == "thought"
    assert read(USER, {**SAID, name: False}).options.continue_final is None
    earlier = read(USER, {**SAID, name: True}, {**USER, "id": "m"})
    assert earlier.options.continue_final is None and earlier.ignored == (f"messages[].{name}", "messages[].id")
    for wrong in ({**USER, name: True}, {**SAID, name: "yes"}):
        with pytest.raises(SansiError) as caught:
            read(wrong)
        assert caught.value.param == f"messages[0].{name}"


@pytest.mark.parametrize(
    ("message", "param", "hint"),
    [
        ({**SAID, "function_call": {"name": "f", "arguments": "{}"}}, "function_call", "tool_calls"),
        ({**SAID, "audio": {"id": "a"}}, "audio", "transcript"),
        ({**USER, "images": ["aGk="]}, "images", "words"),
        ({"role": "function", "name": "f", "content": "r"}, "role", "tool"),
        *(
            ({"role": "user", "content": [{"type": kind}]}, "content[0].type", hint)
            for kind, hint in (
                ("image_url", "words"),
                ("input_audio", "transcript"),
                ("file", "its text"),
                ("tool_result", '"tool"'),
                ("tool_use", "tool_calls"),
                (["text"], "only"),
                (None, "only"),
            )
        ),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "content[0].text", "text"),
        ({"role": "user", "content": [5]}, "content[0]", "object"),
    ],
)
def test_what_is_no_text_is_refused_and_the_error_says_what_to_send(message, param, hint):
    with pytest.raises(SansiError, match=hint) as caught:
        read(message)
    assert caught.value.param == f"messages[0].{param}"


KEYS = ("role", "content", "name", "id", "thinking", "thinking_blocks", "refusal", "partial", "tool_calls", "x")


@given(
    st.lists(st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from(["user", "assistant", "tool"])), max_size=4)
)
def test_any_messages_are_read_or_refused(messages):
    try:
        read_messages(read(*messages).messages)
    except SansiError as error:
        assert error.param.startswith("messages")
    json.dumps(messages)


def test_blocks_in_blocks_have_a_bottom():
    deep: object = "z"
    for _ in range(500):
        deep = [deep]
    assert "reasoning_content" not in read(USER, {**SAID, "thinking_blocks": deep}).messages[1]
