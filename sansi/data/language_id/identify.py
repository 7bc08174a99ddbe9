"""The language and the script of a text, or that nobody can tell, or that it is no text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.data.languages import canonical_tag, likely_script
from sansi.data.words import main_script

LANGUAGE_MODEL = "cld2"
NOT_TEXT = "zxx"  # BCP-47's tag for what has no linguistic content: code, base64, mojibake, hexadecimal, numbers
# What the detector refuses; the encoding filter judges it.
UNDETECTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


@dataclass(frozen=True)
class Identified:
    """What was identified in a text."""

    tag: str | None  # BCP-47; NOT_TEXT for what is no text; None: not sure
    script: str | None  # ISO 15924, of most of the letters; None without letters
    score: float  # 0 to 1, how sure; of a text without an answer what the best answer would have had

    @property
    def is_text(self) -> bool:
        return self.tag != NOT_TEXT


def identify_all(texts: Iterable[str]) -> list[Identified]:
    """`identify` for many texts at once."""
    return [identify(text) for text in texts]


def identify(text: str) -> Identified:
    """The language by pycld2 (165 of them), or tag None when it is not sure.

    The tag names the script where it is not the usual one of the language: sr-Latn, zh-Hant. A script that only few
    languages use may be all that is known: und-Tfng.
    """
    try:
        import pycld2
    except ImportError as error:
        raise SansiError(f"language identification needs pycld2; run: {install_command('train')}") from error
    script = main_script(text)
    try:
        reliable, _, languages = pycld2.detect(UNDETECTABLE.sub(" ", text), isPlainText=True)
    except pycld2.error:
        return Identified(None, script, 0.0)
    _, code, percent, _ = languages[0]
    tag = tag_of(code)
    return Identified(with_script(tag, script) if reliable and tag else None, script, percent / 100)


def tag_of(code: str) -> str | None:
    """The tag for a code of CLD2, which has old ones (iw), scripts (xx-Tfng) and jokes (Pig Latin: zzp)."""
    if code in ("un", "xxx", "xx-Zyyy", "xx-Qaai") or code.startswith("zz"):
        return None
    return canonical_tag(f"und-{code[3:]}" if code.startswith("xx-") else code)


def with_script(tag: str, script: str | None) -> str:
    """The tag with the script of the text, if the language is mostly written in another one."""
    known = ("Hani", "Jpan", "Kore")  # Chinese characters alone do not tell Japanese from Chinese
    if script is None or script in known or "-" in tag or likely_script(tag) in (script, None):
        return tag
    return f"{tag}-{script}"
