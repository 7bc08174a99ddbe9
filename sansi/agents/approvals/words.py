"""Whose words a value is: looked up in texts, narrowly where it would be trusted and widely where it would not."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

from sansi.agents.approvals.patterns import stays_inside
from sansi.base.strict_json import parse_json

_FILE_ENDINGS = """
    bak bash bin c cc cfg conf cpp cs css csv db diff doc docx env fish gif go gz h hpp html ini ipynb java jpeg jpg js
    json jsonl jsx kt lock log lua md mdx mp3 mp4 ods odt parquet patch pdf php png ppt pptx ps1 py pyi r rb rs rst
    scala sh sql sqlite svg swift tar tex tmp toml ts tsv tsx txt vue wav xls xlsx xml yaml yml zip zsh
"""
_BLANKS = re.compile(r"\s+")
_EDGES = "\"'`.,;:!?()[]{}<>«»“”‘’„（）【】「」，。；：！？、*_"
# Bounds keep the time linear: a long run of letters is tried from each of its letters on.
_EMAIL = r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}"
_URL = r"[a-z][a-z0-9+.-]{0,31}://[^\s\"'<>`]+|www\.[^\s\"'<>`]+"
_ACCOUNT = r"\b[a-z]{2}\d{2}[a-z0-9]{8,}\b|\+\d(?:[ ()/-]?\d){7,}|\b\d{9,}\b"
_ADDRESS = re.compile(f"{_URL}|{_EMAIL}|{_ACCOUNT}", re.IGNORECASE)
_JOINTS, _ENDING = re.compile(r"[-_]+"), re.compile(r"\.\w{1,5}$")
_NAMED_HOST = re.compile(
    r"(?:(?P<name>(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24})|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]{2,45}\]|localhost)"
    r"(?::\d{1,5})?(?:/\S*)?",
    re.IGNORECASE,
)
_FILES = frozenset(f".{ending}" for ending in _FILE_ENDINGS.split())
# What stands between quotes, and numbers after a colon or a bracket, as in {"city":"Bremen","days":3}.
_QUOTED = re.compile(r"\"([^\"\n]{1,256})\"|(?<![^\s{\[(,:=])'([^'\s]{1,256})'|(?<=[:\[,])(-?\d+(?:\.\d+)?)(?=[,\]}])")
_UNSPACED = re.compile(r"(?<=[a-z0-9])\.(?=[A-Z][a-z])")
"""The end of a sentence after which the blank is missing: "our website www.our-company.com.They sent"."""
_SENTENCE = re.compile(r"(?<=[.!?;。！？；\n])(?=\s|[^\x00-\x7f])|(?<=\n)")
_NOT = re.compile(
    r"\b(?:not|never|without|avoid|refrain|(?:do|does|did|must|should|ca|wo|would|could|need|is|are)n['’]?t)\b"
    r"(?!\s+(?:only|forget|hesitate|fail|least|later)\b)|不要|请勿|不能|不可|不得|禁止|切勿|别",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"\b(?:but|instead|just|only|then|rather|unless|except|please)\b|但|只|而是|请(?!勿)", re.IGNORECASE
)
LONGEST_FIELD = 256
"""Characters of a value that may still be a name or an id."""
SHORTEST_NAME = 3
MOST_DIGITS, MOST_DIGITS_OF_ID = 3, 8
ANYTHING = "*"
"""What a tool is about whose name does not say it."""
_COMMON = re.compile(r"all|and|call|find|from|get|idx|list|number|query|read|run|search|show|the|tool|uid|with")
MANY_WORDS, MOST_OF_THEM = 5, 0.85


def folded(text: str) -> str:
    """In one case, width and kind of blank."""
    return _BLANKS.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()


def addresses(text: str) -> Iterator[str]:
    """Where something could be sent to, in a text: e-mail and web addresses, numbers of accounts and telephones."""
    for found in _ADDRESS.finditer(text):
        yield found[0].rstrip(_EDGES)


@dataclass(frozen=True)
class Place:
    """Where a web address leads."""

    scheme: str
    host: str
    """With its port and whatever else stands there."""
    path: str
    query: str

    @property
    def name(self) -> str:
        """The host without its port."""
        return re.sub(r":\d*$", "", self.host)

    def holds(self, other: Place) -> bool:
        """Whether the other one is the same, or a page below it."""
        if (self.scheme, self.host) != (other.scheme, other.host):
            return False
        if (self.path, self.query) == (other.path, other.query):
            return True
        below = other.path.startswith(self.path.rstrip("/") + "/")
        return not other.query and below and stays_inside(unquote(other.path))


def place_of(word: str) -> Place | None:
    """Of a web address in lower case; without a scheme it is https. None where it is none."""
    try:
        parts = urlsplit(word if "://" in word else f"https://{word}")
    except ValueError:
        return None
    return Place(parts.scheme, parts.netloc, parts.path or "/", parts.query) if parts.netloc else None


def names_host(value: str, of_place: bool) -> bool:
    """Whether a value that is one word is where something could be sent to: a domain, or a number of a machine.

    of_place: it says by its place that it is one; elsewhere what may as well be a file (`main.py`) is taken for one.
    """
    found = _NAMED_HOST.fullmatch(value)
    return found is not None and (of_place or found["name"] is None or not is_file_name(found["name"]))


def is_file_name(word: str) -> bool:
    """Whether a word ends as names of files do."""
    ending = word[word.rfind(".") :].lower()
    return ending in _FILES


def affirmed(text: str) -> str:
    """A text without what it says not to do: who forbids a thing has not asked for it."""
    return "".join(_without_negation(part) for part in _SENTENCE.split(text))


def _without_negation(sentence: str) -> str:
    found = _NOT.search(sentence)
    if found is None:
        return sentence
    ends = _INSTEAD.search(sentence, found.end())
    if ends is None:
        return sentence[: found.start()]
    return sentence[: found.start()] + " " + _without_negation(sentence[ends.start() :])


class Trusted:
    """What the user and the operator wrote, and tools that are not strangers' told. A value stands there whole."""

    def __init__(self, texts: Iterable[str], results: Iterable[tuple[str, str]] = ()):
        texts = list(texts)
        self._texts = [folded(text) for text in texts]
        self._said = {word for text in self._texts for word in (*_words(text), *_quoted(text))}
        self._said |= {word for text in texts for word in _words(folded(_UNSPACED.sub(". ", text)))}
        self._words = self._said
        self._handles: dict[str, set[str]] = {}
        for source, text in results:
            for field in _handles(text, self):
                self._handles.setdefault(folded(field), set()).update(nouns(source) or {ANYTHING})
        self._words = self._said | {handle for handle in self._handles if not _is_id(handle)}

    def is_handle(self, value: str, about: Collection[str]) -> bool:
        """Whether the value is a single word in a record (an object of JSON in a result) that the user named: with
        "Sarah Baker" said, the id and the address beside her name are meant, too.

        about: nouns for what the value is asked for. The number of an event is none of a file, so a number is meant
        only for what its record is about, by the name of the tool that gave it, if that says it.
        """
        value = folded(value)
        return value in self._handles and (not _is_id(value) or not self._handles[value].isdisjoint({ANYTHING, *about}))

    def holds(self, value: str, handles: bool = True) -> bool:
        """Whether the value is there: as a word of its own, or as several words that follow each other. handles: or it
        stands in a record that the user named."""
        value, words = folded(value), self._words if handles else self._said
        if not value:
            return False
        if not value.isascii():  # many scripts write no blanks
            return any(value in text for text in self._texts) or value in words
        if " " not in value:
            return value in words or value.strip(_EDGES) in words
        return any(_stands_in(value, text) for text in self._texts)

    def says(self, value: str, handles: bool = True) -> bool:
        """Whether the value is there, or an address in it, or its words in whatever order: all of a few, most of many.

        So a date and a time that were said apart are said, and so is a sentence that was said with a gap to be filled.
        """
        words = folded(value).split(" ")
        known = sum(self.holds(word, handles) for word in words)
        enough = known == len(words) or (len(words) >= MANY_WORDS and known >= MOST_OF_THEM * len(words))
        return enough or self.holds(value, handles) or any(map(self.knows, addresses(value)))

    @cached_property
    def _places(self) -> list[Place]:
        return [place for word in self._words if "." in word and (place := place_of(word)) is not None]

    def knows(self, address: str) -> bool:
        """Whether the address is there, or, of a web address, one that it lies in: nothing else of a host is meant by
        who names a page of it, and nothing that is told to it by a query."""
        if self.holds(address):
            return True
        place = place_of(folded(address))
        return place is not None and any(known.holds(place) for known in self._places)

    def knows_host(self, host: str) -> bool:
        """Whether an address at this host is there, with `www.` before it or without."""
        return any(place.name.removeprefix("www.") == host.removeprefix("www.") for place in self._places)

    def names_thing(self, value: str) -> bool:
        """Whether a field is a name that was said: several words, or one that does not look like any word of prose.

        Of a file's name also as people say it: "grocery-list.xlsx" is the grocery list.
        """
        spoken = _JOINTS.sub(" ", _ENDING.sub("", value))
        told = len(value.split()) > 1 or not value.isascii() or not (value.isalpha() and value.islower())
        if not told or len(value) < SHORTEST_NAME:
            return False
        return self.holds(value) or (" " in spoken.strip() and self.holds(spoken))

    def names(self, action: str) -> bool:
        """Whether what a tool does is asked for: the first word of its name stands there, and one more if there is."""
        words = [word for word in re.split(r"[\W_]+", _snake(action)) if word]
        return bool(words) and self.begins(words[0]) and (len(words) == 1 or any(map(self.begins, words[1:])))

    def begins(self, word: str) -> bool:
        """Whether the word is there, or one that begins with it."""
        if not word.isascii():
            return any(word in text for text in self._texts)
        return word in self._words or (len(word) >= 4 and any(known.startswith(word) for known in self._words))


class Strangers:
    """Texts of strangers, each with its origin. Only running text can hold orders, so a field of a result that is
    nothing but a word (an id, a date, a number) is not looked at."""

    def __init__(self, texts: Iterable[tuple[str, str]]):
        texts = list(texts)
        self._texts = [(origin, _running(text)) for origin, text in texts]
        self._numbers = {number for _, text in texts for number in _small_numbers(text)}

    def __bool__(self) -> bool:
        return any(text for _, text in self._texts)

    def origin_of(self, value: str) -> str | None:
        """Whose text the value stands in, as words of its own; None where it does not.

        A number of few digits stands in any text by chance: where it is an id, too, that is where it comes from.
        """
        value = folded(value)
        if value in self._numbers:
            return None
        for origin, text in reversed(self._texts):
            if value and _stands_in(value, text):
                return origin
        return None

    @property
    def last(self) -> str:
        return self._texts[-1][0]


def _words(text: str) -> Iterator[str]:
    for word in text.split(" "):
        yield word
        yield (bare := word.strip(_EDGES))
        yield bare.removesuffix("'s").removesuffix("’s")


def _quoted(text: str) -> Iterator[str]:
    """Values that are parted from others by marks alone, as in JSON; each without what is around it."""
    return (found[0] or found[1] or found[2] for found in _QUOTED.findall(text))


def _stands_in(value: str, text: str) -> bool:
    """As a substring that begins and ends where words do."""
    at = text.find(value)
    while at >= 0:
        end = at + len(value)
        inside = (at > 0 and text[at - 1].isalnum() and value[0].isalnum()) or (
            end < len(text) and text[end].isalnum() and value[-1].isalnum()
        )
        if not inside or not value.isascii():  # many scripts write no blanks
            return True
        at = text.find(value, at + 1)
    return False


def _handles(text: str, trusted: Trusted) -> Iterator[str]:
    for record in _records(_parsed(text)):
        fields = list(_fields(record))
        if any(trusted.names_thing(field) for field in fields):
            yield from (field for field in fields if _is_field(field))


@functools.lru_cache(maxsize=256)
def _running(text: str) -> str:
    """The running text in a result: all of it, or if it is JSON the texts in it that are more than one word."""
    value = _parsed(text)
    return folded(text if value is None else "\n".join(t for t in _texts(value) if not _is_field(t)))


@functools.lru_cache(maxsize=256)
def _small_numbers(text: str) -> frozenset[str]:
    fields = (field for record in _records(_parsed(text)) for field in _fields(record))
    return frozenset(field for field in fields if len(field) <= MOST_DIGITS and field.isdecimal())


def _is_field(text: str) -> bool:
    return len(text.split()) == 1 and len(text) <= LONGEST_FIELD and text.isascii()


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    """The object or list that a result is, else None."""
    try:
        value = parse_json(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value of JSON, keys too."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _records(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _records(inner)


def _fields(record: dict[str, Any]) -> Iterator[str]:
    """The plain values of a record itself, and those in its lists."""
    for value in record.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str | int) and not isinstance(item, bool):
                yield str(item)


def nouns(name: str) -> set[str]:
    """What a name of a tool or of an argument is about: its words in the singular, less those that all have."""
    words = (word.removesuffix("s") for word in re.split(r"[\W\d_]+", _snake(name)) if word)
    return {word for word in words if len(word) > 2 and not _COMMON.fullmatch(word)}


def _is_id(value: str) -> bool:
    return value.isdecimal() and len(value) <= MOST_DIGITS_OF_ID


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).casefold()
