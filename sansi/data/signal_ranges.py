"""What signals usually are in each language, and its most frequent words: measured on reference text.

`signal_ranges.json` holds, by language and by script, the 1st and the 99th percentile of each signal over the texts of
`REFERENCE` (packages of prose that people wrote or translated with care), and by language the words that stand in most
of its texts. It is made again by

    python -m sansi.data.signal_ranges --cache data/cache

A language with fewer than `ENOUGH` texts is judged as its script is; a script with fewer is not judged at all.
"""

from __future__ import annotations

import argparse
import functools
import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sansi.base.files import read_json
from sansi.data.languages import canonical_tag, likely_script
from sansi.data.signals import UNSPACED_SCRIPTS, read_signals
from sansi.data.words import main_script

TABLE = Path(__file__).with_name("signal_ranges.json")
REFERENCE = ("brown", "udhr", "debian-handbook", "gnome-user-docs", "libreoffice-help", "quran", "rust-doc")
JUDGED = (
    "mean_word_length", "stop_words", "alphabetic_words", "letters", "digits", "symbols", "capitals", "hashes",
    "ellipses", "line_words", "short_lines", "marked_lines", "list_lines", "ellipsis_lines", "duplicate_lines",
    "duplicate_line_letters", "duplicate_paragraph_letters", "top_2_gram", "top_3_gram", "top_4_gram",
    "duplicate_5_grams", "duplicate_10_grams", "boilerplate_lines",
)  # fmt: skip
"""Signals that have a usual range; the others are for the reader."""
ENOUGH = 30  # texts of which the percentiles are taken
STOP_WORDS = 50  # of a language
PIECE = 3000  # characters into which long texts are cut: so that few long texts are many
SLACK = 0.25  # of the range, that a value may lie outside of it
LEAST_SLACK = 0.02
LOWER_ALONE = frozenset(["mean_word_length", "stop_words", "alphabetic_words", "letters", "line_words", "marked_lines"])
"""Of these too little is a bad sign; of the others too much is."""


@dataclass(frozen=True)
class Ranges:
    """What is usual in a language."""

    low: Mapping[str, float] = field(default_factory=dict)
    high: Mapping[str, float] = field(default_factory=dict)
    stop_words: frozenset[str] = frozenset()

    def outliers(self, signals: Mapping[str, float]) -> list[str]:
        """Names of the signals that lie outside of what is usual, those the furthest outside first."""
        beyond = {name: self._beyond(name, signals[name]) for name in self.low if name in signals}
        return sorted((name for name, far in beyond.items() if far > 0), key=lambda name: (-beyond[name], name))

    def _beyond(self, name: str, value: float) -> float:
        """How far outside, in widths of the range; negative inside."""
        low, high = self.low[name], self.high[name]
        slack = max((high - low) * SLACK, LEAST_SLACK)
        outside = [low - value] if name in LOWER_ALONE else [value - high]
        if name in ("mean_word_length", "line_words"):
            outside.append(value - high)
        return (max(outside) - slack) / (high - low + slack)


@functools.lru_cache(1024)
def ranges_for(language: str, script: str | None) -> Ranges:
    """What is usual in a language (BCP-47), or in its script (ISO 15924)."""
    table = _table()
    by_language = table["languages"].get(language) or table["languages"].get(language.split("-")[0])
    if by_language and by_language["script"] != _plain(script or by_language["script"]):
        by_language = None  # a language in another script than the reference
    limits = (by_language or {}).get("ranges") or table["scripts"].get(_plain(script or ""), {})
    low, high = ({name: pair[side] for name, pair in limits.items()} for side in (0, 1))
    return Ranges(low, high, frozenset((by_language or {}).get("stop_words", ())))


def measure(texts: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """The table, from pairs of a language and a text."""
    pieces: dict[tuple[str, str], list[str]] = defaultdict(list)
    for language, text in texts:
        for piece in _pieces(text):
            if script := main_script(piece):
                pieces[language, _plain(script)].append(piece)
    usual = {language: _script_of(language, pieces) for language in {language for language, _ in pieces}}
    languages: dict[str, object] = {}
    by_script: dict[str, list[dict[str, float]]] = defaultdict(list)
    for (language, script), found in sorted(pieces.items()):
        if usual[language] == script:
            stop_words = [] if script in UNSPACED_SCRIPTS else _frequent(found)
            signals = [read_signals(piece, script, frozenset(stop_words)) for piece in found]
            by_script[script] += signals[: 20 * ENOUGH]
            languages[language] = {"script": script, "stop_words": stop_words, "ranges": _percentiles(signals)}
    scripts = {script: _percentiles(found) for script, found in sorted(by_script.items())}
    return {"scripts": scripts, "languages": languages}


def _plain(script: str) -> str:
    return "Hani" if script in ("Hans", "Hant") else script


def _pieces(text: str) -> Iterator[str]:
    """The text, cut between lines where it is long."""
    piece: list[str] = []
    size = 0
    for line in text.split("\n"):
        piece, size = [*piece, line], size + len(line)
        if size >= PIECE:
            yield "\n".join(piece)
            piece, size = [], 0
    if size >= PIECE // 6:
        yield "\n".join(piece)


def _script_of(language: str, pieces: Mapping[tuple[str, str], list[str]]) -> str:
    counts = {script: len(found) for (tag, script), found in pieces.items() if tag == language}
    likely = _plain(likely_script(language) or "")
    return likely if likely in counts else max(counts, key=lambda script: (counts[script], script))


def _frequent(pieces: list[str]) -> list[str]:
    """The words that stand in the most pieces: particles and endings rather than what one text is about."""
    counts: Counter[str] = Counter()
    for piece in pieces:
        counts.update({word for word in piece.lower().split() if is_word(word)})
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [word for word, count in ordered[:STOP_WORDS] if count >= 3 and count > 0.2 * len(pieces)]


def is_word(word: str) -> bool:
    """Whether it is letters and marks alone."""
    return all(unicodedata.category(char)[0] in "LM" for char in word)


def _percentiles(signals: list[dict[str, float]]) -> dict[str, list[float]]:
    if len(signals) < ENOUGH:
        return {}
    found = {name: [one[name] for one in signals if name in one] for name in JUDGED}
    return {
        name: [round(float(value), 4) for value in np.percentile(values, (1, 99))]
        for name, values in found.items()
        if len(values) >= ENOUGH
    }


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    return read_json(TABLE)  # type: ignore[no-any-return]


def reference_texts(cache: Path, folder: Path, most: int = 300_000) -> Iterator[tuple[str, str]]:
    """Texts of the reference packages with their languages: of each package and language at most `most` bytes."""
    from sansi.data.documents import BadRecord
    from sansi.data.packages import open_package

    for name in REFERENCE:
        read: Counter[str] = Counter()
        for part in open_package(name, cache, folder).parts:
            for record in part.records():
                if isinstance(record, BadRecord) or not isinstance(record.data, str) or not record.language:
                    continue
                if read[record.language] < most and record.kind in (None, "prose"):
                    read[record.language] += record.size
                    yield canonical_tag(record.language), record.data


def main() -> None:
    parser = argparse.ArgumentParser(description="Make signal_ranges.json again from the reference packages.")
    parser.add_argument("--cache", type=Path, default=Path("data/cache"), help="where fetched archives are kept")
    parser.add_argument("--folder", type=Path, required=True, help="where they are unpacked")
    parser.add_argument("--out", type=Path, default=TABLE)
    arguments = parser.parse_args()
    table = measure(reference_texts(arguments.cache, arguments.folder))
    arguments.out.write_text(json.dumps(table, ensure_ascii=False, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
