"""Deduplication: precision and recall on planted repeats, speed and memory beside other programs.

    python bench/data_dedup.py planted                        # 100,000 documents; precision, recall, theory, memory
    python bench/data_dedup.py signatures --peers PYTHON      # MinHash signatures beside rensa and datasketch
    python bench/data_dedup.py steps --peers PYTHON           # the whole beside datatrove's MinHash steps

PYTHON: an interpreter that has datatrove (with spacy), rensa and datasketch; what is timed runs in turn, on one core.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from data_dedup_made import Made, Pair, in_files, made_documents
from sansi.data.columns import Documents
from sansi.data.dedup import Decision, DedupConfig, decision_files, deduplicate, proposed, read_decisions
from sansi.data.dedup.features import write_features
from sansi.data.dedup.minhash import band_keys, minhash
from sansi.data.dedup.shingles import shared
from sansi.data.store import write_documents
from sansi.data.work import LocalExecutor
from sansi.eval.intervals import wilson_interval

PEERS = Path(__file__).parent / "peers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("planted", "signatures", "steps"))
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--peers", help="Python with the other programs")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        {"planted": planted, "signatures": signatures, "steps": steps}[options.part](options, Path(folder))


def planted(options: argparse.Namespace, folder: Path) -> None:
    """Precision and recall with 95% intervals, and how often bands propose a pair beside the theory."""
    made = made_documents(options.documents)
    files = _files(made, folder)
    began = time.process_time()
    deduplicate(files, folder / "out", executor=LocalExecutor(0))
    seconds = time.process_time() - began
    size = sum(document.size for document in made.documents)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(made.documents):,} documents, {size / 1e6:.0f} MB, {seconds:.0f} s, peak {memory:.0f} MiB\n")
    gone = {
        decision.row + 10_000 * number: decision
        for number, path in enumerate(decision_files(folder / "out", len(files)))
        for decision in read_decisions(path)
        if decision.state == "dropped"
    }
    features = _features(files, folder)
    _report_pairs(made, gone, features)


def _report_pairs(made: Made, gone: dict[int, Decision], features: Documents) -> None:
    config = DedupConfig()
    found: dict[str, list[tuple[bool, bool, float, bool]]] = defaultdict(list)
    partner = {pair.first: pair for pair in made.pairs} | {pair.second: pair for pair in made.pairs}
    for pair in made.pairs:
        first, second = (features.row("shingles", number) for number in (pair.first, pair.second))
        common = shared(first, second)
        similarity = common / (len(first) + len(second) - common)
        keys = (features.row("keys", number) for number in (pair.first, pair.second))
        met = bool((next(keys) == next(keys)).any())
        has_to_go = similarity >= config.similarity or common >= config.containment * min(len(first), len(second))
        removed = pair.first in gone or pair.second in gone
        found[pair.kind].append((has_to_go, removed, similarity, met))
    print("| planted | pairs | mean index | compared | theory | removed |\n|---|---|---|---|---|---|")
    for kind in sorted(found):
        rows = found[kind]
        similarities = [similarity for _, _, similarity, _ in rows]
        theory = statistics.mean(proposed(similarity, config) for similarity in similarities)
        met, removed = sum(row[3] for row in rows), sum(row[1] for row in rows)
        print(
            f"| {kind} | {len(rows):,} | {statistics.mean(similarities):.3f} | {_share(met, len(rows))} | "
            f"{theory:.2%} | {_share(removed, len(rows))} |"
        )
    rows = [row for kind in found.values() for row in kind]
    have_to_go = [row for row in rows if row[0]]
    right = sum(1 for number in gone if number in partner and _is_repeat(partner[number], features, config))
    print(f"\nrecall of pairs that have to go: {_share(sum(row[1] for row in have_to_go), len(have_to_go))}")
    expected = statistics.mean(proposed(row[2], config) for row in have_to_go)
    print(f"theory of the bands for these pairs: {expected:.2%}")
    print(f"precision: {_share(right, len(gone))}")


def _is_repeat(pair: Pair, features: Documents, config: DedupConfig) -> bool:
    first, second = (features.row("shingles", number) for number in (pair.first, pair.second))
    common = shared(first, second)
    similarity = common / (len(first) + len(second) - common)
    return similarity >= config.similarity or common >= config.containment * min(len(first), len(second))


def _share(count: int, total: int) -> str:
    low, high = wilson_interval(count, total)
    return f"{count / total:.2%} ({low:.2%} to {high:.2%})"


def _files(made: Made, folder: Path) -> list[Path]:
    files = []
    for number, documents in enumerate(in_files(made.documents)):
        files.append(folder / f"{number}.parquet")
        write_documents(files[-1], documents)
    return files


def _features(files: Sequence[Path], folder: Path) -> Documents:
    paths = [folder / f"features-{number}.arrow" for number in range(len(files))]
    for path, file in zip(paths, files, strict=True):
        write_features(path, file, DedupConfig())
    return Documents(paths)


def signatures(options: argparse.Namespace, folder: Path) -> None:
    """Signatures of 128 values, ours and theirs in turn on the same sets."""
    rng = np.random.default_rng(1)
    sets = [np.unique(rng.integers(0, 1 << 32, size, np.uint32)) for size in rng.integers(50, 1500, 2000)]
    np.savez(folder / "sets.npz", *sets)
    elements = sum(map(len, sets))
    rates: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        began = time.process_time()
        for one in sets:
            band_keys(minhash(one, 128), 32, 4)
        rates["ours"].append(len(sets) / (time.process_time() - began))
        for name, rate in json.loads(_peer(options, "dedup_peer.py", "signatures", str(folder / "sets.npz"))).items():
            rates[name].append(rate)
    print(f"{len(sets):,} sets of {elements // len(sets):,} elements on average, 128 values\n")
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):,.0f} signatures/s")


def steps(options: argparse.Namespace, folder: Path) -> None:
    """Signatures, buckets, clusters and filter of datatrove, and our whole deduplication, in turn on the same text."""
    made = made_documents(options.documents)
    texts = [document for document in made.documents if document.text.isascii()]  # its tokenizer is for English
    size = sum(document.size for document in texts)
    files = []
    for number, documents in enumerate(in_files(texts, -(-len(texts) // 4))):
        files.append(folder / "in" / f"{number}.parquet")
        write_documents(files[-1], documents)
        lines = (json.dumps({"id": d.id, "text": d.text}) + "\n" for d in documents)
        (folder / "jsonl").mkdir(exist_ok=True)
        (folder / "jsonl" / f"{number}.jsonl").write_text("".join(lines))
    rates: dict[str, list[float]] = defaultdict(list)
    kept: Counter[str] = Counter()
    for turn in range(options.rounds):
        began = time.process_time()
        report = deduplicate(files, folder / f"out-{turn}", executor=LocalExecutor(0))
        rates["ours"].append(size / 1e6 / (time.process_time() - began))
        kept["ours"] = report.total.kept
        told = json.loads(_peer(options, "dedup_peer.py", "steps", str(folder / "jsonl"), str(folder / f"dt-{turn}")))
        rates["datatrove"].append(size / 1e6 / told["seconds"])
        kept["datatrove"] = told["kept"]
    print(f"{len(texts):,} documents, {size / 1e6:.1f} MB, 32 bands of 4, processor time of one process\n")
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.2f} MB/s, {kept[name]:,} kept")
    ratios = [ours / theirs for ours, theirs in zip(rates["ours"], rates["datatrove"], strict=True)]
    print(f"ratio: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def _peer(options: argparse.Namespace, script: str, *arguments: str) -> str:
    if not options.peers:
        raise SystemExit("give --peers: a Python with datatrove, spacy, rensa and datasketch")
    done = subprocess.run([options.peers, str(PEERS / script), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


if __name__ == "__main__":
    main()
