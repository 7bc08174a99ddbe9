"""Formulas of MathML in a line of text: the TeX they carry, or powers, indices, fractions and roots as they show."""

from __future__ import annotations

import re
from typing import Any

ARGUMENTS = {
    **dict.fromkeys(("mfrac", "mroot", "msup", "msub", "mover", "munder"), 2),
    **dict.fromkeys(("msubsup", "munderover"), 3),
}
"""Elements that stand for a form, and how many parts it has."""
TOKENS = frozenset(["mi", "mn", "mo", "mtext", "ms"])
_DISPLAY = re.compile(r"^\{\\(?:displaystyle|textstyle) (.*)\}$")
DEEPEST = 50  # below it the text alone, so that no page exhausts the stack


def formula(node: Any) -> str:
    """The text of a <math> element: TeX if it carries some, else what it shows. The fraction of 1 and 2 is 1/2."""
    tex = node.css_first('annotation[encoding="application/x-tex"], annotation[encoding="TeX"]')
    text = tex.text() if tex is not None else node.attributes.get("alttext") or _shown(node)
    return re.sub(r"\s+", " ", text).strip()


def tex_of_script(node: Any) -> str:
    """The TeX that a page gives to MathJax as a script; "" for a script that is none."""
    kind = (node.attributes.get("type") or "").lower()
    if not kind.startswith("math/tex"):
        return ""
    text = " ".join(node.text().split())
    return f"$${text}$$" if "mode=display" in kind.replace(" ", "") else f"${text}$"


def tex_of_picture(attributes: dict[str, str | None]) -> str:
    """The TeX of a formula that is shown as a picture."""
    text = " ".join((attributes.get("alt") or "").split())
    words = f"{attributes.get('class') or ''} {attributes.get('src') or ''}".lower()
    if not re.search(r"\\[a-zA-Z]+|[_^]", text) or not re.search(r"math|tex\b|latex|formula|equation", words):
        return ""
    return _DISPLAY.sub(r"\1", text)


def children(node: Any) -> list[Any]:
    """The nodes right below."""
    found, child = [], node.child
    while child is not None:
        found.append(child)
        child = child.next
    return found


def braced(mark: str, inner: str) -> str:
    """An index or a power: `^2`, or `^{n + 1}` where more than one sign would not hang together."""
    return f"{mark}{inner}" if re.fullmatch(r"[+\-−]?\d+(?:[.,]\d+)?|\w", inner) else f"{mark}{{{inner}}}"


def _shown(node: Any, depth: int = 0) -> str:
    tag = (node.tag or "").lower()
    if tag == "-text":
        return " ".join(node.text(deep=False).split())
    if tag.startswith(("-", "!", "annotation")) or tag == "mphantom":
        return ""
    if depth > DEEPEST:
        return " ".join(node.text(separator=" ").split())
    parts = [part for child in children(node) if (part := _shown(child, depth + 1))]
    if len(parts) == ARGUMENTS.get(tag):
        return _combined(tag, parts)
    inner = ("" if tag in TOKENS else " ").join(parts)
    return f"√({inner})" if tag == "msqrt" and inner else inner


def _combined(tag: str, parts: list[str]) -> str:
    base, *others = parts
    if tag == "mfrac":
        return "/".join(map(_grouped, parts))
    if tag == "mroot":
        return f"{_grouped(base)}^(1/{others[0]})"
    marks = {"msup": "^", "mover": "^", "msub": "_", "munder": "_"}.get(tag, "_^")
    return _grouped(base) + "".join(braced(mark, part) for mark, part in zip(marks, others, strict=True))


def _grouped(part: str) -> str:
    return f"({part})" if " " in part or "/" in part else part
