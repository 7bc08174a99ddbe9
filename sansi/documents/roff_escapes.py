"""Escape sequences of roff in a line of text: characters stay, strings and registers get values, the rest goes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sansi.documents.roff_characters import character, overstruck

CONTINUES = "\x01"  # \c: the next line goes on without a space
MAX_DEPTH = 8  # of strings in strings

_NAME = r"(?:\[[^]\n]*\]|\(..|.)"
_ESCAPE = re.compile(
    r"\\(?:"
    rf"(?P<font>[fFmMVkgYO]{_NAME})"
    r"|(?P<size>s(?:[+-]?\([+-]?\d\d|[+-]?\[[^]]*\]|'[^']*'|[+-]?(?:[123]\d|\d)))"
    rf"|\*(?P<string>{_NAME})|n[+-]?(?P<register>{_NAME})"
    r"|\[(?P<long>[^]\n]*)\]|\((?P<two>..)"
    r"|C(?P<named>'[^']*')|N(?P<code>'[^']*')|(?P<quoted>[hvwlLDobxSHRXZAB])(?P<quote>[^\w\s\\]|[\"'])(?P<inside>.*?)(?P=quote)"
    r"|(?P<comment>[\"#].*)|(?P<one>.)|$)",
    re.DOTALL,
)
_ONE = {
    "-": "-", "e": "\\", "\\": "\\", "'": "'", "`": "`", "_": "_", " ": " ", "~": " ", "0": " ", ".": ".", "t": "\t",
    "c": CONTINUES, "E": "\\",
}  # fmt: skip


def expand(text: str, strings: Mapping[str, str], registers: Mapping[str, int], depth: int = 0) -> str:
    """The text with its escapes resolved."""

    def replace(match: re.Match[str]) -> str:
        if match["string"]:
            value = strings.get(_bare(match["string"]).split(" ")[0], "")
            return expand(value, strings, registers, depth + 1) if depth < MAX_DEPTH else ""
        if match["register"]:
            return str(registers.get(_bare(match["register"]), 0))
        if match["long"] is not None or match["two"]:
            return character(match["long"] if match["long"] is not None else match["two"])
        if match["named"]:
            return character(match["named"][1:-1])
        if match["code"]:
            digits = match["code"][1:-1]
            return character(f"char{digits}") if digits.isdigit() else ""
        if match["quoted"]:
            return _quoted(match["quoted"], match["inside"], strings, registers, depth)
        return _ONE.get(match["one"] or "", "")

    return _ESCAPE.sub(replace, text)


def _quoted(kind: str, inside: str, strings: Mapping[str, str], registers: Mapping[str, int], depth: int) -> str:
    if depth >= MAX_DEPTH:
        return ""
    if kind == "h":  # a move to the right is a gap between words
        return "" if inside.startswith("-") or re.fullmatch(r"[+]?0*(?:\.\d*)?[a-zA-Z]?", inside) else " "
    text = expand(inside, strings, registers, depth + 1)
    if kind == "w":
        return str(len(text) * 24)  # in basic units, of which a column has 24
    if kind == "o":
        return overstruck(text)
    return text if kind in "bZ" else "1" if kind in "AB" else ""


def _bare(name: str) -> str:
    return name[1:-1] if name.startswith("[") else name[1:] if name.startswith("(") else name
