"""Which evaluation texts stand in a text: anchors say where to look, the words there decide."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sansi.data.decontaminate.index import EvaluationText, Index, as_texts, named
from sansi.data.decontaminate.letters import Places, letters_of, opening_letters
from sansi.data.decontaminate.units import MIN_WORDS, RUN_WORDS, candidates_in
from sansi.data.words import without_links, without_tags

MARGIN = 600  # characters around an anchor that are split into words
WHOLE = 4000  # a text that is not longer is split as a whole
SHORT = 64  # letters up to which a text may be nothing but an evaluation text
TEMPLATE_TEXTS = 5  # evaluation texts from which a run that they share is a template and no evidence
COMPLETE = 0.8  # share of the runs of an evaluation text that is evidence even if all are templates
BATCH_CHARACTERS = 400_000


@dataclass(frozen=True)
class Match:
    """A run of words that a text shares with evaluation texts."""

    run: int  # its number in the index
    passage: str


@dataclass(frozen=True)
class Overlap:
    """Why a text is taken for contaminated."""

    passage: str  # the words in common
    text: str  # the evaluation text's name


class Decontaminator:
    """Knows the evaluation texts and finds texts that overlap with them.

    A run of 13 words and more that `TEMPLATE_TEXTS` evaluation texts and more have in common (instructions, the frame
    of generated problems) says nothing of one of them, unless most of such a text is there.
    """

    def __init__(
        self, evaluation_texts: Iterable[str] | Iterable[EvaluationText], n: int = RUN_WORDS, min_words: int = MIN_WORDS
    ):
        self.index = Index.of(_named(evaluation_texts), n, min_words)

    @classmethod
    def of(cls, index: Index) -> Decontaminator:
        made = cls.__new__(cls)
        made.index = index
        return made

    def save(self, folder: Path) -> None:
        """Write the index to `folder`, whole or not at all."""
        self.index.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Decontaminator:
        """With the index in `folder`, mapped into memory."""
        return cls.of(Index.load(folder))

    def is_contaminated(self, text: str) -> bool:
        """Whether the text holds a run of words that tells of an evaluation text."""
        return self.find(text) is not None

    def overlap(self, text: str) -> str | None:
        """The first run of words that the text shares with an evaluation text, longest kind first."""
        found = self.find(text)
        return found.passage if found else None

    def find(self, text: str) -> Overlap | None:
        """The first overlap of the text, longest kind first."""
        return self.judge(self.matches(text))

    def find_all(self, texts: Sequence[str]) -> list[Overlap | None]:
        """`find` of each text. Of many texts at once it takes a tenth of the time."""
        return [self.judge(matches) for matches in self.matches_of_all(texts)]

    def matches(self, text: str) -> list[Match]:
        """All runs that the text shares with evaluation texts, each once, longest kind first."""
        (found,) = self.matches_of_all([text])
        return found

    def matches_of_all(self, texts: Sequence[str]) -> list[list[Match]]:
        """`matches` of each text."""
        found: list[list[Match]] = []
        for batch in _batches([without_links(without_tags(text)) for text in texts]):
            at = self._look_at(batch)
            found += [self._matches(text, at[number]) if number in at else [] for number, text in enumerate(batch)]
        return found

    def judge(
        self,
        matches: Sequence[Match],
        common: Collection[int] = (),
        template_texts: int = TEMPLATE_TEXTS,
        complete: float = COMPLETE,
    ) -> Overlap | None:
        """What the matches of one text tell: the first that is evidence. common: runs that stand in many texts."""
        held: dict[int, int] = {}
        for match in matches:
            shared_by = self.index.starts[match.run + 1] - self.index.starts[match.run]
            if match.run not in common and (self.index.kinds[match.run] or shared_by < template_texts):
                return Overlap(match.passage, self.index.name(self.index.owners_of(match.run)[0]))
            if not self.index.kinds[match.run]:
                for owner in self.index.owners_of(match.run):
                    held[owner] = held.get(owner, 0) + 1
        whole = [owner for owner, count in held.items() if count >= complete * self.index.runs[owner]]
        return Overlap(matches[0].passage, self.index.name(min(whole))) if whole else None

    def _look_at(self, texts: Sequence[str]) -> dict[int, list[tuple[int, int]]]:
        """The texts that may hold a run, and between which letters."""
        anchors, found = self.index.anchors, dict[int, list[tuple[int, int]]]()
        letters = letters_of(texts)
        hits = [anchors.find(letters)]
        if anchors.has_short:
            opening = opening_letters(texts)
            hits.append(anchors.find_short(opening.letters, opening.opens))
        for hit in hits:
            for text, begin, end in zip(hit.texts.tolist(), hit.begins.tolist(), hit.ends.tolist(), strict=True):
                found.setdefault(text, []).append((begin, end))
        if self.index.has_whole:
            for number, text in enumerate(texts):
                if len(text) <= 4 * SHORT:
                    found.setdefault(number, [])
        return found

    def _matches(self, text: str, spans: Sequence[tuple[int, int]]) -> list[Match]:
        found: dict[int, tuple[int, int, Match]] = {}
        for part, is_whole in _parts(text, spans):
            inside = candidates_in(part, self.index.n, self.index.anywhere, self.index.alone, is_whole)
            runs = self.index.find(inside.keys)
            for place in np.flatnonzero(runs >= 0).tolist():
                run = int(runs[place])
                if run not in found:
                    found[run] = (int(self.index.kinds[run]), len(found), Match(run, inside.passage(place)))
        return [match for _, _, match in sorted(found.values(), key=lambda one: one[:2])]


def _named(texts: Iterable[str] | Iterable[EvaluationText]) -> list[EvaluationText]:
    given: list[Any] = [texts] if isinstance(texts, str) else list(texts)
    if not isinstance(texts, str) and all(isinstance(text, EvaluationText) for text in given):
        return given
    return named(as_texts(texts if isinstance(texts, str) else given))


def _parts(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """What of the text is split into words, and whether it is all of it."""
    if len(text) <= WHOLE:
        yield text, True
        return
    places, last = Places(text), [-1, -1]
    merged: list[list[int]] = []
    for begin, end in sorted(spans):
        if merged and begin - last[1] < MARGIN:
            last[1] = max(last[1], end)
        else:
            last = [begin, end]
            merged.append(last)
    for begin, end in merged:
        yield places.around(begin, end, MARGIN), False


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    begin, size = 0, 0
    for number, text in enumerate(texts):
        if size and size + len(text) > BATCH_CHARACTERS:
            yield texts[begin:number]
            begin, size = number, 0
        size += len(text)
    if begin < len(texts):
        yield texts[begin:]
