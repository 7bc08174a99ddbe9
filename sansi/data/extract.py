"""From a record to its text, by media type, in this process: bulk work runs in workers that a record may kill."""

from __future__ import annotations

from sansi.base.errors import SansiError
from sansi.data.documents import Kind, RawDocument, Record
from sansi.documents import How, extract_document
from sansi.documents.source_code import MEDIA_TYPE as SOURCE_CODE
from sansi.documents.source_code import programming_language


def extract(record: Record, how: How = "accurate") -> RawDocument:
    """The text of a record.

    how: of web pages: "accurate" finds the main text and keeps listings, tables and formulas; "fast" is several times
    faster, and plainer. Raises DocumentError, a SansiError of one sentence, for what cannot be read: its `code` says
    in a word why.
    """
    found = extract_document(record.data, record.name or record.url, record.media_type, how)
    code = programming_language(record.name)
    kind = record.kind or _kind(found.media_type, code)
    language = record.language or (code if kind == "code" else None)
    notes = {"notes": "; ".join(found.notes)} if found.notes else {}
    return RawDocument(
        record.id,
        found.text,
        kind,
        language,
        record.held_out,
        record.original,
        record.url,
        record.date,
        dict(record.metadata),
        record.licence,
        record.title or found.title,
        found.media_type,
        {"extractor": found.extractor, **notes},
    )


def _kind(media_type: str, code: str | None) -> Kind:
    if media_type == SOURCE_CODE or (code is not None and _may_be_source(media_type)):
        return "code"
    return "reference" if media_type == "text/troff" else "prose"


def _may_be_source(media_type: str) -> bool:
    return media_type.startswith("text/") and media_type not in ("text/html", "text/troff", "text/markdown")


def reason_of(error: SansiError) -> str:
    """The short phrase by which a ledger counts a text that could not be extracted."""
    return _REASONS.get(error.code or "", "cannot be read")


_REASONS = {
    "too_large": "too large",
    "binary": "not text",
    "empty": "empty",
    "encrypted": "encrypted",
    "scanned": "scanned",
    "broken": "broken",
    "missing": "reader missing",
}
