"""What is known about a document before it is judged: its language and a quality score by plain rules.

The score is the mean of four shares, each between 0 and 1, of which prose worth learning from has much:

    letters     letters and combining marks among the characters that are not spaces, 0.85 and more counting as 1
    paragraphs  of the text (by length) in paragraphs of 60 columns or more
    sentences   of these long paragraphs that end as a sentence or a lead-in to a list does, in any script
    variety     distinct lines among all lines

It is a surface score: it finds tables, fragments and lists of names, it does not see whether a text is true.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from sansi.base.errors import SansiError
from sansi.data.documents import Document, RawDocument, text_sha256
from sansi.data.markup import display_width
from sansi.data.sources import Source

LONG_PARAGRAPH = 60
# What the detector refuses; the encoding filter judges it.
UNDETECTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
HALF_PAIR = re.compile("[\ud800-\udfff]")
# Full stops of Latin, CJK, Devanagari, Arabic, Ethiopic, Armenian, Khmer and Burmese script, and closing marks.
SENTENCE_END = re.compile(r"[.!?…:;。!?:;।॥؟۔።։។၊။།‥]['\"”’»」』))\]]*$")


def annotate(raw: RawDocument, source: Source) -> Document:
    """The document with its language, licence, quality and digest; its text in NFC with \\n line ends."""
    whole = HALF_PAIR.sub("\ufffd", raw.text)  # what no UTF-8 can hold; the encoding filter judges it
    text = unicodedata.normalize("NFC", whole.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")).strip()
    detected = None if raw.kind == "code" else detect_language(text)
    return Document(
        id=f"{source.name}/{raw.id}",
        source=source.name,
        licence=source.licence,
        kind=raw.kind,
        language=raw.language or detected or "und",
        detected_language=detected,
        quality=round(quality(text), 3),
        sha256=text_sha256(text),
        text=text,
        original=raw.original,
        url=raw.url,
        date=raw.date,
        metadata=raw.metadata,
    )


def detect_language(text: str) -> str | None:
    """The language tag by pycld2 (165 languages), or None when it is not sure."""
    try:
        import pycld2
    except ImportError as error:
        raise SansiError('language identification needs pycld2; run: pip install "sansi[train]"') from error
    try:
        reliable, _, languages = pycld2.detect(UNDETECTABLE.sub(" ", text), isPlainText=True)
    except pycld2.error:
        return None
    tag = languages[0][1]
    return tag if reliable and tag != "un" else None


def quality(text: str) -> float:
    """Surface quality between 0 and 1, by the rules in the head of this file."""
    counts = Counter("".join(text.split()))
    if not counts:
        return 0.0
    letters = sum(count for char, count in counts.items() if unicodedata.category(char)[0] in "LM") / counts.total()
    paragraphs = [part.strip() for part in text.split("\n") if part.strip()]
    long = [part for part in paragraphs if display_width(part) >= LONG_PARAGRAPH]
    long_share = sum(map(len, long)) / sum(map(len, paragraphs))
    ended = sum(bool(SENTENCE_END.search(part)) for part in long) / len(long) if long else 0.0
    variety = len(set(paragraphs)) / len(paragraphs)
    return (min(1.0, letters / 0.85) + long_share + ended + variety) / 4
