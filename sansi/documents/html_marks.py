"""What is more than letters in a line of HTML: raised and lowered text, fractions, listings and their language."""

from __future__ import annotations

import re
from typing import Any

from sansi.documents.mathml import braced, children

GAP = "\x1f"  # a border between words, written as a space where there is none
_FRACTION = re.compile(r"(?:(\d)\^|(?<![\w^}.,]))(\d+)[/⁄]$")  # as far as its denominator, which is lowered
_ORDINALS = frozenset(
    ["st", "nd", "rd", "th", "er", "re", "e", "ère", "ème", "eme", "me", "ier", "o", "a", "os", "as", "mo"]
)
_TITLES = frozenset(["me", "lle", "gr", "rs", "os", "er", "ère", "tm"])
_SUBSCRIPTS = str.maketrans("0123456789+-=()−", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎₋")
_LANGUAGE = re.compile(r"(?:^|\s)(?:language|lang|highlight-source|highlight|brush:?|src)[-\s]([\w+#.-]+)")
_NO_LANGUAGE = frozenset(["none", "text", "plaintext", "default", "notranslate", "nohighlight", "wrapper", "line"])
_LEVELS = 3  # of elements around a listing that may name its language


def code_language(node: Any) -> str:
    """The language that the classes of a <pre> name, those of the <code> in it or of the elements around it."""
    inside = [node, *(child for child in children(node) if child.tag == "code")]
    around: list[Any] = []
    parent = node.parent
    while parent is not None and len(around) < _LEVELS and parent.tag in ("div", "figure", "code"):
        around.append(parent)
        parent = parent.parent
    for part in (*inside, *around):
        for found in _LANGUAGE.finditer(part.attributes.get("class") or ""):
            if found[1] not in _NO_LANGUAGE:
                return found[1]
    return ""


def fenced(text: str, language: str) -> str:
    """A listing between fences that it does not hold itself."""
    text = text.strip("\n").rstrip()
    longest = max((len(run) for run in re.findall(r"^\s*(`{3,})", text, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}" if text else ""


def fraction(before: str, lowered: str) -> str | None:
    """What stands before a lowered number and that, where they are a fraction: 1<sup>1</sup>/<sub>2</sub> is 1 1/2."""
    if not lowered.strip().isdigit() or not _FRACTION.search(before):
        return None
    return _FRACTION.sub(_numerator, before) + lowered.strip()


def _numerator(found: re.Match[str]) -> str:
    whole, raised = found.groups()
    return f"{whole}{GAP}{raised}/" if whole else f"{raised}/"


def script(tag: str, text: str, before: str) -> str:
    """Raised or lowered text so that it is no part of the word or number before it."""
    inner = text.strip().replace(GAP, "")
    if not inner or not (before[-1:].isalnum() or before[-1:] in (")", "]", "}")):
        return text
    if tag == "sub":
        return inner.translate(_SUBSCRIPTS) if re.fullmatch(r"[\d+\-−=()]+", inner) else braced("_", inner)
    if re.fullmatch(r"\[.*\]|[*†‡§¶#]+|[®™©]", inner):
        return inner
    if before[-1].isdigit() and inner.lower() in _ORDINALS and inner.isalpha():
        return inner
    if before[-1].isupper() and inner.lower() in _TITLES and len(inner) > 1:
        return inner
    return braced("^", inner)
