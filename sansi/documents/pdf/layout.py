"""The pages of a PDF as running text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sansi.documents.pdf.characters import clean_page, plain
from sansi.documents.pdf.order import in_reading_order
from sansi.documents.pdf.pages import Line, Page
from sansi.documents.pdf.paragraphs import Words, ends_sentence, joined, paragraphs
from sansi.documents.pdf.running import without_running


@dataclass(frozen=True)
class Laid:
    """A document's text by pages, and what was done to it."""

    pages: tuple[tuple[str, ...], ...]
    """The paragraphs of each page; one that goes on from the page before is whole on that page."""
    running_lines: int = 0
    """Running heads, feet and page numbers that were left out."""
    hidden_lines: int = 0
    """Lines that are drawn invisibly on pages without a picture."""
    reordered_pages: int = 0

    @property
    def text(self) -> str:
        return "\n\n".join(paragraph for page in self.pages for paragraph in page)


def lay_out(pages: Sequence[Page], replaced: Mapping[int, str] | None = None) -> Laid:
    """Paragraphs in reading order, without what belongs to the page alone.

    replaced: the text of pages (from 0) that came from elsewhere, with a line break or an empty line between
    paragraphs; "" leaves a page out.
    """
    replaced = replaced or {}
    seen = [_visible(page) if number not in replaced else replace(page, lines=()) for number, page in enumerate(pages)]
    kept = without_running(seen)
    words = Words(line for lines in kept for line in lines)
    laid: list[list[str]] = []
    moved = 0
    last: Line | None = None  # of the page before, where its paragraph may go on
    for number, (page, lines) in enumerate(zip(seen, kept, strict=True)):
        if number in replaced:
            laid.append(_parts(replaced[number]))
            last = None
            continue
        if not page.lines:
            laid.append(_parts("\n\n".join(plain(clean_page(page.text or "")).split("\n"))))
            last = None
            continue
        ordered = in_reading_order(replace(page, lines=lines))
        moved += bool(ordered.moved)
        found = [text for block in _blocks(ordered.lines) for text in paragraphs(block, words)]
        if last is not None and found and _goes_over(laid, last, ordered.lines[0], found[0]):
            owner = max(index for index, parts in enumerate(laid) if parts)
            laid[owner][-1] = joined(laid[owner][-1], found.pop(0), last.parted, words)
        laid.append(found)
        last = ordered.lines[-1] if ordered.lines else None
    running = sum(len(page.lines) for page in seen) - sum(map(len, kept))
    hidden = sum(len(page.lines) for n, page in enumerate(pages) if n not in replaced) - sum(len(p.lines) for p in seen)
    return Laid(tuple(map(tuple, laid)), running, hidden, moved)


def _visible(page: Page) -> Page:
    """Without lines that nobody sees; those over a picture are the text of a scan."""
    if page.pictures or not any(line.hidden for line in page.lines):
        return page
    return replace(page, lines=tuple(line for line in page.lines if not line.hidden))


def _parts(text: str) -> list[str]:
    return [part.strip("\n") for part in text.split("\n\n") if part.strip()]


def _blocks(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines by column: a new block begins where the page is gone up, or to another column."""
    blocks: list[list[Line]] = []
    for index, line in enumerate(lines):
        before = lines[index - 1] if index else None
        beside = before is not None and (line.left > before.right or line.right < before.left)
        if (
            before is None
            or line.baseline > before.baseline + 1.5 * before.size
            or (beside and abs(line.baseline - before.baseline) > 0.6 * before.size)
        ):
            blocks.append([])
        blocks[-1].append(line)
    return _merged(blocks)


def _merged(blocks: list[list[Line]]) -> list[list[Line]]:
    """Blocks of one line each are no columns: a heading at the right, a formula's number."""
    out: list[list[Line]] = []
    for block in blocks:
        down = out and out[-1][-1].baseline > block[0].baseline
        if down and (len(block) < 3 or len(out[-1]) < 3):
            out[-1] += block
        else:
            out.append(list(block))
    return out


def _goes_over(laid: Sequence[Sequence[str]], last: Line, first: Line, text: str) -> bool:
    """Whether a page's first paragraph continues the last one of the page before."""
    if not any(laid) or last.fixed or first.fixed or abs(last.size - first.size) > 0.5:
        return False
    before = next(parts[-1] for parts in reversed(laid) if parts)
    return last.parted or (not ends_sentence(before) and len(before) > 40 and text[:1].islower())
