"""Records of every media type to texts, in this process."""

from __future__ import annotations

import pytest
from sansi.base.errors import SansiError
from sansi.data.documents import Record
from sansi.data.extract import extract, reason_of

PAGE = "<!doctype html><title>A title</title><nav><a href=/>Home</a></nav><main><h1>Head</h1><p>{}</p></main>"
PAGE = PAGE.format("A sentence that says something, and goes on for a while. " * 8)


@pytest.mark.parametrize(
    ("record", "kind", "language", "media_type", "extractor"),
    [
        (Record("a", "A text.", "text/plain"), "prose", None, "text/plain", "text"),
        (Record("a", b"A text.", name="a.md"), "prose", None, "text/markdown", "text"),
        (Record("a", b"x = 1", name="a.py"), "code", "python", "text/x-python", "text"),
        (Record("a", b"int x;", name="a.c"), "code", "c", "text/plain", "text"),
        (Record("a", b"all:", name="Makefile"), "code", "makefile", "text/plain", "text"),
        (Record("a", "x = 1", "text/x-source", name="a"), "code", None, "text/x-source", "text"),
        (Record("a", b"x = 1", name="a.py", kind="prose"), "prose", None, "text/x-python", "text"),
        (Record("a", PAGE.encode(), "text/html; charset=utf-8"), "prose", None, "text/html", "html-accurate"),
        (Record("a", PAGE, "text/html", language="en"), "prose", "en", "text/html", "html-accurate"),
        (Record("a", b".TH LS 1\n.SH NAME\nls", name="ls.1"), "reference", None, "text/troff", "man"),
    ],
)
def test_each_media_type(record, kind, language, media_type, extractor):
    found = extract(record)
    assert (found.kind, found.language, found.media_type) == (kind, language, media_type)
    assert found.provenance == {"extractor": extractor}
    assert found.text.strip()


def test_what_the_source_tells_is_kept():
    record = Record("a", "Text.", licence="MIT", url="https://a.org", date="2021", held_out=True, metadata={"k": "v"})
    found = extract(record)
    assert (found.licence, found.url, found.date, found.held_out) == ("MIT", "https://a.org", "2021", True)
    assert found.metadata == {"k": "v"} and found.original


@pytest.mark.parametrize("how", ["accurate", "fast"])
def test_pages_either_way(how):
    found = extract(Record("a", PAGE, "text/html"), how)
    assert found.title == "A title" and "says something" in found.text and "Home" not in found.text


def test_notes_are_provenance():
    found = extract(Record("a", "Größe, müde".encode("latin-1"), "text/plain"))
    assert found.provenance["notes"] == "the text is not UTF-8; it was read as cp1252"


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n", "a.txt", "not text"),
        (b" \n", "a", "empty"),
        ("", "a", "empty"),
        (b"%PDF-1.4", "a", "broken"),
    ],
)
def test_what_cannot_be_read_has_a_short_reason(data, name, reason):
    with pytest.raises(SansiError) as caught:
        extract(Record("a", data, name=name))
    assert reason_of(caught.value) == reason
