import json
import re
import time

import pytest
from conversations import assistant, golden_chats, tiny_codec, user
from sansi.base import SansiError
from sansi.text import Content, Reasoning, ToolCallDelta, read_messages
from sansi.text.codec import split_thought
from sansi.text.parser import joined
from sansi.text.schema import _object as object_of
from sansi.text.tokenizer import CONTROL_TEXT

CONTROL = re.compile("(" + "|".join(map(re.escape, CONTROL_TEXT.values())) + ")")
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
ARGUMENTS = '{"a": 1}'


def ids_of(text: str) -> list[int]:
    """Ids of a model's output written as text: control strings are control ids, all else is plain."""
    tok = tiny_codec().tokenizer
    parts = CONTROL.split(text)
    return [i for part in parts for i in ([tok.added[part]] if part in tok.added else tok.encode(part))]


def parsed(text: str, **options):
    parser = tiny_codec().parser(tiny_codec().render([user("hi")], **options))
    parser.feed(ids_of(text))
    parser.finish()
    return parser


def parse(text: str, **options):
    parser = parsed(text, **options)
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
            ('a <tool_call>{"name": "x', "", [], ["unclosed_thought", "call_in_thought", "truncated_call"]),
        ),
        (OPEN, 'a <tool_call>{"name": </think>b', ('a <tool_call>{"name": ', "b", [], ["call_in_thought"])),
        # calls that are none
        (CLOSED, "Hm\n<tool_call>{x}</tool_call>", (None, "Hm\n<tool_call>{x}</tool_call>", [], ["malformed_call"])),
        (CLOSED, 'Hm\n<tool_call>\n{"name": "add', (None, 'Hm\n<tool_call>\n{"name": "add', [], ["truncated_call"])),
        (CLOSED, '<tool_call>\n{"name": " ", "arguments": {}}\n</tool_call>!',
         (None, '<tool_call>\n{"name": " ", "arguments": {}}\n</tool_call>!', [], ["malformed_call"])),
        # calls that went wrong after their name was known: they stay, with an error
        (CLOSED, 'Hm\n<tool_call>\n{"name": "add"', (None, "Hm", [("add", "")], ["truncated_call"])),
        (CLOSED, CALL.removesuffix("</tool_call>"), (None, "", [("add", ARGUMENTS)], ["truncated_call"])),
        (CLOSED, '<tool_call>{"name": "f", "arguments": {"a": "x', (None, "", [("f", '{"a": "x')], ["truncated_call"])),
        (CLOSED, '<tool_call>{"name": "f", oops} </tool_call>!', (None, "!", [("f", "oops}")], ["malformed_call"])),
        (CLOSED, '<tool_call>{"name": "f"</tool_call>!', (None, "!", [("f", "")], ["malformed_call"])),
        (CLOSED, '<tool_call>{"name": "f", "arguments": {"a": 1,}}</tool_call>!',
         (None, "!", [("f", '{"a": 1,}')], ["malformed_call"])),
        (CLOSED, '<tool_call>{"name": "f", "arguments": {"a": "x\n}}</tool_call>!',  # a quote is missing
         (None, "!", [("f", '{"a": "x\n}}')], ["malformed_call"])),
        (CLOSED, f'<tool_call>{{"name": "f", "arguments": {{{CALL}',
         (None, "", [("f", "{"), ("add", ARGUMENTS)], ["malformed_call"])),
        (OPEN, 'hm<tool_call>{"name": "f"', ("hm", "", [("f", "")],
         ["unclosed_thought", "call_in_thought", "truncated_call"])),
        # a thought can not open after a call
        ({}, f"{CALL}<think>x</think>", (None, "<think>x</think>", [("add", ARGUMENTS)], ["stray_tag"] * 2)),
        ({}, "<tool_call><think>x</think>", (None, "<tool_call><think>x</think>", [], ["malformed_call", "stray_tag"])),
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
    assert parser.feed(ids_of('\n<tool_call>{"name": "ad')) == []
    (call,) = parser.feed(ids_of('d", "argum'))
    assert (call.index, call.name, call.arguments) == (0, "add", "")
    told = [
        parser.feed(ids_of(text)) for text in ('ents": ', '{"q": "a', "b", '</tool_call>"', "}", "}", "</tool_call>")
    ]
    later = [(event.index, event.id, event.name, event.arguments) for events in told for event in events]
    assert later == [(0, call.id, None, text) for text in ('{"q": "a', "b", '</tool_call>"', "}")]
    assert parser.feed(ids_of("<|im_end|>")) == [] == parser.finish() == parser.feed(ids_of("more"))
    (made,) = parser.message.tool_calls
    assert (made.id, made.arguments, made.executable) == (call.id, '{"q": "ab</tool_call>"}', True)


def test_the_turn_keeps_its_ids_but_not_the_stop():
    ids = ids_of(f"hm\n</think>\n\nyes{CALL}<|im_end|>more")
    parser = tiny_codec().parser(tiny_codec().render([user("hi")], open_thought=True))
    parser.feed(ids)
    assert parser.message.ids == tuple(ids[: ids.index(tiny_codec().control.im_end)])
    assert parser.reasoning_tokens == len(ids_of("hm\n"))
    parser = tiny_codec().parser(tiny_codec().render([user("hi")]))
    parser.feed_text("yes")
    assert parser.message.ids is None


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


def call_of(text: str, tools=None):
    """The one call in a turn that holds nothing else, and the problems."""
    prompt = tiny_codec().render([user("hi")], tools=tools, enable_thinking=False)
    parser = tiny_codec().parser(prompt)
    events = parser.feed(ids_of(f"<tool_call>{text}</tool_call>")) + parser.finish()
    assert "".join(e.arguments for e in events if isinstance(e, ToolCallDelta)) == "".join(
        call.arguments for call in parser.message.tool_calls
    )
    return parser.message.tool_calls[0] if parser.message.tool_calls else None, parser.problems


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"name": 3, "arguments": {}}',
        '{"arguments": [1], "name": "f"}',
        '{"arguments": {}, "arguments": {}, "name": "f"}',
        '{"name": "\\ud800", "arguments": {}}',
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('{"arguments": ' + '{"a":' * 100_000, id="deep arguments"),
    ],
)
def test_these_are_no_calls(text):
    assert call_of(text) == (None, ["malformed_call"])


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"name": "f", "arguments": [1]}', "[1]}"),
        ('{"name": "f", "arguments": "x"}', '"x"'),
        ('{"name": "f", "arguments": {"a": NaN}}', '{"a": NaN}'),
        ('{"name": "f", "arguments": {"a": 1, "a": 2}}', '{"a": 1, "a": 2}'),
        ('{"name": "f", "arguments": {"a": 1e999}}', '{"a": 1e999}'),
        ('{"name": "f", "arguments": {"a": "\\ud800"}}', '{"a": "\\ud800"}'),
        ('{"name": "f", "name": "g", "arguments": {}}', '"name": "g", "arguments": {}}'),
        ('{"name": "f", "x": 1}', '"x": 1}'),
        ('{"name": "f"} {"name": "g"}', '{}{"name": "g"}'),
        ('{"name": "f",}', "}"),
        ('{"name": "f" "arguments": {}}', '"arguments": {}}'),
        pytest.param('{"name": "f", "arguments": {"a": ' + "9" * 5000 + "}}", '{"a": ' + "9" * 5000 + "}", id="digits"),
        pytest.param('{"name": "f", "arguments": ' + '{"a":' * 9000 + "1" + "}" * 9001, None, id="deep"),
    ],
)
def test_these_calls_must_not_be_executed(text, arguments):
    call, problems = call_of(text)
    assert problems == ["malformed_call"] and not call.executable and call.error.startswith("malformed: ")
    assert arguments is None or call.arguments == arguments


def test_arguments_are_kept_as_written():
    text = ' {"arguments" : {"a": 1e5,  "b":[1.0]} , "name":"f"} '
    assert call_of(text)[0].arguments == '{"a": 1e5,  "b":[1.0]}'
    assert call_of('{"name": "f"}')[0].arguments == "{}"
    assert call_of('{"name": "f", "arguments": "{\\"a\\": 1}"}')[0].arguments == '{"a": 1}'


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "size": {"type": "number"},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('{"city":  "Oslo",\n "days": 3}', None),  # nothing is converted, so not a character changes
        ('{"city": "Oslo", "days": "3"}', '{"city": "Oslo", "days": 3}'),
        ('{"city": "Oslo", "days": 3.0}', '{"city": "Oslo", "days": 3}'),
        ('{"city": 1.10}', '{"city": "1.10"}'),
        ('{"city": "Oslo", "size": 1.50}', None),
        ('{"city": "Oslo", "tags": [{"n": 1, "x": [2.50]}]}', None),
        ('{"city": "Oslo", "tags": "[{\\"n\\": \\"1\\"}]"}', '{"city": "Oslo", "tags": [{"n": 1}]}'),
        ('{"city": "Oslo", "note": "7"}', None),
        ('"{\\"city\\": \\"Oslo\\", \\"days\\": \\"3\\"}"', '{"city": "Oslo", "days": 3}'),
    ],
)
def test_arguments_are_typed_by_the_schema(written, told):
    call, problems = call_of(f'{{"name": "weather", "arguments": {written}}}', TOOLS)
    assert (call.arguments, call.error, problems) == (told or written, None, [])
    early, _ = call_of(f'{{"arguments": {written}, "name": "weather"}}', TOOLS)
    assert early.executable and json.loads(early.arguments) == json.loads(call.arguments)


@pytest.mark.parametrize(
    ("schema", "written", "told"),
    [
        ({"type": "integer", "enum": [1, 2]}, "2.0", "2"),
        ({"type": "integer", "enum": [1, 2]}, '"2.0"', "2"),
        ({"type": "boolean", "enum": [True]}, '"True"', "true"),
        ({"type": "string", "enum": ["1.10"]}, "1.10", '"1.10"'),
        ({"type": ["string", "null"], "enum": ["a", None]}, '"null"', "null"),
        ({"type": "integer"}, "9007199254740991.0", "9007199254740991"),
        ({"type": "integer"}, "9007199254740993.0", "9007199254740993.0"),  # no float holds it: 2^53 is another number
    ],
)
def test_one_reading_or_none(schema, written, told):
    tools = [{"name": "f", "parameters": {"type": "object", "properties": {"x": schema}}}]
    call, problems = call_of(f'{{"name": "f", "arguments": {{"x": {written}}}}}', tools)
    assert (call.arguments, problems) == (f'{{"x": {told}}}', [])


def test_a_string_streams_and_a_value_that_may_be_converted_is_held():
    prompt = tiny_codec().render([user("hi")], tools=TOOLS, enable_thinking=False)
    parser = tiny_codec().parser(prompt)
    told = []
    for text in ('{"name": "weather", "arguments": {"city": "O', "sl", 'o", "days": "', "1", "2", '"', "}}"):
        events = parser.feed(ids_of(text if told else "<tool_call>" + text))
        told.append("".join(event.arguments for event in events))
    assert told == ['{"city": "O', "sl", 'o", "days": ', "", "", "12", "}"]


@pytest.mark.parametrize(
    ("text", "problem", "words"),
    [
        ('{"name": "wether", "arguments": {}}', "unknown_tool", 'unknown tool "wether"; did you mean "weather"'),
        ('{"name": "weather"}', "invalid_arguments", '"city" is missing'),
        ('{"name": "weather", "arguments": {"town": 1, "days": "x"}}', "invalid_arguments", 'unknown argument "town"'),
        ('{"name": "weather", "arguments": {"town": 1, "days": "x"}}', "invalid_arguments", 'not "x"; '),
        ('{"name": "weather", "arguments": {"city": {}}}', "invalid_arguments", '"city" must be a string, not {}'),
        ('{"name": "wether", "arguments": {,}}', "malformed_call", "malformed"),
    ],
)
def test_calls_that_do_not_fit_the_tools(text, problem, words):
    call, problems = call_of(text, TOOLS)
    assert problems == [problem] and words in call.error


@pytest.mark.parametrize("nothing", ["null", '""', '"null"', '" "', '"{}"', "{}"])
@pytest.mark.parametrize("form", ['{"name": "f", "arguments": %s}', '{"arguments": %s, "name": "f"}'])
@pytest.mark.parametrize("tools", [None, [{"name": "f", "parameters": {"properties": {"q": {"type": "string"}}}}]])
def test_no_arguments_are_an_empty_object_however_they_are_written(form, nothing, tools):
    for text in (form % nothing, form.replace(": ", ":\n") % nothing):
        call, problems = call_of(text, tools)
        assert (call.arguments, call.error, problems) == ("{}", None, [])


@pytest.mark.parametrize("wrong", ["nul", "none", "3", "[]", "true"])
def test_other_arguments_that_are_no_object_are_malformed(wrong):
    call, problems = call_of(f'{{"name": "f", "arguments": {wrong}}}', None)
    assert problems == ["malformed_call"] and not call.executable


def test_a_tool_without_a_type_takes_an_object():
    for schema in ({}, {"description": "d"}, {"properties": {"q": {"type": "string"}}}, {"type": ["object", "null"]}):
        call, problems = call_of('{"name": "f", "arguments": {"q": "a"}}', [{"name": "f", "parameters": schema}])
        assert (call.error, problems) == (None, [])


NO_PARAMETERS = {"additionalProperties": False}


@pytest.mark.parametrize(
    "rest",
    [NO_PARAMETERS, {"properties": {}, "unevaluatedProperties": False}, {"additionalProperties": {"type": "integer"}}],
)
@pytest.mark.parametrize("key", ["k", "y" * 900])
def test_a_call_that_is_wrong_all_over_has_an_error_that_can_be_read(rest, key):
    arguments = json.dumps({f"{key}{i}": "x" for i in range(40)})
    tools = [{"name": "f", "parameters": {"type": "object", **rest}}]
    call = f'<tool_call>{{"name": "f", "arguments": {arguments}}}</tool_call>'
    (found,) = parsed(call, tools=tools, **CLOSED).message.tool_calls
    assert found.error.count(f'"{key[:100]}') == 20 and found.error.endswith("; and more")
    assert len(found.error) < 10_000 and found.arguments == arguments


def test_a_tool_without_parameters_is_told_which_arguments_are_too_many():
    parameters = {"type": "object", "properties": {"o": {"type": "object", **NO_PARAMETERS}}, "required": ["q"]}
    for schema, arguments, words in (
        ({"type": "object", **NO_PARAMETERS}, {"a": 1, "b": 2}, ('unknown argument "a"', 'unknown argument "b"')),
        (parameters, {"o": {"a": 1}}, ('unknown argument "o.a"', '"q" is missing')),
        (
            {"type": "object", "properties": {"additionalProperties": False}},
            {"additionalProperties": {}},
            ("must not",),
        ),
    ):
        call = json.dumps({"name": "f", "arguments": arguments})
        (found,) = parsed(
            f"<tool_call>{call}</tool_call>", tools=[{"name": "f", "parameters": schema}], **CLOSED
        ).message.tool_calls
        assert all(word in found.error for word in words), found.error


def test_tools_may_be_given_to_the_parser_itself():
    codec = tiny_codec()
    prompt = codec.render([user("hi")], enable_thinking=False)
    ids = ids_of('<tool_call>{"name": "weather", "arguments": {"city": 3}}</tool_call>')
    assert codec.parse(prompt, ids).tool_calls[0].arguments == '{"city": 3}'
    assert codec.parse(prompt, ids, tools=TOOLS).tool_calls[0].arguments == '{"city": "3"}'


@pytest.mark.parametrize("split", [1, 2, 5, 100])
def test_text_is_read_as_ids_are(split):
    text = f"hm <\n</think>\n\nSee <b>:\n{CALL}<tool_cal<|im_end|>more"
    parser = tiny_codec().parser(tiny_codec().render([user("hi")], open_thought=True))
    for at in range(0, len(text), split):
        parser.feed_text(text[at : at + split])
    parser.finish()
    message = parser.message
    assert (message.reasoning_content, message.content) == ("hm <", "See <b>:<tool_cal")
    assert message.tool_calls[0].arguments == ARGUMENTS


def test_half_a_tag_at_the_end_is_text():
    parser = tiny_codec().parser(tiny_codec().render([user("hi")]))
    assert parser.feed_text("a <") == [Content("a ")]
    assert parser.feed_text("/th") == [] and parser.finish() == [Content("</th")]
    assert not parser.problems


def test_ids_may_follow_text():
    parser = tiny_codec().parser(tiny_codec().render([user("hi")]))
    assert parser.feed_text("a <") == [Content("a ")]
    assert parser.feed(ids_of("b")) == [Content("<b")]
    assert parser.feed_text("</thi") + parser.feed([tiny_codec().control.im_end]) == [Content("</thi")]


class Counted(str):
    """Text that knows how often its kind was copied or compared."""

    work = 0

    def __add__(self, other):
        Counted.work += len(self) + len(other)
        return Counted(str(self) + other)

    def __eq__(self, other):
        Counted.work += 1
        return str(self) == str(other)

    __hash__ = str.__hash__


def test_the_work_for_a_long_call_is_linear(monkeypatch):
    """The pieces of a call that comes at once are joined once, and a key that stands twice is looked for once."""
    monkeypatch.setattr(Counted, "work", 0)
    deltas = [ToolCallDelta(0, "c", "f", ""), *[ToolCallDelta(0, "c", None, Counted("ab")) for _ in range(1000)]]
    assert joined(deltas) == [deltas[0], ToolCallDelta(0, "c", None, "ab" * 1000)]
    pairs = [(Counted(f"k{i}"), i) for i in range(1000)]
    with pytest.raises(ValueError, match='"k999" stands twice'):
        object_of([*pairs, (Counted("k999"), 0)])
    assert Counted.work < 5000


@pytest.mark.parametrize(
    ("options", "start", "piece"),
    [(OPEN, "hm", "\n" * 64), (CLOSED, '<tool_call>{"name": "f", x', " \n" * 64), (CLOSED, "<tool_call>{", " " * 64)],
    ids=["thought", "malformed call", "call"],
)
def test_a_loop_of_white_space_takes_linear_time(options, start, piece):
    """What waits for its end is not read again with each token: that took minutes of a server's one loop."""
    parser = tiny_codec().parser(tiny_codec().render([user("hi")], **options))
    parser.feed_text(start)
    started = time.process_time()
    for _ in range(15_000):
        parser.feed_text(piece)
    parser.finish()
    assert time.process_time() - started < 3
    assert "".join(traced.text for traced in parser.trace) == start + piece * 15_000


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\tb"])
@pytest.mark.parametrize("tools", [None, TOOLS])
def test_a_name_that_cannot_be_written_again_is_no_call(name, tools):
    codec = tiny_codec()
    prompt = codec.render([user("a")], tools=tools)
    call = json.dumps({"name": name, "arguments": {}})
    parser = codec.parser(prompt)
    parser.feed([codec.control.tool_call, *codec.tokenizer.encode(call), codec.control.tool_call_end])
    parser.finish()
    assert parser.problems == ["malformed_call"] and call in parser.message.content
    assert codec.render([user("a"), parser.message, user("b")], tools=tools, history="keep").ids


def test_a_turn_with_an_id_beyond_the_vocabulary_is_kept_as_text():
    codec = tiny_codec()
    prompt = codec.render([user("a")], enable_thinking=False)
    message = codec.parse(prompt, [codec.tokenizer.vocab_size, *codec.tokenizer.encode("b")])
    assert (message.content, message.ids, message.prefill) == ("\ufffdb", None, None)
    assert "\ufffdb" in codec.render([user("a"), message], history="keep").text
