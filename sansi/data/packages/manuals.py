"""Manuals as HTML: one document per page or section, without its navigation."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from sansi.data.documents import Kind
from sansi.data.packages.held_out import is_held_out
from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.packages.translated import translated
from sansi.data.parts import Records
from sansi.documents.html_text import html_to_text

# The marks beside headings that lead to themselves, and lists of the pages below.
_SPHINX_LINKS = re.compile(
    r'<a class="headerlink"[^>]*>[^<]*</a>|<div class="toctree-wrapper[^>]*>.*?</div>', re.DOTALL
)
LIBREOFFICE = "usr/share/libreoffice/help/"
# What the help's script shows where the system is none that has words of its own.
_BY_DEFAULT = re.compile(r'(?<=<span )hidden="true" (?=id="default)|(?<=<div )hidden="true" (?=id="default)')
_RUST_BUTTONS = re.compile(r'<div class="buttons">.*?</div>|<i class="fa[^>]*></i>', re.DOTALL)


def read_handbook(part: PackagePart) -> Records:
    """deb `debian-handbook`: one document per section and locale. English is the original, so that in the other locales
    the paragraphs that nobody translated are recognised as repeats."""
    for path in part.files:
        # What stands before the first heading are links to other editions.
        text = "#" + html_to_text(read_text(path)).partition("#")[2]
        locale = path.parent.name
        yield text_record(f"{locale}/{path.stem}", text, language=locale, original=locale == "en-US")


def read_debian_reference(part: PackagePart) -> Records:
    """deb `debian-reference-zh-cn`: one document per chapter."""
    for path in part.files:
        yield text_record(path.name.split(".")[0], html_to_text(read_text(path)), language="zh-CN")


def read_debian_references(part: PackagePart) -> Records:
    """deb `debian-reference-*`: one document per chapter and language."""
    for path in part.files:
        chapter, language, _ = path.name.split(".")
        text: str | None = html_to_text(read_text(path))
        if language != "en":
            text = translated(text or "", _text_of(path.parent / f"{chapter}.en.html"))
        if text:
            yield text_record(f"{language}/{chapter}", text, language=language, original=language == "en",
                              held_out=is_held_out(f"debian-reference/{chapter}"))  # fmt: skip


def read_installation_guide(part: PackagePart) -> Records:
    """deb `installation-guide-amd64`: one document per section and locale."""
    for path in part.files:
        locale = path.parent.name
        text: str | None = html_to_text(read_text(path))
        if locale != "en":
            text = translated(text or "", _text_of(path.parent.parent / "en" / path.name))
        if text:
            yield text_record(f"{locale}/{path.stem}", text, language=locale, original=locale == "en",
                              held_out=is_held_out(f"installation-guide/{path.stem}"))  # fmt: skip


def read_libreoffice_help(part: PackagePart) -> Records:
    """deb `libreoffice-help-*`: one document per page of the help."""
    for path, name in zip(part.files, part.paths, strict=True):
        locale, _, page = name.removeprefix(LIBREOFFICE).partition("/text/")
        text: str | None = _help_text(path)
        if not locale.startswith("en"):
            text = translated(text or "", _help_text(part.root / f"{LIBREOFFICE}en-US/text/{page}"))
        if text:
            yield text_record(f"{locale}/{page.removesuffix('.html')}", text, language=locale,
                              original=locale == "en-US", held_out=is_held_out(f"libreoffice-help/{page}"))  # fmt: skip


@functools.lru_cache(1024)
def _help_text(path: Path) -> str:
    if not path.is_file():
        return ""
    page = between(read_text(path), '<div id="DisplayArea"', '<div id="SearchFrame"')
    return html_to_text(_BY_DEFAULT.sub("", page))


def read_python_doc(part: PackagePart) -> Records:
    """deb `python3.11-doc`: one document per page."""
    for path, name in zip(part.files, part.paths, strict=True):
        page = name.partition("/html/")[2].removesuffix(".html")
        body = between(read_text(path), '<div class="body" role="main">', '<div class="sphinxsidebar"')
        yield text_record(page, html_to_text(_SPHINX_LINKS.sub("", body)), _kind(page), "en",
                          held_out=is_held_out(f"python-doc/{page}"))  # fmt: skip


def read_linux_doc(part: PackagePart) -> Records:
    """deb `linux-doc-*`: one document per page, translations among them, from the pages as they are shown: what they
    take in from the comments of the source is in them."""
    for path, name in zip(part.files, part.paths, strict=True):
        page = name.partition("/html/")[2].removesuffix(".html")
        found = re.match(r"translations/(\w+)/", page)
        body = between(read_text(path), '<div itemprop="articleBody">', "<footer>")
        yield text_record(page, html_to_text(_SPHINX_LINKS.sub("", body)), "reference", found[1] if found else "en",
                          original=not found, held_out=is_held_out(f"linux-doc/{page}"))  # fmt: skip


def read_rust_doc(part: PackagePart) -> Records:
    """deb `rust-doc`: one document per page of its books."""
    for path, name in zip(part.files, part.paths, strict=True):
        page = name.partition("/html/")[2].removesuffix(".html")
        body = _RUST_BUTTONS.sub("", between(read_text(path), "<main>", "</main>"))
        if body:  # the others lead to a page of another edition
            yield text_record(page, html_to_text(body), language="en", held_out=is_held_out(f"rust-doc/{page}"))


def between(page: str, begin: str, end: str) -> str:
    """What lies between two marks of a page that a program made; nothing where the first is missing."""
    _, found, rest = page.partition(begin)
    return found + rest.partition(end)[0] if found else ""


@functools.lru_cache(256)
def _text_of(path: Path) -> str:
    return html_to_text(read_text(path)) if path.is_file() else ""


def _kind(page: str) -> Kind:
    return "reference" if page.startswith(("library/", "c-api/", "distutils/")) else "prose"
