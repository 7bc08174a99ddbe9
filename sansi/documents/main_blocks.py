"""Which blocks of a page are its main text.

Two judges: another reader's plain text of the page (the guide), which tells well what the page is about and loses
parts of it, and the page's own structure. A block that the guide holds is kept, unless its place says that it only
surrounds the main text; a block between such blocks is kept if it looks like text. Where the guide holds an implausibly
small part of the page's prose, the structure alone decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sansi.documents.html_places import AROUND, COMMENTS, MAIN
from sansi.documents.html_text import Block, Page

_MASS = 0.85  # share of the kept text that the region of the main text holds
_PLAUSIBLE = 0.4  # share of the page's prose below which a guide has lost the main text
_LEAST = 0.2  # share of what is no surrounding below which a region is not what the page is about
_AROUND_MOST = 0.5  # share of the prose above which a place is no surrounding, whatever it calls itself
_COMMENTED = 200  # characters of prose outside comments, or as large a share as the next, for which they are comments
_COMMENTED_SHARE = 0.15
_LONG = 25  # characters from which a text is found anywhere in the guide, and below only as a line
_PROSE = 60  # characters of a paragraph
_LINKED = 0.6  # share of a paragraph that is links, above which it is a list of them
_ONLY_LINKS, _LIST = 0.9, 0.6  # the same for a block that is dropped; share of a page above which it is a list of them
_SAMPLES, _SAMPLE = 6, 16  # pieces by which a changed paragraph is recognised, and their characters
_NO_WORD = re.compile(r"[\W_]+")
_DENSE = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]")
_HEADING = re.compile(r"h[1-6]")


@dataclass(frozen=True)
class Selection:
    """The blocks of the main text, and how they were found."""

    blocks: tuple[Block, ...]
    how: str  # "guide", "structure" or "whole"


def select_main(page: Page, guide: str | None, title: str | None) -> Selection:
    """The blocks of the main text. guide: another reader's plain text of the page, if there is one."""
    view = _View(page, guide or "", title or "")
    prose = sum(view.prose)
    if guide and view.chosen_prose() >= _PLAUSIBLE * prose:
        return Selection(view.around_guide(), "guide")
    found = view.by_structure() if prose else ()
    around = tuple(block for block, aside in zip(page.blocks, view.aside, strict=True) if not aside)
    if _length(found) >= _LEAST * _length(around):
        return Selection(found, "structure") if found else Selection(page.blocks, "whole")
    return Selection(around, "whole")  # an index, a form, a page of short lines


class _View:
    """A page with what is known about each of its blocks; lists go by the blocks' numbers."""

    def __init__(self, page: Page, guide: str, title: str):
        self.blocks, self.places = page.blocks, page.places
        self.title = squeezed(title)
        self.texts = [squeezed(block.text) for block in page.blocks]
        self.sizes = [_size(text) for text in self.texts]
        self.linked = [_linked(block, text) for block, text in zip(page.blocks, self.texts, strict=True)]
        self.prose = [
            size if _is_prose(block, size, linked) else 0
            for block, size, linked in zip(page.blocks, self.sizes, self.linked, strict=True)
        ]
        self.aside = self._asides()
        self.prose = [0 if aside else prose for aside, prose in zip(self.aside, self.prose, strict=True)]
        self.matched = self._matched(guide) if guide else [False] * len(self.texts)

    # --- what surrounds the main text

    def _asides(self) -> list[bool]:
        """For each block whether a place around it says that it belongs to something else."""
        total = self._sums(self.prose)
        outside = self._outside_comments()
        commented = outside >= min(_COMMENTED, _COMMENTED_SHARE * total[0])
        whole = outside if commented else total[0]
        aside = [False] * len(self.places)
        for number, place in enumerate(self.places):
            if place.kind == COMMENTS:
                aside[number] = commented
            elif place.kind == AROUND:
                aside[number] = total[number] <= _AROUND_MOST * whole
            aside[number] = aside[number] or (place.parent >= 0 and aside[place.parent])
        return [aside[block.place] for block in self.blocks]

    def _outside_comments(self) -> int:
        inside = [False] * len(self.places)
        for number, place in enumerate(self.places):
            inside[number] = place.kind == COMMENTS or (place.parent >= 0 and inside[place.parent])
        return sum(prose for block, prose in zip(self.blocks, self.prose, strict=True) if not inside[block.place])

    def _sums(self, values: Sequence[int]) -> list[int]:
        """For each place the sum over the blocks in it."""
        sums = [0] * len(self.places)
        for block, value in zip(self.blocks, values, strict=True):
            sums[block.place] += value
        for number in range(len(self.places) - 1, 0, -1):  # a place comes after the one around it
            sums[self.places[number].parent] += sums[number]
        return sums

    # --- what the guide holds

    def _matched(self, guide: str) -> list[bool]:
        whole = squeezed(guide)
        lines = {squeezed(line) for line in guide.split("\n")}
        return [self._is_in(text, whole, lines) for text in self.texts]

    @staticmethod
    def _is_in(text: str, whole: str, lines: set[str]) -> bool:
        if not text:
            return False
        if len(text) < _LONG:
            return text in lines
        if text in whole:
            return True
        step = max(_SAMPLE, (len(text) - _SAMPLE) // (_SAMPLES - 1))
        pieces = [text[at : at + _SAMPLE] for at in range(0, len(text) - _SAMPLE + 1, step)]
        return 2 * sum(piece in whole for piece in pieces) >= len(pieces)

    def chosen_prose(self) -> int:
        return sum(prose for prose, matched in zip(self.prose, self.matched, strict=True) if matched)

    def around_guide(self) -> tuple[Block, ...]:
        """What the guide holds, and what is missing between it."""
        kept = [matched and not aside for matched, aside in zip(self.matched, self.aside, strict=True)]
        region = self._region([size if keep else 0 for size, keep in zip(self.sizes, kept, strict=True)])
        inside = self._inside(region)
        prose = self._sums(self.prose)
        kept = self._without_lists_of_links(kept)
        first = next((number for number, keep in enumerate(kept) if keep), 0)
        last = next((number for number in range(len(kept) - 1, -1, -1) if kept[number]), -1)
        for number, block in enumerate(self.blocks):
            if kept[number] or self.aside[number] or not inside[number]:
                continue
            if first < number < last:
                kept[number] = self._looks_like_text(number, kept)
            else:
                kept[number] = bool(self.prose[number]) and prose[block.place] >= self.sizes[number]
        return self._with_headings(kept, inside)

    def _without_lists_of_links(self, kept: list[bool]) -> list[bool]:
        """Without blocks that are nothing but links, unless the page is a list of them."""
        linked = [
            keep and share > _ONLY_LINKS and not _HEADING.fullmatch(block.tag)
            for keep, share, block in zip(kept, self.linked, self.blocks, strict=True)
        ]
        total = sum(size for size, keep in zip(self.sizes, kept, strict=True) if keep)
        links = sum(size for size, link in zip(self.sizes, linked, strict=True) if link)
        if links > _LIST * total:
            return kept
        return [keep and not link for keep, link in zip(kept, linked, strict=True)]

    def _looks_like_text(self, number: int, kept: Sequence[bool]) -> bool:
        block = self.blocks[number]
        if block.tag == "pre" or self.prose[number]:
            return True
        if self.linked[number] > _LINKED:
            return False
        if block.tag == "tr":
            return True
        neighbours = [near for near in (number - 1, number + 1) if 0 <= near < len(self.blocks)]
        return block.tag == "li" and any(
            self.blocks[near].tag == "li" and (kept[near] or self.blocks[near].group == block.group)
            for near in neighbours
        )

    # --- the structure alone

    def by_structure(self) -> tuple[Block, ...]:
        """The region with most of the page's prose, without what surrounds it there."""
        declared = [number for number, place in enumerate(self.places) if place.kind == MAIN]
        prose = self._sums(self.prose)
        best = max(declared, key=lambda number: (prose[number], -number), default=0)
        region = best if prose[best] >= 0.5 * prose[0] else self._region(self.prose)
        inside = self._inside(region)
        kept = [within and not aside for within, aside in zip(inside, self.aside, strict=True)]
        return self._with_headings(self._without_lists_of_links(kept), inside)

    def _region(self, values: Sequence[int]) -> int:
        """The innermost place that holds nearly all of what these values weigh."""
        sums = self._sums(values)
        region = 0
        for number, place in enumerate(self.places):
            if place.parent == region and sums[number] >= _MASS * sums[0]:
                region = number
        return region

    def _inside(self, region: int) -> list[bool]:
        inside = [False] * len(self.places)
        for number, place in enumerate(self.places):
            inside[number] = number == region or (place.parent >= 0 and inside[place.parent])
        return [inside[block.place] for block in self.blocks]

    # --- headings

    def _with_headings(self, kept: list[bool], inside: Sequence[bool]) -> tuple[Block, ...]:
        """With the page's title and the headings of what is kept, and without those of what is not."""
        below = False  # whether something is kept right below
        for number in range(len(kept) - 1, -1, -1):
            if not _HEADING.fullmatch(self.blocks[number].tag):
                below = kept[number] or (below and not self.prose[number])
                continue
            titled = self._is_title(number)
            kept[number] = (below and inside[number] and not self.aside[number]) or (titled and any(kept[number:]))
            below = kept[number]
        return tuple(block for block, keep in zip(self.blocks, kept, strict=True) if keep)

    def _is_title(self, number: int) -> bool:
        text = self.texts[number]
        return self.blocks[number].tag in ("h1", "h2") and len(text) > 2 and self.title.startswith(text)


def _length(blocks: Iterable[Block]) -> int:
    return sum(len(block.text) for block in blocks)


def squeezed(text: str) -> str:
    """Letters and digits alone."""
    return _NO_WORD.sub("", text).lower()


def _size(text: str) -> int:
    """Characters, of scripts that say more with each twice."""
    return len(text) if text.isascii() else len(text) + len(_DENSE.findall(text))


def _linked(block: Block, text: str) -> float:
    """The share of a block that is links."""
    return min(1.0, block.links / max(len(text), 1)) if text else 0.0


def _is_prose(block: Block, size: int, linked: float) -> bool:
    return block.tag not in ("pre", "tr") and size >= _PROSE and linked <= _LINKED
