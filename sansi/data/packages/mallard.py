"""Help pages in Mallard, the XML of GNOME's help, as text."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from sansi.data.documents import BadRecord
from sansi.data.packages.held_out import is_held_out
from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import text_record
from sansi.data.packages.translated import translated
from sansi.data.parts import Records

# Beside the text: credits, pictures, and what a reader of the page does not see.
_SKIPPED = frozenset(["info", "media", "links", "desc", "comment"])
_LISTS = frozenset(["steps", "list", "terms", "tree"])
_SEQUENCES = {"guiseq": " ▸ ", "keyseq": "+"}


def read_gnome_user_docs(part: PackagePart) -> Records:
    """deb `gnome-user-docs`: one document per page and locale; C is English, and the original."""
    for path, name in zip(part.files, part.paths, strict=True):
        locale, _, page = name.removeprefix("usr/share/help/").removesuffix(".page").partition("/")
        id = f"{locale}/{page}"
        try:
            text: str | None = mallard_text(path)
        except ElementTree.ParseError as error:
            yield BadRecord(id, "invalid XML", str(error))
            continue
        if locale != "C":
            text = translated(text or "", _english(part.root / f"usr/share/help/C/{page}.page"))
        if text:
            yield text_record(id, text, language="en" if locale == "C" else locale.replace("@latin", "-Latn"),
                              original=locale == "C", held_out=is_held_out(f"gnome-user-docs/{page}"))  # fmt: skip


def mallard_text(path: Path) -> str:
    """The text of a page, as Markdown. Raises ParseError."""
    return "\n\n".join(_blocks(ElementTree.fromstring(path.read_bytes()), 1))


@functools.lru_cache(1024)
def _english(path: Path) -> str:
    return mallard_text(path) if path.is_file() else ""


def _blocks(element: ElementTree.Element, depth: int) -> Iterator[str]:
    for child in element:
        name = _name(child)
        if name in _SKIPPED:
            continue
        if name == "title":
            if title := _inline(child):
                yield f"{'#' * depth} {title}".lstrip()
        elif name == "section":
            yield from _blocks(child, depth + 1)
        elif name in _LISTS:
            yield from _list(child, name, depth)
        elif name in ("code", "screen"):
            yield f"```\n{''.join(child.itertext()).strip()}\n```"
        elif name == "tr":
            if row := " | ".join(filter(None, (" ".join(_blocks(cell, depth)) for cell in child))):
                yield row
        elif name == "p":
            if text := _inline(child):
                yield text
        else:  # notes, examples, tables, figures, …
            yield from _blocks(child, depth + 1)


def _list(element: ElementTree.Element, name: str, depth: int) -> Iterator[str]:
    """A list's title, then its items as one block."""
    items: list[str] = []
    for child in element:
        if _name(child) == "title":
            yield from [text] if (text := _inline(child)) else []
        elif _name(child) == "item":
            lines = list(_blocks(child, 0)) or [_inline(child)]
            mark = f"{len(items) + 1}. " if name == "steps" else "- "
            items.append(mark + "\n".join(lines).replace("\n", "\n" + " " * len(mark)))
    if items:
        yield "\n".join(items)


def _inline(element: ElementTree.Element) -> str:
    return re.sub(r"\s+", " ", "".join(_pieces(element))).strip()


def _pieces(element: ElementTree.Element) -> Iterator[str]:
    name = _name(element)
    if name in _SEQUENCES:
        yield _SEQUENCES[name].join(filter(None, map(_inline, element)))
        return
    yield element.text or ""
    for child in element:
        if _name(child) not in _SKIPPED:
            yield from _pieces(child)
        yield child.tail or ""


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else "comment"
