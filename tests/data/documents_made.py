"""Texts and documents made for the tests of the data room."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Sequence

from sansi.data.annotate import annotate
from sansi.data.documents import Document, RawDocument
from sansi.data.packages import Package, PackagePart
from sansi.data.packages.texts import text_record
from sansi.data.parts import Records

WORDS = re.findall(r"\w+", "river stone garden window letter morning people question answer history music summer city")
ENGLISH = (
    "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and "
    "should act towards one another in a spirit of brotherhood, which is what the declaration asks of everybody."
)


def prose(seed: int, sentences: int = 12) -> str:
    """Sentences of nine words, no two texts alike."""
    rng = random.Random(seed)
    return " ".join(" ".join(rng.choices(WORDS, k=9)).capitalize() + f" {rng.random():.6f}." for _ in range(sentences))


def source(documents: Sequence[RawDocument] = (), **changes: object) -> Package:
    def read(part: PackagePart) -> Records:
        for raw in documents:
            facts = {"held_out": raw.held_out, "original": raw.original}
            yield text_record(raw.id, raw.text, raw.kind, raw.language, **facts)

    made = Package("made", "stdlib", "python", "3", None, "CC0-1.0", read, min_bytes=50, default=True)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def document(text: str, **changes: object) -> Document:
    return annotate(RawDocument("x", text, **changes), "made", "CC0-1.0")  # type: ignore[arg-type]
