"""Filters, deduplication, decontamination and the whole build on sources made here."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import re
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.data import CorpusReport, build_corpus, read_corpus
from sansi.data.annotate import annotate, quality
from sansi.data.corpus import cap
from sansi.data.decontaminate import Decontaminator
from sansi.data.dedup import Deduplicator
from sansi.data.documents import Document, RawDocument, read_documents
from sansi.data.fetch import download_command, fetch_archive, fetched, file_sha256, unpack
from sansi.data.filters import reason_to_drop
from sansi.data.sources import SOURCES, Source, find_sources

WORDS = re.findall(r"\w+", "river stone garden window letter morning people question answer history music summer city")
ENGLISH = (
    "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and "
    "should act towards one another in a spirit of brotherhood, which is what the declaration asks of everybody."
)
FRENCH = (
    "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
    "conscience et doivent agir les uns envers les autres dans un esprit de fraternité."
)


def prose(seed: int, sentences: int = 12) -> str:
    rng = random.Random(seed)
    return " ".join(" ".join(rng.choices(WORDS, k=9)).capitalize() + f" {rng.random():.6f}." for _ in range(sentences))


def source(documents: Sequence[RawDocument] = (), **changes: object) -> Source:
    def extract(root: Path) -> Iterator[RawDocument]:
        yield from documents

    made = Source("made", "stdlib", "python", "3", None, "CC0-1.0", extract, min_bytes=50)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def document(text: str, **changes: object) -> Document:
    return annotate(RawDocument("x", text, **changes), source())  # type: ignore[arg-type]


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


def texts() -> st.SearchStrategy[list[str]]:
    paragraph = st.integers(0, 6).map(lambda seed: prose(seed, 2))
    return st.lists(st.lists(paragraph, min_size=1, max_size=4).map("\n\n".join), min_size=1, max_size=10)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(texts())
def test_deduplication_is_idempotent_and_loses_no_paragraph(texts: list[str]):
    documents = [dataclasses.replace(document(text), id=str(i)) for i, text in enumerate(texts)]
    once = list(Deduplicator()(documents))
    assert list(Deduplicator()(once)) == once
    paragraphs = [part for d in once for part in d.text.split("\n\n")]
    assert len(paragraphs) == len(set(paragraphs))
    assert set(paragraphs) == {part for text in texts for part in text.split("\n\n")}


def test_near_duplicates_are_found_in_any_script():
    chinese = "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。" * 2
    for text, other in ((prose(1), prose(2)), (chinese, ENGLISH)):
        near, deduplicate = text.replace(text[20], "x", 1), Deduplicator()
        kept = list(deduplicate([document(text), document(near), document(other)]))
        assert [d.text for d in kept] == [text, other] and deduplicate.near_duplicates == 1


def test_code_keeps_its_repeated_paragraphs():
    header = "# " + prose(0, 2)
    programs = [document(f"{header}\n\n{prose(n)}", kind="code") for n in (1, 2)]
    assert list(Deduplicator()(programs)) == programs


def test_decontamination_by_runs_of_words():
    question = prose(5, 3)
    check = Decontaminator([question, "too short to tell", "一个篮子里有十二个苹果，吃掉三个，还剩几个？"])
    assert check.is_contaminated("Before. " + question.upper().replace(" ", "  ") + " After.")
    assert check.is_contaminated("题：一个篮子里有十二个苹果,吃掉三个,还剩几个？答")
    assert not check.is_contaminated(prose(6, 30)) and not check.is_contaminated("it is too short to tell")
    assert not Decontaminator([]).is_contaminated(question)


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
    assert [d.id for d in read_corpus(tmp_path / "corpus")] == ["made/a", "made/b", "code/p"]
    assert [d.text for d in read_corpus(tmp_path / "corpus", ["made"])] == [prose(1), prose(2)]
    assert [d.id for d in read_corpus(tmp_path / "corpus", held_out=True)] == ["made/f"]
    made = report.sources[0]
    assert made.dropped == {"too short": 1, "in an evaluation set": 1, "duplicate": 1}
    assert (made.languages, made.documents, made.held_out) == (2, 2, 1) and report.languages == 1
    assert made.bytes == len((prose(1) + prose(2)).encode()) and report.documents == 3
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


def npm_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("package/a.txt")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"hello"))
    return buffer.getvalue()


def npm_source(digest: str) -> Source:
    return source(kind="npm", package="made", version="1.0.0", sha256=digest)


def test_fetch_checks_keeps_and_unpacks(tmp_path: Path):
    archive, calls = npm_archive(), []

    def run(command: Sequence[str], folder: Path) -> None:
        calls.append(list(command))
        (folder / "made-1.0.0.tgz").write_bytes(archive)

    (tmp_path / "x").write_bytes(archive)
    pinned = npm_source(file_sha256(tmp_path / "x"))
    for _ in range(2):  # the second time from the cache
        with fetched(pinned, tmp_path / "cache", run) as package:
            assert (package.root / "package/a.txt").read_text() == "hello" and package.sha256 == pinned.sha256
    assert calls == [["npm", "pack", "--silent", "made@1.0.0"]]
    with pytest.raises(SansiError, match=r"npm package made 1\.0\.0 can not be fetched.*sha256.*without it"):
        fetch_archive(npm_source("0" * 64), tmp_path / "cache", run)
    assert not list((tmp_path / "cache").rglob(".*"))


def test_a_missing_client_and_a_failed_download_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SansiError, match=r'source "made": npm package.*"npm" is not installed.*install Node'):
        fetch_archive(npm_source("0" * 64), tmp_path / "cache")
    fake = tmp_path / "npm"
    fake.write_text("#!/bin/sh\necho 404 >&2; exit 1\n")
    fake.chmod(0o755)
    with pytest.raises(SansiError, match=r"npm pack: 404"):
        fetch_archive(npm_source("0" * 64), tmp_path / "cache")


def test_download_commands_pin_the_version():
    for made in SOURCES:
        if made.kind != "stdlib":
            assert made.version in download_command(made)[-1] and len(made.sha256 or "") == 64
    pip = download_command(source(kind="pypi", package="made", version="2"))
    assert pip[-1] == "made==2" and "--no-deps" in pip


def test_unpack_refuses_members_outside(tmp_path: Path):
    with tarfile.open(tmp_path / "evil.tgz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../evil"))
    with pytest.raises(tarfile.TarError):
        unpack(tmp_path / "evil.tgz", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "good.whl", "w") as wheel:
        wheel.writestr("a/b.json", json.dumps(1))
    unpack(tmp_path / "good.whl", tmp_path / "out")
    assert (tmp_path / "out/a/b.json").read_text() == "1" and not (tmp_path / "evil").exists()


def test_find_sources_keeps_their_order():
    assert [s.name for s in find_sources(["udhr", "brown"])] == ["brown", "udhr"]
    assert "quran" not in [s.name for s in find_sources()]
    assert len({s.name for s in SOURCES}) == len(SOURCES)
