"""What is known about a document before it is judged: its language and a quality score by plain rules.

The score is the mean of four shares, each between 0 and 1, of which prose worth learning from has much:

    letters     letters, marks and dividers of words among all but spaces, 0.85 and more counting as 1
    paragraphs  of the text (by length) in lines of 10 words or more; how many words that are depends on the language
    sentences   of these that end as a sentence or a lead-in to a list does, in any script; in scripts that have no such
                marks (Thai, Lao, …) this share is left out of the mean
    variety     distinct lines among all lines

It is a surface score: it finds tables, fragments and lists of names, it does not see whether a text is true.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from sansi.base.errors import SansiError
from sansi.data.classify import difficulty, unsafe_score
from sansi.data.classify.linear import packaged_model
from sansi.data.documents import Document, RawDocument, text_sha256
from sansi.data.language_id import LANGUAGE_MODEL, Identified, identify
from sansi.data.languages import LANGUAGES, LanguageRule, canonical_tag, rule_for
from sansi.data.signal_ranges import ranges_for
from sansi.data.signals import letter_share, read_signals
from sansi.data.words import count_words

ENOUGH = 400  # characters in which a long paragraph has shown that it is one
HALF_PAIR = re.compile("[\ud800-\udfff]")
DIVIDERS = "\u0f0b\u0f0c\u1361"  # between syllables of Tibetan, between words of Ethiopic
# Full stops, question and exclamation marks and colons of all scripts, and closing marks after them.
SENTENCE_END = re.compile(
    r"[.!?…:;\u0589\u055c\u055e\u061b\u061f\u06d4\u0700-\u0702\u07f9\u0964\u0965\u0df4\u0e5a\u0e5b\u0f0d-\u0f12\u104a"
    r"\u104b\u1362-\u1368\u166e\u1735\u1736\u17d4-\u17d6\u1803\u1809\u1c3b-\u1c3f\u1c7e\u1c7f\u203c-\u203d\u2047-\u2049\u2025"
    r"\u2e2e\u3002\uff01\uff0e\uff1a\uff1b\uff1f\uff61\ua4fe\ua4ff\ua60e\ua60f\ua6f3-\ua6f7\ua8ce\ua8cf\uaa5d-\uaa5f\uaaf0"
    r"\uaaf1\uabeb\U00011047\U00011141-\U00011143\U0001e95e\U0001e95f]"
    r"['\"\u201d\u2019\u00bb\u300d\u300f)\uff09\]\s]*$|\u1361\u1361$"
)


def annotate(raw: RawDocument, source: str, licence: str) -> Document:
    """The document with its language, licence, quality and digest; its text in NFC with \\n line ends.

    source: its name. licence: of what states none of its own.
    """
    whole = HALF_PAIR.sub("\ufffd", raw.text)  # what no UTF-8 can hold; the encoding filter judges it
    text = unicodedata.normalize("NFC", whole.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")).strip()
    code = raw.kind == "code"
    found = None if code else identify(text)
    language, metadata = _language(raw, found)
    script = found.script if found else None
    signals = document_signals(text, language, script)
    told = {} if code else packaged_model().answers(text, language)
    return Document(
        id=f"{source}/{raw.id}",
        source=source,
        licence=raw.licence or licence,
        kind=raw.kind,
        language=language,
        detected_language=found.tag if found else None,
        quality=document_quality(text, language, script),
        sha256=text_sha256(text),
        text=text,
        original=raw.original,
        script=script,
        language_score=found.score if found and found.tag else None,
        language_model=LANGUAGE_MODEL if found and found.tag else None,
        value=round(told["value"].probability, 3) if "value" in told else None,
        field=told["field"].label if "field" in told else None,
        domain="code" if code else told["domain"].label if "domain" in told else None,
        difficulty=None if code else difficulty(text, signals, rule_of(language, script), script),
        unsafe=unsafe_score(text, language, signals.get("words", 0.0)),
        signals=signals,
        url=raw.url,
        date=raw.date,
        title=raw.title,
        media_type=raw.media_type,
        metadata=metadata,
        provenance=dict(raw.provenance),
    )


def rescored(document: Document) -> Document:
    """The document with the quality and the signals of what its text is now."""
    text, language, script = document.text, document.language, document.script
    quality = document_quality(text, language, script)
    return replace(document, quality=quality, signals=document_signals(text, language, script))


def _language(raw: RawDocument, found: Identified | None) -> tuple[str, dict[str, str]]:
    metadata = dict(raw.metadata)
    if raw.kind == "code":
        return raw.language or "und", metadata
    if raw.language:
        try:
            return canonical_tag(raw.language), metadata
        except SansiError:
            metadata["source_language"] = raw.language  # no tag that anybody can read: what was identified counts
    return (found.tag if found and found.tag and found.is_text else "und"), metadata


def rule_of(language: str, script: str | None) -> LanguageRule:
    """The rule for a document's language; where that is unknown, for its script."""
    return rule_for(f"und-{script}" if language == "und" and script else language)


def document_quality(text: str, language: str, script: str | None) -> float:
    """The quality that a document of this language, or script, keeps: rounded to three places."""
    return round(quality(text, rule_of(language, script)), 3)


def quality(text: str, rule: LanguageRule = LANGUAGES["en"]) -> float:
    """Surface quality between 0 and 1, by the rules in the head of this file."""
    if not text.strip():
        return 0.0
    paragraphs = [part.strip() for part in text.split("\n") if part.strip()]
    long = [part for part in paragraphs if _is_long(part, rule.long_paragraph)]
    shares = [
        min(1.0, letter_share(text, DIVIDERS) / 0.85),
        sum(map(len, long)) / sum(map(len, paragraphs)),
        len(set(paragraphs)) / len(paragraphs),
    ]
    if rule.has_sentence_marks:
        shares.append(sum(bool(SENTENCE_END.search(part)) for part in long) / len(long) if long else 0.0)
    return sum(shares) / len(shares)


def _is_long(paragraph: str, words: float) -> bool:
    """Whether the beginning has so many words; mostly its first quarter tells."""
    quarter = ENOUGH // 4
    return count_words(paragraph[:quarter]) >= words or (
        len(paragraph) > quarter and count_words(paragraph[:ENOUGH]) >= words
    )


def document_signals(text: str, language: str, script: str | None) -> dict[str, float]:
    """The signals of a text in this language; see `sansi.data.signals`."""
    return read_signals(text, script, ranges_for(language, script).stop_words)
