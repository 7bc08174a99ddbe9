"""Training: mean of embeddings, softmax over the labels of the script, by Adam; then the numbers become bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sansi.data.language_id.alphabet import Alphabet
from sansi.data.language_id.model import Model, tables_of
from sansi.data.language_id.training.samples import Pool, Sampler, hashed, make_pool, rows_of
from sansi.data.language_id.training.texts import OTHER, Learned

LOOKED_AT = 400  # texts of each package and label, to find the scripts of the label


@dataclass(frozen=True)
class Settings:
    """How large the model is and how long it is trained."""

    buckets: int = 1 << 17
    width: int = 48
    shape_buckets: int = 1 << 14
    shape_width: int = 8
    examples: int = 240_000
    steps: int = 800
    batch: int = 1024
    rate: float = 0.05
    kept: float = 0.5  # of the features of an example, drawn anew each time
    seed: int = 0


class Network(torch.nn.Module):
    """The classifier in floating point."""

    def __init__(self, settings: Settings, labels: int) -> None:
        super().__init__()
        width, shape_width = settings.width, settings.shape_width
        self.vectors = torch.nn.EmbeddingBag(settings.buckets, width, mode="mean", include_last_offset=True)
        self.shapes = torch.nn.EmbeddingBag(settings.shape_buckets, shape_width, mode="mean", include_last_offset=True)
        torch.nn.init.uniform_(self.vectors.weight, -1 / width, 1 / width)
        torch.nn.init.uniform_(self.shapes.weight, -1 / shape_width, 1 / shape_width)
        self.language = torch.nn.Linear(width, labels)
        torch.nn.init.normal_(self.language.weight, std=0.3)
        self.not_text = torch.nn.Linear(width + shape_width, 1)

    def forward(
        self, hashes: torch.Tensor, starts: torch.Tensor, shapes: torch.Tensor, shape_starts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [N, L] of the languages and [N] of being no text."""
        mean, shape = self.vectors(hashes, starts), self.shapes(shapes, shape_starts)
        return self.language(mean), self.not_text(torch.cat([mean, shape], 1))[:, 0]


def train(learned: Learned, alphabet: Alphabet, settings: Settings, tell: Callable[[str], None] = print) -> Model:
    """A model, the same for the same texts and settings on the same machine."""
    torch.manual_seed(settings.seed)
    sampler = Sampler(learned, settings.seed)
    allowed = find_scripts(learned, sampler.labels, alphabet)
    pool = make_pool(sampler, settings.examples, alphabet, settings.buckets, settings.shape_buckets)
    tell(f"{settings.examples} examples of {len(sampler.labels)} labels")
    network = Network(settings, len(sampler.labels))
    _fit(network, pool, torch.where(torch.from_numpy(allowed), 0.0, -1e4), settings, tell)
    return quantised(network, sampler.labels, alphabet, allowed)


def find_scripts(learned: Learned, labels: list[str], alphabet: Alphabet) -> npt.NDArray[np.bool_]:
    """[groups, labels]: which labels are written in each group of scripts. Each has one; OTHER has many."""
    found = np.zeros((len(alphabet.longest), len(labels)), bool)
    other, tables = labels.index(OTHER), tables_of(alphabet)
    for number, label in enumerate(labels):
        counts = np.zeros(len(alphabet.longest))
        for lines in learned.texts[label].values():
            for text in lines[:LOOKED_AT]:
                own = hashed(text[:200], tables)
                counts[own.group] += own.histogram.sum() > 0
        found[:, number] = counts > 0 if number == other else np.arange(len(counts)) == counts.argmax()
    found[~found.any(1), other] = True
    return found


def _fit(network: Network, pool: Pool, mask: torch.Tensor, settings: Settings, tell: Callable[[str], None]) -> None:
    generator = np.random.default_rng(settings.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.rate, betas=(0.9, 0.99), eps=1e-7, fused=True)
    begun = time.monotonic()
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * min(1.0, (step + 1) / 20) * (1 - step / settings.steps)
        rows = generator.integers(len(pool.labels), size=settings.batch)
        loss, right = _loss(network, pool, rows, mask, settings, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 50 == 0:
            tell(f"step {step}: loss {loss.item():.3f}, right {right:.3f}, {time.monotonic() - begun:.0f} s")


def _loss(
    network: Network,
    pool: Pool,
    rows: npt.NDArray[np.int64],
    mask: torch.Tensor,
    settings: Settings,
    generator: np.random.Generator,
) -> tuple[torch.Tensor, float]:
    hashes, starts = rows_of(pool.hashes, pool.starts, rows)
    keep = generator.random(len(hashes)) < settings.kept
    starts = np.concatenate([[0], np.cumsum(keep)])[starts]
    shapes, shape_starts = rows_of(pool.shapes, pool.shape_starts, rows)
    tensors = [torch.from_numpy(a.astype(np.int64)) for a in (hashes[keep], starts, shapes, shape_starts)]
    language, noise = network(*tensors)
    labels, groups = torch.from_numpy(pool.labels[rows]), torch.from_numpy(pool.groups[rows])
    text = labels >= 0
    logits = torch.log_softmax((language + mask[groups])[text], 1)
    own = logits.gather(1, labels[text][:, None])[:, 0].clamp(min=-20)  # a piece in another script teaches nothing
    right = float((logits.argmax(1) == labels[text]).float().mean())
    return torch.nn.functional.binary_cross_entropy_with_logits(noise, (~text).float()) - own.mean(), right


def quantised(network: Network, labels: list[str], alphabet: Alphabet, allowed: npt.NDArray[np.bool_]) -> Model:
    """The trained network in whole numbers."""
    vectors, vector_scale = _whole(network.vectors.weight, 127, 0.9999)
    shapes, shape_scale = _whole(network.shapes.weight, 127, 0.9999)
    weights, weight_scale = _whole(network.language.weight, 32767, 1.0)
    text_weights, text_scale = _whole(network.not_text.weight[0], 32767, 1.0)
    settings = {
        "vector_scale": vector_scale,
        "shape_scale": shape_scale,
        "weight_scale": weight_scale,
        "text_scale": text_scale,
        "text_bias": float(network.not_text.bias.detach()[0]),
        "temperature": 1.0,
        "temperature_short": 0.0,
    }
    return Model(
        labels=tuple(labels),
        alphabet=alphabet,
        vectors=vectors.astype(np.int8),
        shape_vectors=shapes.astype(np.int8),
        weights=weights.astype(np.int16),
        bias=network.language.bias.detach().numpy().astype(np.float64),
        text_weights=text_weights.astype(np.int16),
        allowed=allowed,
        settings=settings,
    )


def _whole(weight: torch.Tensor, most: int, quantile: float) -> tuple[npt.NDArray[np.float32], float]:
    values = weight.detach().numpy()
    scale = float(np.quantile(np.abs(values), quantile)) / most
    return np.clip(np.round(values / scale), -most, most), scale
