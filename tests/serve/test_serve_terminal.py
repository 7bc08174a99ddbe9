"""The chat in a terminal: its commands, fed with a script of lines, what it draws, and what it saves."""

import contextlib
import io
import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from fake_chat import FakeChat
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sansi.base.errors import SansiError
from sansi.serve.terminal import inputs, looks, run, saved
from sansi.serve.terminal.chat import TerminalChat
from sansi.serve.terminal.commands import ALIASES, COMMANDS, parse_command
from sansi.serve.terminal.conversation import Conversation, Turn
from sansi.serve.terminal.markdown import LINES, MarkdownStream, TextStream, finished_length, split_blocks
from sansi.text import Message, Reasoning, ToolCall, ToolCallDelta


class Script:
    """A Reader that reads from a list; an exception in it is raised at the prompt."""

    drafts = True

    def __init__(self, lines):
        self._lines, self.seen = iter(lines), []

    def __call__(self, draft=""):
        self.seen.append(draft)
        line = next(self._lines, EOFError())
        if isinstance(line, BaseException):
            raise line
        return draft if line is KEEP_DRAFT else line


KEEP_DRAFT = object()  # the user sends the draft as it is


def talk(*lines, chat=None, colour=False, width=200, **fields):
    """The TerminalChat after these lines, and what it printed; `fields` are its own."""
    system = "standard" if colour else None
    console = looks.console(file=io.StringIO(), width=width, force_terminal=colour, color_system=system)
    terminal = TerminalChat(chat or FakeChat(), console=console, read=Script(lines), **fields)
    terminal.run()
    return terminal, console.file.getvalue()


def roles(terminal):
    return [message.role for message in terminal.conversation.messages()]


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_question_is_answered_and_remembered():
    terminal, shown = talk("What is 12 + 30?", "And then?")
    assert shown.count("It is 42") == 2 and "thought 5 tokens, ended by itself" in shown
    assert roles(terminal) == ["user", "assistant"] * 2


def test_plain_text_tells_the_thought_from_the_answer():
    _, shown = talk("What is 12 + 30?")
    header, thought, closing, _, answer = [line.strip() for line in shown.splitlines()][1:6]
    assert (header, thought, answer) == ("thinking…", "12 + 30 is 42.", "It is 42")
    assert closing == "end of thought" and "\x1b" not in shown


def test_the_thought_is_dimmed_and_the_answer_is_not():
    _, shown = talk("What is 12 + 30?", colour=True)
    assert "\x1b[2m12 + 30 is 42." in shown and "\x1b[2mIt" not in shown


def test_the_cut_is_told_without_counting_the_closing_phrase():
    assert "thought 2 tokens, cut at the budget" in talk("/budget 2", "a")[1]


def test_an_answer_cut_at_the_token_limit_says_so():
    chat = FakeChat()
    assert "token limit" not in talk("a", chat=chat)[1]
    chat.finish_reason = "length"
    assert "cut at the token limit" in talk("a", chat=chat)[1]


def test_a_refused_question_comes_back_as_a_draft_and_the_conversation_goes_on():
    terminal, shown = talk("a", "x" * 2000, "b")
    assert "error: the messages are longer" in shown and shown.count("error") == 1
    assert roles(terminal) == ["user", "assistant"] * 2
    assert terminal._read.seen == ["", "", "x" * 2000, ""]


def test_a_bug_does_not_take_the_conversation_with_it():
    chat = FakeChat()
    terminal, _ = talk("a", chat=chat)
    chat.fail_at = 1
    terminal._read = Script(["b"])
    terminal.run()
    assert roles(terminal) == ["user", "assistant"]
    assert "error: RuntimeError: secret detail" in terminal.console.file.getvalue()


@pytest.mark.parametrize("colour", [False, True])
def test_ctrl_c_stops_the_answer_and_keeps_what_was_said(colour):
    chat = FakeChat(delay=0.01)
    chat.interrupt_at = 6  # after a thought of five words, within the answer
    terminal, shown = talk("a", "/budget 7", chat=chat, colour=colour)
    assert "stopped" in shown and "budget: 7" in shown and chat.cancelled == 1
    (_, turn) = terminal.conversation.turns
    assert turn.stopped and turn.message.reasoning_content == "12 + 30 is 42." and turn.message.content == "It "


def test_a_stopped_answer_can_be_asked_for_again():
    chat = FakeChat(delay=0.01)
    chat.interrupt_at = 2
    terminal, _ = talk("a", chat=chat)
    chat.interrupt_at = None
    terminal._read = Script(["/r"])
    terminal.run()
    (_, turn) = terminal.conversation.turns
    assert not turn.stopped and turn.message.content == "It is 42"


@pytest.mark.parametrize(("stopped_at", "part", "before"), [(2, "thought", "12 + "), (6, "answer", "12 + 30 is 42.")])
def test_a_stopped_answer_can_be_gone_on_with(stopped_at, part, before):
    chat = FakeChat(delay=0.01)
    chat.interrupt_at = stopped_at
    terminal, _ = talk("a", chat=chat)
    chat.interrupt_at, chat.thought, chat.content = None, "more ", "end"
    terminal._read = Script(["/continue", "/continue"])
    terminal.run()
    (messages, options), (_, turn) = chat.seen[-1], terminal.conversation.turns
    assert options.continue_final == part and messages[-1].reasoning_content == before and len(chat.seen) == 2
    assert turn.message.reasoning_content == before + "more " and turn.message.content.endswith("end")
    assert not turn.stopped


def test_ctrl_c_twice_at_an_empty_prompt_leaves():
    terminal, shown = talk(KeyboardInterrupt(), "a", KeyboardInterrupt(), KeyboardInterrupt(), "never asked")
    assert len(terminal.chat.seen) == 1 and shown.count("Ctrl-C once more") == 2


# --- commands --------------------------------------------------------------------------------------------------------


def test_mode_and_budget_commands():
    chat = FakeChat()
    talk("/no_think", "a", "/think", "/budget 2", "b", "/auto", "/budget off", "c", "/quit", "never asked", chat=chat)
    options = [(o.enable_thinking, o.thinking_budget) for _, o in chat.seen]
    assert options == [(False, None), (True, 2), (None, None)]


def test_sampling_commands():
    chat = FakeChat()
    talk("/sampling temperature=0.2 top_k=7", "/seed 9", "a", "/sampling top_k=off", "/seed off", "b", chat=chat)
    talk("/sampling min_p=0.1", "/seed 3", "/preset", "a", chat=chat)
    sampling = [(o.temperature, o.top_k, o.min_p, o.seed) for _, o in chat.seen]
    assert sampling == [(0.2, 7, None, 9), (0.2, None, None, None), (None, None, None, 3)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/budget", "usage: /budget"),
        ("/budget -3", "usage: /budget"),
        ("/budget many", "usage: /budget"),
        ("/sampling heat=1", '"heat"'),
        ("/sampling temperature", "temperature=1"),
        ("/sampling temperature=hot", '"hot"'),
        ("/sampling temperature=-1", "temperature"),
        ("/sampling top_k=2.5", "whole number"),
        ("/sampling max_tokens=0", "max_tokens"),
        ("/seed -1", "seed"),
        ("/history all", '"all"'),
        ("/thinkk", 'did you mean "/think"'),
        ("/undo it", "takes nothing"),
        ("/undo", "nothing has been asked"),
        ("/r", "nothing has been asked"),
        ("/edit b", "nothing has been asked"),
        ("/continue", "no answer that was stopped"),
        ("/stats", "no answer"),
        ("/result 3", "no call waits"),
        ("/save", "usage: /save"),
        ("/save talk.txt", ".json"),
        ("/save 'talk.json", "quot"),
        ("/load", "usage: /load"),
        ("/load no/such/file.json", "no/such/file.json"),
        ("/tools no/such/file.json", "no/such/file.json"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(line, words):
    terminal, shown = talk(line)
    (told,) = [text for text in shown.splitlines() if text.startswith("error: ")]
    assert words in told
    assert terminal.options == talk()[0].options and not terminal.conversation.turns and not terminal.chat.seen


@pytest.mark.parametrize("line", ["/no_think why?", "/usr/bin is where?", " /budget 3", "/Think", "1/2", "//"])
def test_what_is_no_command_is_a_message(line):
    chat = FakeChat()
    talk(line, chat=chat)
    assert chat.seen[0][0][-1].content == line.strip()


def test_every_command_is_known_to_the_chat_and_to_the_help():
    terminal, shown = talk("/help")
    for command in COMMANDS:
        assert command.name in shown and command.help in shown
        if command.name != "/exit":
            with contextlib.suppress(SansiError):  # what it needs is missing
                terminal._do(parse_command(command.name))
    assert set(ALIASES.values()) <= {command.name for command in COMMANDS}


def test_a_system_message_goes_first_and_stays():
    chat = FakeChat()
    talk("/system Be brief.\nAlways.", "a", "/new", "b", "/system off", "c", chat=chat)
    asked = [[(m.role, m.content) for m in messages] for messages, _ in chat.seen]
    system = ("system", "Be brief.\nAlways.")
    assert asked == [[system, ("user", "a")], [system, ("user", "b")], [("user", "b"), *asked[2][1:]]]
    assert asked[2][-1] == ("user", "c")


def test_regenerate_edit_undo_and_new():
    chat = FakeChat()
    terminal, _ = talk("a", "b", "/r", "/edit c", "/undo", "/edit", KEEP_DRAFT, chat=chat)
    last = [messages[-1].content for messages, _ in chat.seen]
    assert last == ["a", "b", "b", "c", "a"]
    assert [len(messages) for messages, _ in chat.seen] == [1, 3, 3, 3, 1]
    assert roles(terminal) == ["user", "assistant"]
    assert roles(talk("a", "/new")[0]) == []


def test_a_fixed_seed_is_mentioned_when_asking_again():
    assert "the answer will be the same" in talk("/seed 4", "a", "/r")[1]


def test_stats_tell_the_report():
    _, shown = talk("/budget 2", "a", "/stats")
    for words in ("thinking (decided by: default)", "asked 2, applied 2", "4 more of the closing phrase", "seed 7"):
        assert words in shown, words


def test_history_policy_is_passed_on():
    chat = FakeChat()
    talk("/history keep", "a", chat=chat)
    assert chat.seen[0][1].history == "keep"


class ToolChat(FakeChat):
    """Calls two tools when it is asked, and answers when it has been told."""

    async def _stream(self, options):
        if self.seen[-1][0][-1].role == "tool":
            async for item in super()._stream(options):
                yield item
            return
        calls = (ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "add", '{"a": 2}'))
        for i, call in enumerate(calls):
            yield ToolCallDelta(i, call.id, call.name, "")
            yield ToolCallDelta(i, call.id, None, call.arguments)
        result = self._result(options, False, [], False)
        object.__setattr__(result, "message", Message("assistant", "", tool_calls=calls))
        yield result


@pytest.mark.parametrize("colour", [False, True])
def test_calls_are_shown_and_their_results_are_taken(tmp_path, colour):
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    (tmp_path / "tools.json").write_text(json.dumps([tool]))
    chat = ToolChat()
    terminal, shown = talk(f"/tools {tmp_path}/tools.json", "a", "/result 3", "/result 4", chat=chat, colour=colour)
    assert 'call add {"a": 1}' in shown and 'call add {"a": 2}' in shown and "2 of the calls wait" in shown
    assert roles(terminal) == ["user", "assistant", "tool", "tool", "assistant"]
    results = [(m.tool_call_id, m.content) for m in terminal.conversation.messages() if m.role == "tool"]
    assert results == [("c1", "3"), ("c2", "4")] and chat.seen[0][1].tools[0]["function"]["name"] == "add"


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


# --- drawing ---------------------------------------------------------------------------------------------------------


@given(st.text())
def test_no_control_character_reaches_the_terminal(text):
    assert not [c for c in looks.printable(text) if c not in "\n\t" and (ord(c) < 32 or 127 <= ord(c) < 160)]


INLINE = ["text ", "*b*", "`x`", "<b>", "中文", "  ", "\t", "\x0b", "2", ".", "-", "\n", "\r\n", "\n\n"]
LINE_STARTS = ["# A\n", "- item\n", "1. one\n", "```\n", "| a | b |\n", "|---|---|\n", "> quote\n", "---\n"]
MARKDOWN = st.lists(st.sampled_from(INLINE) | st.sampled_from(LINE_STARTS), max_size=20).map("".join)


@given(MARKDOWN)
def test_the_blocks_are_the_text(text):
    assert "".join(split_blocks(text)) == "".join(LINES.findall(text)) == text


@given(MARKDOWN, MARKDOWN)
def test_what_is_finished_stays_as_it_is(text, more):
    length = finished_length(text)
    blocks = split_blocks(text[:length])
    assert split_blocks(text + more)[: len(blocks)] == blocks or "[" in text


def drawn(stream_of, pieces, height=8):
    """What is left on a terminal of this height, scrolled lines included, after a stream was fed with the pieces."""
    console = Console(file=io.StringIO(), width=40, height=height, force_terminal=True, color_system=None)
    stream = stream_of(console)
    for piece in pieces:
        stream.feed(piece)
    stream.end()
    return screen(console.file.getvalue())


def screen(written):
    """The lines of a terminal that understands what rich's Live writes: up, erase the line, back to its start."""
    lines, row, column = [""], 0, 0
    i = 0
    while i < len(written):
        if written[i] == "\x1b":
            end = next(j for j in range(i + 2, len(written)) if written[j].isalpha())
            count, kind = written[i + 2 : end], written[end]
            if kind == "A":
                row = max(row - int(count or 1), 0)
            elif kind == "K":
                lines[row] = ""
            i = end + 1
            continue
        if written[i] == "\n":
            row, column = row + 1, 0
            lines += [""] if row == len(lines) else []
        elif written[i] == "\r":
            column = 0
        else:
            lines[row] = lines[row][:column].ljust(column) + written[i] + lines[row][column + 1 :]
            column += 1
        i += 1
    return "\n".join(line.rstrip() for line in lines).rstrip().split("\n")


LONG = "# Title\n\nOne *two* `three`.\nA line of its own.\n\n" + "".join(f"- item {i}\n" for i in range(30))
LONG += "\n```python\ndef f():\n    return 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nEnd <b>now</b>."


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_an_answer_is_drawn_the_same_however_it_comes(size, monkeypatch):
    monkeypatch.setattr("sansi.serve.terminal.markdown.SECONDS_BETWEEN_DRAWS", 0)
    whole = drawn(MarkdownStream, [LONG])
    assert drawn(MarkdownStream, [LONG[i : i + size] for i in range(0, len(LONG), size)]) == whole
    assert whole[:5] == ["# Title", "", "One two three.", "A line of its own.", ""]
    assert "End <b>now</b>." in whole and sum("item" in line for line in whole) == 30
    assert not any(a == b == "" for a, b in pairwise(whole))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("temperature=9", "temperature"),
        ("top_p=0", "top_p"),
        ("top_k=-2", "top_k"),
        ("presence_penalty=3", "presence_penalty"),
        ("frequency_penalty=-2.5", "frequency_penalty"),
        ("repetition_penalty=0", "repetition_penalty"),
        ("max_tokens=0", "max_tokens"),
    ],
)
def test_what_the_api_refuses_is_refused_here(given, named):
    terminal, shown = talk(f"/sampling {given}")
    assert re.search(rf'error: "?{named}"? must be', shown) and getattr(terminal.options, named) is None


def test_the_model_says_what_it_is_and_what_to_try_for_each_conversation():
    _, shown = talk("/new", examples=["What is 1 + 1?", "And 2 + 2?"], description="It adds.")
    assert shown.count("It adds.") == 2 and shown.count("for example: And 2 + 2?") == 2


def test_little_room_is_told_before_a_thought_is_crowded_out_and_the_oldest_can_be_left_out():
    chat = FakeChat()
    chat.context_length = 30
    terminal, shown = talk("one", "/forget", "two", "/forget", chat=chat)
    assert "little room is left: 21 of 30 tokens are used" in shown and "there is nothing older" in shown
    assert "left out from now on: one" in shown
    assert [message.content for message in terminal.conversation.messages() if message.role == "user"] == ["two"]


def test_help_and_errors_are_broken_between_words():
    _, shown = talk("/help", "/sampling temperature=99", colour=True, width=40)
    words = {word for line in screen(shown) for word in line.split()}
    assert {"find", "completions", 'temperature"', "messages"} & words
    assert all(len(line) <= 40 for line in screen(shown))


def test_a_near_command_is_named_as_the_help_names_it():
    _, shown = talk("/nothing", "/xyz")
    assert 'did you mean "/no_think"?' in shown and "/xyz is not a command; /help lists them" in shown


def test_a_list_of_tools_that_is_no_json_is_to_be_corrected(tmp_path):
    (tmp_path / "tools.json").write_text("[{]")
    _, shown = talk(f"/tools {tmp_path}/tools.json")
    assert "not valid JSON" in shown and "correct it there" in shown and "download" not in shown


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_thought_is_wrapped_between_words(size, monkeypatch):
    monkeypatch.setattr("sansi.serve.terminal.markdown.SECONDS_BETWEEN_DRAWS", 0)
    text = "word " * 20 + "\n\nend"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    lines = drawn(lambda console: TextStream(console, "│ "), pieces)
    assert [line for line in lines if line] == ["│ " + " ".join(["word"] * n) for n in (7, 7, 6)] + ["│", "│ end"]


def test_thoughts_and_answers_are_apart_on_a_terminal():
    _, shown = talk("a", colour=True)
    assert [line for line in screen(shown) if line][1:5] == [
        "thinking…",
        "│ 12 + 30 is 42.",
        "end of thought",
        "It is 42",
    ]


def test_a_hostile_answer_stays_text():
    chat = FakeChat(content="\x1b]0;owned\x07 [red]x[/red] [a](http://e.example/\x1b) :smile:")
    _, shown = talk("a", chat=chat, colour=True)
    assert "\x1b]" not in shown and "\x07" not in shown and "[red]x[/red]" in shown and ":smile:" in shown


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_users_can_have_plain_text(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    _, shown = talk("a", colour=True)
    assert "│" not in shown and "12 + 30 is 42." in screen(shown)


def test_events_of_several_kinds_do_not_run_together():
    from sansi.serve.terminal.printers import PipePrinter

    said, thought = [], []
    printer = PipePrinter(said.append, thought.append)
    for event in (Reasoning("hm"), ToolCallDelta(0, "c", "add", ""), ToolCallDelta(0, "c", None, "{}")):
        printer.show(event)
    printer.show(ToolCallDelta(1, "d", "add", ""))
    printer.end()
    assert ("".join(said), "".join(thought)) == ("call add {}\ncall add \n", "hm\n")


# --- typing ----------------------------------------------------------------------------------------------------------


def completed(text):
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document
    from sansi.serve.terminal.prompt import CommandCompleter

    return [found.text for found in CommandCompleter().get_completions(Document(text), CompleteEvent())]


def test_commands_and_what_follows_them_are_completed(tmp_path):
    (tmp_path / "talk.json").write_text("{}")
    assert completed("/bud") == ["/budget"] and completed("/budget 6") == ["64"]
    assert completed("/sampling top_p=1 temp") == ["temperature="] and completed("/history k") == ["keep"]
    assert completed(f"/load {tmp_path}/ta") == ["lk.json"]
    assert completed("bud") == completed("/wings ") == completed("/budget 6\n") == []


def test_the_history_is_private_and_can_do_without_a_disk(tmp_path, monkeypatch):
    from prompt_toolkit.history import FileHistory, InMemoryHistory
    from sansi.serve.terminal.prompt import open_history, state_folder

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert isinstance(open_history(), FileHistory)
    file = tmp_path / "sansi" / "chat_history"
    assert file.stat().st_mode & 0o77 == 0 and file.parent.stat().st_mode & 0o77 == 0
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert isinstance(open_history(), InMemoryHistory)
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # the specification says to ignore it
    assert state_folder().is_absolute()


def test_lines_from_a_pipe_can_be_continued(monkeypatch):
    from sansi.serve.terminal.prompt import PlainReader

    monkeypatch.setattr("sys.stdin", io.StringIO("one\\\ntwo\nthree\n"))
    read = PlainReader()
    assert (read(), read()) == ("one\ntwo", "three")
    with pytest.raises(EOFError):
        read()


@pytest.mark.parametrize("field", ["logprobs", "top_logprobs", "return_token_ids", "n", "stream"])
def test_what_a_line_of_a_batch_can_not_tell_is_refused(tmp_path, field):
    from sansi.serve.terminal.inputs import read_batch

    (tmp_path / "lines").write_text(json.dumps({"prompt": "Hi", field: 2 if field in ("n", "top_logprobs") else True}))
    with pytest.raises(SansiError, match=rf'line 1: "{field}"'):
        read_batch(str(tmp_path / "lines"))
    (tmp_path / "lines").write_text(json.dumps({"prompt": "Hi", field: None}))
    assert read_batch(str(tmp_path / "lines"))


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


# --- answers for pipes -----------------------------------------------------------------------------------------------


def test_a_schema_that_is_no_json_is_to_be_corrected_not_downloaded(tmp_path):
    (tmp_path / "schema.json").write_text('{"type": "object",}')
    with pytest.raises(SansiError, match=r"not valid JSON \(.*line 1.*\); correct it there"):
        inputs.read_schema(str(tmp_path / "schema.json"))


def test_a_line_of_a_batch_that_fails_tells_the_code_that_the_api_tells(capsys):
    class Full(FakeChat):
        def stream(self, messages, options):
            raise SansiError("the prompt is too long", param="messages", code="context_length_exceeded")

    body = {"messages": [{"role": "user", "content": "Hi"}]}
    line, request = inputs.BatchLine(1, body), run.read_request(body, "fake", None)
    assert run.run_batch(Full(), [line], [request]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "context_length_exceeded" and error["param"] == "messages"
