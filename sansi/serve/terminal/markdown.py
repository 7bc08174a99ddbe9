"""Markdown that grows: what is finished is printed once, and only the last block is drawn anew."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Heading, Markdown
from rich.segment import Segment, Segments
from rich.text import Text

CODE_THEME = "ansi_dark"  # the terminal's own colours, and no background
SECONDS_BETWEEN_DRAWS = 1 / 20
MAX_WIDTH = 120  # longer lines of prose are hard to read
LINES = re.compile(r"[^\n]*\n|[^\n]+")  # str.splitlines knows more line ends than Markdown does
Lines = list[list[Segment]]
# No HTML, so that a tag in an answer is shown as it is written, instead of vanishing.
PARSER = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").enable("table")


class LeftHeading(Heading):
    """A heading at the left, in bold; the marks stay, since they tell its level."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        marks = Text("#" * int(self.tag[1:]) + " ", style="markdown.heading")
        yield Text.assemble(marks, self.text)


class AnswerMarkdown(Markdown):
    """Markdown of a model: line breaks are kept, links show where they lead, and HTML is text."""

    elements: ClassVar = {**Markdown.elements, "heading_open": LeftHeading}

    def __init__(self, text: str):
        super().__init__("", code_theme=CODE_THEME, hyperlinks=False)
        self.markup, self.parsed = text, PARSER.parse(text)
        for block in self.parsed:
            for token in block.children or ():
                if token.type == "softbreak":
                    token.type = "hardbreak"


def split_blocks(text: str) -> list[str]:
    """The top-level blocks of a Markdown text, in order; joined they are the text."""
    starts = [token.map[0] for token in PARSER.parse(text) if token.level == 0 and token.nesting >= 0 and token.map]
    lines = LINES.findall(text)
    cuts = [0, *starts[1:], len(lines)]
    return [block for start, end in pairwise(cuts) if (block := "".join(lines[start:end]))]


def finished_length(text: str) -> int:
    """How many characters at the start of a growing text are blocks that nothing after them can change."""
    whole = text[: text.rfind("\n") + 1]  # a line that is still being written may belong to the block before it
    return sum(map(len, split_blocks(whole)[:-1]))


class LiveRegion:
    """Draws lines that still change in place, the last ones where they do not fit, and prints those that are final."""

    def __init__(self, console: Console):
        self._console = console
        self._live: Live | None = None
        self._next = 0.0  # when to draw again

    def show(self, lines: Callable[[], Lines]) -> None:
        """Draw lines in the place of those drawn before, unless that was a moment ago."""
        start = time.monotonic()
        if start >= self._next:
            self._open().update(_joined(lines()[-max(self._console.height - 2, 1) :]), refresh=True)
            end = time.monotonic()
            self._next = end + max(SECONDS_BETWEEN_DRAWS, 4 * (end - start))  # a long block must not slow the model

    def print(self, lines: Lines) -> None:
        """Print lines for good, in the place of those drawn before."""
        with self._console:  # all is written at once, and nothing flickers
            if self._live is not None:
                self._live.update(_joined([]), refresh=True)
            self._console.print(_joined(lines), end="")
        self._next = 0.0

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _open(self) -> Live:
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
            self._live.start()
        return self._live


class MarkdownStream:
    """Writes an answer, piece by piece, as Markdown."""

    def __init__(self, console: Console):
        self._console, self._region = console, LiveRegion(console)
        self._text = ""  # of the blocks that are not printed for good
        self._printed = False  # whether any is

    def feed(self, text: str) -> None:
        self._text += text
        if "\n" in text and (length := finished_length(self._text)):
            self._print(self._text[:length])
            self._text = self._text[length:]
        self._region.show(lambda: self._lines(self._text))

    def end(self) -> None:
        self._print(self._text)
        self._region.close()
        self._text, self._printed = "", False

    def _print(self, text: str) -> None:
        lines = self._lines(text)
        if lines:
            self._region.print(lines)
            self._printed = True

    def _lines(self, text: str) -> Lines:
        """The blocks of a text, drawn, one empty line before each but the first."""
        found: Lines = []
        for block in split_blocks(text):
            lines = rendered(self._console, AnswerMarkdown(block))
            if lines:
                found += [[], *lines] if found or self._printed else lines
        return found


class TextStream:
    """Writes plain text, piece by piece, wrapped between words and behind a mark: each line of it, or with `once` the
    first."""

    def __init__(self, console: Console, mark: str = "", style: str = "", once: bool = False):
        self._console, self._region = console, LiveRegion(console)
        self._mark, self._style, self._once = mark, style, once
        self._line = ""

    def feed(self, text: str) -> None:
        *whole, self._line = (self._line + text).split("\n")
        for line in whole:
            self._print(line)
        self._region.show(lambda: self._lines(self._line))

    def end(self) -> None:
        if self._line:
            self._print(self._line)
        self._line = ""
        self._region.close()

    def _print(self, line: str) -> None:
        self._region.print(self._lines(line))
        if self._once:
            self._mark = " " * len(self._mark)

    def _lines(self, line: str) -> Lines:
        width = max(self._console.width - len(self._mark) - 1, 1)
        wrapped = Text(line, self._style, tab_size=4).wrap(self._console, width, overflow="fold")
        style = self._console.get_style(self._style)
        marks = [self._mark] + [" " * len(self._mark) if self._once else self._mark] * len(wrapped)
        found = [
            [Segment(mark), *_trimmed(list(part.render(self._console)))]
            for mark, part in zip(marks, wrapped, strict=False)
        ]
        return [list(Segment.apply_style(line, style)) for line in found]


def rendered(console: Console, renderable: RenderableType) -> Lines:
    """The lines of something drawn, without empty ones around it and without blanks at their ends."""
    options = console.options.update(height=None, width=min(console.width, MAX_WIDTH))
    lines = [_trimmed(line) for line in console.render_lines(renderable, options, pad=False)]
    full = [i for i, line in enumerate(lines) if line]
    return lines[full[0] : full[-1] + 1] if full else []


def _trimmed(line: list[Segment]) -> list[Segment]:
    """Without blanks at the end, which would wrap when the window gets narrower."""
    line = [segment for segment in line if segment.text != "\n"]
    while line and not line[-1].text.strip():
        line.pop()
    return [*line[:-1], line[-1]._replace(text=line[-1].text.rstrip())] if line else []


def _joined(lines: Lines) -> Segments:
    return Segments([segment for line in lines for segment in (*line, Segment.line())])
