from dataclasses import replace

import pytest
from conversations import tiny_codec
from hypothesis import given
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.text import Message, ToolCall, message_to_dict, read_messages
from sansi.text.messages import ROLES, _plain_message, _read_message, read_tools

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
ASKED = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "2"}


def test_reads_what_openai_clients_send():
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "1 + "}, {"type": "text", "text": "1?"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None, "annotations": []},
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
        {"role": "assistant", "content": "2", "reasoning": "easy"},
    ]
    found = read_messages(chat)
    assert found[1].content == "1 + 1?"
    assert found[2] == Message("assistant", tool_calls=(ToolCall("c1", "add", '{"a": 1}'),))
    assert found[4].reasoning_content == "easy"


def test_dictionaries_and_messages_are_the_same():
    message = Message("assistant", "hi", "", (ToolCall("c1", "add", '{"a":  1}'),), name="bot")
    assert read_messages([message_to_dict(message)]) == (message,) == read_messages([message])


def test_arguments_given_as_an_object_are_written_as_the_template_writes_them():
    call = {"function": {"name": "add", "arguments": {"q": "é<b>", "n": 1}}}
    found = read_messages([{"role": "assistant", "content": "", "tool_calls": [call]}])
    assert found[0].tool_calls == (ToolCall("call_0", "add", '{"q": "é<b>", "n": 1}'),)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "robot", "content": ""}, "messages[1].role"),
        ({"content": "x"}, "messages[1].role"),
        ({"role": ["user"], "content": "x"}, "messages[1].role"),
        ({"role": "user"}, "messages[1].content"),
        ({"role": "user", "content": 3}, "messages[1].content"),
        ({"role": "user", "content": "\ud800"}, "messages[1].content"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, "messages[1].content[0].type"),
        ({"role": "user", "content": ["x"]}, "messages[1].content[0]"),
        ({"role": "user", "content": "x", "reasoning_content": "y"}, "messages[1].reasoning_content"),
        ({"role": "assistant", "content": "x", "tool_calls": {}}, "messages[1].tool_calls"),
        ({"role": "assistant", "tool_calls": [{"function": {}}]}, "messages[1].tool_calls[0].name"),
        *(
            (
                {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]},
                "messages[1].tool_calls[0].function.arguments",
            )
            for arguments in (3, [1], {"a": float("nan")})
        ),
        (
            {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"name": "f"}}]},
            "messages[1].tool_calls[0].type",
        ),
        ({"role": "user", "content": [{"type": "text", "text": "x", "extra": 1}]}, "messages[1].content[0].extra"),
        ({"role": "tool", "content": "x", "tool_call_id": 4}, "messages[1].tool_call_id"),
        ("hello", "messages[1]"),
        ({"role": "assistant"}, "messages[1].content"),
        ({"role": "assistant", "content": None}, "messages[1].content"),
        ({"role": "assistant", "content": "", "reasoning": "a", "reasoning_content": "b"}, "messages[1].reasoning"),
        ({"role": "system", "content": None}, "messages[1].content"),
        ({"role": "system", "content": [{"type": "text", "text": 3}]}, "messages[1].content[0].text"),
        ({"role": "tool", "content": "2"}, "messages[1]"),
        (Message("user", 3), "messages[1].content"),  # type: ignore[arg-type]
        (Message("assistant", tool_calls=(ToolCall("a", "f", "{"),)), "messages[1].tool_calls[0].function.arguments"),
        (Message("assistant", tool_calls=(ToolCall("a", 3, "{", "cut"),)), "messages[1].tool_calls[0].name"),
        (Message("assistant", tool_calls=None), "messages[1].tool_calls"),  # type: ignore[arg-type]
        (Message("assistant", tool_calls="ab"), "messages[1].tool_calls"),  # type: ignore[arg-type]
        (Message("assistant", tool_calls=({"id": "a"},)), "messages[1].tool_calls[0]"),  # type: ignore[arg-type]
        *(
            (Message("assistant", tool_calls=calls), f"messages[1].tool_calls[{place}")
            for calls, place in (
                ((ToolCall("a", "f", "{", "cut"), ToolCall("b", "f", "{")), "1].function.arguments"),
                ((ToolCall("a", "f", "{", "cut"), ToolCall("a", "f", "{}")), "1].id"),
                ((ToolCall("a", 'f"', "{", "cut"),), "0].function.name"),
                ((ToolCall("a", "", "{}"),), "0].function.name"),
            )
        ),
        *(
            (Message("assistant", "x", **{key: ids}), f"messages[1].{key}")  # type: ignore[arg-type]
            for key in ("ids", "prefill")
            for ids in ("12", b"12", {1, 2}, 3, (1, -1), (1.0,), (True,), ("1",), (None,))
        ),
        *(
            (
                {
                    "role": "assistant",
                    "tool_calls": [CALL, {"id": "d", "function": {"name": name, "arguments": given}}],
                },
                "messages[1].tool_calls[1].function.name",
            )
            for name in ("", " ", 'a"b', "a\\b", "a\nb", "a\tb")
            for given in ("{}", {})
        ),
        ({"role": "assistant", "tool_calls": [CALL, CALL]}, "messages[1].tool_calls[1].id"),
        ({"role": "assistant", "content": "", "tool_calls": [CALL, CALL]}, "messages[1].tool_calls[1].id"),
    ],
)
def test_errors_name_the_message_and_the_field(message, param):
    with pytest.raises(SansiError) as caught:
        read_messages([{"role": "user", "content": "hi"}, message])
    assert caught.value.param == param
    assert param in str(caught.value)


@pytest.mark.parametrize(
    ("chat", "param"),
    [
        ([ASKED, RESULT, RESULT], None),
        ([ASKED, {**RESULT, "tool_call_id": "c1"}], None),
        ([ASKED, {**RESULT, "tool_call_id": "c2"}], "messages[1].tool_call_id"),
        ([ASKED, RESULT, {"role": "user", "content": "?"}, RESULT], "messages[3]"),
        ([ASKED, {"role": "assistant", "content": "?"}, RESULT], "messages[2]"),
        ([RESULT], "messages[0]"),
    ],
)
def test_a_result_follows_its_call(chat, param):
    if param is None:
        assert len(read_messages(chat)) == len(chat)
        return
    with pytest.raises(SansiError) as caught:
        read_messages(chat)
    assert caught.value.param == param


def test_both_names_of_reasoning_may_say_the_same():
    given = {"role": "assistant", "content": "a", "reasoning": "b", "reasoning_content": "b"}
    assert read_messages([given])[0].reasoning_content == "b"


def test_what_a_model_left_broken_stays_as_it_is():
    broken = Message("assistant", tool_calls=(ToolCall("c1", "f", '{"a": ', "cut off"),), ids=(1, 2), prefill=(3,))
    found = read_messages([broken])[0]
    assert found is broken and not found.tool_calls[0].executable
    assert "ids" not in message_to_dict(found) and "error" not in message_to_dict(found)["tool_calls"][0]


@pytest.mark.parametrize(
    "arguments", ["{", '{"a": 1', "[1]", "3", "null", '{"a": NaN}', '{"a": ' * 100_000, '{"a": ' + "9" * 5000 + "}"]
)
@pytest.mark.parametrize("content", [None, ""])
def test_a_call_that_was_cut_off_is_read_as_it_was_written(arguments, content):
    """Clients send back what they were answered; what is no JSON object can be shown and never executed."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    (message,) = read_messages([{"role": "assistant", "content": content, "tool_calls": [call]}])
    assert message.tool_calls[0].arguments == arguments and not message.tool_calls[0].executable
    assert message_to_dict(message)["tool_calls"] == [call]


def test_what_an_error_quotes_is_short():
    long = "x" * 100_000
    calls = [{**CALL, "id": long}] * 2
    for message in (
        {"role": long},
        {"role": [long]},
        {"role": "user", "content": "", long: 1},
        {"role": "user", "content": [{"type": long}]},
        {"role": "user", "content": [{"type": "text", "text": "", long: 1}]},
        {"role": "assistant", "tool_calls": [{"type": long}]},
        {"role": "assistant", "tool_calls": calls},
        {"role": "assistant", "tool_calls": [{"function": {"name": long + '"'}}]},
    ):
        with pytest.raises(SansiError) as caught:
            read_messages([message])
        assert len(str(caught.value)) < 500 and len(caught.value.param) < 200
    with pytest.raises(SansiError) as caught:
        read_messages([ASKED, {**RESULT, "tool_call_id": long}])
    assert len(str(caught.value)) < 500


def test_the_quick_way_and_the_thorough_way_read_the_same():
    for role in ROLES:
        given = {"role": role, "content": "x"}
        quick, thorough = _plain_message(given), _read_message(given, "messages[0]")
        assert quick == thorough and vars(Message(**given)).keys() >= vars(quick).keys()
        assert hash(quick) == hash(thorough) and repr(quick) == repr(thorough)
        assert replace(quick, name="a") == replace(thorough, name="a")


@pytest.mark.parametrize("messages", [[], "hi", None, {"role": "user"}])
def test_something_else_than_a_list_of_messages(messages):
    with pytest.raises(SansiError, match="messages"):
        read_messages(messages)


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ("x", "tools"),
        ([3], "tools[0]"),
        ([{"type": "function", "function": {}}], "tools[0].name"),
        ([{"name": "f"}, {"function": {"name": 1}}], "tools[1].function.name"),
        ([{"name": "f", "parameters": {1, 2}}], "tools[0]"),
        ([{"name": "f"}, {"type": "function", "function": {"name": "f"}}], "tools[1].function.name"),
        ([{"name": 'f"'}], "tools[0].name"),
        ([{"name": " "}], "tools[0].name"),
        ([{"function": {"name": "f", "parameters": {"type": "objekt"}}}], "tools[0].function.parameters"),
        ([{"function": {"name": "f", "parameters": {"properties": 3}}}], "tools[0].function.parameters"),
    ],
)
def test_tools_are_checked(tools, param):
    with pytest.raises(SansiError) as caught:
        read_tools(tools)
    assert caught.value.param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ANY_CALL = st.fixed_dictionaries({}, optional={"id": JSON, "function": JSON, "name": JSON, "arguments": JSON})
FIELDS = {
    "content": JSON | st.lists(st.fixed_dictionaries({"type": st.just("text")}, optional={"text": JSON}), max_size=2),
    "tool_calls": JSON | st.lists(ANY_CALL | st.builds(lambda call: {"function": call}, ANY_CALL), max_size=2),
    **dict.fromkeys(("reasoning_content", "reasoning", "tool_call_id", "name", "other"), JSON),
}
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(ROLES) | JSON}, optional=FIELDS)


@given(st.lists(MESSAGE | JSON, max_size=4), st.none() | st.lists(ANY_CALL | JSON, max_size=2))
def test_whatever_is_sent_is_rendered_or_refused_by_name(messages, tools):
    try:
        prompt = tiny_codec().render(messages, tools=tools)
    except SansiError as error:
        assert error.param and error.param.startswith(("messages", "tools"))
    else:
        assert prompt.ids


@given(MESSAGE)
def test_the_quick_way_reads_nothing_that_the_thorough_way_refuses(message):
    quick = _plain_message(message)
    assert quick is None or quick == _read_message(message, "messages[0]")


CALLED = st.fixed_dictionaries(
    {"name": st.text(max_size=3), "arguments": JSON | st.dictionaries(st.text(max_size=3), JSON)}
)
CALLS = st.lists(st.fixed_dictionaries({"id": st.text(max_size=2), "function": CALLED}), max_size=2)


@given(st.fixed_dictionaries({"role": st.just("assistant"), "content": st.text(max_size=3), "tool_calls": CALLS}))
def test_the_quick_way_reads_calls_as_the_thorough_way_does(message):
    quick = _plain_message(message)
    assert quick is None or quick == _read_message(message, "messages[0]")
    if all(c["id"] and type(c["function"]["arguments"]) is dict for c in message["tool_calls"]):
        try:
            _read_message(message, "messages[0]")
        except SansiError:
            return
        assert quick is not None
