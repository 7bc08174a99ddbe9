"""The language and the script of a text, or that nobody can tell, or that it is no text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sansi.data.language_id.alphabet import EAST_ASIAN, SCRIPTS
from sansi.data.language_id.model import Model, Predicted, load_model

MODEL_FILE = Path(__file__).with_name("model.npz")
LANGUAGE_MODEL = "sansi-language-id-1"
NOT_TEXT = "zxx"  # BCP-47's tag for what has no linguistic content: code, base64, mojibake, hexadecimal, numbers
CHINESE = ("zh-Hans", "zh-Hant")
UNKNOWN = "und"  # the model's label for languages that it can only tell to be others than those it knows
SURE = 0.5  # a lower score is no answer
SLICES, SLICE = 8, 1000  # of a long text that many pieces of that many characters are read, evenly spread
BATCH = 512  # texts at a time: their sums fit into the processor's cache


@dataclass(frozen=True)
class Identified:
    """What was identified in a text."""

    tag: str | None  # BCP-47; NOT_TEXT for what is no text; None: not sure, or a language that the model does not know
    script: str | None  # ISO 15924, of most of the letters (a Chinese character counts as two); None without letters
    score: float  # 0 to 1: the probability of `tag`, or of what would have been the answer

    @property
    def is_text(self) -> bool:
        return self.tag != NOT_TEXT


def identify(text: str) -> Identified:
    """The language of a text, by the model in the package: 110 of the 119 languages and some 125 more.

    The tag names the script where it is not the usual one of the language (sr-Latn), or where both are (zh-Hant). Of
    what is written in two languages the one that there is more of is meant. A few words are enough where they are
    words of one language alone; close relatives (bs, hr and sr-Latn; id and ms) need a paragraph.
    """
    return identify_all([text])[0]


def identify_all(texts: Iterable[str]) -> list[Identified]:
    """`identify` for many texts, with the same answers, several times as fast as one by one."""
    model, waiting = the_model(), iter(texts)
    found: list[Identified] = []
    while batch := [_excerpt(text) for text in islice(waiting, BATCH)]:
        found += _answers(model, batch, model.predict(batch))
    return found


@cache
def the_model() -> Model:
    """The model of the package, read once."""
    return load_model(MODEL_FILE)


def _excerpt(text: str) -> str:
    if len(text) > SLICES * SLICE:
        step = (len(text) - SLICE) // (SLICES - 1)
        text = " ".join(text[n * step : n * step + SLICE] for n in range(SLICES))
    return text if text.isascii() or unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _answers(model: Model, texts: list[str], predicted: Predicted) -> Iterator[Identified]:
    scripts = main_scripts(predicted.histogram)
    sure = predicted.probabilities * (1 - predicted.not_text)
    values = zip(predicted.labels.tolist(), sure.tolist(), predicted.not_text.tolist(), scripts, texts, strict=True)
    for label, score, not_text, script, text in values:
        if not_text > 0.5:
            yield Identified(NOT_TEXT, script, round(not_text, 4))
        else:
            tag = model.labels[label]
            if tag in CHINESE:
                tag = chinese_variant(text) or tag
            yield Identified(tag if score >= SURE and tag != UNKNOWN else None, script, round(score, 4))


def chinese_variant(text: str) -> str | None:
    """The Chinese that more characters are of which the other has not, by their character sets; None: a tie."""
    characters = set(text)
    simplified = sum(_has("gb2312", char) and not _has("big5", char) for char in characters)
    traditional = sum(_has("big5", char) and not _has("gb2312", char) for char in characters)
    return None if simplified == traditional else CHINESE[simplified < traditional]


@cache
def _has(encoding: str, char: str) -> bool:
    return bool(char.encode(encoding, "ignore"))


_NAMES = (*SCRIPTS, "Jpan", "Kore", None)
_EAST_ASIAN_COLUMNS = np.array([SCRIPTS.index(name) + 1 for name in EAST_ASIAN])


def main_scripts(histogram: npt.NDArray[np.int32]) -> list[str | None]:
    """ISO 15924 of most of the letters [N, S + 1]; Jpan where there is some kana, Kore where there is some Hangul."""
    letters = histogram[:, 1:].astype(np.int64)
    letters[:, _EAST_ASIAN_COLUMNS - 1] *= 2
    han, hira, kana, hang, bopo = (histogram[:, column] for column in _EAST_ASIAN_COLUMNS)
    east_asian = han + hira + kana + hang + bopo
    joined = letters.copy()
    joined[:, _EAST_ASIAN_COLUMNS - 1] = 0
    joined[:, _EAST_ASIAN_COLUMNS[0] - 1] = 2 * east_asian
    best = joined.argmax(1)
    is_east_asian = best == _EAST_ASIAN_COLUMNS[0] - 1
    best = np.where(is_east_asian & (hira + kana > 0.05 * east_asian), len(SCRIPTS), best)
    best = np.where(is_east_asian & (hang > 0.05 * east_asian) & (hang > hira + kana), len(SCRIPTS) + 1, best)
    best = np.where(joined.max(1) == 0, len(SCRIPTS) + 2, best)
    return [_NAMES[number] for number in best.tolist()]
