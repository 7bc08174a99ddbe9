"""Word documents: what a reader sees of them, and what is bounded or refused."""

from __future__ import annotations

import io
import zipfile

import pytest
from docx_made import docx, p, part, table
from sansi.base import SansiError
from sansi.documents import Limits, read_document
from sansi.documents.docx import MEDIA_TYPE

LIST = '<w:numPr><w:ilvl w:val="{}"/><w:numId w:val="{}"/></w:numPr>'


def text_of(body, **more):
    return read_document(docx(body, **more), "a.docx").text


def test_headings_paragraphs_lists_and_tables():
    body = p("Report", "berschrift1") + p("First  words.") + p("one", properties=LIST.format(0, 1))
    body += p("two", properties=LIST.format(1, 1)) + p("three", "Aufz") + p("none", properties=LIST.format(0, 0))
    body += table(("a", "b|c"), ("1", "2")) + table(("x",)) + p("End.")
    found = read_document(docx(body, title="My report"), "a.docx")
    assert (found.media_type, found.title, found.pages) == (MEDIA_TYPE, "My report", None)
    assert found.text == (
        "# Report\n\nFirst  words.\n\n- one\n  - two\n- three\n\nnone\n\n"
        "| a | b\\|c |\n| --- | --- |\n| 1 | 2 |\n\n| x |\n| --- |\n\nEnd."
    )


def test_what_is_deleted_hidden_or_a_setting_is_no_text():
    gone = "<w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>"
    hidden = "<w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r>"
    shown = '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>!</w:t></w:r><w:ins><w:r><w:t> new</w:t></w:r></w:ins>'
    code = "<w:r><w:instrText>PAGE</w:instrText></w:r>"
    assert (
        text_of(p("kept", inside=gone + hidden + shown + code, properties="<w:tabs><w:tab/></w:tabs>")) == "kept! new"
    )


def test_breaks_formulas_boxes_and_notes():
    note = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    breaks = "<w:r><w:br/><w:t>below</w:t><w:tab/><w:t>right</w:t><w:noBreakHyphen/><w:t>x</w:t></w:r>"
    formula = "<m:oMath><m:r><m:t>a+b</m:t></m:r></m:oMath>"
    inner = f"<w:txbxContent>{p('in a box')}</w:txbxContent>"
    twice = f"<mc:Choice>{inner}</mc:Choice><mc:Fallback>{inner}</mc:Fallback>"
    box = f"<w:r><mc:AlternateContent>{twice}</mc:AlternateContent></w:r>"
    notes = f'<w:footnote w:type="separator" w:id="0">{p("-")}</w:footnote>'
    notes += f'<w:footnote w:id="2">{p("See.")}{p("There.")}</w:footnote>'
    assert text_of(p("up", inside=breaks + formula + note) + p(inside=box), footnotes=notes) == (
        "up\nbelow\tright-xa+b[^1]\n\nin a box\n\n[^1]: See. There."
    )


def test_the_main_part_is_the_one_that_the_types_name_and_the_name_does_not_matter():
    data = docx(p("hello"), main="word/document2.xml")
    assert read_document(data, "letter").text == read_document(data).text == "hello"


@pytest.mark.parametrize("name", ["a.docx", None])
def test_a_zip_of_something_else_stays_one(name):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("a.txt", "x")
    with pytest.raises(SansiError, match="broken Word document" if name else "a ZIP archive"):
        read_document(packed.getvalue(), name)


@pytest.mark.parametrize(
    ("data", "code", "told"),
    [
        (docx(p("x"), whole="<w:document"), "broken", "is no whole Word document"),
        (docx("", whole='<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "broken", "has a document type"),
        (docx("", whole="<a>" * 2000), "broken", "nest too deep"),
        (docx(p(" ")), "empty", "holds no text"),
    ],
)
def test_what_cannot_be_read_is_told(data, code, told):
    with pytest.raises(SansiError) as error:
        read_document(data, "a.docx")
    assert error.value.code == code and "“a.docx”" in str(error.value) and told in str(error.value)


def test_a_damaged_file_and_a_password_are_told():
    data = bytearray(docx(p("word " * 500)))
    at = data.index(b"word/document.xml") + 40
    data[at : at + 20] = bytes(20)
    with pytest.raises(SansiError, match="no whole Word document"):
        read_document(bytes(data), "a.docx")
    locked = bytearray(docx(p("x")))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := locked.find(mark, at + 1)) >= 0:
            locked[at + place] |= 1
    with pytest.raises(SansiError, match="encrypted"):
        read_document(bytes(locked), "a.docx")


def test_text_bytes_and_time_are_bounded(monkeypatch):
    from sansi.documents import docx as module

    long = docx("".join(p(f"paragraph {n} " + "x" * 100) for n in range(2000)))
    found = read_document(long, "a.docx", limits=Limits(max_characters=1000))
    assert len(found.text) <= 1000 and found.notes == ("only the first 1,000 characters were read",)
    bomb = docx("", whole=part("document", f"<w:body>{p('begin')}{' ' * (8 * 2**20)}{p('end')}</w:body>"))
    assert len(bomb) < 50_000
    monkeypatch.setattr(module, "MOST_XML", 2**20)
    found = read_document(bomb, "a.docx")
    assert found.text == "begin" and found.notes == ("only the first 1 MiB of its content were read",)
    late = read_document(docx(p("begin") * 3), "a.docx", limits=Limits(seconds=1e9))
    assert not late.notes
    with pytest.raises(SansiError, match="holds no text"):
        read_document(docx(p("begin")), "a.docx", limits=Limits(seconds=-1.0))


def test_a_part_that_only_says_that_it_is_small_is_bounded_too():
    """The sizes that a ZIP states are its own word."""
    bomb = docx("", whole=part("document", f"<w:body>{p('x' * 3_000_000)}</w:body>"))
    found = read_document(bomb, "a.docx", limits=Limits(max_characters=100))
    assert len(found.text) <= 100 and found.notes
