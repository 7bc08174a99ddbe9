"""Scores that mean what they say: two temperatures, fitted on sentences of a package that the model has not read.

A model knows the packages that it learned from too well to be asked there how sure it may be. Each sentence also stands
for its beginnings, since it is short texts that are hard.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sansi.data.language_id.model import Model, Sums
from sansi.data.language_id.registry import main_language

BEGINNINGS = (5, 12, 25, 50, 400)  # characters
TEMPERATURES = np.arange(0.1, 2.01, 0.1)
FOR_SHORT_TEXTS = np.arange(0.0, 24.1, 2.0)


def calibrated(model: Model, examples: Iterable[tuple[str, str]]) -> Model:
    """The model with the temperatures under which the right labels of (tag, text) examples are likeliest."""
    known = {label: number for number, label in enumerate(model.labels)}
    labelled = [(known[label], text) for tag, text in examples if (label := main_language(tag)) in known]
    texts = [text[:length] for _, text in labelled for length in BEGINNINGS]
    sums, right = model.sums_of(texts), np.repeat([label for label, _ in labelled], len(BEGINNINGS))
    grid = [(temperature, short) for temperature in TEMPERATURES for short in FOR_SHORT_TEXTS]
    return _tempered(model, *min(grid, key=lambda pair: _surprise(_tempered(model, *pair), sums, right)))


def _tempered(model: Model, temperature: float, short: float) -> Model:
    settings = model.settings | {
        "temperature": round(float(temperature), 2),
        "temperature_short": round(float(short), 2),
    }
    return replace(model, settings=settings)


def _surprise(model: Model, sums: Sums, right: npt.NDArray[np.int64]) -> float:
    own = model.probabilities(sums)[np.arange(len(right)), right]
    return float(-np.log(np.maximum(own, 1e-4)).mean())  # a sentence under the wrong language must not decide
