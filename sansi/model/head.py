"""Log-probabilities of tokens from hidden states, without the logits [N, V] of all of them at once.

At 152k ids the logits of 4,096 tokens are 2.5 GB in float32, and their gradient is as much again. Here the LM head is
applied to some tokens at a time, and once more in the backward pass, which makes gradients of the logits of those
tokens alone. Letters of shapes:

    N tokens   C hidden_size   V vocabulary   K targets of a token
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sansi.base.errors import SansiError

CHUNK_ELEMENTS = {"cpu": 1 << 25, "cuda": 1 << 27}
"""Logits that are held at once: 128 MiB of float32, and on a GPU enough rows to be worth reading the head for."""
LEAST_CHUNK = 16
"""Tokens that go together however large the vocabulary."""


@dataclass(frozen=True)
class TokenLogprobs:
    """All float32 (float64 of float64 states), each differentiable with respect to hidden states and head."""

    logprobs: Tensor
    """[N], or [N, K] for K targets to a token: log-probability of each; its negative is the cross-entropy."""
    logsumexp: Tensor
    """[N]: logarithm of the normaliser, for a z-loss."""
    entropy: Tensor | None
    """[N]: entropy of the distribution in nats, where it was asked for."""


def token_logprobs(
    hidden: Tensor,
    head_weight: Tensor,
    targets: Tensor,
    *,
    mask: Tensor | None = None,
    entropy: bool = False,
    chunk: int | None = None,
) -> TokenLogprobs:
    """Log-probabilities of `targets` (int64 [N] or [N, K]) under the logits hidden [N, C] @ head_weight [V, C].T.

    Products are in the dtype of the hidden states (under autocast in its dtype), all else in float32; gradients of the
    head are added up in float32. mask: bool [N], False where nothing is asked for: zeros come out, no gradient goes in,
    and where the logits are many none are computed. chunk: tokens whose logits are held at once; None: as fit into
    CHUNK_ELEMENTS. Raises SansiError for shapes that do not fit each other and, on the CPU, for targets that are not
    0 to V - 1.
    """
    _check(hidden, head_weight, targets, mask, chunk)
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    vocabulary = head_weight.shape[0]
    chunk = chunk or max(LEAST_CHUNK, CHUNK_ELEMENTS.get(device, CHUNK_ELEMENTS["cuda"]) // vocabulary)
    columns = targets.unsqueeze(1) if targets.dim() == 1 else targets
    way = at_once if len(hidden) <= chunk else chunked_logprobs
    found = way(hidden.to(dtype), head_weight.to(dtype), columns, mask, entropy, chunk)
    return TokenLogprobs(found[0].view(targets.shape), found[1], found[2] if entropy else None)


def _check(hidden: Tensor, head_weight: Tensor, targets: Tensor, mask: Tensor | None, chunk: int | None) -> None:
    if hidden.dim() != 2 or head_weight.dim() != 2 or hidden.shape[1] != head_weight.shape[1]:
        raise SansiError(
            f"hidden states {list(hidden.shape)} and head {list(head_weight.shape)} must be [N, C] and [V, C]; flatten "
            "[B, T, C] first",
            param="hidden",
        )
    if targets.dtype != torch.int64 or targets.dim() not in (1, 2) or len(targets) != len(hidden):
        raise SansiError(
            f"targets are {targets.dtype} {list(targets.shape)}; {len(hidden)} hidden states need int64 "
            f"[{len(hidden)}] or [{len(hidden)}, K]",
            param="targets",
        )
    on_cpu = targets.device.type == "cpu" and targets.numel() and not torch.compiler.is_compiling()
    if on_cpu and not 0 <= int(targets.min()) <= int(targets.max()) < len(head_weight):  # a GPU would be waited for
        raise SansiError(
            f"targets go from {int(targets.min())} to {int(targets.max())}; the head knows 0 to {len(head_weight) - 1}",
            param="targets",
        )
    if mask is not None and (mask.dtype != torch.bool or mask.shape != hidden.shape[:1]):
        raise SansiError(
            f"the mask is {mask.dtype} {list(mask.shape)}; give a bool for each of {len(hidden)} tokens", param="mask"
        )
    if chunk is not None and chunk < 1:
        raise SansiError(f'"chunk" is {chunk}; it must be at least 1', param="chunk")


def at_once(
    hidden: Tensor, weight: Tensor, targets: Tensor, mask: Tensor | None, entropy: bool, chunk: int
) -> tuple[Tensor, Tensor, Tensor]:
    """`chunked_logprobs` of few tokens: the logits are kept for the backward pass instead of being made twice."""
    logits = _logits(hidden, weight)
    log_p = logits.log_softmax(-1)
    one = targets[:, :1]
    normaliser = (logits.gather(1, one) - log_p.gather(1, one)).squeeze(1)
    entropies = -(log_p.exp() * log_p).sum(-1) if entropy else log_p.new_empty(0)
    logprobs = log_p.gather(1, targets)
    if mask is None:
        return logprobs, normaliser, entropies
    entropies = entropies.where(mask, 0.0) if entropy else entropies
    return logprobs.where(mask[:, None], 0.0), normaliser.where(mask, 0.0), entropies


# ---- the operator: torch.compile sees one node, not a loop -----------------------------------------------------------


@torch.library.custom_op("sansi::token_logprobs", mutates_args=())
def chunked_logprobs(
    hidden: Tensor, weight: Tensor, targets: Tensor, mask: Tensor | None, entropy: bool, chunk: int
) -> tuple[Tensor, Tensor, Tensor]:
    """-> log-probabilities [N, K], logsumexp [N], and entropy [N] or nothing [0]."""
    logprobs, normaliser, entropies = _results(hidden, targets, entropy)
    for rows in _chunks(hidden, mask, chunk):
        logits = _logits(hidden[rows], weight)
        normaliser[rows] = logits.logsumexp(-1)
        logprobs[rows] = logits.gather(1, targets[rows]) - normaliser[rows][:, None]
        if entropy:
            expected = logits.sub(normaliser[rows][:, None]).exp_().mul_(logits).sum(-1)
            entropies[rows] = normaliser[rows] - expected
    return logprobs, normaliser, entropies


@torch.library.custom_op("sansi::token_logprobs_backward", mutates_args=())
def chunked_logprobs_backward(
    of_logprobs: Tensor,
    of_normaliser: Tensor,
    of_entropies: Tensor,
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    mask: Tensor | None,
    normaliser: Tensor,
    entropies: Tensor,
    head: bool,
    chunk: int,
) -> tuple[Tensor, Tensor]:
    """Gradients of hidden states and head; head=False: a frozen head, which gets an empty one."""
    of_hidden = torch.zeros_like(hidden)
    of_head = torch.zeros_like(weight, dtype=normaliser.dtype) if head else weight.new_empty(0)
    for rows in _chunks(hidden, mask, chunk):
        given = [x[rows] if len(x) else x for x in (of_logprobs, of_normaliser, of_entropies, normaliser, entropies)]
        change = _logits_gradient(_logits(hidden[rows], weight), *given)
        change.scatter_add_(1, targets[rows], of_logprobs[rows])
        narrow = change.to(hidden.dtype)
        of_hidden[rows] = narrow @ weight
        if head and of_head.dtype == narrow.dtype:
            of_head.addmm_(narrow.T, hidden[rows])  # no second [V, C]
        elif head:
            of_head += narrow.T @ hidden[rows]
    return of_hidden, of_head.to(weight.dtype)


def _logits_gradient(
    logits: Tensor,
    of_logprobs: Tensor,
    of_normaliser: Tensor,
    of_entropies: Tensor,
    normaliser: Tensor,
    entropies: Tensor,
) -> Tensor:
    """All but what the targets add, which is `of_logprobs` in their places. Works in place of the logits."""
    log_p = logits.sub_(normaliser[:, None])
    toward = (of_normaliser - of_logprobs.sum(1))[:, None]  # d normaliser / d logits = p
    if not len(entropies):
        return log_p.exp_().mul_(toward)
    # d entropy / d logits = -p (log p + entropy)
    factor = toward - of_entropies[:, None] * (log_p + entropies[:, None])
    return log_p.exp_().mul_(factor)


@chunked_logprobs.register_fake
def _(
    hidden: Tensor, weight: Tensor, targets: Tensor, mask: Tensor | None, entropy: bool, chunk: int
) -> tuple[Tensor, Tensor, Tensor]:
    return _results(hidden, targets, entropy)


@chunked_logprobs_backward.register_fake
def _(of_logprobs, of_normaliser, of_entropies, hidden, weight, targets, mask, normaliser, entropies, head, chunk):  # type: ignore[no-untyped-def]
    return torch.empty_like(hidden), torch.empty_like(weight) if head else weight.new_empty(0)


def _keep(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    hidden, weight, targets, mask, _, ctx.chunk = inputs
    _, normaliser, entropies = output
    ctx.save_for_backward(hidden, weight, targets, mask, normaliser, entropies)


def _backward(ctx, *gradients):  # type: ignore[no-untyped-def]
    head = ctx.needs_input_grad[1]
    of_hidden, of_head = chunked_logprobs_backward(*gradients, *ctx.saved_tensors, head, ctx.chunk)
    return of_hidden, of_head if head else None, None, None, None, None


chunked_logprobs.register_autograd(_backward, setup_context=_keep)


def _results(hidden: Tensor, targets: Tensor, entropy: bool) -> tuple[Tensor, Tensor, Tensor]:
    wide = torch.promote_types(hidden.dtype, torch.float32)
    sizes = (targets.shape, (len(hidden),), (len(hidden) if entropy else 0,))
    logprobs, normaliser, entropies = (hidden.new_zeros(size, dtype=wide) for size in sizes)
    return logprobs, normaliser, entropies


def _logits(hidden: Tensor, weight: Tensor) -> Tensor:
    """[rows, V] in float32, memory of its own. Autocast, if it is on, has had its say already."""
    with torch.autocast(hidden.device.type, enabled=False):
        return F.linear(hidden, weight).to(torch.promote_types(hidden.dtype, torch.float32))


def _chunks(hidden: Tensor, mask: Tensor | None, chunk: int) -> list[Tensor]:
    """Numbers of the tokens, some at a time."""
    chosen = torch.arange(len(hidden), device=hidden.device) if mask is None else mask.nonzero().squeeze(1)
    return list(chosen.split(chunk)) if len(chosen) else []
