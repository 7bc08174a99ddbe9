"""Special characters of roff by name (groff_char(7)): \\(xx, \\[name], \\[u00E9], \\[e aa]."""

from __future__ import annotations

import re
import unicodedata

_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", ":": "\u0308", "~": "\u0303", ",": "\u0327", "v": "\u030c",
    "aa": "\u0301", "ga": "\u0300", "a^": "\u0302", "ad": "\u0308", "a~": "\u0303", "ac": "\u0327", "ah": "\u030c",
    "a-": "\u0304", "a.": "\u0307", "ab": "\u0306", "ao": "\u030a", "ho": "\u0328", 'a"': "\u030b",
}  # fmt: skip
_GREEK = dict(zip("abgdezyhiklmncoprstufxqw", "αβγδεζηθικλμνξοπρστυφχψω", strict=True))
CHARACTERS = {
    "aq": "'", "dq": '"', "cq": "’", "oq": "‘", "lq": "“", "rq": "”", "Bq": "„", "bq": "‚", "Fo": "«", "Fc": "»", "fo": "‹",
    "fc": "›", "bu": "•", "ci": "○", "sq": "□", "em": "—", "en": "–", "hy": "-", "mi": "−", "pl": "+", "eq": "=", "mu": "×",
    "di": "÷", "+-": "±", "t+-": "±", "-+": "∓", "sl": "/", "f/": "⁄", "rs": "\\", "ha": "^", "ti": "~", "ga": "`", "aa": "´",
    "a^": "^", "a~": "~", "ad": "¨", "co": "©", "rg": "®", "tm": "™", "de": "°", "mc": "µ", "dg": "†", "dd": "‡", "ps": "¶",
    "sc": "§", "ct": "¢", "Do": "$", "Po": "£", "Ye": "¥", "Cs": "¤", "eu": "€", "Eu": "€", "Fn": "ƒ", "%0": "‰", "fm": "′",
    "sd": "″", "->": "→", "<-": "←", "ua": "↑", "da": "↓", "<>": "↔", "va": "↕", "rA": "⇒", "lA": "⇐", "uA": "⇑", "dA": "⇓",
    "hA": "⇔", "an": "⎯", "ba": "|", "br": "│", "bb": "¦", "or": "|", "ul": "_", "ru": "_", "rn": "‾", "bv": "⎪", "lB": "[",
    "rB": "]", "lC": "{", "rC": "}", "la": "⟨", "ra": "⟩", "at": "@", "sh": "#", "!=": "≠", "==": "≡", "<=": "≤", ">=": "≥",
    "<<": "≪", ">>": "≫", "~~": "≈", "~=": "≅", "|=": "≃", "ap": "∼", "pt": "∝", "if": "∞", "is": "∫", "gr": "∇", "pd": "∂",
    "sr": "√", "sqrt": "√", "sum": "∑", "product": "∏", "no": "¬", "AN": "∧", "OR": "∨", "fa": "∀", "te": "∃", "mo": "∈",
    "nm": "∉", "sb": "⊂", "sp": "⊃", "ib": "⊆", "ip": "⊇", "ca": "∩", "cu": "∪", "es": "∅", "c*": "⊗", "c+": "⊕", "md": "⋅",
    "pc": "·", "**": "∗", "tf": "∴", "3d": "∴", "Ah": "ℵ", "Re": "ℜ", "Im": "ℑ", "wp": "℘", "hbar": "ℏ", "lz": "◊", "OK": "✓",
    "CL": "♣", "SP": "♠", "HE": "♥", "DI": "♦", "14": "¼", "12": "½", "34": "¾", "18": "⅛", "38": "⅜", "58": "⅝", "78": "⅞",
    "S1": "¹", "S2": "²", "S3": "³", "Of": "ª", "Om": "º", "r!": "¡", "r?": "¿", "ff": "ff", "fi": "fi", "fl": "fl",
    "Fi": "ffi", "Fl": "ffl", "AE": "Æ", "ae": "æ", "OE": "Œ", "oe": "œ", "ss": "ß", "-D": "Ð", "Sd": "ð", "TP": "Þ", "Tp": "þ",
    "/L": "Ł", "/l": "ł", "/O": "Ø", "/o": "ø", "oA": "Å", "oa": "å", ".i": "ı", ".j": "ȷ", "IJ": "Ĳ", "ij": "ĳ", "lh": "☜",
    "rh": "☞", "CR": "↵", "+h": "ϑ", "+f": "ϕ", "+p": "ϖ", "ts": "ς", "+e": "ϵ", "Fc_": "»",
    **{f"*{name}": char for name, char in _GREEK.items()},
    **{f"*{name.upper()}": char.upper() for name, char in _GREEK.items()},
}  # fmt: skip
# Strings that man(7) and pod2man's pages have without defining them.
STRINGS = {
    "R": "®",
    "S": "",
    "Tm": "™",
    "lq": "“",
    "rq": "”",
    "Aq": "'",
    "HF": "",
    "--": "--",
    "PI": "π",
    'L"': '"',
    'R"': '"',
}


def character(name: str) -> str:
    """The character of a name, or "" if nobody knows it."""
    if name in CHARACTERS:
        return CHARACTERS[name]
    if found := re.fullmatch(r"u([0-9A-F]{4,6}(?:_[0-9A-F]{4,6})*)", name):
        return unicodedata.normalize("NFC", "".join(_code_point(part, 16) for part in found[1].split("_")))
    if found := re.fullmatch(r"char(\d{1,3})", name):
        return _code_point(found[1], 10)
    base, _, rest = name.partition(" ")
    if rest and len(base) == 1 and all(part in _ACCENTS for part in rest.split()):  # \[e aa]
        return unicodedata.normalize("NFC", base + "".join(_ACCENTS[part] for part in rest.split()))
    if len(name) == 2 and name[0] in _ACCENTS and name[1].isalpha():  # \['e]
        return unicodedata.normalize("NFC", name[1] + _ACCENTS[name[0]])
    return name if len(name) == 1 else ""


def overstruck(text: str) -> str:
    """Characters printed on each other: a letter with its accent, else the first of them."""
    accents = {
        "´": "\u0301",
        "`": "\u0300",
        "^": "\u0302",
        "¨": "\u0308",
        "~": "\u0303",
        "'": "\u0301",
        '"': "\u0308",
        ",": "\u0327",
    }
    letters = [char for char in text if char not in accents]
    marks = [accents[char] for char in text if char in accents]
    return unicodedata.normalize("NFC", letters[0] + "".join(marks)) if letters else text[:1]


def _code_point(digits: str, base: int) -> str:
    value = int(digits, base)
    return chr(value) if 32 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF else ""
