"""Files of every kind as text, and a sentence for what is none."""

from __future__ import annotations

import codecs
import contextlib
import random
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.documents import Document, Limits, read_document
from sansi.documents.html_text import parse_html

sys.path.append(str(Path(__file__).parent))  # for where these files are made

GERMAN = "Die Größe der Straße überraschte Jürgen. Er ging früh nach Hause – müde, aber glücklich."
FRENCH = "L’été dernier, nous étions à la mer près d’une forêt où les élèves déjeunaient. Ça coûte 3 €."
RUSSIAN = "Утром он вышел из дома и долго шёл по улице. Было тепло, и он думал о своей работе."
CHINESE = "三思而后行。他早上从家里出来，在街上走了很久，一直在想自己的工作。"
TRADITIONAL = "三思而後行。他早上從家裡出來，在街上走了很久，一直在想自己的工作。"
JAPANESE = "彼は朝に家を出て、長い間通りを歩いていた。仕事のことをずっと考えていました。カタカナもある。"
KOREAN = "그는 아침에 집을 나와 오랫동안 거리를 걸었다. 줄곧 자신의 일에 대해 생각하고 있었다."
GUESSES = [
    (GERMAN, "cp1252"),
    (FRENCH, "cp1252"),
    (RUSSIAN, "cp1251"),
    (RUSSIAN, "koi8_r"),
    (CHINESE, "gb18030"),
    (TRADITIONAL, "big5hkscs"),
    (JAPANESE, "cp932"),
    (JAPANESE, "euc_jp"),
    (KOREAN, "cp949"),
]


def refusal(data: bytes, name: str | None = None, **more) -> SansiError:
    with pytest.raises(SansiError) as caught:
        read_document(data, name, **more)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(("text", "charset"), GUESSES, ids=lambda value: value if value.islower() else "")
@pytest.mark.parametrize("around", ["", "x = 1  # a comment\n" * 40], ids=["alone", "in source"])
def test_a_charset_that_nothing_tells_is_guessed_and_said(text, charset, around):
    read = read_document((around + text).encode(charset))
    assert read.text == around + text
    assert read.notes == (f"the text is not UTF-8; it was read as {charset}",)


@pytest.mark.parametrize(
    "text",
    [
        "Il était une fois.",
        "Il va à Paris.",
        "À bientôt",
        "Überall",
        "señor",
        "Å",
        "price: 5 €",
        "Привет, мир",
        "В лесу",
    ],
)
def test_one_letter_is_enough_where_its_place_in_the_word_tells(text):
    charset = "cp1251" if "е" in text else "cp1252"
    assert read_document(text.encode(charset), "a.txt").text == text


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_unicode_in_all_its_forms(charset):
    text = "One line of text.\nAnd three thoughts: 三思." if charset[-2:] not in ("le", "be") else "One line.\nAnd é."
    read = read_document(text.encode(charset), "a.txt")
    assert (read.text, read.notes, read.media_type) == (text, (), "text/plain")


@pytest.mark.parametrize(
    ("data", "media_type", "text"),
    [
        (GERMAN.encode("latin-1", "ignore"), "text/plain; charset=ISO-8859-1", GERMAN.replace("–", "")),
        (GERMAN.encode("cp1252"), 'text/plain; charset="iso-8859-1"', GERMAN),  # as browsers read it
        (CHINESE.encode("gbk"), "text/plain; charset=gb2312", CHINESE),
        (JAPANESE.encode("cp932"), "text/plain;charset=Shift_JIS", JAPANESE),
        (("# -*- coding: koi8-r -*-\n# " + RUSSIAN).encode("koi8_r"), None, "# -*- coding: koi8-r -*-\n# " + RUSSIAN),
        (('<?xml version="1.0" encoding="big5"?>' + TRADITIONAL).encode("big5"), "text/xml", TRADITIONAL),
        (codecs.BOM_UTF8 + CHINESE.encode(), "text/plain; charset=latin-1", CHINESE),  # a mark goes first
    ],
)
def test_a_charset_that_is_declared(data, media_type, text):
    read = read_document(data, None, media_type)
    assert read.text.endswith(text)


def test_a_wrong_declaration_is_said():
    read = read_document(CHINESE.encode("gb18030"), None, "text/plain; charset=utf-32")
    assert read.text == CHINESE and "not in utf-32" in read.notes[0]
    assert "“klingon” is not known" in read_document(b"text", None, "text/plain; charset=klingon").notes[0]


def test_a_few_wrong_bytes_are_replaced_and_counted():
    read = read_document(("a" * 999 + "é三" + "b" * 999).encode() + b"\xff")
    assert read.text.count("\ufffd") == 1 and "1 bytes are no UTF-8 and stand as" in read.notes[0]


@pytest.mark.parametrize(
    ("name", "head", "media_type", "told"),
    [
        ("notes.md", "# Notes", None, "text/markdown"),
        ("a.py", "print(1)", "text/plain", "text/x-python"),
        ("a.ts", "let a = 1", "video/mp2t", "video/mp2t"),
        ("data.csv", "a,b", "application/octet-stream", "text/csv"),
        ("Makefile", "all:", None, "text/plain"),
        (None, "{}", "application/json; charset=utf-8", "application/json"),
        (None, "BM is a word, and so is ID3.", None, "text/plain"),
    ],
)
def test_kinds_of_text(name, head, media_type, told):
    assert read_document(head.encode(), name, media_type) == Document(head, told)


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "photo.png", "“photo.png” is a PNG picture; text, Markdown"),
        (b"PK\x03\x04" + bytes(50), "report.docx", "is a broken Word document; open it in Word"),
        (b"PK\x03\x04" + bytes(50), "things.zip", "is a ZIP archive; unpack it first"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50), "old.doc", "older office program"),
        (b"\x7fELF" + bytes(50), "ls", "is a program"),
        (b"\x1f\x8b\x08" + bytes(50), "ls.1.gz", "packed with gzip"),
        (b"RIFF\0\0\0\0WEBP" + bytes(9), "a.txt", "is a WebP picture"),
        (b"{\\rtf1 Text}", "a.rtf", "Rich Text Format"),
        (b"SQLite format 3\0", None, "the document is an SQLite database"),
        (random.Random(1).randbytes(5000), "noise.bin", "“noise.bin” is no text"),
        (bytes(range(1, 9)) * 9, "controls", "is no text"),
        (b"", "empty.txt", "“empty.txt” is empty"),
        (b"\xef\xbb\xbf \n\t", "blank.txt", "is empty"),
    ],
)
def test_what_is_no_text_is_named(data, name, said):
    assert said in str(refusal(data, name))


def test_sizes():
    said = str(refusal(b"x" * 3_000_000, "long.txt", limits=Limits(max_bytes=2**20)))
    assert said == "“long.txt” has 2.861 MiB, and at most 1 MiB are read; take a part of it"
    read = read_document(b"word " * 100, limits=Limits(max_characters=7))
    assert (read.text, read.notes) == ("word wo", ("only the first 7 of 500 characters were read",))


NAMES = st.sampled_from([None, "a.html", "a.md", "a.1", "a.py"])
TYPES = st.sampled_from([None, "x/y;charset=utf-7", "text/html; charset=x"])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), NAMES, TYPES)
def test_any_bytes_end_in_a_text_or_in_a_sentence(data, name, media_type):
    try:
        read = read_document(data, name, media_type)
    except SansiError:
        return
    assert read.text.strip() and read.text.encode("utf-8")


# --- HTML and man pages ----------------------------------------------------------------------------------------------

PAGE = """<!doctype html><html><head><title>Thinking &amp; acting</title></head><body>
<nav><ul><li><a href=/>Home</a><li><a href=/x>Prices</a></ul></nav><script>track()</script>
<article><h1>Thinking</h1>{body}</article><footer>All rights reserved, cookies, imprint.</footer></body></html>"""
SENTENCES = "Whoever thinks three times before acting makes fewer mistakes, as the story of the two brothers tells us. "


def test_the_main_text_of_a_web_page():
    pytest.importorskip("trafilatura", reason="the extra `agents` is not installed")
    page = PAGE.format(body=f"<p>{SENTENCES * 3}</p><p>{SENTENCES * 2}</p>")
    read = read_document(page.encode(), None, "text/html")
    assert (read.title, read.media_type) == ("Thinking & acting", "text/html")
    assert read.text.count(SENTENCES.strip()) == 5 and "imprint" not in read.text and "track" not in read.text


def test_a_page_without_a_main_text_is_read_whole():
    rows = "".join(f"<tr><td>Train {n}<td>{n}:05</tr>" for n in range(9))
    page = f"<html><title>Trains</title><body><table>{rows}</table></body></html>"
    text = read_document(page.encode(), "trains.html").text
    assert all(f"Train {n}" in text and f"{n}:05" in text for n in range(9))


def test_a_page_is_known_by_its_beginning_and_its_own_charset():
    page = (
        f"\n<!-- x --><!DOCTYPE html><html><head><meta charset=gb2312><title>三思</title></head><p>{CHINESE * 9}</html>"
    )
    read = read_document(page.encode("gb18030"))
    assert read.title == "三思" and CHINESE in read.text.replace("\n", "") and read.media_type == "text/html"


def test_a_man_page():
    read = read_document(b".TH LS 1\n.SH NAME\nls \\- list \\fBfiles\\fP\n", "ls.1")
    assert read.media_type == "text/troff" and "ls - list files" in read.text and ".SH" not in read.text
    assert read_document(b"1.1 Version\nnotes\n", "release.1").media_type == "text/plain"
    made = b'.\\" Made by a program\n.de Sp\n.if n .sp\n..\n.TH Carp 3perl\n.SH NAME\nCarp\n'  # definitions come first
    assert read_document(made, "Carp.3perl").media_type == "text/troff"


# --- pages that are made to take long --------------------------------------------------------------------------------


def test_a_page_that_takes_too_long_is_left(monkeypatch):
    monkeypatch.setattr("sansi.documents.process.START_SECONDS", 1.0)
    page = "<!doctype html><html><body>" + "<p>text" * 900_000
    said = str(refusal(page.encode(), "long.html", limits=Limits(seconds=0.2)))
    assert said.startswith("“long.html” could not be read within 0.2 seconds")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<!---->" * 100_000 + "x", "a.txt"),
        ("<!-- --> " * 400 + "x", None),
        ("\n" * 20_000 + "x", "a.1"),
        (" \n" * 20_000 + "x", "a.1"),
        ("'\\\" x\n" * 900 + "x", "a.1"),
        ("<html>" + "<title>" * 2300, "a.html"),
        ("<html>" + "<noscript" * 1800 + "x", "a.html"),
        ("<html><p>" + "&amp;" * 3200, "a.html"),
        ("<html>" + "<div>" * 3200 + "x", "a.html"),
        ("<html>" + "<b><i>" * 2700 + "x", "a.html"),
        ("<html>" + "<table><tr><td>" * 1050 + "x", "a.html"),
        ("<html>" + "<ul><li>" * 2000 + "x", "a.html"),
        ("<html>" + "1<sup>1</sup>/<sub>2</sub>" * 600, "a.html"),
        ("<html><table>" + "<tr><td colspan=1000000 rowspan=65534>x</td></tr>" * 99, "a.html"),
    ],
)
def test_no_text_is_a_trap(text, name):
    """Patterns that could try endlessly many ways; the time limit of the whole suite is this test's."""
    with contextlib.suppress(SansiError):
        read_document(text.encode(), name)


def test_a_large_page_reads_as_a_small_one():
    body = f"<p>{SENTENCES * 3}</p>"
    small, large = (read_document(PAGE.format(body=body * n).encode(), "a.html") for n in (1, 300))
    assert (small.title, large.title) == ("Thinking & acting",) * 2
    assert SENTENCES.strip() in small.text and large.text.count(SENTENCES.strip()) >= 3


def test_what_a_missing_reader_needs_is_installed_by_the_python_that_runs(monkeypatch):
    monkeypatch.setitem(sys.modules, "selectolax.lexbor", None)
    with pytest.raises(SansiError, match=re.escape(f"reading HTML needs selectolax; run: {install_command('agents')}")):
        parse_html("<p>a")
    monkeypatch.setattr("sansi.documents.pdf.pages.output_of", lambda *_: b'{"error": "missing"}\n')
    with pytest.raises(SansiError, match=re.escape(f"reading a PDF needs pypdfium2; run: {install_command()}")):
        read_document(b"%PDF-1.7")
