"""A document in passages: a few paragraphs each, with the place where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sansi.documents import Document

SIZE, MOST = 1000, 1500  # characters of a passage; beyond MOST a paragraph is parted. Of dense scripts half as many
_PARAGRAPH = re.compile(r"\S(?:.*?)(?=\n[ \t]*\n|\Z)", re.DOTALL)
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)]?\s+|[。！？][」』”’）]?|\n")
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+)$", re.MULTILINE)
_PAGE_MARK = re.compile(r"\[Page \d+\]\n?")
_DENSE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True)
class Passage:
    """A part of a file: `text` is what stands at `start` to `end` of the file's text."""

    file: str
    text: str
    start: int
    end: int
    page: int | None = None
    heading: str = ""
    """The heading that it stands under."""

    @property
    def place(self) -> str:
        """As a citation has it."""
        page = f", page {self.page}" if self.page is not None else ""
        return f"{self.file}{page}, characters {self.start}–{self.end}"


def passages_of(document: Document, file: str) -> list[Passage]:
    """The passages in their order. None reaches over a page's end, and together they hold all of the text."""
    found: list[Passage] = []
    heading = ""
    for first, last in _sections(document):
        for start, end in _grouped(document.text, first, last):
            text = document.text[start:end]
            headings = [match[1].strip() for match in _HEADING.finditer(text)]
            shown = headings[0] if text.startswith("#") and headings else heading
            found.append(Passage(file, text, start, end, document.page_at(start), shown[:200]))
            heading = headings[-1] if headings else heading
    return found


def _sections(document: Document) -> Iterator[tuple[int, int]]:
    """Pages without their marks; else the whole."""
    text, starts = document.text, document.page_starts
    if not starts:
        yield 0, len(text)
        return
    for start, end in zip(starts, (*starts[1:], len(text)), strict=True):
        mark = _PAGE_MARK.match(text, start, end)
        yield (mark.end() if mark else start), end


def _grouped(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Neighbouring pieces as long as they fit together; a heading begins anew."""
    begin = end = None
    for start, stop in _pieces(text, first, last):
        full = begin is not None and stop - begin > _size(text[begin:stop], SIZE)
        if begin is not None and end is not None and (full or (_is_heading(text, start) and end - begin > SIZE // 4)):
            yield begin, end
            begin = None
        begin, end = (start if begin is None else begin), stop
    if begin is not None and end is not None:
        yield begin, end


def _pieces(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Paragraphs, and parts of those that are too long, each without blanks around it."""
    for match in _PARAGRAPH.finditer(text, first, last):
        start, stop = match.start(), match.start() + len(match[0].rstrip())
        while stop - start > (most := _size(text[start : start + MOST], MOST)):
            ends = [found.end() for found in _SENTENCE_END.finditer(text, start + most // 3, start + most)]
            cut = ends[-1] if ends else _blank(text, start, start + most)
            yield start, start + len(text[start:cut].rstrip())
            start = cut + (len(text[cut:stop]) - len(text[cut:stop].lstrip()))
        if start < stop:
            yield start, stop


def _blank(text: str, start: int, end: int) -> int:
    found = text.rfind(" ", start + (end - start) // 2, end)
    return end if found < 0 else found


def _is_heading(text: str, start: int) -> bool:
    return text.startswith("#", start)


def _size(sample: str, size: int) -> int:
    """Chinese, Japanese and Korean say twice as much in a character."""
    return size // 2 if len(_DENSE.findall(sample)) > len(sample) // 3 else size
