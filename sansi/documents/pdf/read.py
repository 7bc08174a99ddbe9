"""A PDF that somebody attaches: its text page by page, and what a reader of it should know."""

from __future__ import annotations

from collections.abc import Sequence

from sansi.base.words import count as counted
from sansi.documents.document import Document, DocumentError, Limits, named
from sansi.documents.pdf.characters import clean_page
from sansi.documents.pdf.pages import Page, read_pages
from sansi.documents.pdf.verdict import Verdict, judge, numbers_by_reason

_REST = {
    "pages": "only the first {read} of {pages} pages were read: more than that are left out",
    "characters": "only the first {read} of {pages} pages were read: the text is very long",
    "time": "only the first {read} of {pages} pages were read: the time for it was up",
    "broken": "only the first {read} of {pages} pages were read: the file is broken there",
}
_TOLD = {  # of several pages, of one
    "picture": ("have pictures and no text", "has pictures and no text"),
    "curves": ("have drawings and no text", "has drawings and no text"),
    "broken": ("are broken and were left out", "is broken and was left out"),
}
_GARBLED = ("have text that is not what they show ({})", "has text that is not what it shows ({})")
RECOGNISE = "run it through text recognition (ocrmypdf), and take the result"


def read_pdf(data: bytes, name: str | None = None, limits: Limits | None = None) -> Document:
    """The text of all pages, each under a line "[Page N]". What its fonts tell wrongly is told in the notes.

    Raises DocumentError for what is encrypted, broken, or has pictures of text alone.
    """
    file = read_pages(data, name, limits or Limits(), lines=False, restart=False)
    texts = [clean_page(page.text or "") for page in file.pages]
    verdicts = [judge(page) for page in file.pages]
    _check(texts, file.pages, verdicts, file.count, name)
    notes = [] if file.end == "all" else [_REST[file.end].format(read=len(file.pages), pages=file.count)]
    text, starts = _joined(texts)
    title = " ".join(clean_page(file.title).split()) or None
    notes += page_notes(verdicts)
    return Document(text, "application/pdf", title, file.count, tuple(notes), tuple(starts), "pdf")


def page_notes(verdicts: Sequence[Verdict]) -> list[str]:
    """Which pages a reader of the text does not see, or sees wrongly, a sentence for each reason."""
    told = []
    for (state, reason), numbers in numbers_by_reason(verdicts).items():
        if state == "garbled":
            several, one = (each.format(reason) for each in _GARBLED)
        elif reason in _TOLD:
            several, one = _TOLD[reason]
        else:
            continue  # blank ones hold nothing, and those that were not read have a note
        told.append(f"page {numbers[0]} {one}" if len(numbers) == 1 else f"pages {ranges(numbers)} {several}")
    return told


def _check(
    texts: Sequence[str], pages: Sequence[Page], verdicts: Sequence[Verdict], count: int, name: str | None
) -> None:
    """Raises DocumentError where there is nothing to read."""
    it, whole = f"{named(name)} ({counted(count, 'page')})", "".join(texts)
    if not count:
        raise DocumentError(f"{named(name)} is a PDF without pages", code="empty")
    if not whole.strip():
        if any(page.pictures for page in pages):
            raise DocumentError(f"{it} holds pictures and no text: {RECOGNISE}", code="scanned")
        if all(page.text is None for page in pages):
            raise DocumentError(f"{it} is broken: no page of it can be read; save it anew from a viewer", code="broken")
        raise DocumentError(f"{it} holds no text", code="empty")
    if all(verdict.state == "garbled" for text, verdict in zip(texts, verdicts, strict=True) if text.strip()):
        raise DocumentError(f"{it} has fonts that do not say which characters they draw: {RECOGNISE}", code="scanned")


def ranges(numbers: Sequence[int]) -> str:
    """1, 2, 3, 7 as "1–3, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("–".join(map(str, run)) for run in runs)


def _joined(texts: Sequence[str]) -> tuple[str, list[int]]:
    """All pages under their numbers, and where each begins."""
    parts, starts, at = [], [], 0
    for number, text in enumerate(texts, 1):
        starts.append(at)
        parts.append(f"[Page {number}]\n{text}".rstrip() + "\n\n")
        at += len(parts[-1])
    return "".join(parts).rstrip(), starts
