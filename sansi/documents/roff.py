"""Man pages to plain text: the part of roff that pages use, and the man(7) macros.

Conditions are decided as for a terminal, macros and strings that a page defines are applied, tables of tbl(1) become
rows, listings fences, links keep their address. Left out are equations and pictures.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sansi.documents.lines import join_lines
from sansi.documents.mdoc import is_mdoc, mdoc_to_man
from sansi.documents.roff_characters import STRINGS
from sansi.documents.roff_escapes import CONTINUES, expand
from sansi.documents.roff_tables import table_rows

MAX_LINES = 1_000_000  # that macros may become, should one call itself
_CONTROL = re.compile(r"[.'][ \t]*(?P<name>\\\"|\\#|\.|[^\s\\]*)(?P<rest>.*)", re.DOTALL)
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)\\[\"#].*$", re.DOTALL)
_FONTS = re.compile(r"B|I|R|CW|BI|BR|IB|IR|RB|RI|SM|SB")
_BULLETS = frozenset("•·*-o○□–—◦")
_DELIMITED = {"TS": "TE", "EQ": "EN", "PS": "PE", "GS": "GE"}


def man_to_text(source: str) -> str:
    """A man page in man(7) or mdoc(7) macros as plain text with Markdown headings. Empty for bare links."""
    return _Page().read(mdoc_to_man(source) if is_mdoc(source) else source)


@dataclass
class _Page:
    """The state of a page that is being read."""

    strings: dict[str, str] = field(default_factory=lambda: dict(STRINGS))
    registers: dict[str, int] = field(default_factory=lambda: {".g": 1, ".l": 78 * 24, ".x": 1, ".y": 23})
    macros: dict[str, list[str]] = field(default_factory=dict)
    lines: deque[str] = field(default_factory=deque)
    paragraphs: list[str] = field(default_factory=list)
    parts: list[list[str]] = field(default_factory=lambda: [[]])  # the present paragraph between forced breaks
    literal: bool = False
    waiting: str | None = None  # the macro whose text is on the next line: TP, SH, SS or a font
    prefix: str = ""  # of the next text: a list's mark
    address: str = ""  # of the link that is open
    link_begins: tuple[int, int] = (0, 0)
    undecided: list[bool] = field(default_factory=list)  # what .el is to do
    printed: dict[int, str] = field(default_factory=dict)  # character -> what is printed for it

    def read(self, source: str) -> str:
        self.lines.extend(re.sub(r"(?<!\\)((?:\\\\)*)\\\n", r"\1", source).splitlines())
        for _ in range(MAX_LINES):
            if not self.lines:
                break
            self.line(self.lines.popleft())
        self.finish()
        return "\n\n".join(self.paragraphs)

    def line(self, line: str) -> None:
        control = _CONTROL.fullmatch(line)
        if control is None:
            self.text(line)
        elif control["name"] not in ("", '\\"', "\\#", "."):
            self.request(control["name"], _COMMENT.sub(r"\1", control["rest"]).strip(" \t"))

    def text(self, line: str, font: bool = False) -> None:
        shown = self.shown(re.sub(r"\\[{}]", "", line))
        if self.waiting in ("SH", "SS") and shown.strip():
            level, self.waiting = self.waiting, None
            return self.heading(level, shown)
        if not shown.strip() and not self.literal:
            if not line.strip():
                self.finish()
            return None
        if not self.literal and line[:1] == " " and not font and not "".join(self.parts[-1][-1:]).endswith(CONTINUES):
            self.break_line()
        if self.prefix and shown.strip():
            shown, self.prefix = self.prefix + shown.lstrip(), ""
        self.parts[-1].append(shown)
        if self.waiting == "TP" and not shown.endswith(CONTINUES):
            self.tagged(self.parts[-1])
        return None

    def shown(self, text: str) -> str:
        return expand(text, self.strings, self.registers).translate(self.printed)

    def request(self, name: str, rest: str) -> None:
        if name in ("de", "de1", "am", "ig", "dei", "ami"):
            self.define(name, rest)
        elif name in self.macros:
            self.call(name, rest)
        elif name in ("if", "ie", "el", "while"):
            self.condition(name, rest)
        elif name in _DELIMITED:
            self.delimited(name)
        elif _FONTS.fullmatch(name):
            words = self.words(rest)
            joined = "".join(words) if len(name) == 2 and name[0] != "S" and name != "CW" else " ".join(words)
            if words:
                self.text(joined, font=True)
        elif handler := _REQUESTS.get(name):
            handler(self, name, rest)

    def define(self, name: str, rest: str) -> None:
        words = rest.split()
        end = words[1] if len(words) > 1 and name != "ig" else words[0] if words and name == "ig" else "."
        body: list[str] = []
        while self.lines:
            line = self.lines.popleft()
            if re.match(rf"[.'][ \t]*{re.escape(end)}(?:\s|$)", line):
                break
            body.append(line.replace("\\\\", "\\"))  # macros are read in copy mode, where \\ is \
        if name == "ig" or not words:
            return
        self.macros[words[0]] = (self.macros.get(words[0], []) if name.startswith("am") else []) + body

    def call(self, name: str, rest: str) -> None:
        words = self.words(rest)

        def argument(match: re.Match[str]) -> str:
            key = next(part for part in match.groups() if part)
            if key in "*@":
                return " ".join(words)
            return words[int(key) - 1] if key.isdigit() and 0 < int(key) <= len(words) else ""

        body = [re.sub(r"\\\$(?:\[(\w+)\]|\((..)|([\d*@]))", argument, line) for line in self.macros[name]]
        self.lines.extendleft(reversed(body))

    def condition(self, name: str, rest: str) -> None:
        if name == "el":
            holds, body = not self.undecided.pop() if self.undecided else False, rest
        else:
            holds, body = self.holds(rest)
            if name == "ie":
                self.undecided.append(holds)
        block = self.block(body)
        if holds and name != "while":
            self.lines.extendleft(reversed(block))

    def block(self, body: str) -> list[str]:
        """The lines that a condition is about: the rest of its own, or all up to the closing brace."""
        body = body.lstrip()
        if not body.startswith("\\{"):
            return [body]
        lines, depth, line = [], 0, body
        while True:
            depth += len(re.findall(r"(?<!\\)(?:\\\\)*\\\{", line)) - len(re.findall(r"(?<!\\)(?:\\\\)*\\\}", line))
            lines.append(line)
            if depth <= 0 or not self.lines:
                break
            line = self.lines.popleft()
        lines[0] = lines[0][2:].lstrip()
        lines[-1] = re.sub(r"[.']?[ \t]*\\\}(?!.*\\\}).*$", "", lines[-1])
        return [line for index, line in enumerate(lines) if line or 0 < index < len(lines) - 1]

    def holds(self, text: str) -> tuple[bool, str]:
        """Whether a condition holds on a terminal, and what follows it."""
        text = text.lstrip()
        if text.startswith("!"):
            holds, rest = self.holds(text[1:])
            return not holds, rest
        if found := re.match(r"([drcmFS])\s*(\S+)", text):
            names = {"d": {*self.strings, *self.macros, *_REQUESTS}, "r": set(self.registers)}
            return found[2] in names[found[1]] if found[1] in names else True, text[found.end() :]
        if found := re.match(r"[notev](?![\w.])", text):
            return found[0] in "no", text[1:]
        if text[:1] and not text[0].isalnum() and text[0] not in "\\(-+.":
            parts = text[1:].split(text[0], 2)
            same = len(parts) > 1 and self.shown(parts[0]) == self.shown(parts[1])
            return same, parts[2] if len(parts) > 2 else ""
        found = re.match(r"(?:\\\w'[^']*'|\\n[+-]?(?:\[[^]]*\]|\(..|.)|\\\*(?:\[[^]]*\]|\(..|.)|[^\s\\])+", text)
        return (self.number(found[0]) > 0, text[found.end() :]) if found else (False, text)

    def number(self, text: str) -> int:
        """A numeric expression, from left to right as roff has it; units are those of a terminal."""
        total, operator = 0, "+"
        for sign, digits, unit, symbol in re.findall(
            r"(?:(?<![\d.a-zA-Z)])([-+]))?(\d*\.?\d+)([uinmvpcPfsz]?)|([-+*/%&:]|[<>]=?|==?)", self.shown(text)
        ):
            if symbol:
                operator = symbol
                continue
            scale = {"n": 24, "m": 24, "v": 40, "i": 240, "c": 94, "p": 3, "P": 40}.get(unit, 1)
            value = int(float(digits) * scale) * (-1 if sign == "-" else 1)
            total = _OPERATIONS.get(operator, _OPERATIONS["+"])(total, value)
        return total

    def delimited(self, name: str) -> None:
        body: list[str] = []
        while self.lines and not re.match(rf"[.'][ \t]*{_DELIMITED[name]}\b", self.lines[0]):
            body.append(self.lines.popleft())
        if self.lines:
            self.lines.popleft()
        if name == "TS":
            self.finish()
            rows = table_rows(body, lambda text: self.shown(text).replace(CONTINUES, ""))
            if rows:
                self.paragraphs.append("\n".join(rows))

    def words(self, rest: str) -> list[str]:
        """The arguments of a macro: parted by spaces, quoted with ", a quote inside doubled."""
        found = re.findall(r'"((?:[^"]|"")*)(?:"|$)|((?:\\.|[^\s\\])(?:\\[ ~]|[^\s])*)', rest)
        return [bare or quoted.replace('""', '"') for quoted, bare in found]

    def heading(self, level: str, text: str) -> None:
        self.finish()
        if text := " ".join(text.replace(CONTINUES, "").split()):
            self.paragraphs.append(("## " if level == "SH" else "### ") + text)

    def tagged(self, part: list[str]) -> None:
        """The paragraph's tag is whole: a mark of a list stands before its text, another tag on a line of its own."""
        self.waiting = None
        tag = " ".join(join_lines(part).replace(CONTINUES, "").split())
        if _is_mark(tag):
            part.clear()
            self.prefix = _mark(tag)
        else:
            self.break_line()

    def break_line(self) -> None:
        if self.parts[-1]:
            self.parts.append([])

    def finish(self) -> None:
        """End the paragraph."""
        if self.waiting not in ("SH", "SS"):
            self.waiting = None
        lines = ["\n".join(part) if self.literal else join_lines(_continued(part)) for part in self.parts]
        text = "\n".join(lines).replace(CONTINUES, "")
        text = text.strip("\n").rstrip() if self.literal else text.strip()
        self.parts, self.prefix = [[]], ""
        if text.strip():
            text = re.sub(r"^[•·◦] +", "- ", text)
            self.paragraphs.append(f"```\n{text}\n```" if self.literal else text)


def _is_mark(tag: str) -> bool:
    return tag in _BULLETS or bool(re.fullmatch(r"[(\[]?(?:\d{1,3}|[a-zA-Z])[.)\]]", tag))


def _mark(tag: str) -> str:
    return "- " if tag in _BULLETS else f"{tag} "


def _continued(lines: list[str]) -> list[str]:
    joined: list[str] = []
    for line in lines:
        if joined and joined[-1].endswith(CONTINUES):
            joined[-1] = joined[-1][:-1] + line.lstrip()
        else:
            joined.append(line)
    return joined


# What a request does: (page, its name, the rest of its line).
Handler = Callable[[_Page, str, str], None]


def _break(page: _Page, name: str, rest: str) -> None:
    page.break_line()


def _space(page: _Page, name: str, rest: str) -> None:
    if rest.startswith("-"):
        return
    if page.literal:
        page.parts[-1].append("")
    else:
        page.finish()


def _paragraph(page: _Page, name: str, rest: str) -> None:
    page.finish()


def _literal(page: _Page, name: str, rest: str) -> None:
    page.finish()
    page.literal = name in ("nf", "EX", "Vb", "DS")


def _heading(page: _Page, name: str, rest: str) -> None:
    page.finish()
    page.literal = False
    if words := page.words(rest):
        page.heading(name, page.shown(" ".join(words)))
    else:
        page.waiting = name


def _tagged(page: _Page, name: str, rest: str) -> None:
    if name == "TQ":
        page.break_line()
    else:
        page.finish()
    page.waiting = "TP"


def _item(page: _Page, name: str, rest: str) -> None:
    page.finish()
    words = page.words(rest)
    if words and (tag := page.shown(words[0]).strip()):
        page.parts[-1].append(tag)
        page.tagged(page.parts[-1])


def _link(page: _Page, name: str, rest: str) -> None:
    words = page.words(rest)
    page.address = page.shown(words[0]) if words else ""
    page.link_begins = (len(page.parts), len(page.parts[-1]))


def _end_link(page: _Page, name: str, rest: str) -> None:
    after = page.shown("".join(page.words(rest)))
    named = page.link_begins < (len(page.parts), len(page.parts[-1]))
    address, page.address = page.address, ""
    shown = f"<{address}>" if named and address else address
    if shown + after:
        page.text(shown.replace("\\", "\\e") + after if shown else after, font=True)


def _address(page: _Page, name: str, rest: str) -> None:  # .URL address text after, of www.tmac
    address, text, after = [page.shown(word) for word in [*page.words(rest), "", "", ""][:3]]
    page.text((f"{text} <{address}>" if text else address) + after, font=True)


def _synopsis(page: _Page, name: str, rest: str) -> None:
    words = page.words(rest)
    if name == "SY":
        page.break_line()
        page.text(" ".join(words), font=True)
    elif name == "OP":
        page.text(f"[{' '.join(words)}]", font=True)
    else:  # .MR page section after
        topic, section, after = [*words, "", "", ""][:3]
        page.text(f"{topic}({section}){after}", font=True)


def _define_string(page: _Page, name: str, rest: str) -> None:
    key, _, value = rest.partition(" ")
    value = value.lstrip(" ").removeprefix('"')
    page.strings[key] = page.strings.get(key, "") + value if name == "as" else value


def _define_register(page: _Page, name: str, rest: str) -> None:
    key, _, value = rest.partition(" ")
    value = value.strip()
    relative = page.registers.get(key, 0) if value[:1] in ("+", "-") else 0
    page.registers[key] = relative + page.number(value)


def _remove(page: _Page, name: str, rest: str) -> None:
    for key in rest.split():
        page.strings.pop(key, None)
        page.macros.pop(key, None)


def _rename(page: _Page, name: str, rest: str) -> None:
    old, new = [*rest.split(), "", ""][:2]
    if name == "als":
        old, new = new, old
    if old in page.macros:
        page.macros[new] = page.macros[old]
    elif old in page.strings:
        page.strings[new] = page.strings[old]
    if name == "rn":
        _remove(page, name, old)


def _translate(page: _Page, name: str, rest: str) -> None:
    """`.tr abcd`: a is printed as b, c as d. Perl's manual writes its dashes so."""
    pairs = page.shown(rest) + " "
    page.printed |= {ord(a): b for a, b in zip(pairs[::2], pairs[1::2], strict=False)}


def _do(page: _Page, name: str, rest: str) -> None:
    page.lines.appendleft(f".{rest}" if name == "do" else rest)


_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b if b else 0,
    "%": lambda a, b: a % b if b else 0,
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
    "=": lambda a, b: int(a == b),
    "==": lambda a, b: int(a == b),
    "&": lambda a, b: int(a > 0 and b > 0),
    ":": lambda a, b: int(a > 0 or b > 0),
}
_REQUESTS: dict[str, Handler] = {
    "br": _break, "ce": _break, "rj": _break, "ti": _break, "YS": _break, "sp": _space, "Sp": _space,
    **dict.fromkeys(("PP", "P", "LP", "HP", "RS", "RE", "bp"), _paragraph),
    **dict.fromkeys(("nf", "EX", "Vb", "DS", "fi", "EE", "Ve", "DE"), _literal),
    "SH": _heading, "SS": _heading, "TP": _tagged, "TQ": _tagged, "IP": _item,
    "UR": _link, "MT": _link, "UE": _end_link, "ME": _end_link, "URL": _address, "MTO": _address,
    "SY": _synopsis, "OP": _synopsis, "MR": _synopsis,
    "ds": _define_string, "ds1": _define_string, "as": _define_string, "nr": _define_register, "rm": _remove,
    "rn": _rename, "als": _rename, "do": _do, "nop": _do,
    "tr": _translate,
}  # fmt: skip
