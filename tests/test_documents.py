"""Documents tell the truth: figures in them are those of the bundled model, commands in them exist."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from sansi.base import load_config
from sansi.base.files import read_json
from sansi.cli import app
from sansi.eval.budget_curve import BudgetCurve, markdown_table, table_rows

from doc_pages import USER_PAGES, blocks, commands

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import tables  # noqa: E402

PAGES = ["README.md", "docs/RESULTS.md", "checkpoints/nano/README.md"]


def block(page: str, name: str) -> str:
    found = re.search(rf"<!-- nano:{name} -->\n(.*?)<!-- /nano:{name} -->", (ROOT / page).read_text(), re.DOTALL)
    assert found, f"{page} has no block {name}"
    return found[1]


@pytest.mark.parametrize("page", PAGES)
def test_the_curve_on_every_page_is_the_bundled_models(page):
    curve = load_config(BudgetCurve, read_json(ROOT / "checkpoints" / "nano" / "evaluation.json"))
    assert block(page, "curve") == markdown_table(table_rows(curve))


@pytest.mark.parametrize("page", PAGES[:2])
def test_pages_show_pictures_that_exist(page):
    for image in re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / image).is_file(), image


@pytest.mark.parametrize("page", [page for page in tables.PAGES if "<!-- made:" in page.read_text()], ids=str)
def test_tables_are_what_is_made_from_the_code(page):
    text = page.read_text(encoding="utf-8")
    assert text == tables.filled(text), "run `python docs/tables.py`"


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Relative links and pictures: the file is there, and so is the heading. mkdocs checks those within the site."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        leads_to = (page.parent / file).resolve() if file else page
        assert leads_to.exists(), f"{page.name}: {target}"
        if anchor and leads_to.suffix == ".md":
            assert anchor in anchors(leads_to), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_site_and_in_the_readme():
    nav = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2], re.MULTILINE))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")} - {"package.md"}
    assert nav == pages
    readme = set(re.findall(r"\]\(docs/([\w-]+\.md)", (ROOT / "README.md").read_text()))
    assert readme == {page for page in pages if "/" not in page}


SHELL = [(page, line) for page in USER_PAGES for b in blocks(page, "sh", "console") for line in commands(b.body)]


@pytest.mark.parametrize("page", sorted({page for page, _ in SHELL}))
def test_commands_of_the_pages_exist(page):
    """Verbs and options of every `sansi` line, and the targets of every `make` line."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for where, line in SHELL:
        if where != page:
            continue
        for words in re.findall(r"(?:^|[|$] *|\.venv/bin/)(?:sansi) ([^|>#]*)", line):
            check_command(shlex.split(words.replace("…", "")), f"{page}: {line}")
        for words in re.findall(r"^make ([^#]*)", line, re.MULTILINE):
            assert {word for word in shlex.split(words) if "=" not in word} <= targets, f"{page}: {line}"


def check_command(words: list[str], where: str) -> None:
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{where}: no such command"
        command, words = command.commands[words[0]], words[1:]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert asked <= options | {"--help"}, f"{where}: {sorted(asked - options)}"


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_pages_name_exist(page):
    for file, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?", page.read_text(encoding="utf-8")):
        assert (ROOT / file).is_file(), f"{page.name}: {file}"
        assert not name or f"def {name}(" in (ROOT / file).read_text(), f"{page.name}: {file}::{name}"


def test_the_bundled_model_is_small_and_complete():
    folder = ROOT / "checkpoints" / "nano"
    names = {p.name for p in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
    assert {"generation_config.json", "README.md", "model_card.json"} <= names
    assert names & {"history.json", "made_by.json"}
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 12e6
