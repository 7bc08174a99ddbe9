"""The objective of reasoning RL: a clipped policy gradient over the tokens that the policy sampled.

Source: Shao et al. 2024 (DeepSeekMath), section 4.1.1, with the departures that `sansi.post.grpo` lists. The head is
applied to the sampled tokens alone and in chunks: no tensor of [rows, tokens, vocabulary] is ever held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sansi.base import SansiError
from sansi.base.config import Config, too_small
from sansi.data.batch import Batch
from sansi.model import Transformer
from sansi.model.head import TokenLogprobs, token_logprobs
from sansi.train.objective import Extra, Loss, Statistics, with_attention

LARGEST_LOG_RATIO = 20.0  # beyond it exp leaves what float32 can add up; clipping has long decided by then


@dataclass(frozen=True)
class PolicyTerms:
    """The clipped objective of N tokens, which is to be raised, and what there is to know about it."""

    objective: Tensor
    """[N], differentiable."""
    log_ratio: Tensor
    """[N]: log-probability now less that at sampling."""
    clipped: Tensor
    """[N], bool: where clipping took the gradient away."""


def clipped_objective(
    logprobs: Tensor, sampled: Tensor, advantages: Tensor, clip_low: float, clip_high: float
) -> PolicyTerms:
    """min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) of each token, r being exp(logprobs - sampled); all [N]."""
    log_ratio = logprobs - sampled
    ratio = log_ratio.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()
    plain, bounded = ratio * advantages, ratio.clamp(1 - clip_low, 1 + clip_high) * advantages
    return PolicyTerms(torch.minimum(plain, bounded), log_ratio.detach(), (bounded < plain).detach())


def kl_penalty(logprobs: Tensor, reference: Tensor) -> Tensor:
    """KL(policy || reference) of each token, estimated from the sampled one, never negative (Shao et al. 2024, (4))."""
    log_ratio = (reference - logprobs).clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
    return log_ratio.exp() - log_ratio - 1


def score_batch(model: Transformer, batch: Batch) -> TokenLogprobs:
    """Log-probability and entropy of the model at the batch's N targets, row by row: [N] each, differentiable."""
    batch = with_attention(batch)
    hidden = model.features(batch.ids[:, :-1], attention=batch.attention).hidden
    targets = batch.loss_mask[:, 1:]
    ids = batch.ids[:, 1:][targets]
    return token_logprobs(hidden[targets], model.lm_head_weight, ids, entropy=True)


def at_targets(values: Tensor, batch: Batch) -> Tensor:
    """Of values [B, T+1] those of the N targets, in the order of `score_batch`."""
    return values[:, 1:][batch.loss_mask[:, 1:]]


@dataclass(frozen=True)
class PolicyGradient(Config):
    """GRPO's objective, over the sampled tokens of the global batch; see `sansi.post.grpo` for its source.

    A batch needs `advantages` and `logprobs`, and with a `kl_weight` above 0 `reference_logprobs`. Beside the loss it
    measures the policy's entropy, the share of clipped tokens, the mean |log-ratio| to the log-probabilities at
    sampling, and the largest ratio. Raises SansiError for impossible values, and for a batch that lacks what it needs.
    """

    clip_low: float = 0.2
    clip_high: float = 0.28
    kl_weight: float = 0.0
    """Weight of the mean KL to the reference, which is logged as `kl`."""

    def problems(self) -> list[str]:
        return too_small(self, 0, "clip_low", "clip_high", "kl_weight")

    def counts(self, batch: Batch) -> Mapping[str, float]:
        return dict.fromkeys(("loss", "kl"), batch.target_weight)

    def __call__(self, model: Transformer, batch: Batch, statistics: Statistics) -> Loss:
        sampled, advantages = self._given(batch, "logprobs"), self._given(batch, "advantages")
        now = score_batch(model, batch)
        assert now.entropy is not None
        weights = torch.ones_like(sampled) if batch.weights is None else at_targets(batch.weights, batch)
        count = weights.sum()
        terms = clipped_objective(now.logprobs, sampled, advantages, self.clip_low, self.clip_high)

        def metric(values: Tensor) -> Extra:
            return Extra((values.detach() * weights).sum(), count)

        extras = {
            "policy_entropy": metric(now.entropy),
            "clipped": metric(terms.clipped.float()),
            "log_ratio": metric(terms.log_ratio.abs()),
            "max_ratio": Extra(_largest_ratio(terms.log_ratio), len(sampled), reduction="max"),
        }
        if batch.reference_logprobs is not None or self.kl_weight:
            penalty = kl_penalty(now.logprobs, self._given(batch, "reference_logprobs"))
            extras["kl"] = Extra((penalty * weights).sum(), count, self.kl_weight)
        return Loss(-(terms.objective * weights).sum(), count, extras)

    def _given(self, batch: Batch, name: str) -> Tensor:
        values = getattr(batch, name)
        if values is None:
            raise SansiError(f'the policy gradient needs "{name}" of its batches, but this one has none', param=name)
        return at_targets(values, batch)


def _largest_ratio(log_ratio: Tensor) -> Tensor:
    return log_ratio.exp().amax() if log_ratio.numel() else log_ratio.new_zeros(())
