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


ARTICLE = "<p>The mill at Sorrow Bend ground its last corn in 1911, and the miller became a photographer of ships.</p>"
OTHER = "<p>{} I have never agreed with anything on this page, and I read it every single week without fail.</p>"
LONG = (
    "<p>"
    + "The river rose in the night and took the lower fields with it, as it had in his father's time. " * 3
    + "</p>"
)


def reads(body: str, title: str = "T") -> str:
    return extract_document(f"<!doctype html><title>{title}</title><body>{body}", None, "text/html").text


@pytest.mark.parametrize(
    ("body", "there", "gone"),
    [
        # more comments than text
        (f"<article>{ARTICLE * 3}</article><div id=comments>{''.join(OTHER.format(n) for n in range(40))}</div>", "Sorrow Bend", "never agreed"),
        # comments are all there is
        (f"<h1>Thread</h1><div class=comment-list>{OTHER.format('Well.')}{OTHER.format('No.')}</div>", "never agreed", None),
        # everything in a place that is named as if it were none of it
        (f"<div class='sidebar-layout widget'><div class=text>{LONG * 4}</div></div><div class=sidebar>{OTHER.format('By the way.')}</div>", "river rose", "never agreed"),
        (f"<form><div>{LONG * 3}</div></form><footer>{OTHER.format('Legal.')}</footer>", "river rose", "never agreed"),
        # notes beside the text are part of it, other asides are not
        (f"<main>{LONG * 2}<aside class=note><p>Mind the step.</p></aside><aside><p>Buy our boots, they are warm and dry and cheap.</p></aside>{LONG}</main>", "river rose", "Buy our boots"),
        # text after an inline tag, in paragraphs and items, and bare text
        (f"<article>{LONG}<p><b>Note</b> that <i>all</i> of this sentence is wanted, and not its beginning alone.</p><ul><li><em>One</em> thing<li>Another <a href=x>thing</a> here</ul>{LONG}</article>", "Note that all of this sentence is wanted, and not its beginning alone.", None),
        (f"<article>{LONG}<ul><li><em>One</em> thing<li>Another <a href=x>thing</a> here</ul>{LONG}</article>", "- One thing\n- Another thing here", None),
        (f"<article>{LONG}Bare text between two paragraphs, which no element of its own holds at all.{LONG}</article>", "Bare text between two paragraphs", None),
        # a heading of what is kept, and one of what is not
        (f"<article>{LONG}<h2>Floods since</h2>{LONG}<h2>Related</h2><ul class=related><li><a href=x>Another flood</a></ul></article>", "## Floods since", "Related"),
        (f"<article>{LONG}<table><tr><th>Year<th>Level<tr><td>1911<td>4.2 m</table>{LONG}</article>", "| Year | Level |\n| --- | --- |\n| 1911 | 4.2 m |", None),
        (f"<article>{LONG}<pre>if a:\n\tb  # two\n</pre>{LONG}</article>", "```\nif a:\n\tb  # two\n```", None),
        (f"<article>{LONG}<details><summary>More</summary><p>What is folded away is text as well, and part of the page.</p></details>{LONG}</article>", "What is folded away", None),
    ],
)  # fmt: skip
def test_places_and_what_is_in_them(body, there, gone):
    text = reads(body)
    assert there in text
    assert gone is None or gone not in text


def test_the_title_above_the_main_text_is_kept():
    text = reads(
        f"<header class=site-header><h1>The Gazette</h1></header><div><h1>A flood</h1></div><div class=entry-content>{LONG * 3}</div>",
        "A flood | The Gazette",
    )
    assert text.startswith("# A flood") and "# The Gazette" not in text


def test_an_index_is_read_whole():
    links = "".join(f"<tr><td><dl><dt><a href={n}>entry_{n}</a></dl>" for n in range(200))
    assert "entry_199" in reads(f"<h1>Index</h1><p>What begins with X.</p><table>{links}</table>")
