"""HTML to plain text: the tree as a browser would build it, in blocks, nothing glued together and nothing hidden.

The parser is lexbor's, which follows the HTML standard: end tags may be left out, markup may be broken. From the tree
comes Markdown-like text: `#` headings, `-` and `1.` lists, `|` between the cells of a table, fences around listings.
Raised and lowered text stays apart from what it stands at: 10<sup>6</sup> is 10^6, log<sub>2</sub>8 is log₂8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.documents.html_marks import GAP, code_language, fenced, fraction, script
from sansi.documents.html_places import Place, kind_of_place
from sansi.documents.html_source import plain_html
from sansi.documents.html_tables import is_layout, table_grid
from sansi.documents.mathml import children, formula, tex_of_picture, tex_of_script

# Elements that stand in a line of text. All others end the paragraph, or, if HTML does not know them, part words.
_INLINE_NAMES = (
    "a abbr acronym b bdi bdo big blink cite code data dfn em font i ins kbd label mark meter nobr "
    "output progress q rb rtc ruby s samp slot small span strike strong sub sup time tt u var"
)
INLINE = frozenset(_INLINE_NAMES.split())
_BLOCKS_NAMES = (
    "address article aside blockquote body button caption center dd details dialog dir div dl dt "
    "fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html legend li "
    "main menu noframes object ol optgroup option p pre listing xmp plaintext textarea search section "
    "select summary table tbody td tfoot th thead tr ul"
)
BLOCKS = frozenset(_BLOCKS_NAMES.split())
PREFORMATTED = frozenset(["pre", "listing", "xmp", "plaintext"])
_SKIPPED_NAMES = (
    "applet area audio base canvas datalist del embed head iframe link map meta nav noembed noscript "
    "param rp script source style svg template title track video"
)
SKIPPED = frozenset(_SKIPPED_NAMES.split())
_SKIPPED_CLASSES = (
    "docnav navfooter navheader toc headerlink mw-editsection "  # marks beside a heading, numbers beside lines of code
    "linenos lineno linenodiv linenumber linenumbers line-number line-numbers rust-line-numbers hljs-ln-numbers lnt"
)
SKIPPED_CLASSES = frozenset(_SKIPPED_CLASSES.split())
APART = frozenset(["label", "s", "strike"])  # inline, but never one word with what stands beside

_HIDDEN_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))", re.IGNORECASE)
_BLOCK_STYLE = re.compile(r"(?:^|;)\s*display\s*:\s*(?:block|flex|grid|list-item|table)", re.IGNORECASE)
_SPACES, _RUNS = re.compile(r"[ \t\n\r\f\xa0]+"), re.compile(" {2,}")
_BLANK = " \t\n\r\f" + GAP
_HEADING = re.compile(r"h[1-6]")
# Elements whose text belongs together more than to what stands around them.
_PLACES_NAMES = (
    "html body main article section div td header footer aside form center blockquote figure details "
    "fieldset ul ol dl table frameset noframes"
)
PLACES = frozenset(_PLACES_NAMES.split())
DEEPEST_LIST, DEEPEST_TABLE = 20, 30  # below it items are not set further to the right, and all tables are layout
_DEEPEST_MARK, _PLAIN = 8, -1  # powers of powers; what is raised further stands as it is
_LOOKED_BACK = 8  # parts of a line that what is raised or lowered may belong to


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, list item, row of a table or listing of an HTML page."""

    tag: str
    text: str
    article: str | None  # `data-number` of the <article> around it
    group: int = 0  # of items of one list, of rows of one table
    links: int = 0  # characters of it that are links
    place: int = 0  # number of the innermost place around it
    cells: tuple[str, ...] = ()  # of a row, its cells


@dataclass(frozen=True)
class Page:
    """The blocks of an HTML page and its `lang` attribute."""

    blocks: tuple[Block, ...]
    language: str | None
    places: tuple[Place, ...] = ()  # a place comes after the one around it


def parse_html(source: str) -> Page:
    """Blocks of text in reading order; navigation, scripts, forms' values and what is hidden are left out."""
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise SansiError(f"reading HTML needs selectolax; run: {install_command('agents')}") from error
    root = LexborHTMLParser(plain_html(source.replace("\x00", ""))).root
    if root is None:
        return Page((), None)
    writer = _Writer()
    language = root.attributes.get("lang") or root.attributes.get("xml:lang")
    return Page(tuple(writer.walk(root)), language, tuple(writer.places))


def html_to_text(source: str) -> str:
    """Plain text with Markdown headings, lists, rows of tables and fences."""
    text, previous = "", None
    for block in parse_html(source).blocks:
        tight = previous is not None and block.tag == previous.tag in ("li", "tr") and block.group == previous.group
        text += ("\n" if tight else "\n\n") + block.text
        previous = block
    return text.strip()


class _Writer:
    """Walks a tree without recursion (pages nest thousands deep) and collects blocks."""

    def __init__(self, nested: int = 0) -> None:
        self.blocks: list[Block] = []
        self.places = [Place(-1, "", "")]
        self._here = 0  # the place
        self._parts: list[str] = []  # of the block that is being read
        self._links, self._linked = 0, 0  # depth of open links; characters in them
        self._tag, self._prefix = "p", ""
        self._pre = 0  # depth of preformatted elements
        self._fence = ""  # the language of the listing
        self._article: str | None = None
        self._lists: list[list[Any]] = []  # of open lists: [marker or next number, group]
        self._items = 0  # depth of open items
        self._groups = 0
        self._marks: list[int] = []  # where open <sup> and <sub> began
        self._nested = nested  # tables around this one

    def walk(self, *roots: Any) -> list[Block]:
        """The blocks of these nodes, one after another."""
        stack: list[tuple[Any, tuple[bool, int] | None]] = [(root, None) for root in reversed(roots)]
        while stack:
            node, entered = stack.pop()
            if entered is not None:
                self._leave(node.tag or "", entered[0])
                self._here = entered[1]
            elif node.tag == "-text":
                self._text(node.text(deep=False))
            elif (opened := self._enter(node)) is not None:
                stack.append((node, opened))
                stack.extend((child, None) for child in reversed(children(node)))
        self._flush()
        return self.blocks

    def _text(self, data: str) -> None:
        data = data.replace(GAP, " ").replace("\xad", "")
        self._parts.append(data if self._pre else _SPACES.sub(" ", data))
        if self._links:
            self._linked += len(data.strip())

    def _enter(self, node: Any) -> tuple[bool, int] | None:
        """Write what opens an element; None if its content is done with, or left out. Otherwise whether it is a block,
        and the place around it."""
        tag = node.tag or ""
        if tag == "script":
            self._parts.append(tex_of_script(node))
        if tag in SKIPPED or tag.startswith(("-", "!")) or (tag == "button" and self._pre):
            return None
        attributes, here = node.attributes, self._here
        if attributes and _is_hidden(attributes):
            return None
        if tag == "math":
            self._parts.append(GAP + formula(node) + GAP)
            return None
        if tag == "table":
            self._enter_place(tag, attributes)
            if self._nested < DEEPEST_TABLE and not is_layout(node):
                self._table(node)
                self._here = here
                return None
            self._nested += 1
        if tag == "br":
            self._parts.append("\n")
        elif tag in ("wbr", "img"):
            self._parts.append(tex_of_picture(attributes) if tag == "img" else "")
        elif tag == "input":
            self._parts.append(GAP)
        elif self._is_block(tag, attributes):
            self._border()
            self._open_block(tag, node, attributes)
            return True, here
        else:
            if "-" in tag:  # of somebody's own making
                self._enter_place(tag, attributes)
            self._open_inline(tag, node)
        return False, here

    def _enter_place(self, tag: str, attributes: dict[str, str | None]) -> None:
        kind = kind_of_place(tag, attributes)
        if kind or tag in PLACES:
            self.places.append(Place(self._here, tag, kind))
            self._here = len(self.places) - 1

    def _leave(self, tag: str, block: bool) -> None:
        if block:
            self._border()
            self._close_block(tag)
        elif tag in ("sup", "sub"):
            begin = self._marks.pop()
            if begin != _PLAIN:
                self._leave_mark(tag, begin)
        elif tag == "a":
            self._links -= 1
        elif tag == "q":
            self._parts.append("”")
        elif tag == "rt":
            self._parts.append(")")
        elif tag not in ("br", "wbr", "img", "input") and (tag in APART or tag not in INLINE):
            self._parts.append(GAP)

    def _leave_mark(self, tag: str, begin: int) -> None:
        raised, back = "".join(self._parts[begin:]), max(0, begin - _LOOKED_BACK)
        before = "".join(self._parts[back:begin])
        if tag == "sub" and not self._marks and (whole := fraction(before, raised)) is not None:
            self._parts[back:] = [whole]
        else:
            self._parts[begin:] = [script(tag, raised, before[-2:])]

    def _is_block(self, tag: str, attributes: dict[str, str | None]) -> bool:
        return tag in BLOCKS or (tag in ("span", "a", "b") and bool(_BLOCK_STYLE.search(attributes.get("style") or "")))

    def _border(self) -> None:
        """End the block; inside a listing only the line."""
        if not self._pre:
            self._flush()
        elif self._parts and not next(filter(None, reversed(self._parts)), "").endswith("\n"):
            self._parts.append("\n")

    def _open_block(self, tag: str, node: Any, attributes: dict[str, str | None]) -> None:
        if tag != "table":
            self._enter_place(tag, attributes)
        self._links += tag == "a"
        if tag in PREFORMATTED:
            self._pre += 1
            self._fence = self._fence if self._pre > 1 else code_language(node)
        elif tag == "article":
            self._article = attributes.get("data-number")
        elif tag in ("ul", "menu", "dir", "ol"):
            self._groups += not self._lists
            start = attributes.get("start") or "1"
            number = int(start) if re.fullmatch(r"-?\d{1,9}", start) else 1
            self._lists.append([number if tag == "ol" else "-", self._groups])
        elif tag == "li":
            self._items += 1
            self._prefix = self._item_mark(attributes.get("value"))
        elif _HEADING.fullmatch(tag):
            self._prefix = "#" * int(tag[1]) + " "
        self._tag = tag

    def _close_block(self, tag: str) -> None:
        self._links -= tag == "a"
        if tag in PREFORMATTED:
            self._pre -= 1
            if not self._pre:
                self._flush(listing=True)
        elif tag == "article":
            self._article = None
        elif tag in ("ul", "menu", "dir", "ol") and self._lists:
            self._lists.pop()
        elif tag == "li":
            self._items -= 1
            self._prefix = ""
        elif tag == "table":
            self._nested -= 1
        elif _HEADING.fullmatch(tag):
            self._prefix = ""
        self._tag = "p"

    def _item_mark(self, value: str | None) -> str:
        if not self._lists:
            return "- "
        here = self._lists[-1]
        if here[0] == "-":
            return "- "
        here[0] = int(value) if value and re.fullmatch(r"-?\d{1,9}", value) else here[0]
        here[0] += 1
        return f"{here[0] - 1}. "

    def _open_inline(self, tag: str, node: Any) -> None:
        if tag in ("sup", "sub"):
            self._marks.append(len(self._parts) if len(self._marks) < _DEEPEST_MARK else _PLAIN)
        elif tag == "q":
            self._parts.append("“")
        elif tag == "a":
            self._links += 1
            if node.prev is not None and node.prev.tag == "a":
                self._parts.append(GAP)
        elif tag == "rt":
            self._parts.append("(")
        elif tag in APART or tag not in INLINE:
            self._parts.append(GAP)

    def _flush(self, listing: bool = False) -> None:
        text, self._parts = "".join(self._parts), []
        linked, self._linked = self._linked, 0
        if not text.strip(_BLANK):
            return
        # A <sup> or <sub> around blocks, which HTML forbids and pages have: what is inside is no power.
        self._marks = [min(mark, 0) for mark in self._marks]
        if listing:
            self._write(fenced(text.replace(GAP, " "), self._fence), "pre", linked)
            return
        if GAP in text:
            text = re.sub(rf"\s*{GAP}[\s{GAP}]*", lambda found: "\n" if "\n" in found[0] else GAP, text)
            text = re.sub(rf"{GAP}(?=[.,;:!?)\]}}。，；：！？])|^{GAP}|{GAP}$", "", text).replace(GAP, " ")
        if "\n" not in text:
            self._write(_RUNS.sub(" ", text).strip(), self._tag, linked)
            return
        for part in re.split(r"\n[ ]*(?:\n[ ]*)+", text):
            lines = [_RUNS.sub(" ", line).strip() for line in part.strip().split("\n")]
            whole = (" " if self._prefix.startswith("#") else "\n").join(lines)
            self._write(whole, self._tag, min(linked, len(whole)))
            linked -= min(linked, len(whole))

    def _write(self, text: str, tag: str, linked: int) -> None:
        if not text.strip():
            return
        depth = min(max(self._items - 1, 0), DEEPEST_LIST)
        group = self._lists[-1][1] if self._lists else 0
        first = self._prefix and not self._prefix.startswith("#")
        if self._items:
            indent = "  " * (depth if first else depth + 1)
            text = indent + (self._prefix if first else "") + text.replace("\n", "\n" + "  " * (depth + 1))
        else:
            text = self._prefix + text if tag != "pre" else text
        if tag != "pre" or first:
            self._prefix = ""
        self._add("li" if first else tag, text, group if first else 0, linked)

    def _add(self, tag: str, text: str, group: int, linked: int, cells: tuple[str, ...] = ()) -> None:
        self.blocks.append(Block(tag, text, self._article, group, linked, self._here, cells))

    def _table(self, node: Any) -> None:
        self._border()
        self._groups += 1
        group = self._groups
        for caption in (child for child in children(node) if child.tag == "caption"):
            self._write(*self._cell(caption)[:1], "p", 0)
        for row in table_grid(node, _is_hidden):
            read = [self._cell(cell) if cell is not None else ("", 0) for cell in row]
            cells = tuple(text for text, _ in read)
            if any(cells):
                self._add("tr", " | ".join(cells).strip(), group, sum(linked for _, linked in read), cells)

    def _cell(self, cell: Any) -> tuple[str, int]:
        """The text of a cell in one line, and how much of it is links."""
        blocks = _Writer(self._nested + 1).walk(*children(cell))
        return " ".join(block.text.replace("\n", " ") for block in blocks).strip(), sum(one.links for one in blocks)


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    hidden = "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found"
    hidden = hidden or attributes.get("aria-hidden") == "true"
    hidden = hidden or bool(_HIDDEN_STYLE.search(attributes.get("style") or ""))
    return hidden or bool(SKIPPED_CLASSES & set((attributes.get("class") or "").split()))
