"""Reasons to leave a document out. Each filter looks at one annotated document and answers yes or no."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass

from sansi.base.config import Config, too_small
from sansi.data.annotate import rule_of
from sansi.data.documents import Document
from sansi.data.languages import LANGUAGES, LanguageRule, is_close
from sansi.data.ledger import Dropped
from sansi.data.signal_ranges import ranges_for

MAX_ENGLISH = 0.5  # share of a text that is given as another language
MAX_MARKUP = 0.003  # leftovers of markup per character

# U+FFFD and control characters; UTF-8 read as Latin-1, as "Ã©" or "â€™".
BAD_ENCODING = re.compile(r"[\ufffd\x00-\x08\x0b\x0e-\x1f\x7f]|[ÃÂ][\x80-\xbf]|â€[\x80-\xbf™œ]")
# Tags by name: <file> and <https://…> are how plain text writes placeholders and addresses.
TAG = r"a|b|br|code|div|em|font|h[1-6]|i|img|li|ol|p|pre|span|strong|su[bp]|t[dhr]|table|tt|u|ul"
MARKUP = re.compile(rf"</?(?:{TAG})(?:\s[^<>\n]{{0,80}})?/?>|&(?:#\d+|[a-z]{{2,6}});|\\f[BIPR]|\{{\{{|\}}\}}")


@dataclass(frozen=True, kw_only=True)
class Rules(Config):
    """What a document must be to be kept."""

    min_bytes: int = 200
    """Shorter documents are dropped; times what the language needs for the same text (Burmese 3.95, Chinese 0.8)."""
    min_quality: float | None = None
    """Lower surface scores are dropped; left out: as the language's own rule says."""
    languages: tuple[str, ...] = ()
    """Documents in others are dropped; left out: all are kept. BCP-47; code is kept whatever is said here."""

    max_repetition: float | None = None
    """Higher shares of the text in runs of five words that stood in it before are dropped."""
    max_outliers: int | None = None
    """More signals outside of what is usual in the language are dropped: see `sansi.data.signal_ranges`."""
    min_value: float | None = None
    """Lower educational values are dropped; documents without one are kept."""
    max_unsafe: float | None = None
    """Higher shares of offensive words and personal data are dropped; documents without a score are kept."""
    fields: tuple[str, ...] = ()
    """Documents on other subjects are dropped; those of which none was told are kept."""
    domains: tuple[str, ...] = ()
    """Documents of other forms are dropped; those of which none was told are kept."""
    mask_personal: bool = False
    """E-mail and network addresses, telephone, card and account numbers and keys become <email>, <ip>, <phone>, …"""

    def problems(self) -> list[str]:
        found = too_small(self, 0, "min_bytes", "max_outliers")
        for name in ("min_quality", "max_repetition", "min_value", "max_unsafe"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                found.append(f'"{name}" is {value}; it lies between 0 and 1')
        return found


def reason_to_drop(document: Document, rules: Rules) -> Dropped | None:
    """Why the document is left out, or None if it stays. Code is spared the rules that are about prose.

    How short, repetitive or fragmentary a text may be depends on its language: see `sansi.data.languages`.
    """
    text, prose = document.text, document.kind != "code"
    rule = rule_of(document.language, document.script) if prose else LANGUAGES["en"]
    if document.size < rules.min_bytes * rule.bytes:
        return Dropped("too short", document.size)
    if found := BAD_ENCODING.search(text):
        return Dropped("wrong encoding", repr(found[0]))
    if prose and (count := len(MARKUP.findall(text))) > MAX_MARKUP * len(text) + 1:
        return Dropped("markup remains", count / len(text))
    if is_repetitive(text, rule):
        return Dropped("too repetitive")
    if prose and is_untranslated(document):
        return Dropped("not translated", document.language)
    if prose and rules.languages and not any(is_close(document.language, tag) for tag in rules.languages):
        return Dropped("another language", document.language)
    # Verse has short lines without full stops, which the score takes for fragments.
    least = rule.min_quality if rules.min_quality is None else rules.min_quality
    if document.kind in ("prose", "reference") and document.quality < least:
        return Dropped("low quality", document.quality)
    return (_unusual(document, rules) if prose else None) or _unwanted(document, rules)


def _unusual(document: Document, rules: Rules) -> Dropped | None:
    """By its signals; only where a rule asks for it."""
    repetition = document.signals.get("duplicate_5_grams", 0.0)
    if rules.max_repetition is not None and repetition > rules.max_repetition:
        return Dropped("repeats itself", repetition)
    if rules.max_outliers is not None and document.kind != "verse":
        outliers = ranges_for(document.language, document.script).outliers(document.signals)
        if len(outliers) > rules.max_outliers:
            return Dropped("unlike its language", ", ".join(outliers))
    return None


def _unwanted(document: Document, rules: Rules) -> Dropped | None:
    """By what was told of its content; only where a rule asks for it, and only what was told."""
    if rules.min_value is not None and document.value is not None and document.value < rules.min_value:
        return Dropped("little value", document.value)
    if rules.max_unsafe is not None and document.unsafe is not None and document.unsafe > rules.max_unsafe:
        return Dropped("unsafe", document.unsafe)
    if rules.fields and document.field is not None and document.field not in rules.fields:
        return Dropped("another field", document.field)
    if rules.domains and document.domain is not None and document.domain not in rules.domains:
        return Dropped("another domain", document.domain)
    return None


def is_repetitive(text: str, rule: LanguageRule = LANGUAGES["en"]) -> bool:
    """Whether much of the text is lines seen before, or it compresses as no prose does."""
    lines = Counter(line.strip() for line in text.splitlines() if len(line.strip()) > 20)
    total = sum(len(line) * count for line, count in lines.items())
    repeated = sum(len(line) * (count - 1) for line, count in lines.items())
    raw = text.encode()
    compression = len(raw) / len(zlib.compress(raw, 1)) if len(raw) > 500 else 1.0
    return repeated > rule.max_repeated_lines * max(total, 1) or compression > rule.max_compression


def is_untranslated(document: Document) -> bool:
    """Whether a document that its source gives as another language is in English, and not in a near variety of it."""
    english = document.detected_language == "en" and (document.language_score or 1.0) > MAX_ENGLISH
    return english and not is_close(document.language, "en")
