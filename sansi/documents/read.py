"""One function for every kind of file."""

from __future__ import annotations

from collections.abc import Callable

from sansi.base.sizes import size_text
from sansi.documents.charset import Decoded, decode
from sansi.documents.document import READABLE, Document, DocumentError, How, Limits, named
from sansi.documents.docx import MEDIA_TYPE as DOCX
from sansi.documents.docx import read_docx
from sansi.documents.media_types import Kind, binary_kind, kind_of
from sansi.documents.roff import man_to_text

HTML = ("text/html", "application/xhtml+xml")
Reader = Callable[[Decoded, Kind, str | None, Limits], Document]


def read_document(
    data: bytes, name: str | None = None, media_type: str | None = None, limits: Limits | None = None
) -> Document:
    """The text of a file.

    name: the file's, for its ending and for what is said of it. media_type: as HTTP has it, with its charset; what the
    bytes themselves say goes before both. Raises DocumentError, a SansiError of one sentence.
    """
    return _read(data, name, media_type, limits or Limits(), _html)


def extract_document(
    data: bytes | str,
    name: str | None = None,
    media_type: str | None = None,
    how: How = "accurate",
    limits: Limits | None = None,
) -> Document:
    """The same for many files, of which one may break the process: a web page is read in this one.

    data: text, too, that was decoded already. how: a web page's main text with care, or several times faster and plain.
    """
    page: Reader = {"accurate": _html_here, "fast": _html_fast}[how]
    return _read(data, name, media_type, limits or Limits(), page)


def _read(data: bytes | str, name: str | None, media_type: str | None, limits: Limits, page: Reader) -> Document:
    if len(data) > limits.max_bytes:
        size = f"{size_text(len(data))}, and at most {size_text(limits.max_bytes)} are read"
        raise DocumentError(f"{named(name)} has {size}; take a part of it", code="too_large")
    if not (data.strip() if isinstance(data, str) else data.strip(b"\0 \t\r\n\xef\xbb\xbf")):
        raise DocumentError(f"{named(name)} is empty", code="empty")
    if isinstance(data, str):
        kind = kind_of(b"", name, media_type)
        return _read_text(Decoded(data.removeprefix("\ufeff"), "utf-8"), name, kind, limits, page)
    if (binary := binary_kind(data, name)) is not None:
        raise DocumentError(f"{named(name)} is {binary.told}; {binary.instead or READABLE}", code="binary")
    kind = kind_of(data, name, media_type)
    if kind.media_type == "application/pdf":
        from sansi.documents.pdf import read_pdf

        return read_pdf(data, name, limits)
    if kind.media_type == DOCX:
        return read_docx(data, name, limits)
    decoded = decode(data, kind.charset, kind.media_type)
    if decoded is None:
        raise DocumentError(f"{named(name)} is no text; {READABLE}", code="binary")
    return _read_text(decoded, name, kind, limits, page)


def _read_text(decoded: Decoded, name: str | None, kind: Kind, limits: Limits, page: Reader) -> Document:
    reader = page if kind.media_type in HTML else _man if kind.media_type == "text/troff" else _plain
    found = reader(decoded, kind, name, limits)
    if not found.text.strip():
        raise DocumentError(f"{named(name)} holds no text", code="empty")
    notes, text = (*decoded.notes, *found.notes), found.text
    if len(text) > limits.max_characters:
        notes = (*notes, f"only the first {limits.max_characters:,} of {len(text):,} characters were read")
        text = text[: limits.max_characters]
    return Document(text, found.media_type, found.title, notes=notes, extractor=found.extractor)


def _plain(decoded: Decoded, kind: Kind, name: str | None, limits: Limits) -> Document:
    return Document(decoded.text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n"), kind.media_type)


def _html(decoded: Decoded, kind: Kind, name: str | None, limits: Limits) -> Document:
    from sansi.documents.main_text import read_html

    return read_html(decoded.text, name, limits)


def _html_here(decoded: Decoded, kind: Kind, name: str | None, limits: Limits) -> Document:
    from sansi.documents.main_text import read_html_here

    return read_html_here(decoded.text, name)


def _html_fast(decoded: Decoded, kind: Kind, name: str | None, limits: Limits) -> Document:
    from sansi.documents.fast_html import read_html_fast

    return read_html_fast(decoded.text, name)


def _man(decoded: Decoded, kind: Kind, name: str | None, limits: Limits) -> Document:
    plain = _plain(decoded, kind, name, limits)
    text = man_to_text(plain.text) or plain.text  # "": a bare link to another page
    return Document(text, kind.media_type, extractor="man")
