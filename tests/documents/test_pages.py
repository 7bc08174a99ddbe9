"""Made pages of many kinds and languages: what a reader came for is there, in order, and what surrounds it is not."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean

import pytest
from sansi.documents import extract_document

sys.path.append(str(Path(__file__).parent))
from pages.labelled import labelled_pages
from pages.made import MadePage
from pages.score import flat, score

PAGES = {page.name: page for page in labelled_pages()}
# Nothing on these pages tells the main text from what stands around it.
NOT_TOLD_APART = {"year 1998": 3, "figures": 2, "nothing but div": 2}


def read(page: MadePage, how="accurate") -> str:
    return extract_document(page.source, None, page.media_type, how).text


@pytest.mark.parametrize("name", PAGES)
def test_a_page(name: str):
    page = PAGES[name]
    text = read(page)
    found = score(page, text)
    assert found.present == 1, [run for run in page.keep if flat(run) not in flat(text)]
    assert found.code in (None, 1.0)
    assert found.ordered >= 0.85  # some runs occur twice
    wrong = [run for run in page.drop if len(run) > 10 and flat(run) in flat(text)]
    assert len(wrong) <= NOT_TOLD_APART.get(name, 0), wrong


def test_words_against_the_label_beside_trafilatura():
    import trafilatura
    from sansi.documents.charset import decode

    def peer(page: MadePage) -> str:
        decoded = decode(page.source, page.media_type.partition("charset=")[2] or None, "text/html")
        return trafilatura.extract(decoded.text, include_comments=False) or ""

    pages = list(PAGES.values())[::4]
    ours = mean(score(page, read(page)).f for page in pages)
    assert ours >= 0.97 and ours >= mean(score(page, peer(page)).f for page in pages)


def test_a_page_gives_the_same_text_each_time_and_after_others():
    page = PAGES["blog with comments"]
    first = read(page)
    for other in ("news", "wiki", "forum"):
        read(PAGES.get(other, page))
    assert read(page) == first


def test_fast_reading_keeps_what_is_there():
    pages = list(PAGES.values())[::3]
    assert mean(score(page, read(page, "fast")).recall for page in pages) >= 0.98
