"""Weights per document against weights per source, at the same budget of proxies: regret in bits per byte.

    python bench/data_mixture.py planted|sources|real --out FOLDER
    python bench/data_mixture.py table --out FOLDER      # collects the results into bench/results/data-mixture.json

`planted`: made corpora in which what a document is worth stands in its annotations; every source holds some of all.
`sources`: the same texts, sorted so that its source decides what a document is worth, and annotations tell nothing.
`real`: a corpus folder (--corpus), a tenth of each source held out. Each search trains as many proxies and compares as
many candidates; what it finds is judged by a larger model on the whole corpus. Results are kept in FOLDER, so that a
run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from sansi.base.files import read_json, write_json
from sansi.data import read_corpus
from sansi.data.documents import Document, text_sha256
from sansi.data.mixture.annotations import Annotations
from sansi.data.mixture.features import FeatureSpace, varying_axes
from sansi.data.mixture.regret import Regret
from sansi.data.mixture.sample import Piece, Pieces, Sample, pieces_of
from sansi.data.mixture.search import Outcome, Search, SearchConfig, Trial
from sansi.data.mixture.shares import weights as weights_of
from sansi.data.mixture.weights import unit_hash
from sansi.train.proxies import ByteTokenizer, ProxyData, measure_proxy, read_losses

SIZES = {"proxy": (32, 1, 2e-2), "target": (64, 2, 1e-2)}  # width, layers, learning rate
STEPS = (160, 640)  # of a proxy, of a target run
SHAPE = {"vocab_size": 257, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
ROWS = (64, 8)  # tokens of a row, rows of a batch


@dataclasses.dataclass(frozen=True)
class World:
    """A corpus, what is known of it, and what models are to be good at."""

    documents: list[Document]
    evaluation: dict[str, list[str]]
    axes: tuple[str, ...]
    """For weights per document."""
    methods: tuple[str, ...]
    epochs: float
    best: Callable[[Document], float] | None = None
    """Weight of the planted optimum, up to a constant."""


# ---- made corpora -------------------------------------------------------------------------------------------------


class Language:
    """A made language: words, and which may follow which."""

    def __init__(self, rng: random.Random, words: int = 80, followers: int = 4):
        letters = rng.sample("abcdefghijklmnopqrstuvwxyz", 14)
        self.words = ["".join(rng.choices(letters, k=rng.randint(2, 6))) for _ in range(words)]
        self.next = [rng.sample(range(words), followers) for _ in range(words)]
        self.shares = [0.5, 0.25, 0.15, 0.1][:followers]

    def text(self, rng: random.Random, size: int, noise: float = 0.0) -> str:
        word, found, length = rng.randrange(len(self.words)), [], 0
        while length < size:
            found.append(self.words[word])
            length += len(found[-1]) + 1
            word = rng.choices(self.next[word], self.shares)[0]
        letters = "abcdefghijklmnopqrstuvwxyz "
        return "".join(rng.choice(letters) if rng.random() < noise else c for c in " ".join(found))


NOISES = {"clean": 0.0, "noisy": 0.15, "garbled": 0.5}
USEFUL = {"one": 0.34, "two": 0.24, "three": 0.14, "four": 0.06}
"""By source: share of clean documents in the languages that are asked for, in the planted world."""


def planted(seed: int, by_source: bool, size: int = 700_000) -> World:
    """A and B are asked for, C is not. Some documents are noisy, some stand in clusters of eight near-copies."""
    rng = random.Random(seed)
    languages = {name: Language(rng) for name in "ABC"}
    documents: list[Document] = []
    length = 0
    while length < size:
        source = rng.choice(list(USEFUL))
        field, noise = _kind(rng, source, by_source)
        copies = 8 if rng.random() < 0.05 else 1
        text = languages[field].text(rng, rng.randint(250, 700), NOISES[noise])
        cluster = f"cluster-{len(documents)}"
        for _ in range(copies):
            documents.append(_document(rng, len(documents), source, field, noise, text, cluster, copies, by_source))
            length += len(text)
    evaluation = {name: [languages[name].text(rng, 500) for _ in range(24)] for name in "AB"}
    amount = {name: sum(_worth(d) * d.size for d in documents if d.metadata["truth"][0] == name) for name in "AB"}
    axes = ("quality", "field", "log2(metadata.copies)", "length", "quality*field")

    def best(document: Document) -> float:
        return _worth(document) / amount[document.metadata["truth"][0]] if _worth(document) else 0.0

    methods = ("per source", "per document", "both") if by_source else ("per source", "per document")
    return World(documents, evaluation, axes, methods, 0.5, best)


def _kind(rng: random.Random, source: str, by_source: bool) -> tuple[str, str]:
    if by_source:
        kinds = {"one": ("A", "clean"), "two": ("B", "clean"), "three": ("C", "clean"), "four": ("C", "garbled")}
        return kinds[source] if rng.random() < 0.85 else (rng.choice("ABC"), rng.choice(list(NOISES)))
    if rng.random() < USEFUL[source]:
        return ("A" if rng.random() < 0.65 else "B"), "clean"
    return rng.choices(
        [("C", "clean"), ("A", "noisy"), ("B", "garbled"), ("C", "garbled"), ("B", "noisy")], (4, 2, 1, 2, 1)
    )[0]


def _document(
    rng: random.Random,
    number: int,
    source: str,
    field: str,
    noise: str,
    text: str,
    cluster: str,
    copies: int,
    blind: bool,
) -> Document:
    """With annotations that are right mostly; blind: that tell nothing."""
    seen = rng.choice("ABC") if blind or rng.random() < 0.1 else field
    level = rng.random() if blind else 1 - NOISES[noise] * 1.5
    quality = min(1.0, max(0.0, level + rng.gauss(0, 0.1)))
    metadata = {"truth": f"{field} {noise} {copies}", "copies": str(copies), "cluster": cluster}
    facts = {"licence": "CC0-1.0", "kind": "prose", "language": "und", "detected_language": None, "quality": quality}
    return Document(
        f"{source}/{number}", source, sha256=text_sha256(text), text=text, field=seen, metadata=metadata, **facts
    )


def _worth(document: Document) -> float:
    """1 for what is of the evaluation's own distribution, a copy for its share of the cluster."""
    field, noise, copies = document.metadata["truth"].split()
    return 1 / int(copies) if field in "AB" and noise == "clean" else 0.0


# ---- a real corpus ------------------------------------------------------------------------------------------------


def real(corpus: Path, seed: int, size: int = 900_000) -> World:
    """As much of every source, in pieces of 2,000 characters; asked for: English, Chinese and Python."""
    kept: dict[str, list[Document]] = {}
    for number, document in enumerate(read_corpus(corpus)):
        for piece in pieces_of(number, document, 1.0, seed):
            part = dataclasses.replace(document, id=piece.id, text=piece.text)
            kept.setdefault(document.source, []).append(part)
    documents: list[Document] = []
    held: dict[str, list[Document]] = {}
    for parts in kept.values():
        parts.sort(key=lambda part: unit_hash(f"{seed} {part.id}"))
        amount = 0
        for part in parts:
            if amount > size / len(kept):
                held.setdefault(_asked(part), []).append(part)
            else:
                documents.append(part)
                amount += part.size
    used = {part.id.partition("#")[0] for part in documents}  # no document is both read and asked for
    fresh = {name: [p for p in parts if p.id.partition("#")[0] not in used] for name, parts in held.items()}
    evaluation = {name: _some(parts, seed, 16_000) for name, parts in sorted(fresh.items()) if name}
    known = ("primary_language", "kind", "quality", "length", "script", "language_score", "value", "field", "domain")
    axes = tuple(varying_axes(Annotations.of(documents, known), known))
    return World(documents, evaluation, axes, ("per source", "per document"), 0.4)


def _asked(document: Document) -> str:
    if document.kind == "code":
        return "Python"
    return {"en": "English", "zh": "Chinese"}.get(document.language.partition("-")[0], "")


def _some(parts: list[Document], seed: int, size: int) -> list[str]:
    """So many bytes of documents that a hash chooses, of every source alike."""
    found, amount = [], 0
    for part in sorted(parts, key=lambda part: unit_hash(f"{seed} asked {part.id}")):
        if amount < size:
            found.append(part.text)
            amount += part.size
    return found


# ---- searches -----------------------------------------------------------------------------------------------------


class Bench:
    """A world at one seed: its searches, and the runs that judge what they found."""

    def __init__(self, world: World, seed: int, folder: Path, search: SearchConfig, steps: tuple[int, int]):
        self.world, self.seed, self.folder = world, seed, folder
        self.search, self.proxy_steps, self.target_steps = search, *steps
        self.seconds = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        share = self.proxy_steps / self.target_steps
        self.pieces = [p for n, d in enumerate(world.documents) for p in pieces_of(n, d, share, seed)]
        self.all = [p for n, d in enumerate(world.documents) for p in pieces_of(n, d, 1.0, seed)]

    def outcome(self, name: str, axes: Sequence[str]) -> tuple[FeatureSpace, np.ndarray, Outcome]:
        """Weights by these axes."""
        annotations = Annotations.of(self.world.documents, sorted({a for axis in axes for a in axis.split("*")}))
        space = FeatureSpace.fit(annotations, axes)
        features = space.matrix(annotations)
        pieces = Pieces.of(self.pieces)
        sample = Sample(features[pieces.owners], pieces, self.proxy_steps * math.prod(ROWS))
        sources = [self.world.documents[owner].source for owner in pieces.owners]
        measure = self._measurer(name, self.pieces, "proxy", self.proxy_steps)
        outcome = Search(self.search, sample, measure, self.seed, sources=sources).run()
        return space, features, outcome

    def judge(self, name: str, scores: np.ndarray) -> dict[str, float]:
        """Bits per byte of the target run with weights in proportion to exp(scores) of the documents."""
        pieces = Pieces.of(self.all)
        total = self.target_steps * math.prod(ROWS)
        sample = Sample(np.zeros((len(pieces), 0)), pieces, total)
        found = weights_of(scores[pieces.owners], sample.sizes, total, self.search.bounds)
        trial = Trial(name, found, sample.counts(found, self.seed), 1000 + self.seed)
        return self._measurer("target", self.all, "target", self.target_steps)([trial])[0]

    def _measurer(
        self, name: str, pieces: Sequence[Piece], size: str, steps: int
    ) -> Callable[[Sequence[Trial]], list[dict[str, float]]]:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        data = folder / "data.npz"
        if not data.is_file():
            ProxyData.of([p.text for p in pieces], self.world.evaluation, ByteTokenizer()).save(data)
        width, layers, rate = SIZES[size]
        shape = {**SHAPE, "hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers}
        shape |= {"tie_word_embeddings": True, "max_position_embeddings": ROWS[0]}
        training = {"steps": steps, "compile": False, "learning_rate": rate, "checkpoint_every": 10**6}

        def measure(trials: Sequence[Trial]) -> list[dict[str, float]]:
            found = []
            for trial in trials:
                common = trial.name.split()[0] in ("proportional", "uniform") and size == "proxy"
                place = self.folder if common else folder  # these two are the same, whatever weights depend on
                output, counts = place / f"{trial.name}.json", folder / f"{trial.name}.npy"
                if not output.is_file():
                    started = time.process_time()
                    np.save(counts, trial.counts)
                    measure_proxy(output, str(data), str(counts), trial.seed, shape, training, ROWS)
                    counts.unlink()
                    self.seconds += time.process_time() - started
                found.append(read_losses(output))
            return found

        return measure


def mean(losses: Mapping[str, float]) -> float:
    return float(np.mean(list(losses.values())))


def run_seed(world: World, seed: int, folder: Path, search: SearchConfig, steps: tuple[int, int]) -> dict:
    if (folder / "result.json").is_file():
        return read_json(folder / "result.json")
    bench = Bench(world, seed, folder, search, steps)
    documents = world.documents
    sizes = np.array([d.size for d in documents], float)
    amount = {s: sizes[[d.source == s for d in documents]].sum() for s in {d.source for d in documents}}
    scores = {
        "proportional": np.zeros(len(documents)),
        "uniform": np.array([-math.log(amount[d.source]) for d in documents]),
    }
    facts = {}
    axes = {"per source": ("source",), "per document": world.axes, "both": (*world.axes, "source")}
    for name in world.methods:
        space, features, outcome = bench.outcome(name.replace(" ", "-"), axes[name])
        scores[name] = features @ outcome.coefficients
        facts[name] = {
            "effects": dict(zip(space.names, np.round(outcome.optimum.slope.effects, 4).tolist(), strict=True)),
            "price": outcome.optimum.slope.price,
            "explained": outcome.fit.explained,
            "strength": outcome.strength,
            "coefficients": np.round(outcome.coefficients, 3).tolist(),
            "candidates": {c.name: [c.loss, c.concentration] for c in outcome.candidates},
        }
    if world.best:
        worth = np.array([world.best(d) for d in documents])
        scores["planted optimum"] = np.log(np.maximum(worth, 1e-250))
    losses = {name: bench.judge(name.replace(" ", "-"), given) for name, given in scores.items()}
    result = {"seed": seed, "losses": losses, "searches": facts, "seconds": bench.seconds}
    write_json(folder / "result.json", result)
    return result


def table(folder: Path) -> None:
    """Collect the results of all seeds, and print them as Markdown."""
    worlds = {world: _results(folder / world) for world in ("planted", "sources", "real") if (folder / world).is_dir()}
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    write_json(results / "data-mixture.json", worlds)
    for world, runs in worlds.items():
        if not runs:
            continue
        names = list(runs[0]["losses"])
        losses = {name: [mean(run["losses"][name]) for run in runs] for name in names}
        best = "planted optimum" if "planted optimum" in names else min(names, key=lambda name: mean_of(losses[name]))
        seconds = sum(run["seconds"] for run in runs)
        print(f"\n{world}: {len(runs)} seeds, {seconds / 60:.0f} minutes of one core\n")
        print(f"| weights | bits per byte | regret against {best} | against proportional |\n|---|--:|--:|--:|")
        for name in names:
            cells = [name, f"{mean_of(losses[name]):.3f}"]
            cells += [
                "-" if other == name else str(Regret.of(losses[name], losses[other])) for other in (best, names[0])
            ]
            print("| " + " | ".join(cells) + " |")
        for one, other in (("per document", "per source"), ("both", "per source"), ("both", "per document")):
            if one in losses and other in losses:
                wins = sum(a < b for a, b in zip(losses[one], losses[other], strict=True))
                print(f"{one} less {other}: {Regret.of(losses[one], losses[other])}, better in {wins} of {len(runs)}")


def _results(folder: Path) -> list[dict]:
    return [read_json(file) for file in sorted(folder.glob("*/result.json"))]


def mean_of(values: Sequence[float]) -> float:
    return float(np.mean(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", choices=["planted", "sources", "real", "table"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, default=Path("data/corpus"))
    parser.add_argument("--proxies", type=int, default=24)
    args = parser.parse_args()
    if args.world == "table":
        table(args.out)
        return
    for seed in args.seeds:
        world = real(args.corpus, seed) if args.world == "real" else planted(seed, args.world == "sources")
        search = SearchConfig(proxies=args.proxies, epochs=world.epochs, min_effective_share=0.05, confirmations=2)
        result = run_seed(world, seed, args.out / args.world / str(seed), search, STEPS)
        print(
            seed, {n: round(mean(v), 4) for n, v in result["losses"].items()}, f"{result['seconds']:.0f} s", flush=True
        )


if __name__ == "__main__":
    main()
