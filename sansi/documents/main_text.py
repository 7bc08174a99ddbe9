"""The text that a web page is about: without menus, footers and advertisements."""

from __future__ import annotations

import html
import importlib.util
import json
import re
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.documents.document import Document, DocumentError, Limits, named
from sansi.documents.html_limits import check_page
from sansi.documents.html_text import parse_html
from sansi.documents.main_blocks import select_main
from sansi.documents.markdown import markdown
from sansi.documents.process import output_of

_SPAN = re.compile(r"((?:col|row)span\s{0,9}=\s{0,9}[\"']?)\d{2,}", re.IGNORECASE)
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_WORKER = Path(__file__).with_name("html_worker.py")
EXTRACTOR, STRUCTURE = "html-accurate", "html-structure"  # the second where trafilatura is not installed
SMALL = 2**14  # characters of a page that cannot take long, however it is nested
LARGEST, MOST_TAGS = 4_000_000, 50_000  # characters and tags of a page up to which trafilatura is asked


def read_html(source: str, name: str | None = None, limits: Limits | None = None) -> Document:
    """The main text in Markdown; of a page that has none, all of its text.

    A page that is not small is read in a process of its own, for at most `limits.seconds`.

    Raises SansiError where neither of the two parsers is installed, DocumentError for a page that takes too long.
    """
    if len(source) <= SMALL:
        return read_html_here(source, name)
    check_page(source, name)
    limits = limits or Limits()
    arguments = [str(limits.seconds), str(limits.memory)]
    said = output_of(_WORKER, arguments, source.encode("utf-8", "replace"), limits.seconds)
    if not said.endswith(b"\n"):
        reason = f"could not be read within {limits.seconds:g} seconds: it is too large"
        raise DocumentError(f"{named(name)} {reason}", code="broken")
    told = json.loads(said)
    if "error" in told:
        raise SansiError(told["error"])
    return Document(told["text"], "text/html", told["title"], extractor=EXTRACTOR)


def read_html_here(source: str, name: str | None = None) -> Document:
    """The same in this process, however long it takes."""
    check_page(source, name)
    title = _title(source)
    source = _HALF_PAIR.sub("\ufffd", source)  # which no parser takes
    guide = _guide(source)
    extractor = EXTRACTOR if guide is not None or _has_guide() else STRUCTURE
    try:
        page = parse_html(source)
    except SansiError:
        if guide is None:
            raise
        return Document(guide, "text/html", title, extractor=EXTRACTOR)
    return Document(markdown(select_main(page, guide, title).blocks), "text/html", title, extractor=extractor)


def _has_guide() -> bool:
    return importlib.util.find_spec("trafilatura") is not None


def _title(source: str) -> str | None:
    lower = source.lower()
    start = lower.find(">", lower.find("<title")) + 1 if "<title" in lower else 0
    end = lower.find("</title", start) if start else -1
    return " ".join(html.unescape(source[start:end]).split()) or None if end > 0 else None


def _guide(source: str) -> str | None:
    """What trafilatura finds; None where it is not there, or the page is too large for it."""
    if len(source) > LARGEST or source.count("<") > MOST_TAGS:
        return None
    try:
        import trafilatura
    except ImportError:
        return None
    # It reads bytes by a charset of its own guess, so it gets characters; and it fills every cell that another spans.
    source = _SPAN.sub(r"\g<1>9", source)
    try:
        return trafilatura.extract(source, fast=True, include_comments=False, include_tables=True) or None
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return None  # it stumbles over what it did not expect; the structure decides
