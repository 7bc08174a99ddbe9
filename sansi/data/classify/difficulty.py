"""How hard a text is to read, by rules: long sentences, long words, rare words, each as usual in its language."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sansi.data.languages import LanguageRule
from sansi.data.signal_ranges import ranges_for

_SENTENCE = re.compile(r"[.!?…\u0589\u061f\u06d4\u0964\u0965\u1362\u1367\u3002\uff01\uff1f\u17d4\u104b\u0f0d]+|\n{2,}")
EASY, HARD = 6.0, 34.0  # English words of a sentence that count as nothing, and as all


def difficulty(text: str, signals: Mapping[str, float], rule: LanguageRule, script: str | None) -> float | None:
    """0 to 1; None for fewer than 20 words.

    The mean of what is there of: the words of a sentence, between 6 and 34 English ones; the length of a word, within
    the range of the language; the share of words that are none of its most frequent ones, within that of the language.
    Where no spaces part words the sentence alone counts, and in scripts without sentence marks paragraphs stand for
    sentences.
    """
    words = signals.get("words", 0.0)
    if words < 20:
        return None
    sentences = max(1, sum(1 for part in _SENTENCE.split(text) if len(part) > 2))
    parts = [(words / rule.words / sentences - EASY) / (HARD - EASY)]
    ranges = ranges_for(rule.tag, script)
    for name, harder in (("mean_word_length", 1), ("stop_words", -1)):
        if name in signals and name in ranges.low and ranges.high[name] > ranges.low[name]:
            share = (signals[name] - ranges.low[name]) / (ranges.high[name] - ranges.low[name])
            parts.append(share if harder > 0 else 1 - share)
    return round(sum(min(max(part, 0.0), 1.0) for part in parts) / len(parts), 3)
