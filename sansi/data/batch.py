"""The batch: what every producer yields and every objective reads, as tensors that move to a device together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sansi.base.errors import SansiError

TOKEN_FIELDS = ("weights", "advantages", "logprobs", "reference_logprobs", "teacher_ids", "teacher_logprobs")
"""Optional fields with a value, or several, for each token: [B, T+1, …]."""
OPTIONAL_FIELDS = (*TOKEN_FIELDS, "rewards")


@dataclass(frozen=True)
class Batch:
    """B rows of T + 1 tokens. The model reads ids[:, :-1] and predicts ids[:, 1:].

    What is said of token t stands at index t, also what belongs to its prediction from the tokens before it. Raises
    SansiError for shapes that do not fit each other, and for a target that no token of its document precedes.
    """

    ids: Tensor
    """int64 [B, T+1]."""
    documents: tuple[tuple[int, ...], ...]
    """Lengths of the documents of each row, in order. They fill its T+1 tokens: none crosses a row, and padding is a
    document of its own. A token attends within its own document only."""
    loss_mask: Tensor
    """bool [B, T+1]: whether the token is a target; never the first of its document in the row."""
    weights: Tensor | None = None
    """float32 [B, T+1], 0 or more: what a target counts in the mean. None: 1."""
    advantages: Tensor | None = None
    """float32 [B, T+1]: of the policy gradient."""
    rewards: Tensor | None = None
    """float32 [B]: what the row was worth, as far as it holds one answer."""
    logprobs: Tensor | None = None
    """float32 [B, T+1]: with which the tokens were sampled."""
    reference_logprobs: Tensor | None = None
    """float32 [B, T+1]: under a frozen reference model."""
    teacher_ids: Tensor | None = None
    """int64 [B, T+1, K]: a teacher's likeliest tokens in the place of each token."""
    teacher_logprobs: Tensor | None = None
    """float32 [B, T+1, K]: the teacher's log-probabilities of them."""
    attention: Any = None
    """What the model's attention reads, made from `documents` by whoever calls the model; None until then."""
    relevant: Tensor = dataclasses.field(init=False, repr=False)
    """bool [B, T+1]: tokens of documents that have a target. Padding has none, so it is not among them."""

    def __post_init__(self) -> None:
        if self.ids.ndim != 2 or self.ids.dtype != torch.int64 or self.ids.shape[1] < 2:
            raise SansiError(
                f'"ids" is {_described(self.ids)}; a batch needs int64 [rows, tokens] of 2 tokens or more', param="ids"
            )
        self._check_shapes()
        self._check_documents()

    @property
    def device(self) -> torch.device:
        return self.ids.device

    @property
    def tokens(self) -> int:
        """Tokens that the model reads, padding included: B * T."""
        return self.ids.shape[0] * (self.ids.shape[1] - 1)

    @cached_property
    def targets(self) -> int:
        """Number of targets."""
        return int(self.loss_mask[:, 1:].sum())

    @cached_property
    def target_weight(self) -> float:
        """What the targets weigh together; without weights their number."""
        if self.weights is None:
            return float(self.targets)
        return float((self.weights * self.loss_mask)[:, 1:].sum(dtype=torch.float64))

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors on `device`."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def with_attention(self, attention: Any) -> Batch:
        """The same batch with what the model's attention reads."""
        return self._mapped(lambda tensor: tensor, attention=attention)

    def rows(self, index: slice | Sequence[int] | Tensor) -> Batch:
        """The rows of `index`, in its order."""
        numbers = range(len(self))[index] if isinstance(index, slice) else [int(number) for number in index]
        chosen = index if isinstance(index, slice) else torch.as_tensor(list(numbers), device=self.device)
        documents = tuple(self.documents[number] for number in numbers)
        return self._mapped(lambda tensor: tensor[chosen], documents=documents)

    def split(self, parts: int) -> list[Batch]:
        """Cut into at most `parts` micro-batches of successive rows, as even as whole rows allow; none is empty."""
        if parts < 1:
            raise SansiError(f'"parts" is {parts}; it must be at least 1', param="parts")
        rows, count = len(self), min(parts, len(self))
        edges = [rows * part // count for part in range(count + 1)] if count else [0]
        return [self.rows(slice(*pair)) for pair in pairwise(edges)]

    def micro_batches(self, rows: int | None) -> list[Batch]:
        """Cut into micro-batches of at most so many rows, as even as whole rows allow; None: one of all rows."""
        return self.split(-(-len(self) // rows) if rows and len(self) else 1)

    def __len__(self) -> int:
        """Rows."""
        return self.ids.shape[0]

    def _mapped(self, change: Any, **others: Any) -> Batch:
        tensors = {name: change(getattr(self, name)) for name in ("ids", "loss_mask", "relevant")}
        given = {name: value for name in OPTIONAL_FIELDS if (value := getattr(self, name)) is not None}
        made = {**tensors, **{name: change(value) for name, value in given.items()}, "attention": None, **others}
        batch = object.__new__(Batch)  # the parts of a batch that was checked need no second look
        for field in dataclasses.fields(Batch):
            object.__setattr__(batch, field.name, made.get(field.name, getattr(self, field.name)))
        return batch

    def _check_shapes(self) -> None:
        shape = self.ids.shape
        if self.loss_mask.shape != shape or self.loss_mask.dtype != torch.bool:
            found = _described(self.loss_mask)
            raise SansiError(f'"loss_mask" is {found}, the ids {list(shape)}; give a bool per token', param="loss_mask")
        for name in OPTIONAL_FIELDS:
            value, expected = getattr(self, name), shape if name in TOKEN_FIELDS else shape[:1]
            if value is not None and value.shape[: len(expected)] != expected:
                raise SansiError(f'"{name}" is {_described(value)}, the ids {list(shape)}', param=name)
        if self.weights is not None and not bool((self.weights >= 0).all() & self.weights.isfinite().all()):
            raise SansiError('"weights" has values below 0 or that are not finite', param="weights")

    def _check_documents(self) -> None:
        rows, length = self.ids.shape
        if len(self.documents) != rows:
            raise SansiError(f'"documents" tells of {len(self.documents)} rows, the ids of {rows}', param="documents")
        for number, lengths in enumerate(self.documents):
            if sum(lengths) != length or min(lengths, default=0) < 1:
                raise SansiError(
                    f"documents of row {number} have lengths {list(lengths)[:20]}; they must be 1 or more and fill "
                    f"its {length} tokens (padding is a document of its own)",
                    param="documents",
                )
        sizes = torch.tensor([size for row in self.documents for size in row], dtype=torch.int64)
        owner = torch.repeat_interleave(torch.arange(len(sizes)), sizes)  # of each token, all rows one after another
        mask = self.loss_mask.flatten().cpu()
        if bool(mask[sizes.cumsum(0) - sizes].any()):
            raise SansiError(
                "loss_mask is true for the first token of a document: no token of it comes before, to predict it from",
                param="loss_mask",
            )
        has_target = torch.zeros(len(sizes), dtype=torch.bool)
        has_target[owner[mask]] = True
        object.__setattr__(self, "relevant", has_target[owner].view(rows, length).to(self.device))


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
