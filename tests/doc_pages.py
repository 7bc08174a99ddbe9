"""What the documents show, taken out of them: code blocks, commands, the answers that they promise."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sansi.agents.tools.calculator import evaluate

ROOT = Path(__file__).resolve().parents[1]
USER_PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in [ROOT / "README.md", ROOT / "README.zh.md", *(ROOT / "docs").rglob("*.md")]
    if page.exists() and page.name not in ("LOG.md", "RESULTS.md", "codec.md")  # those are for developers
)
FENCE = re.compile(
    r"^(?:<!-- answer: (?P<answer>.*?) -->\n)?(?P<in> *)```(?P<kind>\w+)\n(?P<body>.*?)^(?P=in)```", re.M | re.S
)
PROMISE = re.compile(r"^\s*# → (.*)$")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    kind: str
    """The language after the fence."""
    body: str
    answer: str | None
    """What the answer must be, computed from the expression of <!-- answer: … --> before it."""


def blocks(page: str, *kinds: str) -> list[Block]:
    found = FENCE.finditer((ROOT / page).read_text(encoding="utf-8"))
    return [
        Block(f["kind"], textwrap.dedent(f["body"]), None if f["answer"] is None else str(evaluate(f["answer"])))
        for f in found
        if f["kind"] in kinds
    ]


def pages_with(*kinds: str) -> list[str]:
    return [page for page in USER_PAGES if blocks(page, *kinds)]


def commands(body: str) -> Iterator[str]:
    """The shell commands of a block: continuation lines and quoted lines included, comments and outputs not."""
    lines = iter(body.splitlines(keepends=True))
    for line in lines:
        while line.rstrip().endswith("\\") or not _closed(line):
            line += next(lines)
        if line.strip() and not line.startswith("#"):
            yield line


def _closed(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True


def run_python(source: str, namespace: dict, name: str) -> None:
    """Run a block; where comments "# → …" follow a statement, they are what it must have printed."""
    lines, body = source.splitlines(), ast.parse(source).body
    ends = [*(statement.lineno for statement in body[1:]), len(lines) + 1]
    for statement, end in zip(body, ends, strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module([statement], []), name, "exec", dont_inherit=True), namespace)
        promised = [m[1] for m in map(PROMISE.match, lines[statement.lineno - 1 : end - 1]) if m]
        if promised:
            check(printed.getvalue().strip(), "\n".join(promised), f"{name}, line {statement.lineno}")


def check(found: str, promised: str, where: str) -> None:
    assert found == promised, where
