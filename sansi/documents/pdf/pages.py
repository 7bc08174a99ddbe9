"""The pages of a PDF as its process of its own tells them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.documents.document import DocumentError, Limits, named
from sansi.documents.process import output_of

_WORKER = Path(__file__).with_name("worker.py")
MOST_STARTS = 5  # of the process, for one file: each page that kills it is left out, and it goes on after it


@dataclass(frozen=True)
class Gap:
    """Between two words of a line, so wide that it may part columns."""

    at: int
    """In the text, where the second word begins."""
    left: float
    right: float


@dataclass(frozen=True)
class Line:
    """A line of a page, as PDFium put it together. Lengths are points, from the lower left corner of the page."""

    text: str
    left: float
    right: float
    baseline: float
    size: float
    """Of the font, at its first character."""
    fixed: bool = False
    """In a font whose characters are all as wide: code, mostly."""
    hidden: bool = False
    """Drawn invisibly: the text of a scan, or what nobody is to see."""
    parted: bool = False
    """Its last word goes on in the next line; the hyphen is not in the text."""
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class Page:
    """What a page holds. `text` is None where it could not be read."""

    text: str | None
    width: float = 0.0
    height: float = 0.0
    lines: tuple[Line, ...] = ()
    """Empty where they were not asked for, or the page is turned."""
    pictures: int = 0
    largest: float = 0.0
    """The largest picture's share of the page."""
    paths: int = 0
    """Lines and curves that are drawn."""
    unmapped: float = 0.0
    """Share of characters of which the font does not tell what they are."""
    hidden: float = 0.0
    """Share of characters that are drawn invisibly."""


@dataclass(frozen=True)
class PdfFile:
    """The pages that were read, in order, and why there are no more of them."""

    title: str
    count: int
    """Of the file's pages, which may be more than were read."""
    pages: tuple[Page, ...]
    end: str
    """"all", "pages", "characters" or "time" (limits), "broken" (the reader died)."""


def read_pages(data: bytes, name: str | None, limits: Limits, lines: bool, restart: bool = True) -> PdfFile:
    """Raises DocumentError for what is encrypted or no PDF, SansiError where reading one needs something more.

    lines: with the pages' lines and where they are. restart: a page at which the reader dies is one that failed, and
    those after it are read.
    """
    pages: list[Page] = []
    head: dict[str, Any] = {}
    for _ in range(MOST_STARTS if restart else 1):
        told = _told(data, {**asdict(limits), "lines": lines, "first": len(pages)}, limits.seconds)
        if not told or "error" in told[0]:
            if head:  # it was opened before
                break
            raise _refusal(told[0]["error"] if told else "crash", name)
        head = told[0]
        pages += [_page(line) for line in told if "text" in line]
        if "end" in told[-1]:
            return PdfFile(head["title"], head["pages"], tuple(pages), told[-1]["end"])
        if restart and len(pages) < min(head["pages"], limits.max_pages):
            pages.append(Page(None))
    return PdfFile(head["title"], head["pages"], tuple(pages), "broken")


def render_pages(data: bytes, numbers: Sequence[int], pixels: int, limits: Limits) -> list[bytes]:
    """Each of the pages (from 0) as a PNG whose longer side has so many pixels; b"" for one that can not be drawn."""
    task = {**asdict(limits), "render": list(numbers), "pixels": pixels}
    rest = output_of(_WORKER, [json.dumps(task)], data, limits.seconds)
    found: list[bytes] = []
    while rest and len(found) < len(numbers):
        length, _, rest = rest.partition(b"\n")
        if not length.isdigit():
            break
        found.append(rest[: int(length)] if len(rest) >= int(length) else b"")
        rest = rest[int(length) :]
    return found + [b""] * (len(numbers) - len(found))


def _told(data: bytes, task: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """What the worker says, as far as it came."""
    said = output_of(_WORKER, [json.dumps(task)], data, seconds)
    # The last line may be cut where the process was.
    return [json.loads(line) for line in said.split(b"\n")[:-1]]


def _page(told: dict[str, Any]) -> Page:
    if told["text"] is None:
        return Page(None)
    width, height = told.get("size", (0.0, 0.0))
    facts = {name: told[name] for name in ("pictures", "largest", "paths", "unmapped", "hidden") if name in told}
    return Page(told["text"], width, height, tuple(map(_line, told.get("lines", ()))), **facts)


def _line(told: Iterable[Any]) -> Line:
    text, left, right, baseline, size, flags, gaps = told
    places = tuple(Gap(*gap) for gap in gaps)
    return Line(text, left, right, baseline, size, "m" in flags, "h" in flags, "-" in flags, places)


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
