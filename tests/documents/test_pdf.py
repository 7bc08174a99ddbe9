"""PDF: the text of its pages, and one sentence for what cannot be read."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from sansi.base.errors import SansiError
from sansi.documents import Limits, read_document
from sansi.documents.pdf import pages as reader
from sansi.documents.pdf.characters import clean_page
from sansi.documents.pdf.read import ranges

sys.path.append(str(Path(__file__).parent))
from pdf_made import pdf, scan

THREE = pdf(["First page (of three)\nwith a \\ in it", "第二页：北京", "Third"], title="三思 · Thinking")


def refusal(data: bytes, **more) -> SansiError:
    with pytest.raises(SansiError) as caught:
        read_document(data, "paper.pdf", **more)
    assert "\n" not in str(caught.value)
    return caught.value


def test_pages_in_their_order_each_under_its_number():
    read = read_document(THREE, "paper.pdf")
    assert read.text == "[Page 1]\nFirst page (of three)\nwith a \\ in it\n\n[Page 2]\n第二页：北京\n\n[Page 3]\nThird"
    assert (read.title, read.pages, read.media_type, read.notes) == ("三思 · Thinking", 3, "application/pdf", ())
    assert [read.page_at(read.text.index(word)) for word in ("First", "北京", "Third")] == [1, 2, 3]


def test_what_is_known_by_its_bytes_needs_no_name():
    assert read_document(b"\n" + pdf(["text"]), "download", "application/pdf").text == "[Page 1]\ntext"
    assert read_document(pdf(["text"]), "wrong.txt", "text/plain").pages == 1
    assert read_document(b"A text about %PDF-1.4 files.").media_type == "text/plain"


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (pdf(["x"], password="secret"), "encrypted", "“paper.pdf” is encrypted: save a copy without a password"),
        (scan(2), "scanned", "“paper.pdf” (2 pages) holds pictures and no text: run it through text recognition"),
        (pdf(["三思而后行"], mapped=False), "scanned", "(1 page) has fonts that do not say which characters they draw"),
        (pdf([""]), "empty", "(1 page) holds no text"),
        (THREE[:400], "broken", "is no whole PDF file"),
        (b"%PDF-1.7\n", "broken", "is no whole PDF file"),
        (b"This is no PDF at all.", "broken", "is no whole PDF file"),
    ],
    ids=["encrypted", "scan", "fonts", "blank", "cut", "head", "text"],
)
def test_what_cannot_be_read_is_said_in_a_sentence(data, code, said):
    error = refusal(data)
    assert error.code == code and said in str(error)


def test_a_password_for_changes_alone_asks_for_nothing():
    assert read_document(pdf(["open to all"], password="", title="T")).text == "[Page 1]\nopen to all"


@pytest.mark.parametrize(
    ("limits", "pages", "note"),
    [
        (Limits(max_pages=2), 2, "only the first 2 of 3 pages were read: more than that are left out"),
        (Limits(max_characters=4), 1, "only the first 1 of 3 pages were read: the text is very long"),
        (Limits(seconds=-1), 0, "only"),
    ],
)
def test_bounds(limits, pages, note):
    if not pages:
        assert refusal(THREE, limits=limits)
        return
    read = read_document(THREE, limits=limits)
    assert (read.pages, len(read.page_starts)) == (3, pages) and note in read.notes


def test_a_process_that_dies_or_hangs_takes_nothing_with_it(monkeypatch, tmp_path):
    worker = tmp_path / "worker.py"
    monkeypatch.setattr(reader, "_WORKER", worker)
    worker.write_text("import os; os.abort()")
    assert refusal(THREE).code == "broken"
    worker.write_text("import time; time.sleep(600)")
    monkeypatch.setattr("sansi.documents.process.START_SECONDS", 0.0)
    assert "takes too long" in str(refusal(THREE, limits=Limits(seconds=0.2)))


def test_pages_until_the_one_that_breaks_the_reader_are_kept(monkeypatch, tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(
        """print('{"pages": 9, "title": ""}\\n{"text": "one", "pictures": false}\\n{"text": null, "pictures": false}')
print('{"text": "", "pictures": true}\\n{"text": "four", "pictures"', end="")"""
    )
    monkeypatch.setattr(reader, "_WORKER", worker)
    read = read_document(THREE)
    assert read.notes == (
        "only the first 3 of 9 pages were read: the file is broken there",
        "page 2 is broken and was left out",
        "page 3 has pictures and no text",
    )


def test_runs_of_pages():
    assert ranges([1, 2, 3, 7, 9, 10]) == "1–3, 7, 9–10"


def test_words_that_were_parted_are_whole():
    assert clean_page("recog\x02\r\nnition and\r\nmore\ufffe here\0 \ud83d") == "recognition and\nmore here \ufffd"


def spoiled(data: bytes, random_: random.Random) -> bytes:
    """The file with some of its bytes changed, cut out or doubled."""
    out = bytearray(data)
    for _ in range(random_.choice([1, 3, 20])):
        at = random_.randrange(len(out))
        match random_.randrange(4):
            case 0:
                out[at] = random_.randrange(256)
            case 1:
                del out[at : at + random_.randrange(1, 40)]
            case 2:
                out[at:at] = out[at : at + random_.randrange(1, 40)]
            case _:
                out[at : at + 1] = random_.choice([b"9999999999", b"-1", b"<<", b"[[[[", b"0 R", b"/Parent 3 0 R"])
    return bytes(out)


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 200))])
def test_files_that_are_broken_anywhere(seed):
    random_ = random.Random(seed)
    data = spoiled(random_.choice([THREE, scan(1), pdf(["a" * 500] * 3, password="")]), random_)
    try:
        read = read_document(data, "paper.pdf", limits=Limits(seconds=10))
    except SansiError as error:
        assert "\n" not in str(error) and "paper.pdf" in str(error)
    else:
        assert read.text.strip()
