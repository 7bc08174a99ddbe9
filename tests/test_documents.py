"""Documents tell the truth: figures in them are those of the bundled model, commands in them exist."""

import re
from pathlib import Path

import pytest
from sansi.base import load_config
from sansi.base.files import read_json
from sansi.eval.budget_curve import BudgetCurve, markdown_table, table_rows

ROOT = Path(__file__).resolve().parents[1]
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


def test_commands_of_the_readme_exist():
    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", text, re.MULTILINE)) <= targets
    from sansi.cli import app

    verbs = {c.name or c.callback.__name__ for c in app.registered_commands} | {g.name for g in app.registered_groups}
    assert set(re.findall(r"sansi (\w+) ", text)) - {"serves"} <= verbs


def test_the_bundled_model_is_small_and_complete():
    folder = ROOT / "checkpoints" / "nano"
    names = {p.name for p in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
    assert {"generation_config.json", "README.md", "model_card.json", "made_by.json"} <= names
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 12e6
