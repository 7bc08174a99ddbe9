"""Running heads, feet and page numbers: lines that belong to the page and not to its text."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sansi.documents.pdf.pages import Line, Page

FEWEST = 3  # pages on which it stands at one height
SHARE = 0.3  # of the pages
TELLING = 0.6  # of its lines that come again, or hold the page's number
GAP = 1.25  # times the usual distance of lines, from them to the text
EDGE = 2  # rows from the upper or lower end of a page that may be running ones
LARGER = 1.15  # times the text's font: a heading, which is of the text
_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Row:
    """The lines of a page at one height."""

    page: int
    height: float
    text: str
    lines: tuple[Line, ...]


def without_running(pages: Sequence[Page]) -> list[tuple[Line, ...]]:
    """The lines of each page that are its text."""
    usual, size = _usual_distance(pages), _usual_size(pages)
    bands: dict[tuple[str, int], list[_Row]] = defaultdict(list)
    for number, page in enumerate(pages):
        for end, row in _rows_at_ends(number, page, usual):
            if max(line.size for line in row.lines) <= LARGER * size:
                bands[end, round(row.height)].append(row)
    dropped: dict[int, set[int]] = defaultdict(set)
    read = sum(bool(page.lines) for page in pages)
    for end, height in bands:
        near = [row for at in (height - 1, height, height + 1) for row in bands.get((end, at), ())]
        if len({row.page for row in near}) >= max(FEWEST, SHARE * read) and _tells(near):
            for row in near:
                dropped[row.page].update(map(id, row.lines))
    return [tuple(x for x in page.lines if id(x) not in dropped[n]) for n, page in enumerate(pages)]


def _usual_size(pages: Sequence[Page]) -> float:
    """Of the font that most of the text is in."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 12.0


def _usual_distance(pages: Sequence[Page]) -> float:
    """Between the lines of a paragraph, in points."""
    steps: Counter[float] = Counter()
    for page in pages[:200]:
        for one, other in zip(page.lines, page.lines[1:], strict=False):
            if 0 < (step := one.baseline - other.baseline) < 60:
                steps[round(step, 0)] += 1
    return steps.most_common(1)[0][0] if steps else 12.0


def _rows_at_ends(number: int, page: Page, usual: float) -> Iterator[tuple[str, _Row]]:
    """The rows at either end of a page that stand apart from those after them."""
    heights: dict[float, list[Line]] = defaultdict(list)
    for line in page.lines:
        heights[round(line.baseline)].append(line)
    order = sorted(heights, reverse=True)
    for end, ordered in (("head", order), ("foot", order[::-1])):
        gaps = [abs(one - other) > GAP * usual for one, other in pairwise(ordered[: EDGE + 1])]
        apart = max((index + 1 for index, gap in enumerate(gaps) if gap), default=0)
        for height in ordered[:apart]:
            lines = tuple(heights[height])
            yield end, _Row(number, height, " ".join(line.text.strip() for line in lines), lines)


def _tells(rows: Sequence[_Row]) -> bool:
    """Whether lines at one height are running ones: most come again, or have the number of their page."""
    texts = Counter(_shape(row.text) for row in rows)
    offset = _offset(rows)
    telling = sum(texts[_shape(row.text)] > 1 or (offset is not None and offset in _offsets(row)) for row in rows)
    return telling >= TELLING * len(rows)


def _shape(text: str) -> str:
    return _NUMBER.sub("#", text.casefold())


def _offset(rows: Sequence[_Row]) -> int | None:
    """What the printed numbers of pages are ahead of their places in the file, where half of the lines agree."""
    found = Counter(offset for row in rows for offset in _offsets(row))
    if not found:
        return None
    offset, times = found.most_common(1)[0]
    return offset if 2 * times >= len(rows) else None


def _offsets(row: _Row) -> set[int]:
    return {int(number) - row.page for number in re.findall(r"\d{1,5}", row.text)}
