"""The site that `make docs` has built, where it has: it is whole, and asks nobody else for anything."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "build" / "site"
BUILT = SITE / "sitemap.xml"  # written last
SOURCES = [ROOT / "mkdocs.yml", *(ROOT / "docs").rglob("*.md")]
if not BUILT.exists() or BUILT.stat().st_mtime < max(source.stat().st_mtime for source in SOURCES):
    pytest.skip("the site is not built, or older than its pages; `make docs` builds it", allow_module_level=True)
PAGES = sorted(SITE.rglob("*.html"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SITE)))
def test_nothing_is_loaded_from_elsewhere(page):
    """No script, style, font or picture; links may lead out."""
    text = page.read_text(encoding="utf-8")
    loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?([^\"\s>]+)", text)
    loaded += re.findall(
        r"<link\b[^>]*\brel=\"?(?:stylesheet|preconnect|icon|preload)\"?[^>]*\bhref=\"?([^\"\s>]+)", text
    )
    assert loaded and not [address for address in loaded if re.match(r"(https?:)?//", address)]


def test_styles_load_nothing_from_elsewhere():
    for style in SITE.rglob("*.css"):
        assert not re.findall(r"url\(\s*[\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style


def test_the_reference_has_what_a_reader_looks_for():
    found = {page.stem: page.read_text(encoding="utf-8") for page in (SITE / "reference").glob("*.html")}
    for room, names in {
        "chat": ("ChatModel.complete", "ChatOptions.thinking_budget", "Report.thinking_end_reason"),
        "agents": ("Agent.run", "Tool.from_function", "MCPServers.tools", "ServerConfig.call_timeout"),
        "text": ("Codec.render", "Codec.training_sample"),
        "engine": ("Engine.generate", "SamplingParams"),
        "train": ("Trainer.train",),
    }.items():
        for name in names:
            assert re.search(rf'id="sansi\.[\w.]*{re.escape(name)}"', found[room]), name


def test_pages_can_be_searched_for_in_both_languages():
    index = json.loads((SITE / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert index["config"]["lang"] == ["en", "zh"]
    places = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {"thinking-budgets.html", "zh/thinking-budgets.html", "reference/chat.html"} <= places


def test_the_api_is_told_without_the_names_of_its_tests():
    text = (SITE / "api.html").read_text(encoding="utf-8")
    assert "<th>meaning</th>" in text and "thinking_budget" in text
    assert "<th>test</th>" not in text and "tests/serve/test_serve_checkpoint.py::" not in text
