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
from sansi.documents.html_tables import is_layout, table_grid
from sansi.documents.mathml import braced, children, formula

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
SKIPPED_CLASSES = frozenset(["docnav", "navfooter", "navheader", "toc"])
APART = frozenset(["label", "s", "strike"])  # inline, but never one word with what stands beside

_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_ATTRIBUTE = r"\s+[^\s=<>/]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'))?"
_SELF_CLOSED = re.compile(rf"<([a-zA-Z][\w:-]*)((?:{_ATTRIBUTE})*)\s*/>")
_HIDDEN_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))", re.IGNORECASE)
_BLOCK_STYLE = re.compile(r"(?:^|;)\s*display\s*:\s*(?:block|flex|grid|list-item|table)", re.IGNORECASE)
_FRACTION = re.compile(r"(?:(\d)\^|(?<![\w^}.,]))(\d+)[/⁄]$")  # as far as its denominator, which is lowered
_GAP = "\x1f"  # a border between words, written as a space where there is none
_ORDINALS = frozenset(
    ["st", "nd", "rd", "th", "er", "re", "e", "ère", "ème", "eme", "me", "ier", "o", "a", "os", "as", "mo"]
)
_TITLES = frozenset(["me", "lle", "gr", "rs", "os", "er", "ère", "tm"])
_SUBSCRIPTS = str.maketrans("0123456789+-=()−", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎₋")


@dataclass(frozen=True)
class Block:
    """A paragraph, heading, list item, row of a table or listing of an HTML page."""

    tag: str
    text: str
    article: str | None  # `data-number` of the <article> around it
    group: int = 0  # of items of one list, of rows of one table


@dataclass(frozen=True)
class Page:
    """The blocks of an HTML page and its `lang` attribute."""

    blocks: tuple[Block, ...]
    language: str | None


def parse_html(source: str) -> Page:
    """Blocks of text in reading order; navigation, scripts, forms' values and what is hidden are left out."""
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise SansiError(f"reading HTML needs selectolax; run: {install_command('agents')}") from error
    root = LexborHTMLParser(_plain_html(source.replace("\x00", ""))).root
    if root is None:
        return Page((), None)
    return Page(tuple(_Writer().walk(root)), root.attributes.get("lang") or root.attributes.get("xml:lang"))


def html_to_text(source: str) -> str:
    """Plain text with Markdown headings, lists, rows of tables and fences."""
    text, previous = "", None
    for block in parse_html(source).blocks:
        tight = previous is not None and block.tag == previous.tag in ("li", "tr") and block.group == previous.group
        text += ("\n" if tight else "\n\n") + block.text
        previous = block
    return text.strip()


def _plain_html(source: str) -> str:
    """XHTML as HTML: `<a id="x"/>` is whole there and would stay open here, and CDATA is text. <noscript> goes: where
    scripts run nobody sees it, and its text would end the head."""
    source = re.sub(r"<noscript\b[^>]*>.*?</noscript\s*>", "", source, flags=re.DOTALL | re.IGNORECASE)
    if not re.match(r"\s*<\?xml|.{0,600}<html[^>]*\sxmlns=", source, re.DOTALL):
        return source
    source = _CDATA.sub(lambda found: found[1].replace("&", "&amp;").replace("<", "&lt;"), source)
    return _SELF_CLOSED.sub(r"<\1\2></\1>", source)


class _Writer:
    """Walks a tree without recursion (pages nest thousands deep) and collects blocks."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._parts: list[str] = []  # of the block that is being read
        self._tag, self._prefix = "p", ""
        self._pre = 0  # depth of preformatted elements
        self._fence = ""  # the language of the listing
        self._article: str | None = None
        self._lists: list[list[Any]] = []  # of open lists: [marker or next number, group]
        self._items = 0  # depth of open items
        self._groups = 0
        self._marks: list[int] = []  # where open <sup> and <sub> began

    def walk(self, *roots: Any) -> list[Block]:
        """The blocks of these nodes, one after another."""
        stack: list[tuple[Any, bool]] = [(root, True) for root in reversed(roots)]
        while stack:
            node, entering = stack.pop()
            if not entering:
                self._leave(node)
            elif node.tag == "-text":
                self._text(node.text(deep=False))
            elif self._enter(node):
                stack.append((node, False))
                stack.extend((child, True) for child in reversed(children(node)))
        self._flush()
        return self.blocks

    def _text(self, data: str) -> None:
        data = data.replace(_GAP, " ").replace("\xad", "")
        self._parts.append(data if self._pre else re.sub(r"[ \t\n\r\f\xa0]+", " ", data))

    def _enter(self, node: Any) -> bool:
        """Write what opens an element; False if its content is done with, or left out."""
        tag, attributes = node.tag or "", node.attributes
        if tag.startswith(("-", "!")) or tag in SKIPPED or _is_hidden(attributes):
            return False
        if tag == "math":
            self._parts.append(_GAP + formula(node) + _GAP)
            return False
        if tag == "table" and not is_layout(node):
            self._table(node)
            return False
        if tag == "br":
            self._parts.append("\n")
        elif tag in ("wbr", "img"):
            pass
        elif tag == "input":
            self._parts.append(_GAP)
        elif self._is_block(tag, attributes):
            self._border()
            self._open_block(tag, node)
        else:
            self._open_inline(tag, node)
        return True

    def _leave(self, node: Any) -> None:
        tag = node.tag or ""
        if tag in ("br", "wbr", "img", "input"):
            return
        if self._is_block(tag, node.attributes):
            self._border()
            self._close_block(tag)
        elif tag in ("sup", "sub"):
            begin = self._marks.pop()
            before, raised = "".join(self._parts[:begin]), "".join(self._parts[begin:])
            if tag == "sub" and not self._marks and raised.strip().isdigit() and _FRACTION.search(before):
                self._parts = [_FRACTION.sub(_numerator, before) + raised.strip()]
            else:
                self._parts[begin:] = [_script(tag, raised, before[-2:])]
        elif tag == "q":
            self._parts.append("”")
        elif tag == "rt":
            self._parts.append(")")
        elif tag in APART or tag not in INLINE:
            self._parts.append(_GAP)

    def _is_block(self, tag: str, attributes: dict[str, str | None]) -> bool:
        return tag in BLOCKS or (tag in ("span", "a", "b") and bool(_BLOCK_STYLE.search(attributes.get("style") or "")))

    def _border(self) -> None:
        """End the block; inside a listing only the line."""
        if not self._pre:
            self._flush()
        elif self._parts and not next(filter(None, reversed(self._parts)), "").endswith("\n"):
            self._parts.append("\n")

    def _open_block(self, tag: str, node: Any) -> None:
        attributes = node.attributes
        if tag in PREFORMATTED:
            self._pre += 1
            self._fence = self._fence if self._pre > 1 else _code_language(node)
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
        elif re.fullmatch(r"h[1-6]", tag):
            self._prefix = "#" * int(tag[1]) + " "
        self._tag = tag

    def _close_block(self, tag: str) -> None:
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
        elif re.fullmatch(r"h[1-6]", tag):
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
            self._marks.append(len(self._parts))
        elif tag == "q":
            self._parts.append("“")
        elif tag == "rt":
            self._parts.append("(")
        elif tag in APART or tag not in INLINE or (tag == "a" and node.prev is not None and node.prev.tag == "a"):
            self._parts.append(_GAP)

    def _flush(self, listing: bool = False) -> None:
        text, self._parts = "".join(self._parts), []
        # A <sup> or <sub> around blocks, which HTML forbids and pages have: what is inside is no power.
        self._marks = [0] * len(self._marks)
        if listing:
            self._write(_fenced(text.replace(_GAP, " "), self._fence), "pre")
            return
        text = re.sub(rf"\s*{_GAP}[\s{_GAP}]*", lambda found: "\n" if "\n" in found[0] else _GAP, text)
        text = re.sub(rf"{_GAP}(?=[.,;:!?)\]}}。，；：！？])|^{_GAP}|{_GAP}$", "", text).replace(_GAP, " ")
        for part in re.split(r"\n[ ]*(?:\n[ ]*)+", text):
            lines = [re.sub(" +", " ", line).strip() for line in part.strip().split("\n")]
            self._write((" " if self._prefix.startswith("#") else "\n").join(lines), self._tag)

    def _write(self, text: str, tag: str) -> None:
        if not text.strip():
            return
        depth, group = max(self._items - 1, 0), self._lists[-1][1] if self._lists else 0
        first = self._prefix and not self._prefix.startswith("#")
        if self._items:
            indent = "  " * (depth if first else depth + 1)
            text = indent + (self._prefix if first else "") + text.replace("\n", "\n" + "  " * (depth + 1))
        else:
            text = self._prefix + text if tag != "pre" else text
        if tag != "pre" or first:
            self._prefix = ""
        self.blocks.append(Block("li" if first else tag, text, self._article, group if first else 0))

    def _table(self, node: Any) -> None:
        self._border()
        self._groups += 1
        group = self._groups
        for caption in (child for child in children(node) if child.tag == "caption"):
            self._write(_cell_text(caption), "p")
        for row in table_grid(node, _is_hidden):
            cells = [_cell_text(cell) if cell is not None else "" for cell in row]
            if any(cells):
                line = " | ".join(cells).rstrip()
                self.blocks.append(Block("tr", line.lstrip(), self._article, group))


def _cell_text(cell: Any) -> str:
    return " ".join(block.text.replace("\n", " ") for block in _Writer().walk(*children(cell))).strip()


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    hidden = "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found"
    hidden = hidden or attributes.get("aria-hidden") == "true"
    hidden = hidden or bool(_HIDDEN_STYLE.search(attributes.get("style") or ""))
    return hidden or bool(SKIPPED_CLASSES & set((attributes.get("class") or "").split()))


def _code_language(node: Any) -> str:
    nodes = [node, *(child for child in children(node) if child.tag == "code")]
    classes = " ".join(part.attributes.get("class") or "" for part in nodes)
    found = re.search(r"(?:^|\s)(?:language|lang|highlight-source)-([\w+#.-]+)", classes)
    return found[1] if found else ""


def _fenced(text: str, language: str) -> str:
    text = text.strip("\n").rstrip()
    longest = max((len(run) for run in re.findall(r"^\s*(`{3,})", text, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}" if text else ""


def _numerator(found: re.Match[str]) -> str:
    """What stands before the denominator: 1<sup>1</sup>/<sub>2</sub> is 1 1/2."""
    whole, raised = found.groups()
    return f"{whole}{_GAP}{raised}/" if whole else f"{raised}/"


def _script(tag: str, text: str, before: str) -> str:
    """Raised or lowered text so that it is no part of the word or number before it."""
    inner = text.strip().replace(_GAP, "")
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
