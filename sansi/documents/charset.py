"""Bytes to characters: what the bytes say of themselves, what was declared, UTF-8, and then what fits best."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

_MARKS = (  # the longer ones first: UTF-32's begins as UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_IN_HTML = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_IN_XML = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})")
_IN_CSS = re.compile(rb'^@charset "([\w.:-]{1,40})"')
_IN_SOURCE = re.compile(rb"^(?:[^\n]*\n)?[ \t]*#.*?coding[:=][ \t]*([\w.-]{1,40})")
_RUNS = re.compile(r"([a-zA-Z]?)([^\W\d_a-zA-Z]+)([a-zA-Z]?)")  # letters beyond ASCII, and an ASCII one beside them
_WRONG = "\ufffd"
_LOOKED_AT = 2**16  # bytes that a guess goes by
_MOST_CONTROLS = 0.02  # of the characters
# Browsers read these names so (WHATWG Encoding, section 4.2).
_ALIASES = {"iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "ascii": "cp1252", "us-ascii": "cp1252"}
_ALIASES |= {"gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "shift_jis": "cp932", "sjis": "cp932"}
_ALIASES |= {"big5": "big5hkscs", "ks_c_5601-1987": "cp949", "euc-kr": "cp949", "x-sjis": "cp932", "tis-620": "cp874"}


@dataclass(frozen=True)
class Decoded:
    """Characters, and the charset that the bytes were read by."""

    text: str
    charset: str
    notes: tuple[str, ...] = ()


def decode(data: bytes, declared: str | None = None, media_type: str = "text/plain") -> Decoded | None:
    """The text of some bytes; None for what is no text.

    declared: the charset of an HTTP header, which goes before what a page says of itself, but not before a mark at
    the bytes' beginning (WHATWG HTML, "determining the character encoding").
    """
    for mark, charset in _MARKS:
        if data.startswith(mark):
            return _checked(data.decode(charset, "replace"), charset.removesuffix("-sig"))
    if (wide := _without_mark(data)) is not None:
        return _checked(data.decode(wide, "replace"), wide)
    if b"\0" in data:
        return None
    notes: list[str] = []
    for charset in filter(None, (declared, _inside(data, media_type))):
        if (codec := _known(charset)) is None:
            notes.append(f"the charset “{charset[:40]}” is not known")
        elif (text := _strictly(data, codec)) is not None:
            return _checked(text, codec)
        elif codec != "utf-8":
            notes.append(f"the text is not in {charset[:40]}, as it says")
    if (text := _strictly(data, "utf-8")) is not None:
        return _checked(text, "utf-8", notes)
    return _guessed(data, notes)


def _guessed(data: bytes, notes: list[str]) -> Decoded | None:
    damaged = _damaged_utf8(data)
    if damaged is not None:
        return _checked(damaged, "utf-8", [*notes, f"{damaged.count(_WRONG)} bytes are no UTF-8 and stand as {_WRONG}"])
    sample = data[:_LOOKED_AT]
    fits = {charset: _fit(sample, charset) for charset in _GUESSES}
    charset = max(fits, key=fits.__getitem__)
    if fits[charset] <= 0:
        return None
    notes = [*notes, f"the text is not UTF-8; it was read as {charset}"]
    return _checked(data.decode(charset, "replace"), charset, notes)


def _damaged_utf8(data: bytes) -> str | None:
    """UTF-8 with some wrong bytes: whole sequences of it are rare in any other charset."""
    sample = data[: 16 * _LOOKED_AT].decode("utf-8", "replace")
    wrong, beyond = sample.count(_WRONG), sum(character > "\x7f" for character in sample)
    return data.decode("utf-8", "replace") if beyond >= 3 * wrong else None


def _known(charset: str) -> str | None:
    name = charset.strip().strip("\"'").lower()
    try:
        info = codecs.lookup(_ALIASES.get(name, name))
    except LookupError:
        return None
    return info.name if info._is_text_encoding and info.name not in ("idna", "punycode", "unicode_escape") else None


def _inside(data: bytes, media_type: str) -> str | None:
    """The charset that a page, a style sheet or a source says of itself. UTF-16 there cannot be: it could be read."""
    head = data[:4096]
    patterns = [_IN_XML, _IN_CSS, _IN_SOURCE] + ([_IN_HTML] if "html" in media_type else [])
    found = next((match for pattern in patterns if (match := pattern.search(head))), None)
    name = found[1].decode("ascii") if found else None
    return None if name is None or name.lower().startswith(("utf-16", "utf-32")) else name


def _without_mark(data: bytes) -> str | None:
    """UTF-16 without a mark: Latin text has a zero in every second byte."""
    sample = data[: 2 * (min(len(data), 4096) // 2)]
    if len(sample) < 8 or len(data) % 2:
        return None
    pairs = len(sample) // 2
    zeros = sample[0::2].count(0) / pairs, sample[1::2].count(0) / pairs
    if max(zeros) < 0.4 or min(zeros) > 0.02:
        return None
    return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"


def _strictly(data: bytes, charset: str) -> str | None:
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        return None


def _checked(text: str, charset: str, notes: list[str] | None = None) -> Decoded | None:
    """None where there are too many characters that no text has."""
    sample = text[:_LOOKED_AT]
    controls = sum(map(sample.count, filter(_is_control, set(sample))))
    if controls > _MOST_CONTROLS * len(sample):
        return None
    return Decoded(text.removeprefix("\ufeff"), charset, tuple(notes or ()))


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cn", "Cs") and character not in "\t\n\r\f\x1b\x08"


# --- guesses ---------------------------------------------------------------------------------------------------------


def _fit(sample: bytes, charset: str) -> float:
    """How well the bytes fit a charset: the share, among characters beyond ASCII, of those that its texts are full of,
    less the rare ones. 0 or less: not at all."""
    try:
        # The sample may end inside a character.
        text = codecs.getincrementaldecoder(charset)().decode(sample)
    except UnicodeDecodeError:
        return 0.0
    beyond = [character for character in text if character > "\x7f"]
    if not beyond:
        return 0.0
    return sum(map(_GUESSES[charset], beyond)) / len(beyond) + _letters_touch(text, charset)


def _letters_touch(text: str, charset: str) -> float:
    """Western letters stand alone or among ASCII ones, Cyrillic ones among their kind: a text that does not do so is in
    another charset, however frequent its letters."""
    if charset not in ("cp1252", "cp1251", "koi8_r"):
        return 0.0
    runs = [(len(run[2]), bool(run[1] or run[3])) for run in _RUNS.finditer(text)]
    beyond = sum(length for length, _ in runs)
    western = sum(length for length, touches in runs if touches or length == 1)
    wrong = western < 0.6 * beyond if charset == "cp1252" else western > 0.6 * beyond
    return -0.7 if wrong else 0.0


def _by_lead(charset: str, first: int, last: int) -> dict[str, bool]:
    """The two-byte characters of a charset whose first byte is in this range: where the frequent ones stand."""
    found = {}
    for lead in range(first, last + 1):
        for trail in range(0x40, 0xFF):
            character = bytes([lead, trail]).decode(charset, "ignore")
            if len(character) == 1:
                found[character] = True
    return found


class _Frequent:
    """Rates characters by a charset's own order of frequency. Its table is made when it is first needed."""

    def __init__(self, charset: str, *ranges: tuple[int, int], most: str = ""):
        self._charset, self._ranges, self._most = charset, ranges, most
        self._table: dict[str, bool] | None = None

    def __call__(self, character: str) -> float:
        if self._table is None:
            self._table = {}
            for first, last in self._ranges:
                self._table |= _by_lead(self._charset, first, last)
        if self._most and re.match(self._most, character):
            return 1.0
        if character in self._table:
            return 0.8 if not self._most else 0.4
        return -1.0


def _western(character: str) -> float:
    if character in "‘’“”–—…•«»€£§©®°·¿¡ß\xa0":
        return 0.8
    return 0.7 if "À" <= character <= "ÿ" and character not in "×÷ÐÞþð" else -1.0


def _cyrillic(character: str) -> float:
    if "а" <= character <= "я" or character in "ёіїєґў":
        return 0.95
    if "А" <= character <= "Я" or character in "ЁІЇЄҐЎ":
        return 0.1
    return 0.5 if character in "«»–—…“”„№\xa0" else -1.0


_GUESSES: dict[str, Callable[[str], float]] = {
    "gb18030": _Frequent("gb18030", (0xA1, 0xA3), (0xB0, 0xD7)),
    "big5hkscs": _Frequent("big5hkscs", (0xA1, 0xA3), (0xA4, 0xC6)),
    "cp932": _Frequent("cp932", (0x81, 0x84), (0x88, 0x97), most="[\u3041-\u30fe、。]"),
    "euc_jp": _Frequent("euc_jp", (0xA1, 0xA5), (0xB0, 0xCF), most="[\u3041-\u30fe、。]"),
    "cp949": _Frequent("cp949", (0xA1, 0xA3), (0xB0, 0xC8), most="[\uac00-\ud7a3]"),
    "cp1251": _cyrillic,
    "koi8_r": _cyrillic,
    "cp1252": _western,
}
