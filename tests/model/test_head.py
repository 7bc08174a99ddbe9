"""Log-probabilities in chunks are those of the whole logits, and so are their gradients; no more logits are held."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.model import Documents, token_logprobs
from sansi.model import head as head_module
from tiny_models import random_ids, tiny_config, tiny_model
from torch import Tensor

TOKENS, WIDTH, VOCABULARY = 11, 6, 13


def drawn(targets_each: int | None = None, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(TOKENS, WIDTH, generator=generator, dtype=torch.float64)
    head = torch.randn(VOCABULARY, WIDTH, generator=generator, dtype=torch.float64)
    shape = (TOKENS,) if targets_each is None else (TOKENS, targets_each)
    targets = torch.randint(0, VOCABULARY, shape, generator=generator)
    return hidden.to(dtype).requires_grad_(), head.to(dtype).requires_grad_(), targets


def plain(hidden: Tensor, head: Tensor, targets: Tensor, mask: Tensor | None) -> list[Tensor]:
    """Log-probabilities, logsumexp and entropy by the textbook."""
    logits = hidden @ head.T
    log_p = logits.log_softmax(-1)
    columns = targets.view(TOKENS, -1)
    parts = [log_p.gather(1, columns).view(targets.shape), logits.logsumexp(-1), -(log_p.exp() * log_p).sum(-1)]
    if mask is None:
        return parts
    return [part.where(mask.view(TOKENS, *[1] * (part.dim() - 1)), 0.0) for part in parts]


def mixed(parts: list[Tensor]) -> Tensor:
    """A number that depends on all parts, each token with a weight of its own."""
    return sum((part * torch.linspace(-1, 2, part.numel(), dtype=part.dtype).view(part.shape)).sum() for part in parts)  # type: ignore[return-value]


MASKS = {"all": None, "some": torch.arange(TOKENS) % 3 == 1, "none": torch.zeros(TOKENS, dtype=torch.bool)}


@given(st.integers(1, TOKENS + 2), st.sampled_from([None, 1, 3]), st.sampled_from(list(MASKS)), st.booleans())
def test_values_and_gradients_are_those_of_the_whole_logits(
    chunk: int, targets_each: int | None, masked: str, entropy: bool
) -> None:
    hidden, head, targets = drawn(targets_each)
    found = token_logprobs(hidden, head, targets, mask=MASKS[masked], entropy=entropy, chunk=chunk)
    ours = [found.logprobs, found.logsumexp] + ([] if found.entropy is None else [found.entropy])
    theirs = plain(hidden, head, targets, MASKS[masked])[: len(ours)]
    assert len(ours) == 2 + entropy
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    gradients = [torch.autograd.grad(mixed(parts), (hidden, head)) for parts in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-11)


def test_gradients_are_those_of_finite_differences() -> None:
    hidden, head, targets = drawn()

    def work(hidden: Tensor, head: Tensor) -> tuple[Tensor, ...]:
        found = token_logprobs(hidden, head, targets[:4], entropy=True, chunk=3)
        return found.logprobs, found.logsumexp, found.entropy  # type: ignore[return-value]

    small = hidden[:4].detach().requires_grad_()
    assert torch.autograd.gradcheck(work, (small, head))


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_learns_the_same_with_its_logits_in_chunks(tied: bool) -> None:
    config = tiny_config(tie_word_embeddings=tied)
    model, ids = tiny_model(config), random_ids(config, 2, 13)

    def gradients(chunk: int) -> dict[str, Tensor]:
        hidden = model.features(ids[:, :-1], attention=Documents.from_lengths([[5, 7], [12]])).hidden.flatten(0, 1)
        found = token_logprobs(hidden, model.lm_head_weight, ids[:, 1:].flatten(), chunk=chunk)
        model.zero_grad()
        found.logprobs.mean().backward()
        return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}

    torch.testing.assert_close(gradients(5), gradients(1000), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("way", ["bfloat16 states", "autocast"])
def test_half_precision_rounds_products_alone(way: str) -> None:
    """What follows the product is float32: the sums over all ids would lose what one id adds."""
    exact = drawn()
    hidden, head, targets = drawn(dtype=torch.bfloat16 if way == "bfloat16 states" else torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "autocast"):
        chunked, whole = (token_logprobs(hidden, head, targets, entropy=True, chunk=size) for size in (4, 100))
    expected = plain(*exact, None)
    for found in (chunked, whole):
        parts: list[Any] = [found.logprobs, found.logsumexp, found.entropy]
        assert all(part.dtype == torch.float32 for part in parts)
        torch.testing.assert_close([p.double() for p in parts], expected, rtol=0.03, atol=0.03)
        found_gradients = torch.autograd.grad(mixed(parts), (hidden, head))
        assert [g.dtype for g in found_gradients] == [hidden.dtype, head.dtype]
        wanted = torch.autograd.grad(mixed(expected), exact[:2], retain_graph=True)
        for actual, right in zip(found_gradients, wanted, strict=True):
            assert (actual.double() - right).norm() < 0.02 * right.norm()


def test_gradients_of_a_half_precision_head_are_added_up_in_float32() -> None:
    """A thousand tokens that each add less than half a step of bfloat16."""
    hidden = torch.ones(1024, 1, dtype=torch.bfloat16)
    head = torch.zeros(2, 1, dtype=torch.bfloat16).requires_grad_()
    token_logprobs(hidden, head, torch.zeros(1024, dtype=torch.int64), chunk=1).logprobs.sum().backward()
    assert head.grad is not None and head.grad.flatten().tolist() == [512.0, -512.0]


def test_no_tokens_have_no_logprobs_and_no_gradient() -> None:
    hidden, head, targets = drawn()
    found = token_logprobs(hidden[:0], head, targets[:0], entropy=True)
    assert found.logprobs.shape == found.logsumexp.shape == (0,)
    found.logprobs.sum().backward()
    assert head.grad is not None and not head.grad.any()


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, head, targets = drawn()
    head.requires_grad_(False)
    token_logprobs(hidden, head, targets, chunk=4).logprobs.sum().backward()
    wanted = torch.autograd.grad(plain(hidden, head, targets, None)[0].sum(), hidden)[0]
    assert head.grad is None
    torch.testing.assert_close(hidden.grad, wanted)


def test_no_more_logits_are_held_than_a_chunk_of_chosen_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    logits = head_module._logits

    def recorded(hidden: Tensor, weight: Tensor) -> Tensor:
        seen.append(len(hidden))
        return logits(hidden, weight)

    monkeypatch.setattr(head_module, "_logits", recorded)
    monkeypatch.setitem(head_module.CHUNK_ELEMENTS, "cpu", 3 * VOCABULARY)
    monkeypatch.setattr(head_module, "LEAST_CHUNK", 1)
    hidden, head, targets = drawn()
    token_logprobs(hidden, head, targets, mask=targets % 2 == 0).logprobs.sum().backward()
    chosen = int((targets % 2 == 0).sum())
    assert max(seen) == 3
    assert sum(seen) == 2 * chosen  # forward and backward


def test_the_operator_keeps_the_rules_of_operators() -> None:
    hidden, head, targets = drawn(1)
    rules = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(head_module.chunked_logprobs, (hidden, head, targets, None, True, 4), test_utils=rules)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"hidden": torch.zeros(2, TOKENS, WIDTH)}, "flatten"),
        ({"head_weight": torch.zeros(VOCABULARY, WIDTH + 1)}, "flatten"),
        ({"targets": torch.zeros(TOKENS)}, "int64"),
        ({"targets": torch.zeros(TOKENS + 1, dtype=torch.int64)}, "int64"),
        ({"mask": torch.ones(TOKENS)}, "a bool for each"),
        ({"mask": torch.ones(1, dtype=torch.bool)}, "a bool for each"),
        ({"chunk": 0}, "at least 1"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change: dict[str, Any], said: str) -> None:
    hidden, head, targets = drawn()
    with pytest.raises(SansiError, match=said):
        token_logprobs(**{"hidden": hidden, "head_weight": head, "targets": targets, **change})
