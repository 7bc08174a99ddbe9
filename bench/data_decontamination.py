"""Decontamination: processor time a document, and recall of planted questions in twelve writings, with intervals.

python bench/data_decontamination.py --cache FOLDER --benchmarks all --documents FILES
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sansi.data.decontaminate import Decontaminator, EvaluationText
from sansi.data.decontaminate.benchmarks import benchmark_texts
from sansi.data.store import read_documents
from sansi.data.words import count_words
from sansi.eval.intervals import wilson_interval

WRITINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "lines of 8 words": lambda text: "\n".join(" ".join(part) for part in _parts(text.split(), 8)),
    "lines of 3 words": lambda text: "\n".join(" ".join(part) for part in _parts(text.split(), 3)),
    "one line": lambda text: " ".join(text.split()),
    "quoted": lambda text: "\n".join("> " + line for line in text.split("\n")),
    "zero-width": lambda text: text.replace("e", "e\u200b").replace("a", "a\u00ad"),
    "Markdown": lambda text: " ".join(f"**{word}**" if n % 6 == 5 else word for n, word in enumerate(text.split(" "))),
    "no marks": lambda text: "".join(" " if char in ',;:!?"' else char for char in text),
    "first 60%": lambda text: text[: len(text) * 6 // 10],
    "last 60%": lambda text: text[len(text) * 4 // 10 :],
    "middle 50%": lambda text: text[len(text) // 4 : len(text) * 3 // 4],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", nargs="+", default=["all"])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--index", type=Path, help="an index of these benchmarks that is there")
    parser.add_argument("--documents", type=Path, nargs="+", required=True, help="Parquet files of documents")
    parser.add_argument("--planted", type=int, default=300)
    options = parser.parse_args()
    texts = list(benchmark_texts(options.benchmarks, options.cache))
    check = Decontaminator.load(options.index) if options.index else Decontaminator(texts)
    documents = [document.text for path in options.documents for document in read_documents(path)]
    print(f"{check.index.texts:,} evaluation texts, {len(check.index.keys):,} runs; {len(documents):,} documents")
    report_time(check, documents)
    report_recall(check, texts, documents, options.planted)


def report_time(check: Decontaminator, documents: Sequence[str]) -> None:
    size = sum(len(text.encode()) for text in documents)
    check.find_all(documents[:200])
    times = []
    for _ in range(3):
        began = time.process_time()
        found = check.find_all(documents)
        times.append(time.process_time() - began)
    seconds = statistics.median(times)
    print(
        f"{seconds / len(documents) * 1e6:.0f} µs a document of {size / len(documents):,.0f} bytes on average, "
        f"{size / seconds / 1e6:.0f} MB/s; {sum(one is not None for one in found):,} contaminated"
    )


def report_recall(check: Decontaminator, texts: Sequence[EvaluationText], documents: Sequence[str], count: int) -> None:
    """Questions of 13 words and more stand inside a document; of parts of them, those that are 13 words still."""
    rng = random.Random(1)
    around = [text for text in documents if len(text) > 1000 and not check.is_contaminated(text[:3000])][:500]
    chosen = rng.sample([text.text for text in texts if count_words(text.text) >= 13], count)
    print("\n| writing | planted | found |\n|---|---|---|")
    for name, write in WRITINGS.items():
        written = [write(text) for text in chosen]
        written = [text for text in written if count_words(text) >= 16]  # of a part, one run of 13 words at least
        planted = []
        for text in written:
            outside = rng.choice(around)[:3000]
            middle = outside.find(" ", len(outside) // 2)
            planted.append(f"{outside[:middle]}\n{text}\n{outside[middle:]}")
        found = sum(one is not None for one in check.find_all(planted))
        low, high = wilson_interval(found, len(planted))
        print(f"| {name} | {len(planted):,} | {found / len(planted):.1%} ({low:.1%} to {high:.1%}) |")


def _parts(words: list[str], size: int) -> list[list[str]]:
    return [words[begin : begin + size] for begin in range(0, len(words), size)]


if __name__ == "__main__":
    main()
