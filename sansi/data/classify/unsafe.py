"""How much of a text is offensive words or personal data.

The words are those of npm `naughty-words` 1.2.0 (CC-BY-4.0, by Shutterstock and contributors), in 27 languages, kept
as hashes: `words.npz`, made again by `python -m sansi.data.classify.unsafe PACKAGE.tgz`. A word of the language of the
text or of English counts. A list of words knows no context: medicine and law use some of them.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
import math
import re
import sys
import tarfile
from pathlib import Path

import numpy as np

from sansi.data.classify.personal import count_personal
from sansi.data.word_hashes import token_hash

WORDS = Path(__file__).with_name("words.npz")
UNSPACED = frozenset(["ja", "zh", "th"])
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
PER_WORD, PER_PERSONAL = 25.0, 5.0  # how steeply the score rises with the share of such words, and with data per 100


def unsafe_score(text: str, language: str, words: float) -> float:
    """0 to 1: 0 where nothing was found, 0.22 for an offensive word in 100 words, 0.05 for an e-mail address."""
    personal = sum(count_personal(text).values())
    rate = (PER_WORD * offensive_words(text, language) + PER_PERSONAL * personal) / max(words, 50)
    return round(1 - math.exp(-rate), 3)


def offensive_words(text: str, language: str) -> int:
    """Words and phrases of the lists for this language and for English."""
    primary = language.split("-")[0]
    lists = _lists()
    known = lists.get("en", frozenset()) | lists.get(primary, frozenset()) if primary != "en" else lists["en"]
    lower = text.lower()
    words = _WORD.findall(lower)
    hits = sum(map(known.__contains__, map(_hash, words)))
    firsts = _phrases(primary)
    pairs = (f"{a} {b}" for a, b in itertools.pairwise(words) if _hash(a) in firsts)
    hits += sum(_hash(pair) in known for pair in pairs)
    return hits + (_inside(lower, lists.get(primary, frozenset())) if primary in UNSPACED else 0)


def _inside(text: str, known: frozenset[int]) -> int:
    """Of scripts without spaces: runs of two to six characters."""
    letters = [char for char in text if ord(char) > 0x7F]
    joined = "".join(letters)
    grams = (joined[i : i + n] for n in range(2, 7) for i in range(len(joined) - n + 1))
    return sum(token_hash(gram) in known for gram in set(grams))


@functools.lru_cache(1 << 17)
def _hash(word: str) -> int:
    return token_hash(word)


@functools.cache
def _lists() -> dict[str, frozenset[int]]:
    with np.load(WORDS) as file:
        return {name: frozenset(file[name].tolist()) for name in file.files if not name.endswith(".firsts")}


@functools.cache
def _phrases(language: str) -> frozenset[int]:
    with np.load(WORDS) as file:
        found = [file[f"{name}.firsts"].tolist() for name in {"en", language} if f"{name}.firsts" in file.files]
    return frozenset(code for codes in found for code in codes)


def make_lists(package: Path, out: Path = WORDS) -> None:
    """The hashes of the words of the package's archive, by language."""
    arrays: dict[str, list[str]] = {}
    with tarfile.open(package) as archive:
        for member in archive.getmembers():
            name = Path(member.name).stem.split("-")[0]
            file = archive.extractfile(member) if re.fullmatch(r"package/[a-z]{2,3}(-.*)?\.json", member.name) else None
            if file is None:
                continue
            words = json.load(io.TextIOWrapper(file, "utf-8"))
            if isinstance(words, list):
                entries = sorted({word.lower() for word in words if len(word.split()) <= 2})
                arrays.setdefault(name, []).extend(entries)
    found = {}
    for name, entries in sorted(arrays.items()):
        found[name] = np.asarray(sorted({token_hash(entry) for entry in entries}), np.uint64)
        firsts = sorted({token_hash(entry.split()[0]) for entry in entries if " " in entry})
        if firsts:
            found[f"{name}.firsts"] = np.asarray(firsts, np.uint64)
    np.savez_compressed(out, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    make_lists(Path(sys.argv[1]))
