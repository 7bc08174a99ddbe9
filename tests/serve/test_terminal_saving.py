"""What the chat in a terminal saves and loads."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.serve.terminal import saved
from sansi.serve.terminal.conversation import Conversation, Turn
from sansi.text import Message, ToolCall
from scripted_terminal import talk

# --- saving ----------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = st.text("abc_", min_size=1, max_size=5)
CALLS = st.lists(
    st.builds(ToolCall, NAMES, NAMES, st.just('{"a": "é"}'), st.none() | st.just("truncated")),
    max_size=3,
    unique_by=lambda call: call.id,
)
ANSWERS = st.builds(
    lambda text, thought, calls: Message("assistant", text, reasoning_content=thought, tool_calls=tuple(calls)),
    TEXT,
    st.none() | TEXT,
    CALLS,
)


@st.composite
def conversations(draw):
    turns = []
    for _ in range(draw(st.integers(0, 3))):
        answer = draw(ANSWERS)
        turns += [Turn(Message("user", draw(TEXT))), Turn(answer, stopped=draw(st.booleans()))]
        results = [Turn(Message("tool", draw(TEXT), tool_call_id=call.id)) for call in answer.tool_calls]
        turns += results and [*results, Turn(draw(ANSWERS.filter(lambda m: not m.tool_calls)))]
    return Conversation(draw(TEXT), turns)


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "enable_thinking": st.booleans(),
        "thinking_budget": st.integers(0, 99),
        "history": st.just("keep"),
        "temperature": st.floats(0, 2),
        "frequency_penalty": st.floats(-2, 2),
        "seed": st.integers(0, 2**63 - 1),
        "tools": st.just([{"type": "function", "function": {"name": "add"}}]),
    },
)


@given(conversations(), SETTINGS)
def test_a_saved_conversation_comes_back_as_it_was(conversation, settings):
    value = json.loads(json.dumps(saved.to_json(conversation, "nano", settings)))
    found = saved.from_json(value)
    assert found.conversation.system == conversation.system and found.settings == settings
    before = [(turn.message, turn.stopped and turn.role == "assistant") for turn in conversation.turns]
    assert [(turn.message, turn.stopped) for turn in found.conversation.turns] == before
    again = saved.to_json(found.conversation, "nano", settings)
    assert saved.from_json(again).conversation.messages() == conversation.messages()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["format", "version", "conversations", "messages", "settings", "nodes", "chosen", "role", "root"]
                ),
                inner | st.just(saved.FORMAT),
            )
        ),
    )
)
def test_any_other_json_is_refused_with_words(value):
    try:
        saved.from_json(value)
    except SansiError as error:
        assert str(error)


def test_a_page_export_is_read_along_the_branch_that_it_shows():
    def node(id_, parent, role, text, **more):
        return {"id": id_, "parent": parent, "role": role, "text": text, "created": 1, **more}

    nodes = [
        node("q", "root", "user", "hi"),
        node("a1", "q", "assistant", "first", status="done"),
        node("a2", "q", "assistant", "second", status="stopped", ask={"mode": "direct", "budget": 8}, thought="hm"),
    ]
    settings = {"system": "Be brief.", "temperature": 0.5, "seed": "12345678901234567"}
    tree = {"settings": settings, "nodes": {n["id"]: n for n in nodes}, "chosen": {"root": "q", "q": "a1"}}
    export = {"format": "sansi-conversations", "version": 1, "conversations": [tree]}
    assert [m.content for m in saved.from_json(export).conversation.messages()] == ["Be brief.", "hi", "first"]
    tree["chosen"]["q"] = "a2"
    found = saved.from_json(export)
    assert found.conversation.turns[1].stopped and found.conversation.turns[1].message.reasoning_content == "hm"
    asked = {"enable_thinking": False, "thinking_budget": 8}
    assert found.settings == {"temperature": 0.5, "seed": 12345678901234567, **asked}
    export["conversations"].append({**tree, "title": "Other"})
    with pytest.raises(SansiError, match="1 hi; 2 Other"):
        saved.from_json(export)
    assert saved.from_json(export, 2).settings == found.settings
    tree["nodes"]["a2"]["parent"] = "a2"  # its own parent: never reached
    assert len(saved.from_json(export, 1).conversation.turns) == 2


def test_messages_of_the_api_can_be_loaded():
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    for value in (messages, {"messages": messages}):
        found = saved.from_json(value).conversation
        assert (found.system, [m.content for m in found.messages()]) == ("s", ["s", "u"])


def test_save_and_load(tmp_path):
    file = tmp_path / "a talk.json"
    terminal, shown = talk("/system Be brief.", "/budget 2", "/seed 3", "a", f"/save '{file}'", "b", "/save")
    assert shown.count("saved: ") == 2
    again, shown = talk(f"/load '{file}'", "/show", "c")
    assert again.conversation.messages()[:5] == terminal.conversation.messages()
    assert (again.options.thinking_budget, again.options.seed) == (2, 3)
    assert shown.count("end of thought") == 1, "of c, not of those that are shown again"
    assert "4 messages" in shown and "› a" in shown and "system message: Be brief." in shown


def test_saving_does_not_overwrite_what_it_did_not_write(tmp_path):
    file = tmp_path / "talk.md"
    file.write_text("precious")
    _, shown = talk("a", f"/save {file}")
    assert "error: " in shown and "--force" in shown and file.read_text() == "precious"
    talk("a", f"/save --force {file}")
    assert file.read_text().startswith("# Conversation with fake\n\n## User\n\na\n\n## Assistant\n\n<details>")


@pytest.mark.parametrize("content", ["{", "3", "{}", '{"messages": [{"role": "king"}]}', "[" * 100_000, '["a"]'])
def test_a_file_that_is_no_conversation_is_named(tmp_path, content):
    (tmp_path / "bad.json").write_text(content)
    terminal, shown = talk("a", f"/load {tmp_path}/bad.json")
    assert f"error: {tmp_path}/bad.json" in shown and len(terminal.conversation.turns) == 2


def test_settings_that_are_none_are_refused(tmp_path):
    for settings in ({"wings": 2}, {"temperature": -1}, {"seed": "x"}, {"history": "all"}, {"thinking_budget": -1}):
        value = saved.to_json(Conversation(), "nano", {}) | {"terminal": settings}
        (tmp_path / "bad.json").write_text(json.dumps(value))
        terminal, shown = talk(f"/load {tmp_path}/bad.json")
        assert "error: " in shown and next(iter(settings)) in shown
        assert terminal.options == talk()[0].options


# --- the page --------------------------------------------------------------------------------------------------------

ON_THE_PAGE = """
globalThis.document = { documentElement: {} };
globalThis.localStorage = { getItem: () => null };
import { readFileSync, writeFileSync } from "node:fs";
const { fromFile, toFile } = await import(process.argv[2]);
writeFileSync(process.argv[4], toFile(fromFile(readFileSync(process.argv[3], "utf8"))));
"""
TRANSFER = Path(__file__).resolve().parents[2] / "web" / "src" / "transfer.js"


@pytest.mark.skipif(shutil.which("node") is None or not TRANSFER.exists(), reason="needs node and the page's source")
def test_the_page_takes_what_is_saved_here_and_gives_it_back(tmp_path):
    calls = (ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "add", "{", error="truncated"))
    turns = [
        Turn(Message("user", "hi")),
        Turn(Message("assistant", "", reasoning_content="hm", tool_calls=calls), details={"finish": "tool_calls"}),
        Turn(Message("tool", "1", tool_call_id="c1")),
        Turn(Message("assistant", "Half an ans"), stopped=True, details={"ask": {"mode": "think", "budget": 8}}),
    ]
    settings = {"temperature": 0.5, "seed": 2**60 + 1, "history": "keep", "enable_thinking": True, "thinking_budget": 8}
    saved.save(Conversation("Be brief.", turns), tmp_path / "a.json", "nano", settings)
    (tmp_path / "page.mjs").write_text(ON_THE_PAGE)
    command = ["node", tmp_path / "page.mjs", TRANSFER, tmp_path / "a.json", tmp_path / "b.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = saved.load(tmp_path / "b.json")
    assert found.settings == settings and found.conversation.system == "Be brief."
    assert [(turn.message, turn.stopped) for turn in found.conversation.turns] == [
        (t.message, t.stopped) for t in turns
    ]
