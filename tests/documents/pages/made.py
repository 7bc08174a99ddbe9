"""A page in pieces: what its main text is made of, in order, and what stands around it."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class MadePage:
    """A page, and what should be seen of it."""

    name: str
    source: bytes
    media_type: str
    keep: tuple[str, ...]  # runs of the main text, in order
    code: tuple[str, ...]  # listings, to the space
    drop: tuple[str, ...]  # what surrounds the main text


@dataclass
class Main:
    """The main text: written piece by piece as HTML, and remembered as text."""

    html: str = ""
    keep: list[str] = field(default_factory=list)
    code_blocks: list[str] = field(default_factory=list)

    def raw(self, source: str, *texts: str) -> Main:
        """HTML as it stands, and the texts that it shows."""
        self.html += source + "\n"
        self.keep += texts
        return self

    def p(self, *paragraphs: str, tag: str = "p", attributes: str = "") -> Main:
        for source in paragraphs:
            self.raw(f"<{tag}{attributes}>{source}</{tag}>", shown(source))
        return self

    def h(self, level: int, source: str, attributes: str = "") -> Main:
        return self.raw(f"<h{level}{attributes}>{source}</h{level}>", shown(source))

    def items(self, *items: str, tag: str = "ul", attributes: str = "") -> Main:
        rows = "".join(f"<li>{item}</li>\n" for item in items)
        return self.raw(f"<{tag}{attributes}>\n{rows}</{tag}>", *map(shown, items))

    def code(
        self, text: str, language: str = "", wrap: str = '<pre><code class="language-{0}">{1}</code></pre>'
    ) -> Main:
        self.html += wrap.format(language, html.escape(text, quote=False)) + "\n"
        self.code_blocks.append(text)
        return self

    def table(self, *rows: Sequence[str], head: bool = True, attributes: str = "") -> Main:
        lines = []
        for number, row in enumerate(rows):
            tag = "th" if head and not number else "td"
            lines.append("<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in row) + "</tr>")
        cells = [shown(cell) for row in rows for cell in row if cell]
        return self.raw(f"<table{attributes}>\n" + "\n".join(lines) + "\n</table>", *cells)


@dataclass
class Around:
    """What surrounds a main text; each text of it is remembered."""

    drop: list[str] = field(default_factory=list)

    def __call__(self, text: str) -> str:
        self.drop.append(text)
        return html.escape(text, quote=False)

    def links(self, texts: Sequence[str], tag: str = "li") -> str:
        return "".join(f'<{tag}><a href="/{number}">{self(text)}</a></{tag}>\n' for number, text in enumerate(texts))


def shown(source: str) -> str:
    """The text that a piece of HTML shows."""
    source = re.sub(r"<br\s*/?>", " ", source)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", source)).split())


def page(name: str, source: str, main: Main, around: Around, charset: str = "utf-8", declared: bool = True) -> MadePage:
    media_type = f"text/html; charset={charset}" if declared else "text/html"
    data = source.encode(charset, "xmlcharrefreplace")
    return MadePage(name, data, media_type, tuple(main.keep), tuple(main.code_blocks), tuple(around.drop))
