"""Lines to paragraphs: what was broken to fit a column is one line again, words that were parted are whole."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from sansi.documents.pdf.characters import plain
from sansi.documents.pdf.pages import Line

FULL = 0.82  # of the column's width, that a line has which goes on in the next one
LEADING = 1.75  # sizes of the font, at most, from a line to the next one of its paragraph
INDENT = 0.8  # sizes of the font by which a paragraph's first line begins further in
SAME_SIZE = 0.12
_ITEM = re.compile(r"\s*(?:[•‣▪◦●■○*–—‐-]\s|\(?\d{1,3}[.)]\s|\(?[a-z][.)]\s|\[\d+\]\s|[①-⑳]|¹|²|³)", re.IGNORECASE)
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uffef]")
_END = re.compile(r"[.!?…:;。！？：；．।۔؟\u0589\u1362]['\"”’»」』)\]）]*\s*$")
_HYPHENATED = re.compile(r"[^\W\d_]+(?:[-‐][^\W\d_]+)+")
_WORD = re.compile(r"[^\W\d_]+")
_LAST_PART = re.compile(r"([^\W\d_]+)$")
_FIRST_PART = re.compile(r"([^\W\d_]+)")


class Words:
    """The words of a document, which say how one is written that was parted at the end of a line."""

    def __init__(self, lines: Iterable[Line]):
        self._whole: Counter[str] = Counter()
        self._hyphenated: Counter[str] = Counter()
        for line in lines:
            self._whole.update(_WORD.findall(line.text.casefold()))
            self._hyphenated.update(_HYPHENATED.findall(line.text.casefold()))

    def keeps_hyphen(self, before: str, after: str) -> bool:
        """Whether the hyphen between the parts is the word's own: the document has it elsewhere, or a name begins."""
        one, other = _LAST_PART.search(before), _FIRST_PART.match(after)
        if one is None or other is None:
            return bool(after[:1].isdigit() or before[-1:].isdigit())
        parts = one[1].casefold(), other[1].casefold()
        hyphenated, whole = self._hyphenated[f"{parts[0]}-{parts[1]}"], self._whole["".join(parts)]
        if hyphenated or whole:
            return hyphenated > whole
        return other[1][:1].isupper() and not one[1].isupper()


def paragraphs(lines: Sequence[Line], words: Words) -> list[str]:
    """The paragraphs of some lines, which stand under each other; lines of code stay lines."""
    found: list[str] = []
    column = _column(lines)
    before: Line | None = None
    code: list[Line] = []
    for line in lines:
        if line.fixed:
            code.append(line)
            before = None
            continue
        if code:
            found.append(_code(code))
            code = []
        text = plain(line.text).strip()
        if before is not None and found and goes_on(before, line, column):
            found[-1] = joined(found[-1], text, before.parted, words)
        elif text:
            found.append(text)
        before = line
    return [*found, _code(code)] if code else found


def goes_on(before: Line, line: Line, column: tuple[float, float]) -> bool:
    """Whether a line continues the paragraph of the line before it."""
    size = max(before.size, 1.0)
    down = before.baseline - line.baseline
    if abs(before.size - line.size) > SAME_SIZE * size or not 0 < down <= LEADING * size:
        return _beside(before, line, down)
    if before.parted:
        return True
    left, right = column if column[0] - size <= before.left <= column[1] else (before.left, before.right)
    if _to_the_left(before.text):
        return (right - before.left) < 0 or before.left - left < (1 - FULL) * (right - left)
    if before.right < left + FULL * (right - left) or _ITEM.match(line.text):
        return False
    indented = line.left - left > INDENT * size and line.left - before.left > INDENT * size
    return not indented or bool(_ITEM.match(before.text))  # the lines of an item hang


def _beside(before: Line, line: Line, down: float) -> bool:
    """Pieces of one row: a small number above the line, a word in another font."""
    return abs(down) < 0.6 * max(before.size, line.size) and line.left >= before.right - 1


def joined(before: str, after: str, parted: bool, words: Words) -> str:
    """Two lines as one, with what belongs between them."""
    if parted:
        return before + ("-" if words.keeps_hyphen(before, after) else "") + after
    if before.endswith(("-", "‐")) and _LAST_PART.search(before[:-1]) and after[:1].islower():
        return (before if words.keeps_hyphen(before[:-1], after) else before[:-1]) + after
    if before and after and _UNSPACED.match(before[-1]) and _UNSPACED.match(after[0]):
        return before + after
    return f"{before} {after}"


def ends_sentence(text: str) -> bool:
    return _END.search(text) is not None


def _column(lines: Sequence[Line]) -> tuple[float, float]:
    """The left and the right side that most of the text keeps to."""
    prose = [line for line in lines if not line.fixed and len(line.text) > 20] or list(lines)
    if not prose:
        return 0.0, 0.0
    lefts, rights = sorted(line.left for line in prose), sorted(line.right for line in prose)
    return lefts[len(lefts) // 5], rights[math.ceil(0.8 * (len(rights) - 1))]


def _code(lines: Sequence[Line]) -> str:
    """Lines of fixed pitch with their indentation, and an empty line where there was one."""
    left = min(line.left for line in lines)
    widths = [(line.right - line.left) / len(line.text.strip()) for line in lines if line.text.strip()]
    width = max(median(widths), 1.0) if widths else 6.0
    out: list[str] = []
    for index, line in enumerate(lines):
        if index and lines[index - 1].baseline - line.baseline > 1.9 * line.size:
            out.append("")
        out.append(" " * round((line.left - left) / width) + plain(line.text).strip())
    return "\n".join(out)


def _to_the_left(text: str) -> bool:
    return sum("\u0590" <= c <= "\u08ff" for c in text) > len(text) / 3
