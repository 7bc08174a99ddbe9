"""What strangers type that the bundled model cannot do: requests of all kinds, from which it learns to say so.

Most are drawn from phrases with choices and slots; some are texts of the corpus, pasted with or without a task; some
are gibberish. Near misses of what the model can do are among them (`12 * 7`, `spell cat`, `how many zeros in 13`), so
that the content decides and not the first word.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sansi.data.phrases import choose, draw
from sansi.data.problems.ordinary import WORDS, dictionary
from sansi.data.problems.wordings import PREFIXES, PREFIXES_ZH, SUFFIXES, SUFFIXES_ZH, number_words, typo
from sansi.post.phrases.chinese import (
    CHINESE,
    NEAR_MISSES_ZH,
    REQUESTS_ZH,
)
from sansi.post.phrases.english import (
    ABOUTS,
    ABOUTS_ZH,
    ARITHMETIC,
    EMOJI,
    GENERAL,
    GOODBYES,
    GOODBYES_ZH,
    GREETINGS,
    GREETINGS_ZH,
    NEAR_MISSES,
    NUMBERS_IN_PASSING,
    OTHER_LANGUAGES,
    SHORT,
    TASKS,
    THANKS,
    THANKS_ZH,
)
from sansi.post.phrases.slots import (
    SLOTS,
)


@dataclass(frozen=True)
class Request:
    """A message that is no problem: what it is (a kind of `REPLIES`), its language and its text."""

    kind: str
    language: str
    text: str


class Requests:
    """Draws messages that are no problems.

    texts: documents of a corpus to paste from; without any, none is pasted.
    """

    def __init__(self, texts: Sequence[str] = ()):
        self.texts = [text for text in texts if len(text) > 40]
        self.headwords = [
            text[2:].split("\n", 1)[0].split(",")[0]
            for text in self.texts
            if text.startswith("# ") and "\n" in text[:60]
        ]

    def draw(self, rng: random.Random) -> Request:
        """Greetings, thanks, questions about the model, and mostly everything else."""
        kind = rng.choices(("greeting", "thanks", "goodbye", "about", "other"), (9, 6, 4, 9, 72))[0]
        if kind == "other":
            text, language = self._other(rng)
        else:
            language = "zh" if rng.random() < 0.3 else "en"
            text = _noisy(choose(rng.choice(SMALL_TALK[kind, language]), rng), rng, dressed=False)
        return Request(kind, language, text)

    def _other(self, rng: random.Random) -> tuple[str, str]:
        makers: list[tuple[Callable[[random.Random], str], float]] = [
            (lambda r: _noisy(draw(r.choice(GENERAL), SLOTS, r), r), 38),
            (lambda r: _noisy(draw(r.choice(ARITHMETIC), SLOTS, r), r), 11),
            (lambda r: _noisy(draw(r.choice(NEAR_MISSES), SLOTS, r), r), 13),
            (lambda r: _noisy_zh(draw(r.choice(NEAR_MISSES_ZH), CHINESE, r), r), 5),
            (lambda r: _noisy(draw(r.choice(NUMBERS_IN_PASSING), SLOTS, r), r), 9),
            (lambda r: _noisy_zh(draw(r.choice(REQUESTS_ZH), CHINESE, r), r), 13),
            (lambda r: choose(r.choice(OTHER_LANGUAGES), r), 3),
            (lambda r: _noisy(draw(r.choice(SHORT), SLOTS, r), r, dressed=False), 6),
            (gibberish, 7),
            (_plain_words, 3),
            (self._pasted, 10 if self.texts else 0),
            (self._headword, 4 if self.headwords else 0),
        ]
        text = rng.choices([maker for maker, _ in makers], [weight for _, weight in makers])[0](rng)
        return (text, language_of(text)) if text.strip() else self._other(rng)

    def _pasted(self, rng: random.Random) -> str:
        """Some words, lines or sentences of a document, alone or with a task before or after."""
        text = rng.choice(self.texts)
        start = rng.randrange(max(1, len(text) - 40))
        start = text.find(" ", start) + 1 if rng.random() < 0.6 else text.rfind("\n", 0, start) + 1
        size = int(10 * 30 ** rng.random() * rng.choice((0.5, 1, 1.5)))
        piece = text[start : start + size].strip()
        if len(piece.encode()) > 700:
            piece = piece.encode()[:700].decode(errors="ignore")
        if rng.random() < 0.4:
            task = draw(rng.choice(TASKS), SLOTS, rng)
            piece = rng.choice((f"{task}: {piece}", f"{task}:\n\n{piece}", f"{piece}\n\n{task}", f'{task} "{piece}"'))
        return piece

    def _headword(self, rng: random.Random) -> str:
        word = rng.choice(self.headwords)
        asked = choose("[what is|who is|define|explain|tell me about|what does|how does|what is a|]", rng)
        return _noisy(f"{asked} {word}".strip(), rng)


SMALL_TALK = {
    ("greeting", "en"): GREETINGS,
    ("greeting", "zh"): GREETINGS_ZH,
    ("thanks", "en"): THANKS,
    ("thanks", "zh"): THANKS_ZH,
    ("goodbye", "en"): GOODBYES,
    ("goodbye", "zh"): GOODBYES_ZH,
    ("about", "en"): ABOUTS,
    ("about", "zh"): ABOUTS_ZH,
}


def language_of(text: str) -> str:
    """ "zh" for a text that Chinese characters are a good part of and kana are not, else "en"."""
    chinese = len(re.findall(r"[\u4e00-\u9fff]", text))
    kana = len(re.findall(r"[\u3040-\u30ff]", text))
    latin = len(re.findall(r"[A-Za-z]+", text))
    return "zh" if chinese > latin and chinese > 8 * kana else "en"


def _noisy(text: str, rng: random.Random, dressed: bool = True) -> str:
    """Capitals, typos, and what people put around a request."""
    text = re.sub(r" +([?.!,])", r"\1", re.sub(" {2,}", " ", text)).strip()
    if dressed and rng.random() < 0.15:
        text = choose(rng.choice(PREFIXES), rng) + text
    if dressed and rng.random() < 0.15:
        text += choose(rng.choice(SUFFIXES), rng)
    style = rng.random()
    if style < 0.5:
        text = text[:1].upper() + text[1:]
    elif style < 0.55:
        text = text.upper()
    return typo(text, rng) if rng.random() < 0.08 else text


def _noisy_zh(text: str, rng: random.Random) -> str:
    if rng.random() < 0.1:
        text = choose(rng.choice(PREFIXES_ZH), rng) + text
    if rng.random() < 0.1:
        text += choose(rng.choice(SUFFIXES_ZH), rng)
    return text


def gibberish(rng: random.Random) -> str:
    """Keys hit at random, numbers alone, marks, emoji."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    kinds = (
        lambda: "".join(rng.choices(letters, k=rng.randint(2, 16))),
        lambda: "".join(rng.choices("asdfghjkl;qwertyuiop", k=rng.randint(3, 20))),
        lambda: " ".join("".join(rng.choices(letters, k=rng.randint(1, 8))) for _ in range(rng.randint(2, 6))),
        lambda: str(rng.randrange(10 ** rng.randint(1, 12))),
        lambda: " ".join(str(rng.randrange(1000)) for _ in range(rng.randint(2, 5))),
        lambda: "".join(rng.choices("?!.,;:-_#*+~/\\|()[]{}<>=&%$§@^\"'", k=rng.randint(1, 6))),
        lambda: rng.choice("?!.…abcxyz123") * rng.randint(1, 12),
        lambda: "".join(rng.choices(EMOJI, k=rng.randint(1, 4))),
        lambda: f"{rng.choice(WORDS)} {rng.choice(EMOJI)}",
        lambda: "".join(rng.choices(letters + "0123456789", k=rng.randint(4, 24))),
        lambda: f"https://www.{rng.choice(WORDS)}.{rng.choice(('com', 'org', 'cn', 'de'))}/{rng.choice(WORDS)}",
        lambda: f"{rng.choice(WORDS)}@{rng.choice(WORDS)}.com",
        lambda: rng.choice(("ha", "la", "no", "bla", "哈", "啊", "好", "呵")) * rng.randint(2, 8),
        lambda: f"{rng.randint(1, 28)}.{rng.randint(1, 12)}.{rng.randint(1900, 2030)}",
    )
    return rng.choice(kinds)()


def _plain_words(rng: random.Random) -> str:
    """Words side by side that ask for nothing; numbers in words among them."""
    words = [
        rng.choice((rng.choice(WORDS), rng.choice(dictionary()), number_words(rng.randrange(100))))
        for _ in range(rng.randint(1, 6))
    ]
    return _noisy(" ".join(words), rng)
