"""What the documents show is what happens: their Python runs and prints what they say, their commands are answered.

In order of the page; only the address is another. The blocks of a page share one namespace, as they would in a
notebook. "# → 19" after a statement is what it prints; <!-- answer: 12 + 7 --> before a block says what the answer of
its command must be, which is computed here and not copied.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from live_server import LONG, running
from sansi.agents.toolset import Toolset
from sansi.base import SansiError
from sansi.base.bundled import bundled_models
from sansi.chat import ChatModel, ChatOptions
from sansi.model.formats.folders import read_config
from sansi.serve.agent.server_tools import ServerTools
from scripted import Planned

from adapter_folders import random_adapter
from doc_pages import ROOT, blocks, check, commands, pages_with, run_python

ADDRESS = re.compile(r"http://(?:127\.0\.0\.1|localhost):8000")
# Questions of docs/first-chat.md, and what is right.
KINDS_OF_QUESTIONS = {
    "What is 12 + 7?": "19",
    "Solve for e: 8*e - 5 = 3": "1",
    "What is the greatest common divisor of 24 and 98?": "2",
    "How many 1 bits are there in the binary representation of the number 1934?": str((1934).bit_count()),
    'How many times does the letter "a" appear in the text: "banana"?': str("banana".count("a")),
    "Spell this word backward: autocolony": "autocolony"[::-1],
    "12 + 7 等于多少？": "19",
}


def capital(told: list[str]) -> tuple[str, dict[str, Any]] | str:
    """Looks the capital of Japan up, then tells it: what docs/tools.md shows."""
    return f"The capital of Japan is {told[-1]}." if told else ("capital", {"country": "Japan"})


@pytest.fixture(scope="module")
def address(nano: ChatModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as the documents know it: the bundled model, and one that calls tools under a real one's name; of its
    own tools the calculator is on."""
    with Toolset(["calculator"]) as tools:
        server = ServerTools(tools, tmp_path_factory.mktemp("conversations"))
        poet = Planned("poet", lambda told: "Hello, moon.")  # as an adapter of docs/deployment.md
        with running([nano, Planned("Qwen3-0.6B", capital), poet], tools=server) as url:
            yield url


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder that a reader is in: a model, and an adapter for it."""
    base = bundled_models()["nano"]
    (tmp_path / "Qwen3-4B").symlink_to(base)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (tmp_path / "lora").mkdir()
    random_adapter(tmp_path / "lora" / "poet", read_config(base))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_prints_what_the_page_says(page, address, models):
    namespace: dict = {"__name__": "example"}
    for number, block in enumerate(blocks(page, "python"), 1):
        try:
            run_python(ADDRESS.sub(address, block.body), namespace, f"{page}, example {number}")
        except SansiError as error:
            if error.code != "no_sandbox":
                raise
            pytest.skip(str(error))


def test_an_agent_prints_what_its_page_says(address, capsys):
    shown = blocks("docs/tools.md", "text")[0].body
    namespace: dict = {"__name__": "example"}
    for block in blocks("docs/tools.md", "python"):
        exec(ADDRESS.sub(address, block.body), namespace)
        printed = capsys.readouterr().out
        if "record.call" in block.body:
            assert printed == shown
            return
    raise AssertionError("docs/tools.md shows no run of an agent")


@pytest.mark.parametrize("page", pages_with("sh"))
def test_curl_is_answered(page, address):
    asked = [(line, block) for block in blocks(page, "sh") for line in commands(block.body) if line.startswith("curl ")]
    if not asked or shutil.which("curl") is None:
        pytest.skip("no example, or no curl")
    for line, block in asked:
        shown = ADDRESS.sub(address, line).replace("curl ", "curl -sS --fail-with-body ", 1)
        done = subprocess.run(["bash", "-c", shown], capture_output=True, text=True, timeout=LONG)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        if block.answer is not None:
            check(json.loads(done.stdout)["choices"][0]["message"]["content"], block.answer, f"{page}: {line}")


@pytest.mark.parametrize("page", pages_with("console"))
def test_a_console_shows_what_is_printed(page, monkeypatch):
    """Lines with "$ " are typed; what follows is standard output."""
    for block in blocks(page, "console"):
        for typed, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.body, re.MULTILINE):
            program, *arguments = shlex.split(typed)
            assert program == "sansi"
            greedy = ["--temperature", "0"] if arguments[0] == "run" else []  # a promise leaves nothing to chance
            command = [sys.executable, "-m", "sansi.cli", *arguments, *greedy]
            done = subprocess.run(command, cwd=ROOT / "docs", capture_output=True, text=True, timeout=LONG)
            found = shown if matches(done.stdout, shown) else done.stdout
            check(found, shown, f"{page}: {typed}\n{done.stderr}")
            assert block.answer is None or shown.strip() == block.answer, f"{page}: {typed}"


def matches(printed: str, shown: str) -> bool:
    """Whether this is what the page shows, where "…" stands for anything: what depends on the machine."""
    return re.fullmatch(".*".join(map(re.escape, shown.split("…"))), printed, re.DOTALL) is not None


@pytest.mark.parametrize("question", KINDS_OF_QUESTIONS)
def test_the_kinds_of_questions_that_the_pages_name_are_answered(question, nano):
    options = ChatOptions(temperature=0, presence_penalty=0)
    answer = nano.complete([{"role": "user", "content": question}], options).message.content
    check(answer.strip(), KINDS_OF_QUESTIONS[question], question)


def test_the_pages_name_the_questions_that_are_checked():
    for page in ("docs/first-chat.md", "docs/zh/first-chat.md"):
        rows = re.findall(r"^\|[^|]*\| ([^|]*[?？:].*?) \|$", (ROOT / page).read_text(), re.MULTILINE)
        assert len(rows) == 6 and set(rows) <= set(KINDS_OF_QUESTIONS)
