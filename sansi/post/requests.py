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
from sansi.post.near_misses import near_miss
from sansi.post.phrases.chinese import (
    CHINESE,
    NEAR_MISSES_ZH,
    REQUESTS_ZH,
)
from sansi.post.phrases.composed import (
    CHINESE_PARTS,
    COMPOSED,
    COMPOSED_SLOTS,
    COMPOSED_STORIES,
    COMPOSED_ZH,
    COMPUTING,
    COMPUTING_SLOTS,
    ELSEWHERE,
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
from sansi.post.phrases.slots import SLOTS, Slots

Maker = Callable[[random.Random], str]
"""Draws a text."""


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
        words = {word for text in self.texts[::20] for word in re.findall(r"\b[a-z]{3,12}\b", text)}
        common = [*WORDS, *sorted(words), *(word.lower() for word in dictionary()[:: 1 + 39 * bool(words)])]
        self.slots: Slots = {**COMPOSED_SLOTS, **COMPUTING_SLOTS, "any": common}
        self.slots_zh: Slots = {**CHINESE, **CHINESE_PARTS}
        self.headwords = [
            text[2:].split("\n", 1)[0].split(",")[0]
            for text in self.texts
            if text.startswith("# ") and "\n" in text[:60]
        ]

    def draw(self, rng: random.Random) -> Request:
        """Greetings, thanks, questions about the model, and mostly everything else."""
        kind = rng.choices(("greeting", "thanks", "goodbye", "about", "other"), (8, 8, 4, 9, 71))[0]
        if kind == "other":
            text, language = self._other(rng)
        else:
            language = "zh" if rng.random() < 0.3 else "en"
            text = _noisy(choose(rng.choice(SMALL_TALK[kind, language]), rng), rng, dressed=False)
        return Request(kind, language, text)

    def _other(self, rng: random.Random) -> tuple[str, str]:
        makers: list[tuple[Maker, float]] = [
            (_english(GENERAL), 12),
            (_english(COMPOSED, self.slots), 12),
            (_english(COMPUTING, self.slots), 9),
            (near_miss, 26),
            (_english(ARITHMETIC), 5),
            (_english(COMPOSED_STORIES), 2),
            (_english(NEAR_MISSES), 6),
            (_chinese(NEAR_MISSES_ZH), 5),
            (_english(NUMBERS_IN_PASSING), 5),
            (_chinese(REQUESTS_ZH), 7),
            (_chinese(COMPOSED_ZH, self.slots_zh), 8),
            (lambda r: choose(r.choice(OTHER_LANGUAGES), r), 2),
            (lambda r: draw(r.choice(ELSEWHERE), SLOTS, r), 4),
            (_english(SHORT, dressed=False), 4),
            (gibberish, 5),
            (_plain_words, 2),
            (self._pasted, 6 if self.texts else 0),
            (self._asked_about, 8 if self.texts else 0),
            (self._headword, 3 if self.headwords else 0),
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

    def _asked_about(self, rng: random.Random) -> str:
        """A question about some words of a document: an open vocabulary behind a few dozen openings."""
        text = rng.choice(self.texts)
        start = rng.randrange(max(1, len(text) - 60))
        piece = text[start : start + 80].replace("\n", " ")
        if language_of(piece) == "zh":
            piece = re.sub("[^\u4e00-\u9fff]", "", piece)[: rng.randint(2, 10)]
            return _noisy_zh(choose(rng.choice(OPENINGS_ZH), rng).replace("…", piece), rng)
        words = piece.split(" ")[1:-1][: rng.randint(1, 7)]
        opening = draw(rng.choice(OPENINGS), self.slots, rng)
        return _noisy(f"{opening} {' '.join(words)}{rng.choice(('', '?', '?', '.'))}", rng)

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


OPENINGS = ("<please><make> a <text> about", "<wh>", "<wh>", "<wh>", "<please><do>")
OPENINGS_ZH = (
    "[什么是|为什么|怎么|如何理解|请介绍|解释一下|谁知道|说说|帮我写一篇关于|翻译：|你知道|总结：|]…[？|。|吗？|]",
    "…[是什么意思|是什么|怎么办|对吗|有哪些|用英语怎么说|的原因|好不好|][？|。|]",
)


def language_of(text: str) -> str:
    """ "zh" for a text that Chinese characters are a good part of and kana are not, else "en"."""
    chinese = len(re.findall(r"[\u4e00-\u9fff]", text))
    kana = len(re.findall(r"[\u3040-\u30ff]", text))
    latin = len(re.findall(r"[A-Za-z]+", text))
    return "zh" if chinese > latin and chinese > 8 * kana else "en"


def _english(phrases: Sequence[str], slots: Slots = SLOTS, dressed: bool = True) -> Maker:
    return lambda rng: _noisy(draw(rng.choice(phrases), slots, rng), rng, dressed)


def _chinese(phrases: Sequence[str], slots: Slots = CHINESE) -> Maker:
    return lambda rng: _noisy_zh(draw(rng.choice(phrases), slots, rng), rng)


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
