"""Marked-up text to plain text: HTML, man pages, hard-wrapped lines, tagged words."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from html.parser import HTMLParser

WIDE = ("W", "F")  # East Asian wide characters, written without spaces between them (Korean excepted)
VOID_TAGS = frozenset("area base br col embed hr img input link meta source track wbr".split())  # noqa: SIM905
BLOCK_TAGS = frozenset(
    "address article blockquote body dd div dl dt figure h1 h2 h3 h4 h5 h6 header html li main ol p pre section "  # noqa: SIM905
    "table tbody thead tr ul".split()
)
SKIPPED_TAGS = frozenset("head nav script style svg template".split())  # noqa: SIM905
SKIPPED_CLASSES = frozenset("docnav navfooter navheader toc".split())  # noqa: SIM905


@dataclass(frozen=True)
class Block:
    """A paragraph, heading, list item or listing of an HTML page."""

    tag: str
    text: str
    article: str | None  # `data-number` of the <article> around it


class _BlockParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self.language: str | None = None
        self._stack: list[str] = []
        self._skip_from: int | None = None  # depth of the element whose whole content is skipped
        self._parts: list[str] = []
        self._tag, self._prefix = "p", ""
        self._article: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "html":
            self.language = attributes.get("lang")
        if tag in BLOCK_TAGS:
            self._flush()
            self._begin(tag, attributes)
        elif tag in ("td", "th") and "".join(self._parts).strip():
            self._parts.append(" | ")
        elif tag == "br":
            self._parts.append("\n")
        if tag in VOID_TAGS:
            return
        self._stack.append(tag)
        classes = set((attributes.get("class") or "").split())
        if self._skip_from is None and (tag in SKIPPED_TAGS or classes & SKIPPED_CLASSES):
            self._skip_from = len(self._stack)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # In XHTML <a id="x"/> is whole, though HTML would leave it open.
        self.handle_starttag(tag, attrs)
        if tag not in VOID_TAGS:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCK_TAGS:
            self._flush()
        if tag == "article":
            self._article = None
        if tag in self._stack:
            while self._stack.pop() != tag:
                pass
        if self._skip_from is not None and len(self._stack) < self._skip_from:
            self._skip_from = None

    def handle_data(self, data: str) -> None:
        if self._skip_from is None:
            self._parts.append(data if "pre" in self._stack else re.sub(r"\s+", " ", data))

    def close(self) -> None:
        super().close()
        self._flush()

    def _begin(self, tag: str, attributes: dict[str, str | None]) -> None:
        self._tag = tag
        if tag == "article":
            self._article = attributes.get("data-number")
        if tag == "li":
            self._prefix = "- "  # waits for the first text of the item, which may be in a <p> of its own
        elif re.fullmatch(r"h\d", tag):
            self._prefix = "#" * int(tag[1]) + " "

    def _flush(self) -> None:
        text, self._parts = "".join(self._parts), []
        listing = "pre" in self._stack
        if listing:
            text = text.strip("\n").rstrip()
        else:
            text = "\n".join(re.sub(" +", " ", line).strip() for line in text.strip().split("\n"))
        if text.strip():
            text = f"```\n{text}\n```" if listing else self._prefix + text
            self.blocks.append(Block(self._tag, text, self._article))
            self._prefix = ""


@dataclass(frozen=True)
class Page:
    """The blocks of an HTML page and its `lang` attribute."""

    blocks: tuple[Block, ...]
    language: str | None


def parse_html(source: str) -> Page:
    """Blocks of text in reading order; navigation, scripts and contents lists are left out."""
    parser = _BlockParser()
    parser.feed(source)
    parser.close()
    return Page(tuple(parser.blocks), parser.language)


def html_to_text(source: str) -> str:
    """Plain text with Markdown headings, list dashes and fences."""
    text, previous = "", ""
    for block in parse_html(source).blocks:
        tight = block.tag == previous and block.tag in ("li", "tr")  # short lines of one list or table
        text += ("\n" if tight else "\n\n") + block.text
        previous = block.tag
    return text.strip()


def join_lines(lines: Iterable[str]) -> str:
    """Fold wrapped lines into one: with a space between words, none between Chinese or Japanese characters."""
    joined = ""
    for line in (line.strip() for line in lines):
        if joined and line:
            joined += "" if _unspaced(joined[-1]) and _unspaced(line[0]) else " "
        joined += line
    return joined


def _unspaced(char: str) -> bool:
    return unicodedata.east_asian_width(char) in WIDE and not "\uac00" <= char <= "\ud7a3"


def display_width(text: str) -> int:
    """Terminal columns: wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in WIDE else 1 for char in text)


def unwrap(text: str, width: int) -> str:
    """Undo hard wrapping: a line of at least `width` columns goes on in the next, unless that is an item or a table."""
    paragraphs: list[list[str]] = []
    goes_on = False
    for line in text.splitlines():
        if goes_on and line.strip() and not re.match(r"\s*([*•|+-]|\d+[.)])(\s|-|$)", line):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
        goes_on = display_width(line.rstrip()) >= width and "|" not in line
    return "\n".join(part[0].rstrip() if len(part) == 1 else join_lines(part) for part in paragraphs)


ROFF_CHARACTERS = {
    "aq": "'", "bu": "•", "co": "©", "cq": "’", "dq": '"', "em": "—", "en": "–", "ha": "^", "hy": "-", "lq": "“",
    "mc": "µ", "mu": "×", "oq": "‘", "rg": "®", "rq": "”", "rs": "\\", "ti": "~", "tm": "™", "->": "→", "<-": "←",
}  # fmt: skip
ROFF_ESCAPE = re.compile(
    r"\\(?:f(?:\[[^]]*\]|\(..|.)|s[+-]?\d+|\*(?:\[[^]]*\]|\(..|.)|\[(?P<long>[^]]*)\]|\((?P<two>..)|\".*|(?P<one>.))"
)
ROFF_ONE = {"-": "-", "e": "\\", "\\": "\\", "'": "'", "`": "`", " ": " ", "~": " ", "0": " ", ".": ".", "t": "\t"}
ROFF_FONTS = re.compile(r"(?:B|I|R|BI|BR|IB|IR|RB|RI|SM|SB)")


def man_to_text(source: str) -> str:
    """A man page in man(7) macros as plain text with Markdown headings. Empty for mdoc(7) pages and bare links."""
    if re.search(r"^\.(Dd|so) ", source, re.MULTILINE):
        return ""
    parts: list[list[str]] = [[]]  # the present paragraph: source lines between forced breaks
    paragraphs: list[str] = []
    literal = False

    def finish() -> None:
        text = "\n".join("\n".join(part) if literal else join_lines(part) for part in parts).strip("\n")
        parts[:] = [[]]
        if text.strip():
            paragraphs.append(f"```\n{text}\n```" if literal else text)

    # Tables of tbl(1) and definitions of a page's own macros are programs, not text.
    source = re.sub(r"^\.TS.*?^\.TE|^\.de.*?^\.\.$", "", source, flags=re.MULTILINE | re.DOTALL)
    for line in source.splitlines():
        macro = re.match(r"^[.']\s*(\\\"|\w*)\s*(.*)$", line)
        if not macro:
            parts[-1].append(_roff_inline(line))
            if not line.strip() and not literal:
                finish()
            continue
        name, rest = macro[1], macro[2]
        if ROFF_FONTS.fullmatch(name):
            words = _roff_words(rest)
            parts[-1].append(_roff_inline("".join(words) if len(name) == 2 and name[0] != "S" else " ".join(words)))
        elif name == "br":
            parts.append([])
        elif name in ("SH", "SS", "PP", "P", "LP", "TP", "IP", "HP", "sp", "nf", "EX", "fi", "EE", "RS", "RE"):
            finish()
            literal = name in ("nf", "EX") or (literal and name not in ("fi", "EE", "SH", "SS"))
            paragraphs.extend(_roff_heading(name, rest))
    finish()
    return "\n\n".join(paragraphs)


def _roff_heading(name: str, rest: str) -> list[str]:
    text = _roff_inline(" ".join(_roff_words(rest))).strip()
    if name in ("SH", "SS") and text:
        return [("## " if name == "SH" else "### ") + text]
    tag = _roff_inline(_roff_words(rest)[0]).strip() if name == "IP" and rest else ""
    return [tag] if tag and tag != "•" else []


def _roff_words(rest: str) -> list[str]:
    try:
        lexer = shlex.shlex(rest, posix=True)
        lexer.whitespace_split, lexer.quotes, lexer.escape, lexer.commenters = True, '"', "", ""
        return list(lexer)
    except ValueError:  # a quote that never closes: roff takes the rest as it is
        return rest.replace('"', "").split()


def _roff_inline(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match["one"] is not None:
            return ROFF_ONE.get(match["one"], "")
        return ROFF_CHARACTERS.get(match["long"] or match["two"] or "", "")

    return ROFF_ESCAPE.sub(replace, text)


def untag(text: str) -> str:
    """Plain prose from `word/tag` tokens as in the Brown corpus: a line is a sentence, a tab opens a paragraph."""
    paragraphs: list[list[str]] = []
    for line in text.splitlines():
        sentence = _attach(" ".join(token.rsplit("/", 1)[0] for token in line.split()))
        if sentence and (line.startswith("\t") or not paragraphs):
            paragraphs.append([])
        if sentence:
            paragraphs[-1].append(sentence)
    return "\n\n".join(" ".join(sentences) for sentences in paragraphs)


def _attach(text: str) -> str:
    """Spaced tokens as running text: quotes and punctuation go back to their words."""
    text = re.sub(r"([.?!,;:])(?: \1)+", r"\1", text)  # the corpus doubles the mark that ends a line and a sentence
    text = re.sub(r"([(\[]) ", r"\1", text)
    text = re.sub(r" ([,.;:?!)\]]|'')", r"\1", text)
    return re.sub(r"`` ?|''", '"', text)
