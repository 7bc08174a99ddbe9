"""Filters, deduplication, decontamination and the whole build on sources made here."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from documents_made import ENGLISH, document, prose, source
from sansi.base import SansiError
from sansi.data import CorpusReport, build_corpus, pack, read_corpus
from sansi.data.annotate import quality
from sansi.data.corpus import cap, check_corpus
from sansi.data.documents import RawDocument, read_documents
from sansi.data.filters import reason_to_drop
from test_shards import ByteTokenizer

FRENCH = (
    "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
    "conscience et doivent agir les uns envers les autres dans un esprit de fraternité."
)


@pytest.mark.parametrize(
    ("text", "changes", "reason"),
    [
        (ENGLISH, {}, None),
        ("Short.", {}, "too short"),
        (ENGLISH + " caf\ufffd", {}, "wrong encoding"),
        (ENGLISH + " cafÃ© Ã\xa0 la", {}, "wrong encoding"),
        (ENGLISH + " <b>bold</b> <br/> &nbsp;", {}, "markup remains"),
        (ENGLISH + " <https://example.org> <file>", {}, None),
        ("A line that comes again and again.\n" * 9, {}, "too repetitive"),
        (ENGLISH, {"language": "fr"}, "not translated"),
        (FRENCH, {"language": "fr"}, None),
        ("1 | 2.5 | 7\n3 | 9.25 | 8\n" + "\n".join(f"{n * 7919} | {n * n}" for n in range(30)), {}, "low quality"),
        ("def f(x):\n    return '<b>' + x + '</b><br/>&amp;' * 2  # " + "1234567890" * 3, {"kind": "code"}, None),
    ],
)
def test_filters_name_their_reason(text: str, changes: dict, reason: str | None):
    assert reason_to_drop(document(text, **changes), source()) == reason


def test_annotation():
    found = document("e\u0301t\u00e9\r\n" + FRENCH)
    assert found.text.startswith("été\n") and found.detected_language == "fr" == found.language
    assert found.licence == "CC0-1.0" and found.id == "made/x" and found.size == len(found.text.encode())
    assert document("zxq 12").language == "und"
    assert quality(ENGLISH) > 0.95 > 0.5 > quality("a | 1\nb | 2\na | 1")


def test_cap_is_even_and_deterministic():
    documents = [dataclasses.replace(document(prose(n)), id=str(n)) for n in range(40)]
    size = sum(d.size for d in documents)
    kept = cap(documents, size // 2)
    assert kept == cap(documents, size // 2) and 0.4 * size < sum(d.size for d in kept) <= size // 2
    assert [int(d.id) for d in kept] == sorted(int(d.id) for d in kept) and int(kept[-1].id) > 25
    assert cap(documents, None) == documents


def test_build_corpus(tmp_path: Path):
    question = prose(99)
    raws = [
        RawDocument("a", prose(1), language="en"),
        RawDocument("b", prose(2) + "\n\n" + prose(1), language="en-GB"),
        RawDocument("c", prose(1), language="en"),
        RawDocument("d", "Short."),
        RawDocument("e", question, language="en"),
        RawDocument("f", "Short, but held out.", language="en", held_out=True),
    ]
    known = [source(raws), source([RawDocument("p", "x = 1\n" + prose(3), "code", "python")], name="code")]
    report = build_corpus(tmp_path / "corpus", known=known, evaluation_texts=[question])
    assert [d.id for d in read_corpus(tmp_path / "corpus")] == ["made/b", "code/p"]  # b holds what a and c are
    assert [d.text for d in read_corpus(tmp_path / "corpus", ["made"])] == [prose(2) + "\n\n" + prose(1)]
    assert [d.id for d in read_corpus(tmp_path / "corpus", held_out=True)] == ["made/f"]
    made = report.sources[0]
    assert made.dropped == {"too short": 1, "in an evaluation set": 1, "duplicate": 2}
    assert (made.languages, made.documents, made.held_out) == (1, 1, 1) and report.languages == 1
    assert made.bytes == len((prose(1) + prose(2)).encode()) + 2 and report.documents == 2
    assert CorpusReport.load(tmp_path / "corpus") == report
    assert "| made | python" in (tmp_path / "corpus" / "report.md").read_text()


def test_build_corpus_limits_and_mistakes(tmp_path: Path):
    known = [source([RawDocument(str(n), prose(n)) for n in range(8)])]
    report = build_corpus(tmp_path / "c", limit_bytes={"made": 3000}, known=known)
    assert 0 < report.bytes <= 3000 and report.sources[0].dropped["over the limit"] > 0
    with pytest.raises(SansiError, match=r'unknown source "mad".*did you mean "made"'):
        build_corpus(tmp_path / "d", ["mad"], known=known)
    with pytest.raises(SansiError, match='names "x"'):
        build_corpus(tmp_path / "d", limit_bytes={"x": 1}, known=known)
    with pytest.raises(SansiError, match='no source "x"'):
        list(read_corpus(tmp_path / "c", ["x"]))
    assert not (tmp_path / "d").exists()
    (tmp_path / "bad.jsonl").write_text('{"id": 1\n')
    with pytest.raises(SansiError, match=r"bad\.jsonl:1"):
        list(read_documents(tmp_path / "bad.jsonl"))


def test_the_order_of_sources_and_documents_changes_no_corpus(tmp_path: Path):
    shared = [prose(n) for n in range(4)]
    first = [RawDocument(str(n), "\n\n".join([shared[n], prose(10 + n), prose(20 + n)])) for n in range(4)]
    second = [RawDocument(str(n), "\n\n".join([prose(30 + n), prose(40 + n), shared[n]])) for n in range(4)]
    known = [source(first, name="first"), source(second, name="second")]
    turned = [source(second[::-1], name="second"), source(first[::-1], name="first")]
    texts = []
    for number, made in enumerate((known, turned)):
        build_corpus(tmp_path / str(number), known=made)
        texts.append({(d.id, d.text) for d in read_corpus(tmp_path / str(number))})
    assert texts[0] == texts[1] and len(texts[0]) == 8


def test_what_deduplication_leaves_is_filtered_again(tmp_path: Path):
    both = RawDocument("d", f"{prose(5, 30)}\n\nTo begin with:\n\nShort.\n\n{prose(6, 2)}")
    end = RawDocument("e", f"{prose(7, 6)}\n\n{prose(6, 2)}\n\n12 | 13 | 14")
    report = build_corpus(tmp_path / "e", known=[source([both, end], min_bytes=len(end.text.encode()) - 50)])
    assert [d.id for d in read_corpus(tmp_path / "e")] == ["made/d"]
    assert report.sources[0].dropped == {"too short": 1}


def test_a_corpus_of_other_inputs_is_refused_with_what_differs(tmp_path: Path):
    known = [source([RawDocument("a", prose(1))]), source([RawDocument("b", prose(2))], name="other")]
    build_corpus(tmp_path / "c", ["made"], {"made": 9000}, known=known, evaluation_texts=["x y", "z"])
    report = check_corpus(tmp_path / "c", ["made"], {"made": 9000}, known=known, evaluation_texts=["z", "x y"])
    assert report.documents == 1 and report.inputs is not None
    changes = [
        ({"sources": ["made", "other"]}, r'source "other": none there, python 3 here'),
        ({"limit_bytes": {"made": 8}}, r'limit of "made": 9000 there, 8 here'),
        ({"evaluation_texts": ["z"]}, "another evaluation set"),
        ({"known": [dataclasses.replace(known[0], version="4"), known[1]]}, r'"made": python 3 there, python 4 here'),
    ]
    same = {"sources": ["made"], "limit_bytes": {"made": 9000}, "known": known, "evaluation_texts": ["x y", "z"]}
    for change, message in changes:
        with pytest.raises(SansiError, match=message):
            check_corpus(tmp_path / "c", **{**same, **change})  # type: ignore[arg-type]
    (tmp_path / "old").mkdir()
    (tmp_path / "old/manifest.json").write_text('{"languages": 1, "sources": []}')
    with pytest.raises(SansiError, match="does not record what it was built from"):
        check_corpus(tmp_path / "old", **same)  # type: ignore[arg-type]
    (tmp_path / "old/manifest.json").write_text('{"name": "an extension"}')
    with pytest.raises(SansiError, match="not the manifest of a corpus"):
        check_corpus(tmp_path / "old", **same)  # type: ignore[arg-type]


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path: Path):
    known = [source([RawDocument("a", prose(1))])]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    for act in (
        lambda: build_corpus(tmp_path / "mine", known=known),
        lambda: pack(["abc"], ByteTokenizer(), tmp_path / "mine"),
    ):
        with pytest.raises(SansiError, match=r"thesis\.txt"):
            act()
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "dear"
    build_corpus(tmp_path / "corpus", known=known)
    build_corpus(tmp_path / "corpus", known=known)  # one's own is
    (tmp_path / "corpus" / "notes.txt").write_text("dear")
    with pytest.raises(SansiError, match=r"notes\.txt"):
        build_corpus(tmp_path / "corpus", known=known)


def test_a_corpus_of_nothing_is_refused(tmp_path: Path):
    known = [source([RawDocument("a", "Short.")])]
    with pytest.raises(SansiError, match='"sources" is empty'):
        build_corpus(tmp_path / "corpus", [], known=known)
    with pytest.raises(SansiError, match=r"no document of the sources is left \(1 too short\)"):
        build_corpus(tmp_path / "corpus", known=known)
    with pytest.raises(SansiError, match=r"no document of the sources is left \(their archives hold none\)"):
        build_corpus(tmp_path / "corpus", known=[source([])])
    assert not (tmp_path / "corpus").exists()
