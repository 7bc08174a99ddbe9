"""The chat in a terminal, fed with a script of lines."""

import io

import pytest
from fake_chat import FakeChat
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sansi.serve.terminal import TerminalChat, printable


def talk(*lines, chat=None, colour=False):
    """The TerminalChat after these lines (an exception is raised at the prompt), and what it printed."""
    looks = {"force_terminal": colour, "color_system": "standard", "markup": False, "highlight": False}
    console = Console(file=io.StringIO(), width=200, **looks)
    terminal, script = TerminalChat(chat or FakeChat(), console=console), iter(lines)

    def read(prompt):
        line = next(script, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line

    terminal.run(read)
    return terminal, console.file.getvalue()


def test_a_question_is_answered_and_remembered():
    terminal, shown = talk("What is 12 + 30?", "And then?")
    assert shown.count("It is 42") == 2 and "thought 5 tokens, ended by itself" in shown
    assert [m["role"] for m in terminal.messages] == ["user", "assistant"] * 2


def test_the_thought_is_dimmed_and_the_answer_is_not():
    _, shown = talk("What is 12 + 30?", colour=True)
    assert "\x1b[2m12 " in shown and "\x1b[2mIt" not in shown


def test_mode_and_budget_commands():
    chat = FakeChat()
    talk("/no_think", "a", "/think", "/budget 2", "b", "/auto", "/budget off", "c", "/quit", "never asked", chat=chat)
    options = [(o.enable_thinking, o.thinking_budget) for _, o in chat.seen]
    assert options == [(False, None), (True, 2), (None, None)]


def test_the_cut_is_told_without_counting_the_closing_phrase():
    assert "thought 2 tokens, cut at the budget" in talk("/budget 2", "a")[1]


def test_an_answer_cut_at_the_token_limit_says_so():
    chat = FakeChat()
    assert "token limit" not in talk("a", chat=chat)[1]
    chat.finish_reason = "length"
    assert "cut at the token limit" in talk("a", chat=chat)[1]


@pytest.mark.parametrize("line", ["/budget", "/budget -3", "/budget many"])
def test_a_wrong_budget_changes_nothing(line):
    terminal, shown = talk(line)
    assert "usage: /budget" in shown and terminal.options.thinking_budget is None


def test_a_soft_switch_in_front_of_a_question_is_part_of_the_message():
    chat = FakeChat()
    talk("/no_think why?", chat=chat)
    assert chat.seen[0][0][-1]["content"] == "/no_think why?"


def test_new_forgets_and_an_error_leaves_the_conversation_as_it_was():
    terminal, shown = talk("a", "x" * 2000, "b")
    assert "error: " in shown and len(terminal.messages) == 4
    assert talk("a", "/new")[0].messages == []


def test_ctrl_c_at_the_prompt_does_not_leave():
    assert "It is 42" in talk(KeyboardInterrupt(), "a")[1]


def test_ctrl_c_stops_the_answer_and_not_the_program():
    chat = FakeChat(delay=0.01)
    chat.interrupt_at = 2
    terminal, shown = talk("a", "/budget 7", chat=chat)
    assert "stopped" in shown and "budget: 7" in shown
    assert terminal.messages == [] and chat.cancelled == 1


@given(st.text())
def test_no_control_character_reaches_the_terminal(text):
    assert not [c for c in printable(text) if c not in "\n\t" and (ord(c) < 32 or 127 <= ord(c) < 160)]
