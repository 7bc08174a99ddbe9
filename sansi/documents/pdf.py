"""PDF to text, page by page. The file is read in a process of its own: see `pdf_worker`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.base.words import count as counted
from sansi.documents.document import Document, DocumentError, Limits, named
from sansi.documents.process import output_of

_WORKER = Path(__file__).with_name("pdf_worker.py")
_HYPHEN = re.compile("[\x02\ufffe]\r?\n?")  # PDFium's for a word that was parted at the end of a line
_UNREADABLE = re.compile("[\ufffd\ue000-\uf8ff\0-\x08\x0e-\x1f]")
_MOST_UNREADABLE = 0.3  # of a text's characters
_REST = {
    "pages": "only the first {read} of {pages} pages were read: more than that are left out",
    "characters": "only the first {read} of {pages} pages were read: the text is very long",
    "time": "only the first {read} of {pages} pages were read: the time for it was up",
    "broken": "only the first {read} of {pages} pages were read: the file is broken there",
}


def read_pdf(data: bytes, name: str | None = None, limits: Limits | None = None) -> Document:
    """The text of all pages, each under a line "[Page N]".

    Raises DocumentError for what is encrypted, broken, or has pictures of text alone.
    """
    limits = limits or Limits()
    lines = _told(data, limits)
    if not lines or "error" in lines[0]:
        raise _refusal(lines[0]["error"] if lines else "crash", name)
    count, pages = lines[0]["pages"], [line for line in lines if "text" in line]
    texts = [_clean(page["text"] or "") for page in pages]
    _check(texts, pages, count, name)
    end = lines[-1].get("end", "broken")
    notes = [] if end == "all" else [_REST[end].format(read=len(pages), pages=count)]
    notes += _without_text(pages)
    text, starts = _joined(texts)
    title = " ".join(_clean(lines[0]["title"]).split()) or None
    return Document(text, "application/pdf", title, count, tuple(notes), tuple(starts), "pdf")


def _told(data: bytes, limits: Limits) -> list[dict[str, Any]]:
    """What the worker says, as far as it came."""
    said = output_of(_WORKER, [json.dumps(asdict(limits))], data, limits.seconds)
    # The last line may be cut where the process was.
    lines = said.split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def _refusal(error: str, name: str | None) -> SansiError:
    it = named(name)
    told = {
        "password": (f"{it} is encrypted: save a copy without a password, and take that", "encrypted"),
        "missing": (f"reading a PDF needs pypdfium2; run: {install_command()}", "missing"),
        "memory": (f"{it} needs more memory than there is for a PDF; take a part of its pages", "too_large"),
        "format": (f"{it} is broken: it is no whole PDF file; open it in a PDF viewer and save it anew", "broken"),
        "crash": (f"{it} cannot be read: the file is broken, or takes too long; save it anew from a viewer", "broken"),
    }
    message, code = told[error]
    return DocumentError(message, code=code)


def _check(texts: Sequence[str], pages: Sequence[Mapping[str, Any]], count: int, name: str | None) -> None:
    """Raises DocumentError where there is nothing to read."""
    it, whole = f"{named(name)} ({counted(count, 'page')})", "".join(texts)
    if not count:
        raise DocumentError(f"{named(name)} is a PDF without pages", code="empty")
    if not whole.strip():
        if any(page["pictures"] for page in pages):
            reason = "holds pictures and no text: run it through text recognition (ocrmypdf), and take the result"
            raise DocumentError(f"{it} {reason}", code="scanned")
        if all(page["text"] is None for page in pages):
            raise DocumentError(f"{it} is broken: no page of it can be read; save it anew from a viewer", code="broken")
        raise DocumentError(f"{it} holds no text", code="empty")
    if len(_UNREADABLE.findall(whole)) > _MOST_UNREADABLE * len(re.sub(r"\s", "", whole)):
        reason = "has fonts that do not say which characters they draw: run it through text recognition (ocrmypdf)"
        raise DocumentError(f"{it} {reason}", code="scanned")


def _without_text(pages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which pages a reader of the text does not see."""
    pictures = [number for number, page in enumerate(pages, 1) if page["pictures"]]
    broken = [number for number, page in enumerate(pages, 1) if page["text"] is None]
    told = [(pictures, "have pictures and no text", "has pictures and no text")]
    told.append((broken, "are broken and were left out", "is broken and was left out"))
    return [
        f"page {numbers[0]} {one}" if len(numbers) == 1 else f"pages {_ranges(numbers)} {several}"
        for numbers, several, one in told
        if numbers
    ]


def _ranges(numbers: Sequence[int]) -> str:
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


def _clean(text: str) -> str:
    text = _HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
