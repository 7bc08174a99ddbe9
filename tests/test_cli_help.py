"""Help pages and mistakes: every name whole at 80 columns, one look, and what the exit code says."""

from __future__ import annotations

import re
import subprocess
import sys
import types

import pytest
import typer
from sansi import cli

COMMAND = typer.main.get_command(cli.app)
GROUPS = ("agent", "data", "eval")
VERBS = [(name,) for name in COMMAND.commands if name != "eval"] + [
    (group, name) for group in GROUPS for name in COMMAND.commands[group].commands
]


@pytest.fixture
def sansi(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sansi", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return types.SimpleNamespace(code=caught.value.code or 0, out=captured.out, err=captured.err)

    return run


def command_of(verb):
    command = COMMAND
    for name in verb:
        command = command.commands[name]
    return command


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_option_has_its_whole_name_and_a_readable_kind(sansi, verb):
    shown = sansi(*verb, "--help")
    assert shown.code == 0 and max(map(len, shown.out.splitlines())) <= 80
    for parameter in command_of(verb).params:
        for name in (*parameter.opts, *parameter.secondary_opts):
            if name.startswith("--"):
                assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", shown.out), name
        assert parameter.help, f"{parameter.name} says nothing of itself"
    options = shown.out[shown.out.index("Options:") :]
    assert not re.search(r"--[\w-]*…|<\w+|list\[|\w+ range", options), options


def test_the_first_page_has_every_verb_and_the_exit_codes(sansi):
    shown = sansi()
    assert shown.code == 0 and shown.out == sansi("--help").out
    assert all(re.search(rf"^  {name}\b", shown.out, re.MULTILINE) for name in COMMAND.commands)
    assert "130: Ctrl-C" in " ".join(shown.out.split()).replace(" :", ":")


def test_a_group_without_a_verb_shows_its_own(sansi):
    assert "budget-curve" in sansi("eval").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serv"], ["serv", "serve", "sansi --help"]),
        (["serve", "--prt", "3"], ["--prt", "--port", "sansi serve --help"]),
        (["serve", "--port", "many"], ["--port", "integer", "sansi serve --help"]),
        (["run", "Hi", "--max-tokens", "0"], ["--max-tokens", "sansi run --help"]),
        (["run", "a folder", "a question"], ["a question", "in quotation marks", "-m", "sansi run --help"]),
        (["pull"], ["NAME", "sansi pull --help"]),
        (["eval", "curve"], ["curve", "sansi eval --help"]),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(sansi, arguments, words):
    done = sansi(*arguments)
    assert done.code == 2 and not done.out and done.err.startswith("error: ") and done.err.count("\n") == 1
    assert all(word in done.err for word in words), done.err


def test_a_shell_can_be_taught_to_complete():
    command = [sys.executable, "-m", "sansi.cli", "--show-completion", "bash"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "complete" in done.stdout
