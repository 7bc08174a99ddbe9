"""The main text of a web page in a fraction of the time: resiliparse's rules, in C++, and a plain text."""

from __future__ import annotations

import re

from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.documents.document import Document
from sansi.documents.html_limits import check_page

EXTRACTOR = "html-fast"
_HALF_PAIR = re.compile("[\ud800-\udfff]")  # which no parser takes
_LEAST, _SHARE = 200, 0.1  # a main text below both is no main text: the page is read whole


def read_html_fast(source: str, name: str | None = None) -> Document:
    """The main text; of a page that has none, all of its text. Listings keep their lines, tables lose theirs.

    Raises SansiError where resiliparse is not installed.
    """
    try:
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.html import HTMLTree
    except ImportError as error:
        raise SansiError(f"fast reading of HTML needs resiliparse; run: {install_command('train')}") from error
    check_page(source, name)
    tree = HTMLTree.parse(_HALF_PAIR.sub("\ufffd", source))
    text = extract_plain_text(tree, main_content=True, alt_texts=False)
    if len(text) < _LEAST:
        whole = extract_plain_text(tree, alt_texts=False)
        text = text if len(text) > _SHARE * len(whole) else whole
    title = " ".join((tree.title or "").split()) or None
    return Document(text, "text/html", title, extractor=EXTRACTOR)
