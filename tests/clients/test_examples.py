"""The programs of examples/ run, answer rightly, and are short."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from live_server import LONG, running
from sansi.chat import ChatModel
from scripted import Planned, Played

from doc_pages import ROOT, check

EXAMPLES = ROOT / "examples"


def populations(told: list[str]) -> tuple[str, dict[str, Any]] | str:
    """What a model that was trained to call tools does with examples/tools.py."""
    if len(told) < 2:
        return "population", {"country": ("Iceland", "Malta")[len(told)]}
    return ("calculator", {"expression": " + ".join(told)}) if len(told) == 2 else f"Together {told[-1]}."


def product(told: list[str]) -> tuple[str, dict[str, Any]] | str:
    """The same with examples/agent.py."""
    return f"It is {told[0]}." if told else ("calculator", {"expression": "17 * 23"})


@pytest.fixture(scope="module")
def url(nano: ChatModel) -> Iterator[str]:
    with running([nano, Planned("Qwen3-0.6B", populations), Planned("Qwen3-4B", product)]) as address:
        yield f"{address}/v1"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What a program prints, given its arguments."""

    def run(name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_a_conversation(printed):
    answers = re.findall(r"-> (.*)$", printed("chat.py"), re.MULTILINE)
    check(str(answers), str([str(12 + 7), str(30 - 4)]), "chat.py")


def test_budgets_beside_each_other(printed):
    rows = [line.split() for line in printed("budgets.py").splitlines()]
    assert [row[0] for row in rows] == ["0", "16", "64", "unlimited"]
    check(rows[-1][-1], str(47 + 38 - 29), "budgets.py")


def test_a_schema(printed):
    found = json.loads(printed("structured.py"))
    assert found["operation"] in ("sum", "difference") and len(found["operands"]) == 2


@pytest.mark.parametrize("program", ["openai_client.py", "streaming.py"])
def test_a_server_is_asked(program, url, printed):
    out = printed(program, url)
    assert "thought: " in out
    answer = re.search(r"^answer: (.*)$", out, re.MULTILINE)
    assert answer
    check(answer[1], str(12 + 7), program)


def test_tools_are_called(url, printed):
    out = printed("tools.py", url)
    assert out.splitlines()[-1] == f"Together {390_000 + 560_000}."
    assert 'population({"country": "Malta"}) -> 560000' in out


def said_to(chat: tuple[Any, ...]) -> str:
    return next(message.content for message in reversed(chat) if message.role == "user")


def routes(chat: tuple[Any, ...]) -> tuple[str, dict[str, Any]] | str:
    asked = said_to(chat)
    if "Reply with one name" in asked:
        return "mathematician" if "17 * 23" in asked else "The poet should."
    if chat[-1].role == "tool":
        return f"It is {chat[-1].content}."
    return ("calculator", {"expression": "17*23"}) if "17" in asked else "The sea, the sea."


def passes_on(chat: tuple[Any, ...]) -> tuple[str, dict[str, Any]] | str:
    if "front desk" in chat[0].content:
        return "hand_over", {"to": "billing", "why": "a refund"}
    return f"Done: {chat[-1].content}." if "on its way" in chat[-1].content else ("refund", {"order": "A17"})


def discusses(chat: tuple[Any, ...]) -> str:
    return "A library." if "Ann" in chat[0].content[:12] else "AGREED."


def finds(chat: tuple[Any, ...]) -> str:
    asked = said_to(chat)
    if asked.startswith("Findings"):
        return "budgets.py [1]"
    return "budgets.py does." if "several thinking budgets" in asked else "NOTHING"


def cites(chat: tuple[Any, ...]) -> str:
    number = re.search(r"\[(\d)\] \| \[budgets\.py", chat[-1].content)
    assert number
    return f"budgets.py does [{number[1]}], not another [7]."


def writes(chat: tuple[Any, ...]) -> str:
    title = re.search(r'Write the section "(.*)" now', said_to(chat))
    return f"About {title[1]}." if title else "1. Arches\n2. Cables"


def plans(chat: tuple[Any, ...]) -> tuple[str, dict[str, Any]] | str:
    asked = said_to(chat)
    if "Write a plan" in asked:
        return "1. Compute 3 * 14 + 2 * 9."
    if "Answer the task" in asked:
        return "They cost " + re.findall(r"\d+", asked)[-1] + "."
    return chat[-1].content if chat[-1].role == "tool" else ("calculator", {"expression": "3*14 + 2*9"})


@pytest.mark.parametrize(
    ("program", "part", "lines"),
    [
        ("router.py", routes, ["mathematician: It is 391.", "poet: The sea, the sea."]),
        ("handoff.py", passes_on, ["desk -> billing", "Done: the money for A17 is on its way."]),
        ("group_chat.py", discusses, ["Ann: A library.", "Ben: AGREED."]),
        ("document_qa.py", finds, ["budgets.py [1]"]),
        ("retrieval.py", cites, ["made up: 7"]),
        ("writer.py", writes, ["## Arches", "About Cables."]),
        ("planner.py", plans, ["They cost 60."]),
    ],
)
def test_compositions(program, part, lines, printed):
    played = Played("Qwen3-0.6B", part)
    played.context_length = 32_768  # as that model's; the documents are those of examples/
    with running([played]) as address:
        out = printed(program, f"{address}/v1")
    assert all(line in out for line in lines), out


def test_an_agent_in_five_lines(url, printed):
    lines = printed("agent.py", url, "Qwen3-4B").splitlines()
    assert lines == [f'calculator({{"expression": "17 * 23"}}) -> {17 * 23}', f"It is {17 * 23}."]


def test_a_batch():
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([EXAMPLES / "batch.sh"], env=environment, capture_output=True, text=True, timeout=LONG)
    check(done.stdout, f"{12 + 7}\n{30 - 4}\n{25 + 30}\n", f"batch.sh: {done.stderr}")


def test_a_task_of_ones_own(printed):
    lines = printed("own_task.py").splitlines()
    assert sum(line.lstrip().startswith("right ") for line in lines) >= 7
    assert [line.split(":")[0] for line in lines if " of " in line] == ["change", "own_problems.jsonl"]


def test_examples_are_short_and_listed():
    programs = {path.name: path for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")}
    assert programs.keys() <= set(re.findall(r"\]\(([\w.]+)\)", (EXAMPLES / "README.md").read_text()))
    for path in programs.values():
        assert len(path.read_text().splitlines()) <= 40, path.name
