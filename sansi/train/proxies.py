"""Proxies: models small enough to be trained by the dozen, to learn what data are worth. Trained by the one loop.

Each is a job that leaves one file: how many bits per byte it needs for each evaluation set.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sansi.base.config import Config, load_config, too_small
from sansi.base.files import read_json, write_json
from sansi.data.shards.dataset import PackedDataset
from sansi.data.shards.shard import TokenShard
from sansi.data.shards.streams import stack
from sansi.model import ModelConfig, Transformer
from sansi.train.loop import TrainConfig, Trainer
from sansi.train.objective import NextToken, with_attention

BYTE_VOCABULARY = 257
"""Ids of a model that reads bytes: the bytes, and the end of a text."""


@dataclass(frozen=True, kw_only=True)
class ProxyShape(Config):
    """The model of a proxy."""

    hidden_size: int = 64
    """Width."""
    num_hidden_layers: int = 2
    """Layers."""
    head_dim: int = 16
    """Width of one head; there are hidden_size / head_dim."""
    sequence_length: int = 128
    """Tokens of a row."""
    batch_size: int = 8
    """Rows of a batch."""

    def problems(self) -> list[str]:
        found = too_small(self, 1, "num_hidden_layers", "sequence_length", "batch_size")
        found += too_small(self, 2, "head_dim", "hidden_size")
        if self.head_dim >= 2 and (self.hidden_size % self.head_dim or self.head_dim % 2):
            found.append(
                f'"hidden_size" ({self.hidden_size}) must be a multiple of "head_dim" ({self.head_dim}), and that even'
            )
        return found

    def config(self, vocab_size: int) -> ModelConfig:
        heads = self.hidden_size // self.head_dim
        return ModelConfig(
            vocab_size=vocab_size,
            hidden_size=self.hidden_size,
            intermediate_size=2 * self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=heads,
            num_key_value_heads=1 if heads % 2 else heads // 2,
            head_dim=self.head_dim,
            max_position_embeddings=self.sequence_length,
            tie_word_embeddings=True,
        )

    @property
    def rows(self) -> tuple[int, int]:
        return self.sequence_length, self.batch_size

    @property
    def tokens_per_step(self) -> int:
        return self.sequence_length * self.batch_size


class ByteTokenizer:
    """UTF-8 bytes as ids: no vocabulary for a small model to spend its parameters on."""

    vocab_size, end_of_text_id = BYTE_VOCABULARY, 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


@dataclass(frozen=True)
class EvaluationSet:
    """Texts that no proxy reads, as ids, each with the end of a text before it."""

    tokens: npt.NDArray[np.integer]
    starts: npt.NDArray[np.int64]
    bytes: int
    """Of the texts as UTF-8."""


@dataclass(frozen=True)
class ProxyData:
    """What proxies choose from, and what they are measured on."""

    tokens: npt.NDArray[np.integer]
    """Of all pieces, each with the end of a text behind it."""
    starts: npt.NDArray[np.int64]
    """Where each piece starts."""
    evaluation: Mapping[str, EvaluationSet]

    @classmethod
    def of(cls, pieces: Iterable[str], evaluation: Mapping[str, Sequence[str]], tokenizer: Any) -> ProxyData:
        """tokenizer: with `encode` and `end_of_text_id`."""
        end = tokenizer.end_of_text_id
        shard = TokenShard.from_documents([*tokenizer.encode(text), end] for text in pieces)
        sets = {}
        for name, texts in evaluation.items():
            asked = TokenShard.from_documents([end, *tokenizer.encode(text)] for text in texts)
            sets[name] = EvaluationSet(
                asked.tokens, np.asarray(asked.starts, np.int64), sum(len(text.encode()) for text in texts)
            )
        return cls(shard.tokens, np.asarray(shard.starts, np.int64), sets)

    def save(self, path: Path) -> None:
        arrays = {"tokens": self.tokens, "starts": self.starts}
        for number, part in enumerate(self.evaluation.values()):
            arrays |= {f"tokens-{number}": part.tokens, f"starts-{number}": part.starts}
            arrays |= {f"bytes-{number}": np.array(part.bytes)}
        arrays["names"] = np.array(list(self.evaluation), dtype=np.str_)
        with Path(path).open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> ProxyData:
        with np.load(path) as file:
            names = [str(name) for name in file["names"]]
            sets = {
                name: EvaluationSet(file[f"tokens-{i}"], file[f"starts-{i}"], int(file[f"bytes-{i}"]))
                for i, name in enumerate(names)
            }
            return cls(file["tokens"], file["starts"], sets)

    def shard(self, counts: npt.NDArray[np.integer], seed: int) -> TokenShard:
        """The pieces, each as often as its count says, in an order that the seed decides."""
        chosen = np.repeat(np.arange(len(self.starts)), counts)
        ends = np.append(self.starts[1:], len(self.tokens))
        order = np.random.default_rng(seed).permutation(chosen)
        return TokenShard.from_documents(self.tokens[self.starts[i] : ends[i]] for i in order)


def measure_proxy(
    output: Path,
    data: str,
    counts: str,
    seed: int,
    shape: Mapping[str, Any],
    training: Mapping[str, Any],
    rows: tuple[int, int],
    device: str = "cpu",
) -> None:
    """Train a proxy and write its bits per byte to `output`; a job of `sansi.data.work`.

    data: a file of `ProxyData`; counts: a .npy file, how often each piece is read. rows: tokens of a row, and rows of a
    batch. What is left of a run that was killed is gone on with.
    """
    given, folder = ProxyData.load(Path(data)), output.with_suffix(".run")
    config, settings = load_config(ModelConfig, shape, "proxy"), load_config(TrainConfig, training, "training")
    with _one_thread(device):
        model = Transformer(config)
        model.init_weights(seed)
        batches = PackedDataset([given.shard(np.load(counts), seed)], *rows, seed)
        Trainer(model.to(device), batches, NextToken(), settings, folder).train(None)
        found = bits_per_byte(model, given.evaluation, rows)
    write_json(output, found)
    shutil.rmtree(folder)


def read_losses(output: Path) -> dict[str, float]:
    """What `measure_proxy` left."""
    return {name: float(value) for name, value in read_json(output).items()}


@torch.no_grad()
def bits_per_byte(model: Transformer, sets: Mapping[str, EvaluationSet], rows: tuple[int, int]) -> dict[str, float]:
    """Bits that the model needs for a byte of each set, its texts cut into rows; rows as in `measure_proxy`."""
    model.eval()
    device, objective, found = next(model.parameters()).device, NextToken(), {}
    for name, part in sets.items():
        dataset = PackedDataset([TokenShard(part.tokens, part.starts)], *rows)
        total = 0.0
        for begin in range(0, dataset.rows_per_epoch, rows[1]):
            numbers = range(begin, min(begin + rows[1], dataset.rows_per_epoch))
            batch = with_attention(stack([dataset.build(number) for number in numbers]).to(device))
            total += float(objective(model, batch, {}).sum)
        found[name] = total / math.log(2) / part.bytes
    return found


@contextmanager
def _one_thread(device: str) -> Iterator[None]:
    """Proxies are too small for more, and so their sums do not depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
