"""How fast documents are annotated and filtered, beside datatrove's filters on the same documents, in turns.

    python -m bench.data_annotate --cache data/cache --folder data/unpacked --peer /path/to/python/with/datatrove

CPU seconds of one process each; the median of the rounds, and the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sansi.data.annotate import annotate
from sansi.data.documents import RawDocument, Record
from sansi.data.filters import Rules, reason_to_drop
from sansi.data.packages import open_package
from sansi.data.signal_ranges import ranges_for
from sansi.data.signals import read_signals
from sansi.data.words import count_words

SOURCES = ("brown", "rust-doc", "python-doc")
PEER = Path(__file__).parent / "peers" / "filters_peer.py"
RULES = Rules(max_repetition=0.15, max_outliers=3)


def texts_of(cache: Path, folder: Path, most: int) -> list[str]:
    texts: list[str] = []
    for name in SOURCES:
        parts = open_package(name, cache, folder).parts
        found = [str(record.data) for part in parts for record in part.records() if isinstance(record, Record)]
        texts += found[:: max(1, len(found) // (most // len(SOURCES)))][: most // len(SOURCES)]
    return [text[:20_000] for text in texts if len(text) > 500]


def signals_and_rules(texts: list[str]) -> int:
    """What datatrove's filters do: signals, and a judgement by what is usual."""
    ranges = ranges_for("en", "Latn")
    kept = 0
    for text in texts:
        signals = read_signals(text, "Latn", ranges.stop_words)
        kept += signals["duplicate_5_grams"] <= 0.15 and len(ranges.outliers(signals)) <= 3
    return kept


def annotations_and_rules(texts: list[str]) -> int:
    """All of it: language, quality, signals, subject, form, value, difficulty, unsafe; then the rules."""
    return sum(reason_to_drop(annotate(RawDocument("x", text), "made", "x"), RULES) is None for text in texts)


def words_alone(texts: list[str]) -> int:
    return sum(count_words(text) > 50 for text in texts)


WORK: dict[str, Callable[[list[str]], int]] = {
    "signals and rules": signals_and_rules,
    "annotate and rules": annotations_and_rules,
    "words (read_words)": words_alone,
}


class Peer:
    """datatrove in its own process."""

    def __init__(self, python: Path, texts: list[str], folder: Path):
        file = folder / "texts.json"
        file.write_text(json.dumps(texts))
        command = [str(python), str(PEER), str(file)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout and self.process.stdout.readline().strip() == "ready"

    def seconds(self, how: str) -> tuple[float, int]:
        assert self.process.stdin and self.process.stdout
        print(how, file=self.process.stdin, flush=True)
        found = json.loads(self.process.stdout.readline())
        return found["seconds"], found["kept"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("data/cache"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    texts = texts_of(arguments.cache, arguments.folder, arguments.texts)
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts)} documents, {size:.2f} MB")
    for work in WORK.values():
        work(texts[:20])
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(arguments.peer, texts, Path(folder)) if arguments.peer else None
        for _ in range(arguments.rounds):
            for name, work in WORK.items():
                begin = time.process_time()
                kept = work(texts)
                times.setdefault(f"{name}, kept {kept}", []).append(time.process_time() - begin)
            for how in ("all", "first") if peer else ():
                assert peer
                seconds, kept = peer.seconds(how)
                times.setdefault(f"datatrove, {how}, kept {kept}", []).append(seconds)
        if peer:
            peer.process.stdin.close()  # type: ignore[union-attr]
            peer.process.wait()
    base = next((found for name, found in times.items() if name.startswith("datatrove, all")), None)
    for name, found in times.items():
        middle = statistics.median(found)
        ratio = f", {statistics.median(b / f for b, f in zip(base, found, strict=True)):.2f} times" if base else ""
        print(f"{name}: {len(texts) / middle:.0f} documents/s, {size / middle:.2f} MB/s{ratio}")


if __name__ == "__main__":
    main()
