import re

import pytest
from conversations import assistant, golden_chats, tiny_codec, user
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.text import Content, Reasoning, ToolCallDelta, read_messages
from sansi.text.codec import split_thought
from sansi.text.tokenizer import CONTROL_TEXT
from sansi.text.tool_calls import read_call

CONTROL = re.compile("(" + "|".join(map(re.escape, CONTROL_TEXT.values())) + ")")
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
ARGUMENTS = '{"a": 1}'


def ids_of(text: str) -> list[int]:
    """Ids of a model's output written as text: control strings are control ids, all else is plain."""
    tok = tiny_codec().tokenizer
    parts = CONTROL.split(text)
    return [i for part in parts for i in ([tok.added[part]] if part in tok.added else tok.encode(part))]


def parse(text: str, **options):
    parser = tiny_codec().parser(tiny_codec().render([user("hi")], **options))
    parser.feed(ids_of(text))
    parser.finish()
    message = parser.message
    calls = [(call.name, call.arguments) for call in message.tool_calls]
    return message.reasoning_content, message.content, calls, parser.problems


OPEN, CLOSED = {"open_thought": True}, {"enable_thinking": False}


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ({}, "<think>\nhm\n</think>\n\nyes<|im_end|>", ("hm", "yes", [], [])),
        (OPEN, "hm\n</think>\n\nyes<|im_end|>", ("hm", "yes", [], [])),
        (OPEN, "\n</think>\n\nyes", ("", "yes", [], [])),
        (CLOSED, "yes\n\n", (None, "yes\n\n", [], [])),
        ({}, "plain answer", (None, "plain answer", [], [])),
        (CLOSED, f"Sure.\n{CALL}\n{CALL}<|im_end|>", (None, "Sure.", [("add", ARGUMENTS)] * 2, [])),
        (OPEN, f"hm\n</think>\n\n{CALL}<|im_end|>", ("hm", "", [("add", ARGUMENTS)], [])),
        (CLOSED, f"{CALL}\nDone.", (None, "\nDone.", [("add", ARGUMENTS)], [])),
        (CLOSED, f"{CALL}\n<|im_end|>", (None, "", [("add", ARGUMENTS)], [])),
        # what comes after the end of the turn is not part of it
        (CLOSED, "yes<|im_end|>\nno", (None, "yes", [], [])),
        (CLOSED, "yes<|endoftext|>no", (None, "yes", [], [])),
        # stray tags are text, and a closed thought does not reopen
        (CLOSED, "a</think>b<think>c", (None, "a</think>b<think>c", [], ["stray_tag", "stray_tag"])),
        (OPEN, "a<think>b</think>c", ("a<think>b", "c", [], ["stray_tag"])),
        ({}, "a</think>b", (None, "a</think>b", [], ["stray_tag"])),
        (CLOSED, "a</tool_call>b", (None, "a</tool_call>b", [], ["stray_tag"])),
        (CLOSED, "a<tool_response>b<|im_start|>", (None, "a<tool_response>b<|im_start|>", [], ["stray_tag"] * 2)),
        # a thought that opens late is still a thought, as the engine counts it
        ({}, "first <think>\nhm\n</think>\n\nyes", ("hm", "first \n\nyes", [], [])),
        # thoughts that stay open
        (OPEN, "hm\n", ("hm", "", [], ["unclosed_thought"])),
        (OPEN, f"hm {CALL}<|im_end|>", ("hm ", "", [("add", ARGUMENTS)], ["unclosed_thought", "call_in_thought"])),
        (OPEN, f"a {CALL} b</think>c", (f"a {CALL} b", "c", [], ["call_in_thought"])),
        (
            OPEN,
            'a <tool_call>{"name": "x',
            ('a <tool_call>{"name": "x', "", [], ["truncated_call", "unclosed_thought", "call_in_thought"]),
        ),
        (OPEN, 'a <tool_call>{"name": </think>b', ('a <tool_call>{"name": ', "b", [], ["call_in_thought"])),
        # calls that are none
        (CLOSED, "Hm\n<tool_call>{x}</tool_call>", (None, "Hm\n<tool_call>{x}</tool_call>", [], ["malformed_call"])),
        (CLOSED, 'Hm\n<tool_call>\n{"name": "add"', (None, 'Hm\n<tool_call>\n{"name": "add"', [], ["truncated_call"])),
        (CLOSED, CALL.removesuffix("</tool_call>"), (None, CALL.removesuffix("</tool_call>"), [], ["truncated_call"])),
        (CLOSED, f"<tool_call>{CALL}", (None, "<tool_call>", [("add", ARGUMENTS)], ["malformed_call"])),
        # ordinary tokens that spell a tag are no tag; a tag inside a JSON string is part of it
        (
            CLOSED,
            '<tool_call>{"name": "f", "arguments": {"q": "</tool_call>\\"</think>"}}</tool_call>!',
            (None, "!", [("f", '{"q": "</tool_call>\\"</think>"}')], []),
        ),
        (
            CLOSED,
            '<tool_call>{"name": "f", "arguments": {"q": "\\\\"}}</tool_call>!',
            (None, "!", [("f", '{"q": "\\\\"}')], []),
        ),
    ],
)  # fmt: skip
def test_declared_outcomes(options, text, expected):
    assert parse(text, **options) == expected


def test_spelled_tags_are_text():
    codec = tiny_codec()
    ids = codec.tokenizer.encode(f"</think>{CALL}<|im_end|>")
    assert codec.parse(codec.render([user("hi")]), ids).content == f"</think>{CALL}<|im_end|>"


def test_a_finished_conversation_has_no_parser():
    codec = tiny_codec()
    with pytest.raises(SansiError, match="add_generation_prompt"):
        codec.parser(codec.render([user("a"), assistant("b")], add_generation_prompt=False))


def test_events_are_as_fine_as_the_feed():
    parser = tiny_codec().parser(tiny_codec().render([user("hi")], open_thought=True))
    assert parser.feed(ids_of("hm")) == [Reasoning("hm")]
    assert parser.feed(ids_of("\n</think>\n\nyes")) == [Content("yes")]
    assert parser.feed(ids_of("\n<tool_call>" + '{"name": "add", "arguments": {')) == []
    (call,) = parser.feed(ids_of("}}</tool_call><|im_end|>"))
    assert isinstance(call, ToolCallDelta) and (call.index, call.name, call.arguments) == (0, "add", "{}")
    assert parser.finish() == [] == parser.feed(ids_of("more"))
    assert parser.message.tool_calls[0].id == call.id


def test_call_ids_differ_between_calls_and_turns():
    codec = tiny_codec()
    ids = ids_of(CALL + CALL)
    found = [codec.parse(codec.render([user(q)], enable_thinking=False), ids).tool_calls for q in ("a", "b", "a")]
    assert len({call.id for calls in found for call in calls}) == 4
    assert found[0] == found[2]


def test_what_is_rendered_is_parsed_back():
    codec, checked = tiny_codec(), 0
    for case in golden_chats()[::2]:
        for i, message in enumerate(case["messages"]):
            if message["role"] != "assistant" or i == 0:
                continue
            prompt = codec.render(case["messages"][:i], tools=case["tools"], history="keep", soft_switch="model")
            whole = codec.render(
                case["messages"][: i + 1], tools=case["tools"], history="keep", soft_switch="model",
                add_generation_prompt=False,
            )  # fmt: skip
            found = codec.parse(prompt, whole.ids[len(prompt.ids) :])
            (wanted,) = read_messages([message])
            thought, answer = split_thought(wanted)
            assert (found.reasoning_content, found.content) == (thought, answer.lstrip("\n"))
            assert [(c.name, c.arguments) for c in found.tool_calls] == [
                (c.name, c.arguments) for c in wanted.tool_calls
            ]
            checked += 1
    assert checked > 150


pieces = st.lists(
    st.one_of(
        st.sampled_from([*CONTROL_TEXT.values(), CALL, "\n", "\n\n", '"', "\\", '{"name": "f", "arguments": {"q": "']),
        st.text(st.sampled_from('ab\n"é你\\{}'), max_size=5),
    ),
    max_size=10,
)
options = st.sampled_from([{}, OPEN, CLOSED])


@settings(max_examples=150, derandomize=True, deadline=None)
@given(pieces, options, st.lists(st.integers(1, 7), max_size=30), st.data())
def test_any_split_gives_the_same_message_and_events_add_up_to_it(parts, given_options, sizes, data):
    codec, ids = tiny_codec(), ids_of("".join(parts))
    drop = data.draw(st.integers(0, len(ids)))  # also breaks UTF-8 sequences
    ids = ids[:drop] + ids[drop + 1 :]
    prompt = codec.render([user("hi")], **given_options)
    parser, events, at = codec.parser(prompt), [], 0
    for size in [*sizes, len(ids)]:
        events += parser.feed(ids[at : at + size])
        at += size
    events += parser.finish()
    assert parser.message == codec.parse(prompt, ids)
    text = {kind: "".join(e.text for e in events if isinstance(e, kind)) for kind in (Reasoning, Content)}
    calls = [(e.id, e.name, e.arguments) for e in events if isinstance(e, ToolCallDelta)]
    assert text[Content] == parser.message.content
    assert text[Reasoning] == (parser.message.reasoning_content or "")
    assert calls == [(c.id, c.name, c.arguments) for c in parser.message.tool_calls]
    assert [e.index for e in events if isinstance(e, ToolCallDelta)] == list(range(len(calls)))


@settings(max_examples=150, derandomize=True, deadline=None)
@given(pieces, options)
def test_nothing_is_lost(parts, given_options):
    """Every letter of the turn comes out; only line breaks and the tags that did their work go."""
    text = re.split(r"<\|im_end\|>|<\|endoftext\|>", "".join(parts))[0]
    reasoning, content, calls, _ = parse(text, **given_options)
    out = (reasoning or "") + content + "".join(f"{name}{arguments}" for name, arguments in calls)
    for letter in "bé你":  # no tag and no key of a call has these
        assert out.count(letter) == text.count(letter)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"name": 3, "arguments": {}}',
        '{"name": "f", "arguments": "{}"}',
        '{"name": "f", "arguments": [1]}',
        '{"name": "f", "arguments": {"a": NaN}}',
        '{"name": "f", "name": "g", "arguments": {}}',
        '{"name": "f", "x": 1}',
        '{"name": "f"} {"name": "g"}',
        '{"name": "f",}',
        '{"name": "f" "arguments": {}}',
        '{"name": "\\ud800", "arguments": {}}',
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('{"name": "f", "arguments": {"a": ' + "9" * 5000 + "}}", id="long number"),
    ],
)
def test_these_are_no_calls(text):
    assert read_call(text) is None


def test_arguments_are_kept_as_written():
    assert read_call(' {"arguments" : {"a": 1e5,  "b":[1.0]} , "name":"f"} ') == ("f", '{"a": 1e5,  "b":[1.0]}')
    assert read_call('{"name": "f"}') == ("f", "{}")
