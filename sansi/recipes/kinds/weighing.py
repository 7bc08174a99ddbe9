"""Weights of documents: small proxies read differently weighted samples of a corpus, and their losses tell what is
worth reading how often."""

from __future__ import annotations

import functools
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sansi.base.config import config_to_dict, idle, too_small
from sansi.base.errors import ConfigError, SansiError
from sansi.base.words import count
from sansi.data import Document, read_corpus
from sansi.data.mixture.annotations import Annotations, reader
from sansi.data.mixture.features import FeatureSpace, Floats, varying_axes
from sansi.data.mixture.report import effect_intervals, verdict, write_report
from sansi.data.mixture.sample import Piece, Pieces, Sample, pieces_of, sample_pieces
from sansi.data.mixture.search import Losses, Outcome, Search, SearchConfig, Trial
from sansi.data.mixture.shares import log_level
from sansi.data.mixture.weights import Coefficient, DocumentWeights, unit_hash
from sansi.data.work import Job, LocalExecutor
from sansi.recipes.kinds.tasks import CORPUS, TOKENIZER
from sansi.recipes.stages import Estimate, Inputs, Kind, Role, StageRun
from sansi.text import Codec
from sansi.train.config import TrainConfig
from sansi.train.proxies import BYTE_VOCABULARY, ByteTokenizer, ProxyData, ProxyShape, measure_proxy, read_losses

NUMBERS = ("quality", "value", "difficulty", "unsafe", "language_score", "length")
USUAL_AXES = (*NUMBERS, "kind", "primary_language", "field", "domain", "source")
MIN_SET_BYTES = 2000  # less tells nothing of how well a set is predicted
MAX_SETS = 32
MIN_STEPS = 10
PROBED = 200  # pieces from which the tokens of a byte are counted
USUAL_VOCABULARY = 16_384  # of a tokenizer, in estimates


def proxy_training() -> TrainConfig:
    """A hundred thousand tokens or so, in seconds."""
    return TrainConfig(steps=200, learning_rate=1e-2, compile=False, checkpoint_every=1000)


@dataclass(frozen=True, kw_only=True)
class WeighDocuments(SearchConfig):
    """Fits how often each document is worth reading, by what is known of it, to the losses of small proxies."""

    axes: tuple[str, ...] = ()
    """What the weights depend on: fields of documents, "length", "primary_language", "signals.NAME", "metadata.NAME",
    "log2(AXIS)" of counts, and products such as "quality*kind". None: those of the usual ones that differ."""
    sets: str = "primary_language"
    """The axis by which the evaluation texts are parted into sets; all count the same, but for `set_weights`."""
    set_weights: dict[str, float] = field(default_factory=dict)
    """What a set counts, by its name; 1 where nothing is said, 0: not at all."""
    evaluation_bytes: int = 100_000
    """Of evaluation text that each proxy is measured on, in all sets; as much of each."""
    hold_out: float = 0.0
    """Share of the corpus's own documents that proxies are measured on and do not read; 0: the held-out texts alone."""
    proxy: ProxyShape = field(default_factory=ProxyShape)
    """The model of a proxy."""
    training: TrainConfig = field(default_factory=proxy_training)
    """How a proxy is trained."""
    workers: int | None = None
    """Proxies at once on the CPU; None: one for each core, 0: in this process."""

    def problems(self) -> list[str]:
        found = super().problems() + too_small(self, MIN_SET_BYTES, "evaluation_bytes") + too_small(self, 0, "workers")
        if not 0 <= self.hold_out < 1:
            found.append(f'"hold_out" is a share, 0 or more and below 1, not {self.hold_out}')
        found += [
            f'"set_weights": {name} is {w}; it must be 0 or more' for name, w in self.set_weights.items() if w < 0
        ]
        for name in (self.sets, *_single(self.axes)):
            try:
                reader(name)
            except SansiError as error:
                found.append(str(error))
        if self.training.evaluate_every:
            found.append('"training.evaluate_every" is for evaluations in between, and a proxy is measured at its end')
        return found


def make_weights(config: WeighDocuments, inputs: Inputs, run: StageRun) -> Path:
    return _Weighing(config, inputs, run).make()


class _Weighing:
    """One stage at work."""

    def __init__(self, config: WeighDocuments, inputs: Inputs, run: StageRun):
        self.config, self.inputs, self.run = config, inputs, run
        self.tokenizer: Any = Codec.from_pretrained(inputs["tokenizer"]).tokenizer if "tokenizer" in inputs else None
        self.tokenizer = self.tokenizer or ByteTokenizer()
        self.home = run.path / "proxies"
        self.home.mkdir(exist_ok=True)

    def make(self) -> Path:
        annotations, space = self._annotations()
        features = space.matrix(annotations)
        evaluation = self._evaluation()
        pieces, steps = self._sample(annotations)
        size = float(sum(piece.size for piece in pieces))
        sample_of = Pieces.of(pieces)
        sample = Sample(features[sample_of.owners], sample_of, self.config.epochs * size)
        data = self.home / "data.npz"
        ProxyData.of((piece.text for piece in pieces), evaluation, self.tokenizer).save(data)
        self.run.say(
            f"{count(len(space.terms), 'feature')}, {count(len(evaluation), 'evaluation set')}; a proxy reads "
            f"{sample.total / 1e3:,.0f} kB chosen from {size / 1e3:,.0f} kB in {count(steps, 'step')}"
        )
        sources = [str(annotations.column("source")[owner]) for owner in sample_of.owners]
        measure = functools.partial(self._measure, data, steps)
        search = Search(self.config, sample, measure, self.run.seed, self.config.set_weights, sources)
        search.counted(evaluation)  # a set that there is not is told before hours of training
        return self._write(search.run(), space, features, annotations)

    # ---- the corpus ---------------------------------------------------------------------------------------------

    def _documents(self) -> Iterator[Document]:
        """Those that proxies may read."""
        return (document for document in read_corpus(self.inputs["corpus"]) if not self._is_asked(document))

    def _is_asked(self, document: Document) -> bool:
        return self.config.hold_out > 0 and unit_hash(f"hold out {document.id}") < self.config.hold_out

    def _annotations(self) -> tuple[Annotations, FeatureSpace]:
        axes = self.config.axes or USUAL_AXES
        single = sorted({*_single(axes), "source"})
        annotations = Annotations.of(self._documents(), single)
        if not len(annotations):
            raise SansiError(f"{self.inputs['corpus']} holds no document to weigh; build the corpus first")
        chosen = list(self.config.axes) or varying_axes(annotations, axes)
        return annotations, FeatureSpace.fit(annotations, chosen)

    def _evaluation(self) -> dict[str, list[str]]:
        """Texts by set: of the input "evaluation" or of the corpus what is held out, and what `hold_out` keeps back."""
        by_set: defaultdict[str, list[Piece]] = defaultdict(list)
        read = reader(self.config.sets)
        for number, document in enumerate(self._asked()):
            name = read(document)
            by_set["-" if name is None else str(name)] += pieces_of(number, document, 1.0, self.run.seed)
        large = {name: pieces for name, pieces in by_set.items() if sum(p.size for p in pieces) >= MIN_SET_BYTES}
        if not large:
            raise SansiError(
                f"there is no evaluation text of {MIN_SET_BYTES:,} bytes or more to measure proxies on; set "
                '"hold_out" to 0.05 or so, or give an input "evaluation"',
                param="hold_out",
            )
        order = sorted(large, key=lambda name: (-sum(piece.size for piece in large[name]), name))
        named = [name for name in order if name in self.config.set_weights]
        kept = sorted({*named, *order[:MAX_SETS]})
        if left := len(by_set) - len(kept):
            self.run.say(f"{count(left, 'evaluation set')} left out, too small or beyond the {MAX_SETS} largest")
        share = self.config.evaluation_bytes / len(kept)
        return {name: _some(large[name], share) for name in kept}

    def _asked(self) -> Iterator[Document]:
        corpus = self.inputs["corpus"]
        if other := self.inputs.get("evaluation"):
            yield from read_corpus(other)
            yield from read_corpus(other, held_out=True)
            return
        yield from read_corpus(corpus, held_out=True)
        if self.config.hold_out:
            yield from filter(self._is_asked, read_corpus(corpus))

    def _sample(self, annotations: Annotations) -> tuple[list[Piece], int]:
        """Pieces that a proxy chooses from, and the steps in which it reads `epochs` times their size."""
        config, size = self.config, float(annotations.sizes.sum())
        rate = self._tokens_per_byte()
        wanted = config.training.steps * config.proxy.tokens_per_step / rate
        share = min(1.0, wanted / (config.epochs * size))
        pieces = sample_pieces(self._documents(), share, self.run.seed, size)
        read = config.epochs * sum(piece.size for piece in pieces) * rate
        steps = min(config.training.steps, round(read / config.proxy.tokens_per_step))
        if steps < MIN_STEPS:
            raise SansiError(
                f"read {config.epochs:g} times, the corpus is {count(steps, 'step')} of a proxy, too few to learn "
                'anything; take a larger corpus, more "epochs", or a smaller "batch_size" or "sequence_length"'
            )
        return pieces, steps

    def _tokens_per_byte(self) -> float:
        if isinstance(self.tokenizer, ByteTokenizer):
            return 1.0
        texts = [document.text[:2000] for _, document in zip(range(PROBED), self._documents(), strict=False)]
        return sum(len(self.tokenizer.encode(text)) + 1 for text in texts) / sum(len(text.encode()) for text in texts)

    # ---- proxies ------------------------------------------------------------------------------------------------

    def _measure(self, data: Path, steps: int, trials: Sequence[Trial]) -> list[Losses]:
        """Train what is not there yet."""
        training = replace(self.config.training, steps=steps)
        jobs = []
        for trial in trials:
            counts = self.home / f"{_file_name(trial)}.npy"
            with counts.open("wb") as file:
                np.save(file, trial.counts)
            arguments = {
                "data": str(data),
                "counts": str(counts),
                "seed": trial.seed,
                "shape": config_to_dict(self.config.proxy.config(self.tokenizer.vocab_size)),
                "training": config_to_dict(training),
                "rows": self.config.proxy.rows,
                "device": self.run.device,
            }
            jobs.append(Job(measure_proxy, counts.with_suffix(".json"), arguments))
        workers = self.config.workers if self.run.device == "cpu" else 0
        LocalExecutor(workers).run(jobs, "proxies")
        return [read_losses(job.output) for job in jobs]

    # ---- the result ---------------------------------------------------------------------------------------------

    def _write(self, outcome: Outcome, space: FeatureSpace, features: Floats, annotations: Annotations) -> Path:
        folder = self.run.path / "weights"
        folder.mkdir(exist_ok=True)
        sizes = annotations.sizes.astype(np.float64)
        level = log_level(features @ outcome.coefficients, sizes, self.config.epochs * sizes.sum(), self.config.bounds)
        facts = {
            "inputs": dict(self.run.digests),
            "documents": len(annotations),
            "bytes": int(annotations.sizes.sum()),
            "proxies": _digest(outcome),
            "seed": self.run.seed,
        }
        columns = (outcome.coefficients, outcome.optimum.slope.effects, *effect_intervals(outcome))
        coefficients = tuple(Coefficient(*map(float, row)) for row in zip(*columns, strict=True))
        found = DocumentWeights(space, coefficients, level, self.config.bounds, self.config.epochs, facts)
        found.save(folder)
        trained = len(outcome.proxies) + sum(len(candidate.losses) for candidate in outcome.candidates)
        about = {
            "corpus": f"{len(annotations):,} documents, {sizes.sum() / 1e6:,.1f} MB, read {self.config.epochs:g} times",
            "proxies": f"{trained} of {self._parameters():,} parameters",
            "bounds": f"no document more than {self.config.max_repeats} times",
        }
        write_report(folder, found, outcome, annotations, about)
        self.run.record(documents=len(annotations), proxies=trained, features=len(space.terms))
        self.run.say(verdict(outcome))
        return folder

    def _parameters(self) -> int:
        return self.config.proxy.config(self.tokenizer.vocab_size).num_parameters()


def _single(axes: Sequence[str]) -> list[str]:
    """The axes of products, one by one."""
    return [part.strip() for axis in axes for part in axis.split("*")]


def _some(pieces: Sequence[Piece], size: float) -> list[str]:
    """So many bytes of pieces that a hash chooses."""
    found, amount = [], 0
    for piece in sorted(pieces, key=lambda piece: unit_hash(f"asked {piece.id}")):
        if amount < size:
            found.append(piece.text)
            amount += piece.size
    return found


def _file_name(trial: Trial) -> str:
    return trial.name.replace(" ", "-")


def _digest(outcome: Outcome) -> str:
    """Of what all proxies of the fit read, and of their losses."""
    found = hashlib.sha256()
    for trial, losses in outcome.proxies:
        found.update(trial.counts.astype("<i8").tobytes() + json.dumps(dict(losses), sort_keys=True).encode())
    return found.hexdigest()


def _asked_of_one(config: WeighDocuments, inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    reason = 'keeps back texts of the corpus, and "evaluation" gives others; leave one out'
    return idle(config, reason, "hold_out") if "evaluation" in inputs else []


def _trained(config: WeighDocuments, before: Mapping[str, Estimate]) -> Estimate:
    proxies = config.proxies + config.confirmations * 5
    tokens = proxies * config.training.steps * config.proxy.tokens_per_step
    vocabulary = USUAL_VOCABULARY if "tokenizer" in before else BYTE_VOCABULARY
    try:
        parameters = config.proxy.config(vocabulary).num_parameters()
    except ConfigError:
        parameters = 0
    # Measured on one core: so small a model spends much of a step outside its products.
    seconds = tokens * (1.2e-5 + 6 * parameters / 5e10) + 1.5 * proxies
    return Estimate(f"{proxies} proxies of {parameters:,} parameters", tokens=tokens, seconds=seconds, disk=10**6)


ASKED = "texts that models are to be good at; left out: the corpus's held-out ones"

KINDS = (
    Kind(
        "document_weights",
        "fits how often each document is worth reading to the losses of small proxies",
        WeighDocuments,
        make_weights,
        "weights",
        {
            "corpus": CORPUS,
            "tokenizer": replace(TOKENIZER, about="the tokenizer; left out: proxies read bytes", optional=True),
            "evaluation": Role(ASKED, ("corpus",), optional=True),
        },
        resumes=True,
        seeded=True,
        check=_asked_of_one,
        estimate=_trained,
    ),
)
