"""The source of a page, made ready for a parser of HTML."""

from __future__ import annotations

import re
from collections.abc import Callable

_XHTML = re.compile(r"\s*<\?xml|.{0,600}?<html[^>]{0,600}?\sxmlns=", re.DOTALL)
_DOCTYPE = re.compile(
    r"<!DOCTYPE[^<>\[]*+\[(?:[^\]\"']|\"[^\"]*+\"|'[^']*+')*+\]\s*+>", re.IGNORECASE
)  # with its entities
_NAME = re.compile(r"<([a-zA-Z][\w:-]*)")


def plain_html(source: str) -> str:
    """XHTML as HTML: `<a id="x"/>` is whole there and would stay open here, and CDATA is text. <noscript> goes: where
    scripts run nobody sees it, and its text would end the head."""
    source = _between(
        source, re.compile("<noscript", re.IGNORECASE), re.compile("</noscript", re.IGNORECASE), lambda _: ""
    )
    if not _XHTML.match(source):
        return source
    source = _DOCTYPE.sub("<!DOCTYPE html>", source, count=1)
    source = _between(source, re.compile(r"<!\[CDATA\["), re.compile(r"\]\]>"), _cdata)
    return _closed(source)


def _between(source: str, opens: re.Pattern[str], closes: re.Pattern[str], instead: Callable[[str], str]) -> str:
    """The source with other text for each piece from what opens it to what closes it. Linear, whatever is there."""
    parts, at = [], 0
    while (begin := opens.search(source, at)) and (end := closes.search(source, begin.end())):
        stop = source.find(">", end.end() - 1) + 1 or len(source)
        parts += [source[at : begin.start()], instead(source[begin.end() : end.start()])]
        at = stop
    return "".join([*parts, source[at:]]) if parts else source


def _cdata(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _closed(source: str) -> str:
    """End tags for the elements that close themselves."""
    parts, at = [], 0
    while (end := source.find("/>", at)) >= 0:
        begin = source.rfind("<", at, end)
        name = _NAME.match(source, begin) if begin >= 0 else None
        parts.append(f"{source[at:end].rstrip()}></{name[1]}>" if name else source[at : end + 2])
        at = end + 2
    return "".join([*parts, source[at:]]) if parts else source
