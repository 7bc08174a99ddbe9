"""Chats of other families: what their templates do decides what they can, and their own markup is read."""

import pytest
from conversations import tiny_codec
from sansi.base import SansiError
from sansi.text import Codec, Content, ForeignCodec, Reasoning, open_codec

from foreign_models import ASKED, FAMILIES, TOOL, write_family


@pytest.fixture(scope="module")
def codecs(tmp_path_factory):
    made = {}
    for family, (names, _) in FAMILIES.items():
        made[family] = open_codec(write_family(tmp_path_factory.mktemp(family), family, names[0]))
    yield made
    for codec in made.values():
        codec.close()


def test_each_family_is_known_by_what_its_template_does(codecs):
    assert {type(codec) for codec in codecs.values()} == {ForeignCodec}
    can = {family: (codec.thinks, codec.knows_tools) for family, codec in codecs.items()}
    assert can == {
        "chatml": (False, False),
        "headers": (False, True),
        "tagged": (False, True),
        "always": (True, False),
        "base": (False, False),
    }


def test_a_vocabulary_of_qwen3_has_its_own_codec_unless_its_template_has_no_switch(tmp_path, tiny_folder):
    assert isinstance(open_codec(tiny_folder), Codec)
    file = tiny_folder / "chat_template.jinja"
    file.write_text(FAMILIES["tagged"][1])
    codec = open_codec(tiny_folder)
    assert isinstance(codec, ForeignCodec) and not codec.thinks and codec.knows_tools


def test_the_prompt_is_the_templates(codecs):
    prompt = codecs["chatml"].render(ASKED)
    assert prompt.text == (
        "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\nWhat is 1 + 1?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert codecs["headers"].render(ASKED).text.startswith("<|begin_of_text|><|start_header_id|>user<|end_header_id|>")
    spelled = codecs["chatml"].render([{"role": "user", "content": "<|im_end|>"}])
    end = codecs["chatml"].tokenizer.added["<|im_end|>"]
    assert spelled.ids.count(end) == 2  # of two turns: what the user spells is text


def test_a_turn_ends_with_what_the_template_writes_and_with_what_files_say(codecs):
    for family, end in (("chatml", "<|im_end|>"), ("headers", "<|eot_id|>"), ("tagged", "<|im_end|>")):
        codec = codecs[family]
        named = codec.tokenizer.added[FAMILIES[family][0][0]]
        assert codec.stop_ids == (codec.tokenizer.added[end], named), family
    base = codecs["base"]
    assert base.stop_ids == (base.tokenizer.added["<|endoftext|>"],)


def test_a_model_of_which_nothing_names_an_end_is_refused(tmp_path):
    folder = write_family(tmp_path, "base")
    with pytest.raises(SansiError, match="write its id as eos_token_id") as error:
        open_codec(folder)
    assert error.value.param == "eos_token_id"


def parsed(codec, text, tools=None, calls=True, at_once=True):
    """What comes of a turn that the model writes, its added tokens spelled in `text`."""
    prompt = codec.render(ASKED, tools=tools)
    parser = codec.parser(prompt, calls=calls)
    ids = codec.tokenizer.encode_parts(codec.tokenizer.split_added(text))
    events = []
    for part in [ids] if at_once else [[id_] for id_ in ids]:
        events += parser.feed(part)
    events += parser.finish()
    return parser.message, parser.problems, events


@pytest.mark.parametrize("at_once", [True, False])
def test_text_up_to_the_end_of_the_turn_is_the_answer(codecs, at_once):
    message, problems, events = parsed(codecs["headers"], "The answer is 2.<|eot_id|>user", at_once=at_once)
    assert (message.content, message.reasoning_content, problems) == ("The answer is 2.", None, [])
    assert all(isinstance(event, Content) for event in events)


@pytest.mark.parametrize("at_once", [True, False])
def test_calls_between_tags_and_bare_ones_are_read(codecs, at_once):
    tagged = 'So.\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call><|im_end|>'
    message, problems, _ = parsed(codecs["tagged"], tagged, [TOOL], at_once=at_once)
    call = message.tool_calls[0]
    assert (message.content, call.name, call.arguments, problems) == ("So.", "add", '{"a": 1}', [])
    for start in ("", "\n", "<|python_tag|>"):
        bare = start + '{"name": "add", "parameters": {"a": 1}}<|eot_id|>'
        message, problems, _ = parsed(codecs["headers"], bare, [TOOL], at_once=at_once)
        assert [(c.name, c.arguments, c.error) for c in message.tool_calls] == [("add", '{"a": 1}', None)], start
        assert not message.content and not problems


def test_what_is_no_whole_call_is_text_or_has_an_error(codecs):
    codec = codecs["headers"]
    assert parsed(codec, '{"a": 1}<|eot_id|>', [TOOL])[0].content == '{"a": 1}'
    assert parsed(codec, '{"name": "add", "parameters": {}}<|eot_id|>', [TOOL], calls=False)[0].tool_calls == ()
    assert parsed(codec, 'Say {"name": "add"}<|eot_id|>', [TOOL])[0].content == 'Say {"name": "add"}'
    message, problems, _ = parsed(codec, '{"name": "add", "parameters": {"a"', [TOOL])
    assert message.tool_calls[0].error.startswith("truncated") and problems == ["truncated_call"]
    message, problems, _ = parsed(codec, '{"name": "other", "parameters": {}}<|eot_id|>', [TOOL])
    assert "unknown tool" in message.tool_calls[0].error and problems == ["unknown_tool"]


def test_a_template_that_opens_thoughts_has_them_read_and_bounded(codecs):
    codec = codecs["always"]
    prompt = codec.render(ASKED)
    assert prompt.thought_open and prompt.mode.thinking and codec.thinking_ids.end in codec.thinking_ids.end_sequence
    message, _, events = parsed(codec, "1 + 1\n</think>\n\n2<|im_end|>")
    assert (message.reasoning_content, message.content) == ("1 + 1", "2")
    assert isinstance(events[0], Reasoning)
    direct = codec.render(ASKED, enable_thinking=False)
    assert direct.text.endswith("<think>\n\n</think>\n\n") and not direct.thought_open and not direct.mode.thinking
    assert codec.tokenizer.added["</think>"] in direct.ids


def test_an_answer_is_gone_on_with(codecs):
    whole = [*ASKED, {"role": "assistant", "content": "The answer"}]
    prompt = codecs["headers"].render(whole, continue_final="answer")
    assert prompt.text.endswith("assistant<|end_header_id|>\n\nThe answer") and prompt.continues


@pytest.mark.parametrize(
    "family,options,param",
    [
        ("chatml", {"tools": [TOOL]}, "tools"),
        ("always", {"history": "keep"}, "history"),
        ("chatml", {"read_tags": ["user"]}, "read_tags"),
        ("chatml", {"continue_final": "thought"}, "continue_final"),
        ("chatml", {"continue_final": "answer"}, "continue_final"),
        ("base", {}, "messages"),
    ],
)
def test_what_a_family_can_not_do_is_refused_by_name(codecs, family, options, param):
    with pytest.raises(SansiError) as error:
        codecs[family].render(ASKED, **options)
    assert error.value.param == param


def test_what_a_template_refuses_is_told_with_its_line(codecs):
    two = [{"id": f"c{i}", "type": "function", "function": {"name": "add", "arguments": "{}"}} for i in "01"]
    with pytest.raises(SansiError, match="line 4: one call at a time"):
        codecs["headers"].render([*ASKED, {"role": "assistant", "content": "", "tool_calls": two}])


def test_the_hash_tells_codecs_apart(codecs):
    assert len({codec.hash for codec in codecs.values()}) == len(codecs)


@pytest.fixture
def tiny_folder(tmp_path):
    tiny_codec().save(tmp_path)
    return tmp_path
