"""The text that a web page is about: without menus, footers and advertisements."""

from __future__ import annotations

import html
import re

from sansi.base.errors import SansiError
from sansi.documents.document import Document
from sansi.documents.html_text import html_to_text

_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title\s*>", re.IGNORECASE | re.DOTALL)
LARGEST = 4_000_000  # characters of a page that is searched for its main text; a larger one is read whole
_SHORT, _SHARE = 400, 0.2  # a main text below both is no main text: the page is a list, a form, an index


def read_html(source: str) -> Document:
    """The main text in Markdown; of a page that has none, all of its text.

    Raises SansiError where neither of the two parsers is installed.
    """
    found = _TITLE.search(source)
    title = " ".join(html.unescape(found[1]).split()) or None if found else None
    main = _main_text(source) if len(source) <= LARGEST else None
    whole = _whole_text(source, needed=main is None)
    if main is not None and (whole is None or len(main) >= _SHORT or len(main) >= _SHARE * len(whole)):
        return Document(main, "text/html", title)
    return Document(whole or main or "", "text/html", title)


def _main_text(source: str) -> str | None:
    try:
        import trafilatura
    except ImportError:
        return None
    # It reads bytes by a charset of its own guess, so it gets characters.
    return trafilatura.extract(source, output_format="markdown", include_comments=False, include_tables=True) or None


def _whole_text(source: str, needed: bool) -> str | None:
    try:
        return html_to_text(source)
    except SansiError:
        if needed:
            raise
        return None
