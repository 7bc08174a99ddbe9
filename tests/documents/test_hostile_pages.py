"""Pages made to keep a parser busy or to fill memory, and charsets that lie: bounded by counts, not by a clock."""

from __future__ import annotations

import sys

import pytest
from sansi.base.errors import SansiError
from sansi.documents import extract_document
from sansi.documents.html_text import html_to_text

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
DOCTYPE = f'<?xml version="1.0"?><!DOCTYPE html [<!ENTITY l0 "lol"> {LAUGHS} ]>'
LAUGHING = f'{DOCTYPE}<html xmlns="http://www.w3.org/1999/xhtml"><body><p>&l9; A text.</p></body></html>'


def read(source: str, how="accurate") -> str:
    return extract_document(source, "page.html", "text/html", how).text


@pytest.mark.parametrize("how", ["accurate", "fast"])
@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("<div>" * 200_000 + "x", "its elements nest 200,000 deep; at most 4,000 levels are read"),
        ("<ul><li>x" * 50_000, "its elements nest 50,000 deep"),
        ("<TABLE><TR><TD>" * 5_000, "its elements nest 5,000 deep"),
        ("<p " + " ".join(f"a{n}=1" for n in range(50_000)) + ">x", "one of its elements has 50,000 attributes"),
        ('<p x=">" ' + " ".join(f"a{n}='1'" for n in range(5_000)) + ">x", "one of its elements has 5,001 attributes"),
        ("<p>" * 1_000_001, "it has 1,000,001 tags; at most 1,000,000 are read"),
    ],
    ids=["nested", "lists", "tables", "attributes", "quoted", "tags"],
)
def test_what_no_parser_should_be_given_is_refused_by_its_count(source, why, how):
    with pytest.raises(SansiError, match=r"“page\.html” is no page that anybody wrote") as caught:
        read(source, how)
    assert why in str(caught.value) and caught.value.code == "broken"


@pytest.mark.parametrize("how", ["accurate", "fast"])
@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<html xmlns='x'><p>" + "<![CDATA[" * 100_000 + "x", None),
        ("<html xmlns='x'><p>" + "<a b" * 100_000, None),
        ("<noscript>" * 100_000 + "x", None),
        ("<title>" * 100_000, None),
        ("<p>" + "x<sup>y" * 5_000, None),
        ("<table>" + "<tr><td colspan=1000 rowspan=1000>x<td>y" * 2_000 + "</table>", None),
        ("<!--" * 100_000 + "x", None),
        ("<svg>" * 3_900 + "x", None),
        ("<p>" + "&amp;" * 200_000, "&" * 200_000),
        ("<div>" * 3_900 + "deep" + "</div>" * 3_900, "deep"),
        ("<li>x" * 5_000 + "<p>end", None),
    ],
    ids=["cdata", "unclosed", "noscript", "title", "powers", "spans", "comments", "svg", "entities", "deep", "items"],
)
def test_what_is_strange_is_read_and_stays_small(source, text, how):
    try:
        found = read(source, how)
    except SansiError as error:
        assert error.code == "empty"
        return
    assert len(found) < 4 * len(source)
    assert text is None or found == text


def test_entities_that_multiply_are_none():
    assert html_to_text(LAUGHING) == "&l9; A text."
    assert len(read(LAUGHING)) < 40 and "A text." in read(LAUGHING, "fast")


@pytest.mark.parametrize(
    ("data", "media_type", "text"),
    [
        ("<p>Größe".encode("latin-1"), "text/html; charset=utf-8", "Größe"),  # the header is wrong
        ("<p>Größe, Maß".encode() + b"\xff", "text/html", "Größe, Maß\ufffd"),
        (b"<meta charset=koi8-r><p>" + "Утро".encode("koi8-r"), "text/html", "Утро"),
        (b"<meta charset=utf-8><p>" + "Утро".encode("cp1251"), "text/html; charset=windows-1251", "Утро"),
        ("<p>三思".encode("utf-16"), "text/html", "三思"),
        (b"<p>" + "Größe".encode() + " müde".encode("latin-1") * 1, "text/html", None),  # two in one
        (b"<p>a\0b", "text/html; charset=latin-1", None),
    ],
)
def test_charsets_that_lie_or_are_mixed(data, media_type, text):
    try:
        found = extract_document(data, "a.html", media_type).text
    except SansiError as error:
        assert error.code == "binary" and text is None
        return
    assert found.strip() and (text is None or found == text)


@pytest.mark.parametrize(
    "source", ["<p> </p>", "<script>x()</script>", "<!-- only this -->", "<img src=a.png>", "<title>T</title>"]
)
def test_a_page_without_text_is_told(source):
    with pytest.raises(SansiError, match="holds no text") as caught:
        read(source)
    assert caught.value.code == "empty"


def test_a_page_of_very_many_words_in_one_line():
    text = read("<html><body><p>" + "word " * 100_000 + "</p></body></html>")
    assert len(text) == 5 * 100_000 - 1


@pytest.mark.parametrize("how", ["accurate", "fast"])
def test_half_of_a_pair_is_replaced(how):
    assert read("<p>one \ud83d two</p>", how).split() == ["one", "\ufffd", "two"]


def test_what_found_the_main_text_is_said(monkeypatch):
    page = "<h1>A</h1><p>" + "A text that is long enough to be one. " * 9
    assert extract_document(page, None, "text/html").extractor == "html-accurate"
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    monkeypatch.setattr("sansi.documents.main_text._has_guide", lambda: False)
    found = extract_document(page, None, "text/html")
    assert found.extractor == "html-structure" and "long enough" in found.text
