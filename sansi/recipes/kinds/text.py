"""From sources to batches: corpus, tokenizer, packed tokens, mixtures of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sansi.base.config import Config, idle, load_config, too_small
from sansi.base.files import read_json, write_json
from sansi.data import Mixture, PackedDataset, RowStream, build_corpus, pack_corpus, read_corpus
from sansi.data.corpus import CorpusConfig, SourceConfig
from sansi.data.packages import find_packages, known_names
from sansi.data.problems import training_problems
from sansi.data.shards.building import Packing
from sansi.data.shards.manifest import Manifest
from sansi.data.shards.packing import pack_into
from sansi.post.samples import Shares, exchange_of, plain_document, plain_question
from sansi.post.small_talk import fixed_text
from sansi.recipes.kinds.tasks import (
    CORPUS,
    HELD_OUT,
    TOKENIZER,
    exchange_stream,
    held_out_keys,
    problems_of,
    refusal_of,
    wrong_stream,
)
from sansi.recipes.stages import Estimate, Inputs, Kind, Role, StageRun
from sansi.text import NO_THINK_FLAG, THINK_FLAG, Codec, Tokenizer
from sansi.text.codec import BUDGET_PHRASE

MIXTURE_FILE = "mixture.json"
USUAL_SOURCE = 3_000_000  # bytes of text in a source, about


def make_corpus(config: CorpusConfig, inputs: Inputs, run: StageRun) -> Path:
    questions = [problem.question for problem in problems_of(inputs, "held_out")]
    report = build_corpus(run.path, config, evaluation_texts=questions, base=run.base)
    run.record(documents=report.documents, bytes=report.bytes, languages=report.languages)
    return run.path


@dataclass(frozen=True, kw_only=True)
class TrainTokenizer(Config):
    """A byte-level BPE tokenizer with the chat template, trained on the corpus and on worked problems."""

    vocab_size: int
    """Ids, control tokens included."""
    split: Literal["qwen", "marks"] = "qwen"
    """Where words end: as in the published tokenizers, or with combining marks kept in words, which takes fewer tokens
    in Indic scripts and Burmese."""
    every: int = 1
    """Every n-th document of the corpus is read."""
    characters: int = 2000
    """Of each document, from its beginning."""
    worked_problems: int = 0
    """Worked problems that are read beside the corpus."""
    problem_seed: int = 0
    """Of the stream that they are drawn from, 0 to 999; give every stage its own."""
    fixed_repeats: int = 0
    """Times that the sentences that are always the same are read: each of their words becomes one token."""

    def problems(self) -> list[str]:
        found = too_small(self, 1, "vocab_size", "every", "characters")
        found += too_small(self, 0, "worked_problems", "fixed_repeats") + wrong_stream(self.problem_seed)
        none_read = idle(self, 'is of "worked_problems", and none are read', "problem_seed")
        return found + ([] if self.worked_problems else none_read)


def make_tokenizer(config: TrainTokenizer, inputs: Inputs, run: StageRun) -> Path:
    documents = itertools.islice(read_corpus(inputs["corpus"]), 0, None, config.every)
    texts = [document.text[: config.characters] for document in documents]
    drawn = training_problems(config.problem_seed, held_out=held_out_keys(inputs))
    worked = [plain_document(exchange_of(problem)) for problem in itertools.islice(drawn, config.worked_problems)]
    fixed = f"user\nassistant\nsystem\n\n{BUDGET_PHRASE.strip()}\n{THINK_FLAG} {NO_THINK_FLAG}\n{fixed_text()}"
    Codec(
        Tokenizer.train([*texts, *worked, *[fixed] * config.fixed_repeats], config.vocab_size, split=config.split)
    ).save(run.path)
    run.record(documents=len(texts), problems=len(worked))
    return run.path


@dataclass(frozen=True, kw_only=True)
class Pack(Config):
    """Text as token ids, in shards that training maps into memory."""

    content: Literal["documents", "exchanges"] = "documents"
    """What is packed: the documents of the corpus, or questions with their worked solutions as plain text."""
    sequence_length: int | None = None
    """Tokens of a row. Given, rows are packed best-fit and hold whole documents as far as they fit; left out, documents
    lie end to end and are cut into rows when they are read."""
    long_documents: Literal["split", "crop", "drop"] = "split"
    """Of rows, what becomes of documents that are longer: split into successive pieces, cropped, or left out."""
    min_tokens: int = 0
    """Shorter documents are left out; the token that ends a document counts."""
    max_tokens: int | None = None
    """Longer documents are left out."""
    tokens: int | None = None
    """Of exchanges: so many tokens at least, which end with a whole exchange."""
    seed: int = 0
    """Of the stream of exchanges, 0 to 999; give every stage its own. Of documents: of the order of rows inside a shard
    and, with weights, of who is there how often."""
    shares: Shares = field(default_factory=Shares)
    """Of exchanges: whose words the questions are in."""
    direct_every: int = 6
    """Of exchanges: every n-th is without its thought."""

    def problems(self) -> list[str]:
        found = too_small(self, 0, "min_tokens") + too_small(self, 1, "max_tokens", "tokens", "direct_every")
        found += wrong_stream(self.seed) + self._of_the_other_content()
        if self.content == "exchanges" and self.tokens is None:
            found.append('"tokens" is missing: the stream of exchanges is endless')
        if self.content == "documents" and self.tokens is not None:
            found.append(
                '"tokens" bounds exchanges; what is packed of a corpus is bounded by "limit_bytes" of its stage'
            )
        return found or refusal_of(lambda: self.packing)

    @property
    def packing(self) -> Packing:
        seed = self.seed if self.content == "documents" else 0
        return Packing(self.sequence_length, self.long_documents, self.min_tokens, self.max_tokens, seed)

    def _of_the_other_content(self) -> list[str]:
        if self.content == "documents":
            return idle(self, "is of exchanges, and documents are packed", "shares", "direct_every")
        return idle(self, "is of documents, and exchanges are packed", "min_tokens", "max_tokens")


def make_tokens(config: Pack, inputs: Inputs, run: StageRun) -> Path:
    if config.content == "documents":
        packed = pack_corpus(
            inputs["corpus"], inputs["tokenizer"], run.path, config.packing, weights=inputs.get("weights")
        )
    else:
        tokenizer = Codec.from_pretrained(inputs["tokenizer"]).tokenizer
        packed = pack_into(run.path, _exchanges(config, inputs, tokenizer), tokenizer, config.packing)
    run.record(documents=packed.documents, tokens=packed.tokens)
    if config.sequence_length is not None:
        run.say(f"{packed.rows:,} rows, {packed.padding_share:.2%} of them padding")
        run.record(rows=packed.rows, padding=round(packed.padding_share, 6))
    if packed.left_out:
        run.say("left out: " + ", ".join(f"{count:,} {reason}" for reason, count in packed.left_out.items()))
        run.record(left_out=packed.left_out)
    return run.path


def _exchanges(config: Pack, inputs: Inputs, tokenizer: Tokenizer) -> Iterator[str]:
    assert config.tokens is not None
    size = 0
    for i, exchange in enumerate(exchange_stream(config.seed, config.shares, inputs)):
        text = plain_question(exchange) if i % config.direct_every == 0 else plain_document(exchange)
        size += len(tokenizer.encode(text)) + 1
        yield text
        if size >= config.tokens:
            return


@dataclass(frozen=True)
class Part(Config):
    """One of the packed inputs of a mixture."""

    input: str
    """Its name."""
    weight: float
    """Its share of the rows; all shares are normalised to 1."""
    seed: int = 0
    """Added to the recipe's seed for the order of its rows."""

    def problems(self) -> list[str]:
        return [] if self.weight > 0 else [f'"weight" must be above 0, not {self.weight}']


@dataclass(frozen=True)
class MixtureOf(Config):
    """Rows of several packed inputs, interleaved in proportion to their weights."""

    parts: tuple[Part, ...]
    """Each {input, weight, seed}."""

    def problems(self) -> list[str]:
        names = [part.input for part in self.parts]
        found = [] if names else ['"parts" is empty']
        return found + [f'"{name}" is a part twice' for name in sorted(set(names)) if names.count(name) > 1]


@dataclass(frozen=True)
class MixedPart:
    """A part as the stage's folder names it."""

    path: str
    """Relative to the folder, or absolute for what no stage made."""
    weight: float
    seed: int
    tokens: int


def make_mixture(config: MixtureOf, inputs: Inputs, run: StageRun) -> Path:
    given = {item.name: item for item in inputs.all("tokens")}
    parts = []
    for part in config.parts:
        item = given[part.input]
        near = item.folder is not None
        path = os.path.relpath(item.path, run.home) if near else str(item.path)
        size = Manifest.load(item.path).tokens
        parts.append({"path": path, "weight": part.weight, "seed": part.seed, "tokens": size})
    digests = {name: run.digests[f"tokens: {name}"] for name in given}
    write_json(run.path / MIXTURE_FILE, {"parts": parts, "digests": digests})
    run.record(tokens=sum(part["tokens"] for part in parts))
    return run.path


def open_batches(folder: Path, rows: tuple[int, int], seed: int, tokenizer: Tokenizer) -> RowStream:
    """The batches of a packed folder, or of a mixture of them.

    rows: tokens of a row, and rows of a batch. Raises SansiError for tokens of another tokenizer.
    """
    file = Path(folder) / MIXTURE_FILE
    if not file.is_file():
        return PackedDataset([folder], *rows, seed, tokenizer=tokenizer)
    parts = [load_config(MixedPart, part, str(file)) for part in read_json(file)["parts"]]
    return Mixture(
        [
            (PackedDataset([folder / part.path], *rows, seed + part.seed, tokenizer=tokenizer), part.weight)
            for part in parts
        ]
    )


def _wrong_inputs_of_pack(config: Pack, inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    if config.content == "exchanges":
        return ['the input "weights" is of documents, and exchanges are packed'] if "weights" in inputs else []
    if config.seed and config.sequence_length is None and "weights" not in inputs:
        return ['"seed" draws nothing where documents without weights are packed end to end; leave it out']
    if "held_out" not in inputs:
        return []
    return ['the input "held_out" is of exchanges; documents are held apart by the stage that makes the corpus']


def _every_input_is_a_part(config: MixtureOf, inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    parts, given = {part.input for part in config.parts}, set(inputs.get("tokens", ()))
    found = [f'the part "{name}" is not among the inputs' for name in sorted(parts - given)]
    return found + [f'the input "{name}" is no part; give it a weight' for name in sorted(given - parts)]


def _corpus_size(config: CorpusConfig, before: Mapping[str, Estimate]) -> Estimate:
    limits = [_limit_of(source) for source in config.named]
    size = sum(limits)
    # Whatever its limit, a source is read whole: what is kept is chosen from all of it.
    read = sum(max(limit, USUAL_SOURCE) for limit in limits)
    many, megabytes = "source" if len(limits) == 1 else "sources", size / 1e6
    what = f"{len(limits)} {many}, about {megabytes:.{0 if megabytes >= 1 else 2}f} MB"
    return Estimate(what, tokens=None, seconds=read / 2e5, disk=size)


def _limit_of(source: SourceConfig) -> int:
    """Bytes of text that a source gives, about."""
    known = find_packages([source.package])[0] if source.package in known_names() else None
    return source.limit_bytes or (known.limit_bytes if known else None) or USUAL_SOURCE


def _packed_size(config: Pack, before: Mapping[str, Estimate]) -> Estimate:
    corpus = before.get("corpus", Estimate())
    tokens = config.tokens or ((corpus.disk or 0) // 3)
    return Estimate(config.content, tokens=tokens, seconds=tokens / 2e5, disk=2 * tokens)


KINDS = (
    Kind(
        "corpus",
        "fetches real text and cleans it",
        CorpusConfig,
        make_corpus,
        "corpus",
        {"held_out": HELD_OUT},
        resumes=True,
        estimate=_corpus_size,
    ),
    Kind(
        "tokenizer",
        "trains a tokenizer with the chat template",
        TrainTokenizer,
        make_tokenizer,
        "tokenizer",
        {"corpus": CORPUS, "held_out": HELD_OUT},
        estimate=lambda config, before: Estimate(f"{config.vocab_size:,} ids", seconds=20.0),
    ),
    Kind(
        "pack",
        "turns text into packed token ids",
        Pack,
        make_tokens,
        "tokens",
        {
            "corpus": CORPUS,
            "tokenizer": TOKENIZER,
            "held_out": HELD_OUT,
            "weights": Role("how often each document is to be there", ("weights",), optional=True),
        },
        resumes=True,
        check=_wrong_inputs_of_pack,
        estimate=_packed_size,
    ),
    Kind(
        "mixture",
        "mixes packed tokens by weight",
        MixtureOf,
        make_mixture,
        "mixture",
        {"tokens": Role("packed tokens to mix", ("tokens",), many=True)},
        check=_every_input_is_a_part,
        estimate=lambda config, before: Estimate(f"{len(config.parts)} parts"),
    ),
)
