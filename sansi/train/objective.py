"""Objectives: what a batch has to teach, as sums and counts that the loop divides over the whole global batch.

A mean can neither be accumulated over micro-batches nor reduced over ranks; a sum and a count can. So an objective
returns sums, the loop knows the global counts before the backward pass, and one batch, four micro-batches of it and
two ranks with half of it each have the same gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from sansi.base.config import Config, too_small
from sansi.data.batch import Batch
from sansi.model import Documents, Transformer, expert_counts, load_balancing_loss, token_logprobs

Statistics = Mapping[str, Tensor]
"""What an objective counted, by name; the loop adds them up over micro-batches and ranks."""


@dataclass(frozen=True)
class Extra:
    """A further term of the loss, or with weight 0 a metric: logged by its name as sum / count."""

    sum: Tensor
    count: Tensor | float
    weight: float = 0.0
    """What its mean adds to the loss."""
    reduction: Literal["mean", "max"] = "mean"
    """"max": `sum` is a largest value; the largest of all parts is logged. Only of a metric."""


@dataclass(frozen=True)
class Loss:
    """The objective over one micro-batch. The loss that is minimised is
    sum / count + each extra's weight * sum / count, every sum and count taken over the whole global batch."""

    sum: Tensor
    count: Tensor | float
    extras: Mapping[str, Extra] = field(default_factory=dict)
    statistics: Statistics = field(default_factory=dict)
    """Counted on the way, to be added up over the global batch for `metrics`."""


class Objective(Protocol):
    """`objective(model, batch, statistics)` is the loss of a micro-batch.

    statistics: those of the whole global batch, empty where this batch is all of it. What else the loop looks for:

        counts(batch) -> {"loss": count, extra: count, …}   known without the model; default: the targets, for all
        statistics(model, batch) -> Statistics              before the losses, without gradient, if the batch has parts
        metrics(statistics) -> {name: float}                figures of the added-up `Loss.statistics`
        check(metrics) -> None                              may raise SansiError before the update is applied
    """

    def __call__(self, model: Transformer, batch: Batch, statistics: Statistics) -> Loss: ...


@runtime_checkable
class Counting(Protocol):
    """An objective that says what it divides by."""

    def counts(self, batch: Batch) -> Mapping[str, float]: ...


@runtime_checkable
class NeedsStatistics(Protocol):
    """An objective whose loss depends on sums over the whole global batch."""

    def statistics(self, model: Transformer, batch: Batch) -> Statistics: ...


@runtime_checkable
class Measuring(Protocol):
    """An objective with figures of its own."""

    def metrics(self, statistics: Statistics) -> Mapping[str, float]: ...


@runtime_checkable
class Checking(Protocol):
    """An objective that may stop the run before an update is applied."""

    def check(self, metrics: Mapping[str, float]) -> None: ...


def with_attention(batch: Batch) -> Batch:
    """The batch with what the model's attention reads, made of its documents."""
    if batch.attention is not None:
        return batch
    return batch.with_attention(Documents.from_lengths(batch.documents).inputs().to(batch.device))


@dataclass(frozen=True)
class NextToken(Config):
    """Cross-entropy of the next token over the targets of a batch: pre-training and supervised fine-tuning.

    A mixture of experts has the load-balancing loss of `sansi.model.balance` beside it, over the tokens of documents
    that have a target: padding has none. Raises SansiError for a weight below 0 or that is not finite.
    """

    balance_weight: float | None = None
    """Weight of the load-balancing loss; None: the model's `router_aux_loss_coef`."""
    router_z_loss_weight: float = 0.0
    """Weight of the mean squared log-sum-exp of the router's logits, which keeps them small (Zoph et al. 2022,
    "ST-MoE", section 2.2: 0.001)."""
    z_loss_weight: float = 0.0
    """Weight of the mean squared log-sum-exp of the head's logits (Chowdhery et al. 2022, "PaLM", section 5: 1e-4)."""

    def problems(self) -> list[str]:
        return too_small(self, 0, "balance_weight", "router_z_loss_weight", "z_loss_weight")

    def counts(self, batch: Batch) -> Mapping[str, float]:
        read = float(batch.relevant[:, :-1].sum())
        return {"loss": batch.target_weight, "z_loss": float(batch.targets), "balance": read, "router_z_loss": read}

    def statistics(self, model: Transformer, batch: Batch) -> Statistics:
        if not model.config.is_moe:
            return {}
        features = model.features(batch.ids[:, :-1], attention=batch.attention)
        return self._visits(model, features.router_logits, batch)

    def __call__(self, model: Transformer, batch: Batch, statistics: Statistics) -> Loss:
        features = model.features(batch.ids[:, :-1], attention=batch.attention)
        targets = batch.loss_mask[:, 1:].flatten()
        weights = targets if batch.weights is None else targets * batch.weights[:, 1:].flatten()
        found = token_logprobs(
            features.hidden.flatten(0, 1), model.lm_head_weight, batch.ids[:, 1:].flatten(), mask=targets
        )
        extras: dict[str, Extra] = {}
        if self.z_loss_weight:
            extras["z_loss"] = Extra(found.logsumexp.square().sum(), targets.sum(), self.z_loss_weight)
        counted: Statistics = {}
        if features.router_logits:
            counted = self._visits(model, features.router_logits, batch)
            extras |= self._router_losses(model, features.router_logits, batch, {**counted, **statistics})
        return Loss(-(found.logprobs * weights).sum(), weights.sum(), extras, counted)

    def metrics(self, statistics: Statistics) -> Mapping[str, float]:
        """Of a mixture of experts: the load of its busiest expert, 1.0 being an equal share, and the unvisited ones."""
        if "expert_counts" not in statistics:
            return {}
        counts = statistics["expert_counts"].double()
        load = counts * (counts.shape[1] / counts.sum(1, keepdim=True).clamp(min=1))
        return {"expert_load_max": load.max().item(), "dead_experts": float((counts == 0).sum())}

    def _visits(self, model: Transformer, router_logits: tuple[Tensor, ...], batch: Batch) -> Statistics:
        mask = batch.relevant[:, :-1]
        return {"expert_counts": expert_counts(router_logits, model.config.num_experts_per_tok, mask)}

    def _router_losses(
        self, model: Transformer, router_logits: tuple[Tensor, ...], batch: Batch, statistics: Statistics
    ) -> dict[str, Extra]:
        mask, active = batch.relevant[:, :-1], model.config.num_experts_per_tok
        count = mask.sum()
        weight = model.config.router_aux_loss_coef if self.balance_weight is None else self.balance_weight
        balance = load_balancing_loss(router_logits, active, mask, statistics["expert_counts"])
        extras = {"balance": Extra(balance.loss * count, count, weight)}
        if self.router_z_loss_weight:
            squares = torch.stack([logits[mask].float().logsumexp(-1).square().sum() for logits in router_logits])
            extras["router_z_loss"] = Extra(squares.mean(), count, self.router_z_loss_weight)
        return extras
