"""Word documents to text: headings, paragraphs, lists, tables and notes of a .docx, by the standard library.

A .docx is a ZIP of XML. Both can be made to unpack to more than any memory holds, so that parts are read as a stream,
with bounds on bytes, on time and on the text that comes of them; a document type, which entities need, is refused.
"""

from __future__ import annotations

import io
import posixpath
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from sansi.base.sizes import size_text
from sansi.documents.document import Document, DocumentError, Limits, named

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TYPES, PROPERTIES = "[Content_Types].xml", "docProps/core.xml"
MOST_XML = 64 * 2**20  # bytes of one part, unpacked
CHUNK = 2**16
DEEPEST = 500  # elements in elements
_SKIPPED = {"del", "moveFrom", "Fallback", "instrText", "delText", "sectPr", "tblPr", "tcPr", "trPr"}
"""What was deleted or moved away, what says something twice, and how things look."""
_HEADING = re.compile(r"heading ([1-6])|title|subtitle", re.IGNORECASE)
_LIST = re.compile(r"list (?:bullet|number)\b.*", re.IGNORECASE)
_MAIN_TYPE = re.compile(r"word.*document.*main\+xml")


class _Full(Exception):
    """Enough was read; the message says of what."""


def is_docx(data: bytes) -> bool:
    """Whether a ZIP holds a Word document, whatever its name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            names = packed.namelist()
            return TYPES in names and any(re.fullmatch(r"word/document\d*\.xml", name) for name in names)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return False


def read_docx(data: bytes, name: str | None = None, limits: Limits | None = None) -> Document:
    """The text of a Word document. Raises DocumentError for what is broken, encrypted, or holds no text."""
    limits = limits or Limits()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            found = _Package(packed, limits, time.monotonic() + limits.seconds).read()
    except RuntimeError as error:  # zipfile's word for a password
        raise DocumentError(f"{named(name)} is encrypted: save a copy without a password", code="encrypted") from error
    except (zipfile.BadZipFile, zlib.error, expat.ExpatError, KeyError, EOFError, ValueError, OSError) as error:
        message = f"{named(name)} is broken: it is no whole Word document ({error}); open it in Word and save it anew"
        raise DocumentError(message, code="broken") from error
    except NotImplementedError as error:
        message = f"{named(name)} is packed in a way that cannot be read ({error}); save it anew"
        raise DocumentError(message, code="broken") from error
    if not found.text.strip():
        raise DocumentError(f"{named(name)} holds no text", code="empty")
    return found


class _Package:
    """The parts of one document."""

    def __init__(self, packed: zipfile.ZipFile, limits: Limits, end: float):
        self._packed, self._limits, self._end = packed, limits, end

    def read(self) -> Document:
        types, styles, title = _Types(), _Styles(), _Title()
        self._parse(TYPES, types)
        folder = posixpath.dirname(types.main)
        self._parse(f"{folder}/styles.xml", styles)
        self._parse(PROPERTIES, title)
        notes = {kind: _Notes(kind) for kind in ("footnote", "endnote")}
        cut = [self._parse(f"{folder}/{kind}s.xml", each) for kind, each in notes.items()]
        body = _Body(styles, {kind: each.texts for kind, each in notes.items()}, self._limits.max_characters)
        cut.append(self._parse(types.main, body, needed=True))
        text = body.whole()
        told = tuple(dict.fromkeys(why for why in cut if why))
        if len(text) > self._limits.max_characters:
            text = text[: self._limits.max_characters]
        return Document(text, MEDIA_TYPE, " ".join(title.text.split()) or None, notes=told, extractor="docx")

    def _parse(self, part: str, reader: _Reader, needed: bool = False) -> str | None:
        """Read a part, if it is there; why not all of it was."""
        try:
            opened = self._packed.open(part)
        except KeyError:
            if needed:
                raise
            return None
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _no_doctype
        parser.StartElementHandler, parser.EndElementHandler = reader.starts, reader.ends
        parser.CharacterDataHandler = reader.said
        try:
            with opened:
                for chunk in self._chunks(opened):
                    parser.Parse(chunk, False)
            parser.Parse(b"", True)
        except _Full as why:
            return str(why)
        return None

    def _chunks(self, opened: Any) -> Iterator[bytes]:
        size = 0
        while chunk := opened.read(CHUNK):
            size += len(chunk)
            if size > MOST_XML:
                raise _Full(f"only the first {size_text(MOST_XML)} of its content were read")
            if time.monotonic() > self._end:
                raise _Full(f"only its beginning was read: it takes more than {self._limits.seconds:g} seconds")
            yield chunk


def _no_doctype(*_: Any) -> None:
    raise ValueError("it has a document type, which no Word document has")


class _Reader:
    """Hears elements by their names without namespaces, and what stands in them; skips what is no text."""

    def __init__(self) -> None:
        self._depth = 0
        self._skipped_at = 0

    def starts(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError("its elements nest too deep")
        local = name.rpartition(" ")[2]
        if not self._skipped_at and local in _SKIPPED:
            self._skipped_at = self._depth
        if not self._skipped_at:
            self.begin(local, {key.rpartition(" ")[2]: value for key, value in attributes.items()})

    def ends(self, name: str) -> None:
        if not self._skipped_at:
            self.end(name.rpartition(" ")[2])
        elif self._skipped_at == self._depth:
            self._skipped_at = 0
        self._depth -= 1

    def said(self, text: str) -> None:
        if not self._skipped_at:
            self.hear(text)

    def begin(self, name: str, attributes: Mapping[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def hear(self, text: str) -> None: ...


class _Types(_Reader):
    """Which part is the document itself."""

    def __init__(self) -> None:
        super().__init__()
        self.main = "word/document.xml"

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "Override" and _MAIN_TYPE.search(attributes.get("ContentType", "")):
            self.main = attributes.get("PartName", "").lstrip("/") or self.main


class _Title(_Reader):
    """The title among a document's properties."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self._in = "", False

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        self._in = name == "title"

    def end(self, name: str) -> None:
        self._in = False

    def hear(self, text: str) -> None:
        self.text += text if self._in and len(self.text) < 1000 else ""


class _Styles(_Reader):
    """Which styles are headings, and which lists: names are English in every language, ids are not."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: dict[str, int] = {}
        self.lists: set[str] = set()
        self._id = ""

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "style":
            self._id = attributes.get("styleId", "")
        elif name == "name" and (found := _HEADING.fullmatch(attributes.get("val", ""))):
            self.headings[self._id] = int(found[1] or 1)
        elif name == "name" and _LIST.fullmatch(attributes.get("val", "")):
            self.lists.add(self._id)


@dataclass
class _Paragraph:
    """One that is being read."""

    parts: list[str] = field(default_factory=list)
    style: str = ""
    level: int | None = None
    """Of a list."""
    numbered: bool = False


class _Body(_Reader):
    """Paragraphs, tables and notes in their order."""

    def __init__(self, styles: _Styles, notes: Mapping[str, Mapping[str, str]], most: int):
        super().__init__()
        self._styles, self._notes, self._most = styles, notes, most
        self._blocks: list[tuple[str, str]] = []  # kind and text: what is of one list or table stands close
        self._size = self._tables = 0
        self._open: list[_Paragraph] = []
        self._rows: list[list[list[str]]] = []  # of the tables that are open: cells of texts
        self._run = self._text = self._hidden = False
        self._used: list[str] = []

    def whole(self) -> str:
        parts: list[str] = []
        before = ""
        for kind, block in self._blocks:
            close = kind == before and kind not in ("text", "heading")
            parts += ["\n" if close else "\n\n", block] if parts else [block]
            before = kind
        return "\n\n".join(filter(None, ["".join(parts), "\n".join(self._used)]))

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        act = _BEGIN.get(name)
        if act is not None:
            act(self, attributes)

    def end(self, name: str) -> None:
        act = _END.get(name)
        if act is not None:
            act(self)

    def hear(self, text: str) -> None:
        if self._text and not self._hidden:
            self._say(text)

    def _say(self, text: str) -> None:
        if self._open:
            self._open[-1].parts.append(text)
            self._size += len(text)
            if self._size > self._most:
                while self._open:
                    self._end_paragraph()
                raise _Full(f"only the first {self._most:,} characters were read")

    def _begin_paragraph(self, _: Mapping[str, str]) -> None:
        self._open.append(_Paragraph())

    def _style(self, attributes: Mapping[str, str]) -> None:
        if self._open:
            self._open[-1].style = attributes.get("val", "")

    def _list_level(self, attributes: Mapping[str, str]) -> None:
        if self._open:
            self._open[-1].level = int(level) if (level := attributes.get("val", "0")).isdecimal() else 0

    def _list_number(self, attributes: Mapping[str, str]) -> None:
        if self._open:
            self._open[-1].numbered = attributes.get("val") != "0"  # 0 takes a paragraph out of its list

    def _begin_run(self, _: Mapping[str, str]) -> None:
        self._run, self._hidden = True, False

    def _end_run(self) -> None:
        self._run = self._hidden = False

    def _hide(self, attributes: Mapping[str, str]) -> None:
        self._hidden = self._run and attributes.get("val") not in ("0", "false", "off")

    def _begin_text(self, _: Mapping[str, str]) -> None:
        self._text = True

    def _end_text(self) -> None:
        self._text = False

    def _refer(self, kind: str, attributes: Mapping[str, str]) -> None:
        text = self._notes[kind].get(attributes.get("id", ""), "")
        if text.strip():
            self._used.append(f"[^{len(self._used) + 1}]: {' '.join(text.split())}")
            self._say(f"[^{len(self._used)}]")

    def _end_paragraph(self) -> None:
        if not self._open:
            return
        paragraph = self._open.pop()
        text = re.sub(r"[ \t]+\n", "\n", "".join(paragraph.parts)).strip()
        if not text:
            return
        level = self._styles.headings.get(paragraph.style)
        if self._rows and self._rows[-1]:
            self._rows[-1][-1].append(text)
        elif level is not None:
            self._blocks.append(("heading", f"{'#' * level} {' '.join(text.split())}"))
        elif paragraph.numbered or paragraph.style in self._styles.lists:
            self._blocks.append(("list", f"{'  ' * min(paragraph.level or 0, 8)}- {text}"))
        else:
            self._blocks.append(("text", text))

    def _begin_table(self, _: Mapping[str, str]) -> None:
        self._tables += not self._rows
        self._rows.append([])

    def _begin_cell(self, _: Mapping[str, str]) -> None:
        if self._rows:
            self._rows[-1].append([])

    def _end_row(self) -> None:
        """A row is a line; of a table in a cell its text stands in that cell."""
        if not self._rows:
            return
        cells = [" ".join(" ".join(cell).split()).replace("|", "\\|") for cell in self._rows[-1]]
        self._rows[-1] = []
        kind = f"table {self._tables}"
        if len(self._rows) > 1:
            if outer := self._rows[-2]:
                outer[-1].append(" ".join(cells))
        elif any(cells):
            first = not self._blocks or self._blocks[-1][0] != kind
            line = f"\n|{' --- |' * len(cells)}" if first else ""
            self._blocks.append((kind, f"| {' | '.join(cells)} |{line}"))

    def _end_table(self) -> None:
        if self._rows:
            self._rows.pop()


def _says(text: str) -> Callable[[_Body, Mapping[str, str]], None]:
    """For an element that stands for a character; outside of a run it is a setting."""

    def say(body: _Body, _: Mapping[str, str]) -> None:
        if body._run and not body._hidden:
            body._say(text)

    return say


_BEGIN: dict[str, Callable[[_Body, Mapping[str, str]], None]] = {
    "p": _Body._begin_paragraph,
    "pStyle": _Body._style,
    "ilvl": _Body._list_level,
    "numId": _Body._list_number,
    "r": _Body._begin_run,
    "vanish": _Body._hide,
    "t": _Body._begin_text,
    "tab": _says("\t"),
    "br": _says("\n"),
    "cr": _says("\n"),
    "noBreakHyphen": _says("-"),
    "footnoteReference": lambda body, attributes: body._refer("footnote", attributes),
    "endnoteReference": lambda body, attributes: body._refer("endnote", attributes),
    "tbl": _Body._begin_table,
    "tc": _Body._begin_cell,
}
_END: dict[str, Callable[[_Body], None]] = {
    "p": _Body._end_paragraph,
    "r": _Body._end_run,
    "t": _Body._end_text,
    "tr": _Body._end_row,
    "tbl": _Body._end_table,
}


class _Notes(_Reader):
    """Footnotes or endnotes, by their ids."""

    def __init__(self, kind: str):
        super().__init__()
        self.texts: dict[str, str] = {}
        self._kind, self._id, self._text = kind, "", False

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == self._kind:
            separator = attributes.get("type", "normal") != "normal"
            self._id = "" if separator else attributes.get("id", "")
        self._text = name == "t"
        if name == "p" and self._id in self.texts:
            self.texts[self._id] += " "

    def end(self, name: str) -> None:
        self._text = False

    def hear(self, text: str) -> None:
        if self._text and self._id:
            self.texts[self._id] = (self.texts.get(self._id, "") + text)[:10_000]
