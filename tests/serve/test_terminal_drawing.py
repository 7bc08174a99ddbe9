"""What the chat in a terminal draws."""

import io
import re
from itertools import pairwise

import pytest
from fake_chat import FakeChat
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sansi.serve.terminal import looks
from sansi.serve.terminal.markdown import LINES, MarkdownStream, TextStream, finished_length, split_blocks
from sansi.text import Reasoning, ToolCallDelta
from scripted_terminal import talk

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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.001 s"), (5e-6, "0.001 s"), (0.004, "0.004 s"), (0.037, "0.04 s"), (0.14, "0.1 s"), (12.34, "12.3 s")],
)
def test_no_time_is_said_to_be_nothing(seconds, text):
    assert looks.seconds_text(seconds) == text
