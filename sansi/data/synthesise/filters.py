"""What comes back from a model, and is no document: each has its rule and the value that broke it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from itertools import pairwise

from sansi.client.bulk import is_refusal
from sansi.data.language_id import NOT_TEXT, identify
from sansi.data.ledger import Dropped
from sansi.data.synthesise.prompts import Prompt
from sansi.data.words import split_words

RUN = 8  # words that stand in both texts in a row are an echo
MAX_PROMPT = 0.05  # share of an answer's runs that may be our own instructions
MAX_REPEATED = 0.3  # share of lines, or of runs of words, that stand there more than once
ENOUGH = 200  # characters that a language is identified by
REMARK = re.compile(
    r"(?:sure|certainly|of course|here (?:is|are|'s)|below (?:is|are)|okay|as requested|hier ist|voici|aquí tienes"
    r"|当然|好的|以下是)[,!:.，！： ]",
    re.IGNORECASE,
)
ABOUT_THE_SOURCE = re.compile(
    r"\b(?:the|this|above|provided|given) (?:source|passage|provided text|text above)\b|</?source>", re.IGNORECASE
)


def reason_against(text: str, seed: str, prompt: Prompt, max_echo: float) -> Dropped | None:
    """Why an answer to a prompt about a seed is left out; None where it is kept."""
    size = len("".join(text.split()))
    if size < prompt.min_characters:
        return Dropped("too short", size)
    if is_refusal(text):
        return Dropped("refusal", text[:80])
    if found := REMARK.match(text.lstrip("#* ")):
        return Dropped("remark", found[0])
    words = split_words(text)
    runs = runs_of(words)
    if (share := _share_in(runs, set(runs_of(split_words(prompt.text))))) > MAX_PROMPT:
        return Dropped("echo of the prompt", round(share, 3))
    allowed = 2 * max_echo if prompt.shape == "questions" else max_echo
    if (share := _share_in(runs, set(runs_of(split_words(seed))))) > allowed:
        return Dropped("echo of the seed", round(share, 3))
    if prompt.shape != "code" and (found := ABOUT_THE_SOURCE.search(text)):
        return Dropped("speaks of its source", found[0])
    if (share := repeated(text, runs)) > MAX_REPEATED:
        return Dropped("repeats itself", round(share, 3))
    return _other_language(text, seed) if prompt.keeps_language else None


def runs_of(words: list[str]) -> list[tuple[str, ...]]:
    """Every eight words in a row."""
    return [tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)]


def _share_in(runs: list[tuple[str, ...]], known: Collection[tuple[str, ...]]) -> float:
    return sum(run in known for run in runs) / len(runs) if runs else 0.0


def repeated(text: str, runs: list[tuple[str, ...]]) -> float:
    """The share of lines, or of runs of words, that stand there more than once; the larger one."""
    lines = [line.strip() for line in text.split("\n") if len(line.strip()) > 20]
    counts = (Counter(lines), Counter(runs))
    shares = [1 - len(count) / count.total() if count.total() > 3 else 0.0 for count in counts]
    near = sum(one == other for one, other in pairwise(lines)) / len(lines) if lines else 0.0
    return max(*shares, near)


def _other_language(text: str, seed: str) -> Dropped | None:
    if min(len(text), len(seed)) < ENOUGH:
        return None
    was, is_ = identify(seed).tag, identify(text).tag
    if was in (None, NOT_TEXT):
        return None
    if is_ is None or is_.split("-")[0] != str(was).split("-")[0]:
        return Dropped("another language", f"{is_} for {was}")
    return None
