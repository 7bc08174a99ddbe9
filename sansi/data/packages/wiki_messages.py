"""Messages of a program in wiki markup as plain sentences.

A message has holes where the program puts names and numbers. Forms are chosen as for a count of hundreds, which in
nearly every language takes the last form that the message gives; a count is then such a number. A message in which
another hole would remain is no sentence, and is left out.
"""

from __future__ import annotations

import html
import re
import zlib

COUNTS = ("100", "200", "300", "500", "600", "800")
SITE = "Wiki"

_CALL = re.compile(r"\{\{\s*([^{}|:]*?)\s*(?::([^{}]*))?\}\}")
_EXPLICIT = re.compile(r"\s*\d+=")
_SPACED_TAG = re.compile(r"<\s*/?(?:br|p|div|li|ul|ol|h\d|hr|tr|td|table)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|<!--.*?-->", re.DOTALL)
_CODE = re.compile(
    r"<(nowiki|pre|source|syntaxhighlight|kbd|code|math|ref|script|style)\b[^<>]*>.*?</\1\s*>", re.DOTALL
)
_OUTER = re.compile(r"\[(?:\$\d+|(?:https?:)?//\S+|\{\{[^{}]*\}\})\s+([^\[\]]+)\]")
_INNER = re.compile(r"\[\[[^\[\]|]*\|([^\[\]|]+)\]\]")
_PLAIN_INNER = re.compile(r"\[\[:?([^\[\]|:$]+)\]\]")
_HOLE = r"(?:\[\[:?\$\d+\]\]|\$\d+)"
_QUOTED_HOLE = rf"[\"'“”„«»‚‘’「『(（\[]?\s?{_HOLE}\s?[\"'“”„«»‘’」』)）\]]?"
_ASIDE = re.compile(rf"\s*[(（]\s*{_HOLE}(?:[\s,;·|]*{_HOLE})*\s*[)）]")
_AFTER_COLON = re.compile(rf"\s*[:：]\s*{_QUOTED_HOLE}\s*[.。]?$")
_BEFORE_COLON = re.compile(rf"^{_QUOTED_HOLE}\s*[:：]\s+")
_QUOTES = re.compile(r"'{2,5}")
_NO_TEXT = re.compile(
    r"\{\||__[A-Z]{3,}__|\{\{\{|[{}<>]|\[\[|\]\]|https?://|\$\d|[\w.]+\.(?:php|css|js)\b|\$wg|\\[nN]|/\*"
)


def message_text(message: str) -> str | None:
    """What the message says, as text of one or more paragraphs; None: it says nothing without the program."""
    text = html.unescape(message).replace("\u00a0", " ")
    if _CODE.search(text):  # examples of markup and names of settings
        return None
    text = _TAG.sub("", _SPACED_TAG.sub("\n", text))
    text = _OUTER.sub(r"\1", text)
    counts: set[str] = set()
    for _ in range(4):  # calls stand in calls
        called = _CALL.sub(lambda found: _called(found, counts), text)
        if called == text:
            break
        text = called
    for count in counts:
        number = COUNTS[zlib.crc32(message.encode()) % len(COUNTS)]
        text = re.sub(rf"\${count}(?!\d)", number, text)
    text = _PLAIN_INNER.sub(r"\1", _INNER.sub(r"\1", text))
    text = _OUTER.sub(r"\1", text)
    text = _BEFORE_COLON.sub("", _AFTER_COLON.sub("", _ASIDE.sub("", text)))
    text = _lines(_QUOTES.sub("", text))
    return None if _NO_TEXT.search(text) or not text else text


def _called(found: re.Match[str], counts: set[str]) -> str:
    """What a call of the parser leaves. What only the program knows stays in braces, so that the message is refused."""
    name, arguments = found[1].upper(), (found[2] or "").split("|")
    if name == "SITENAME":
        return SITE
    if found[2] is None or name not in ("PLURAL", "GENDER", "GRAMMAR", "BIDI", "NUMBEROFARTICLES"):
        return found[0]
    if name == "BIDI":
        return arguments[0]
    if name == "GRAMMAR":
        return arguments[-1]
    forms = [form for form in arguments[1:] if not _EXPLICIT.match(form)]
    if not forms:
        return ""
    if name == "PLURAL":
        if re.fullmatch(r"\s*\$\d+\s*", arguments[0]):
            counts.add(arguments[0].strip()[1:])
        return forms[-1]
    return forms[0]


def _lines(text: str) -> str:
    lines = []
    for line in text.split("\n"):
        line = re.sub(r"^[*#]+\s*", "- ", line.strip())
        line = re.sub(r"^[:;]+\s*", "", line)
        line = re.sub(r"^=+\s*(.*?)\s*=+$", r"## \1", line)
        line = re.sub(r"[ \t]+", " ", line).strip()
        if line and line != "-" and not re.fullmatch(r"-{3,}", line):
            lines.append(line)
    return "\n".join(lines)
