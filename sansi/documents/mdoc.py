"""Man pages in the macros of BSD, mdoc(7), rewritten in those of man(7), which `sansi.documents.roff` reads.

Macros say what a word is (a flag, a file, a function); here is what a terminal shows of it. What only another program
needs (dates, libraries' versions, spacing) is left out, and so are the macros that no page has needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_ENCLOSED = {
    "Op": "[]", "Pq": "()", "Bq": "[]", "Brq": "{}", "Aq": "<>", "Dq": "“”", "Qq": '""', "Sq": "‘’", "Ql": "‘’",
}  # fmt: skip
_OPENING = {"Oo": "[", "Po": "(", "Bo": "[", "Bro": "{", "Ao": "<", "Do": "“", "Qo": '"', "So": "‘"}
_CLOSING = {"Oc": "]", "Pc": ")", "Bc": "]", "Brc": "}", "Ac": ">", "Dc": "”", "Qc": '"', "Sc": "’"}
_SYSTEMS = {
    "Bx": "BSD", "Fx": "FreeBSD", "Nx": "NetBSD", "Ox": "OpenBSD", "Dx": "DragonFly", "Bsx": "BSD/OS", "Ux": "UNIX",
}  # fmt: skip
_WORDS = {
    *("Ad", "An", "Ap", "Ar", "At", "Cd", "Cm", "Dv", "Em", "Er", "Ev", "Fa", "Fl", "Fn", "Ft", "Ic", "In", "Li", "Lk"),
    *("Ms", "Mt", "Nm", "No", "Ns", "Pa", "Pf", "St", "Sx", "Sy", "Ta", "Tn", "Va", "Vt", "Xc", "Xo", "Xr"),
}
_INLINE = _WORDS | _ENCLOSED.keys() | _OPENING.keys() | _CLOSING.keys() | _SYSTEMS.keys()
_SILENT = {"Dd", "Dt", "Os", "Bk", "Ek", "Sm", "Tg", "Db", "Ud", "Bf", "Ef", "Hf", "Lb", "Rs"}
_AFTER, _BEFORE = frozenset(".,:;)]?!"), frozenset("([")
_GLUE = "\0"  # between two words that no space parts
_MARKED = {"bullet": "\\(bu", "dash": "-", "hyphen": "-"}
_TAGGED = frozenset(("tag", "hang", "ohang", "inset", "diag"))


def is_mdoc(source: str) -> bool:
    """Whether a page is in these macros: all of them begin with a date."""
    return re.search(r"^[.'][ \t]*Dd\b", source, re.MULTILINE) is not None


def mdoc_to_man(source: str) -> str:
    """The page in man(7) macros."""
    return "\n".join(_Rewriter().lines(source))


@dataclass
class _List:
    """A list that is open."""

    kind: str
    items: int = 0


@dataclass
class _Rewriter:
    """What a page said so far that decides what comes."""

    name: str = ""
    section: str = ""
    open: list[_List] = field(default_factory=list)
    cited: list[str] = field(default_factory=list)  # of a reference

    def lines(self, source: str) -> list[str]:
        made: list[str] = []
        for line in source.splitlines():
            found = re.fullmatch(r"\.[ \t]*([A-Z%][A-Za-z0-9]{0,2})(?:[ \t]+(.*))?", line)
            for new in self.macro(found[1], _arguments(found[2] or "")) if found else [line]:
                if new.startswith(_GLUE) and made and not made[-1].startswith("."):
                    made[-1] += "\\c"
                made.append(new.strip(_GLUE) + ("\\c" if new.endswith(_GLUE) else ""))
        return made

    def macro(self, name: str, words: list[str]) -> Iterator[str]:
        if handler := getattr(self, f"_on_{name}", None):
            yield from handler(words)
        elif name.startswith("%"):
            self.cited.append(_joined(self.words(words)).strip(_GLUE))
        elif name == "Re":
            yield ", ".join(self.cited) + "."
            self.cited.clear()
        elif name in _INLINE:
            if name == "Nm" and self.section == "SYNOPSIS":
                yield ".br"
            if text := _joined(self.words([name, *words])):
                yield _text(text)
        elif name not in _SILENT:
            yield f".{name} {' '.join(words)}"

    def _on_Sh(self, words: list[str]) -> Iterator[str]:
        self.section = " ".join(words)
        yield f'.SH "{self.section}"'

    def _on_Ss(self, words: list[str]) -> Iterator[str]:
        yield f'.SS "{_joined(self.words(words))}"'

    def _on_Pp(self, words: list[str]) -> Iterator[str]:
        yield ".PP"

    _on_Lp = _on_Pp

    def _on_Nd(self, words: list[str]) -> Iterator[str]:
        yield _text(f"— {_joined(self.words(words))}")

    def _on_Bl(self, words: list[str]) -> Iterator[str]:
        kinds = [word[1:] for word in words if word.startswith("-")]
        self.open.append(_List(next((k for k in kinds if k in (*_MARKED, *_TAGGED, "enum", "column", "item")), "item")))
        yield ".PP"

    def _on_El(self, words: list[str]) -> Iterator[str]:
        if self.open:
            self.open.pop()
        yield ".PP"

    def _on_It(self, words: list[str]) -> Iterator[str]:
        here = self.open[-1] if self.open else _List("item")
        here.items += 1
        text = _joined(self.words(words))
        if here.kind in _TAGGED:
            yield ".TP"
        elif here.kind == "column":
            yield ".br"
            text = text.replace("\t", " | ")
        else:
            mark = f"{here.items}." if here.kind == "enum" else _MARKED.get(here.kind)
            yield f'.IP "{mark}"' if mark else ".PP"
        if text:
            yield _text(text)

    def _on_Bd(self, words: list[str]) -> Iterator[str]:
        yield ".nf" if {"-literal", "-unfilled"} & set(words) else ".PP"

    def _on_Ed(self, words: list[str]) -> Iterator[str]:
        yield ".fi"

    def _on_Dl(self, words: list[str]) -> Iterator[str]:
        yield from (".nf", _text(_joined(self.words(words))), ".fi")

    _on_D1 = _on_Dl

    def _on_Fo(self, words: list[str]) -> Iterator[str]:
        yield _text(" ".join(words) + "(" + _GLUE)

    def _on_Fc(self, words: list[str]) -> Iterator[str]:
        yield f"{_GLUE}){''.join(words)}"

    def _on_Ex(self, words: list[str]) -> Iterator[str]:
        yield f"The {' '.join(words[1:]) or self.name} utility exits 0 on success, and >0 if an error occurs."

    def _on_Rv(self, words: list[str]) -> Iterator[str]:
        name = " ".join(words[1:]) or self.name
        yield f"The {name}() function returns the value 0 if successful; otherwise the value -1 is returned."

    def words(self, words: list[str]) -> list[str]:
        """What is shown of words and of the macros among them, with _GLUE where no space is to be."""
        shown: list[str] = []
        while words:
            word, words = words[0], words[1:]
            if word in _ENCLOSED:
                inner = self.words(words)
                tail = _cut_tail(inner)
                left, right = tuple(_ENCLOSED[word])
                return [*shown, left, _GLUE, *inner, _GLUE, right, *tail]
            if word in _OPENING:
                shown += [_OPENING[word], _GLUE]
            elif word in _CLOSING:
                shown += [_GLUE, _CLOSING[word]]
            elif word in _INLINE:
                count = next((i for i, w in enumerate(words) if w in _INLINE), len(words))
                plain, words = words[:count], words[count:]
                tail = _cut_tail(plain)
                shown += [*self.shown(word, plain), *tail]
                if word == "Fl" and not plain and words[:1] == ["Fl"]:  # two of them are the dashes of a long option
                    shown.append(_GLUE)
            else:
                shown += _punctuated(word)
        return shown

    def shown(self, macro: str, words: list[str]) -> list[str]:
        """One macro and its own words."""
        if macro == "Fl":
            return [part for word in words or [""] for part in _punctuated(word, "\\-")]
        if macro == "Nm":
            self.name = self.name or " ".join(words)
            return words or [self.name]
        if macro == "Ar" and not words:
            return ["file", "..."]
        if macro == "Xr" and len(words) > 1:
            return [f"{words[0]}({words[1]})", *words[2:]]
        if macro == "Fn" and words:
            return [f"{words[0]}({', '.join(words[1:])})"]
        if macro == "In":
            return [f"{'#include ' if self.section == 'SYNOPSIS' else ''}<{' '.join(words)}>"]
        if macro in ("Lk", "Mt") and words:
            return [f"{' '.join(words[1:])} <{words[0]}>" if words[1:] else words[0]]
        if macro == "Pf" and words:
            return [words[0], _GLUE, *words[1:]]
        if macro in ("Ns", "Ap"):
            return [_GLUE, *(["'", _GLUE] if macro == "Ap" else []), *words]
        if macro == "Ta":
            return ["\t", *words]
        if macro == "At":
            return ["AT&T UNIX", *words]
        if macro in _SYSTEMS:
            return [_SYSTEMS[macro], *words]
        if macro == "St":
            return [f"POSIX ({word[1:]})" if word.startswith("-p") else word.lstrip("-") for word in words]
        return [part for word in words for part in _punctuated(word)]


def _arguments(rest: str) -> list[str]:
    """Words parted by spaces, quoted with "; a comment ends them."""
    rest = re.sub(r'(?:^|\s)\\".*$', "", rest)
    return [bare or quoted for quoted, bare in re.findall(r'"((?:[^"]|"")*)(?:"|$)|((?:\\ |\S)+)', rest)]


def _punctuated(word: str, before: str = "") -> list[str]:
    if word in _AFTER:
        return [_GLUE, word]
    return [word, _GLUE] if word in _BEFORE else [before + word]


def _cut_tail(words: list[str]) -> list[str]:
    """Take the punctuation at the end away from the words, as it stands behind what closes them."""
    tail: list[str] = []
    while words and (words[-1] in _AFTER or (tail and words[-1] == _GLUE)):
        tail.insert(0, words.pop())
    return [part for word in tail if word != _GLUE for part in (_GLUE, word)]


def _joined(words: list[str]) -> str:
    text = re.sub(rf" *{_GLUE}(?: *{_GLUE})* *", _GLUE, " ".join(words))
    first, last = text.startswith(_GLUE), text.endswith(_GLUE) and len(text) > 1
    return (_GLUE if first else "") + text.replace(_GLUE, "") + (_GLUE if last else "")


def _text(text: str) -> str:
    """A line of text: a point at its beginning is no macro."""
    return f"\\&{text}" if text[:1] in (".", "'") else text
