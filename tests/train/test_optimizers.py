"""Muon against the singular value decomposition, which parameter gets which optimiser, and schedules by the number."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.train.optim import Muon, Optimizer, orthogonalize
from sansi.train.schedule import Schedule
from tiny_training import tiny_model
from torch import Tensor, nn


def matrix(rows: int, columns: int, seed: int) -> Tensor:
    """Random singular vectors; singular values from 1 down to 0.05."""
    generator = torch.Generator().manual_seed(seed)
    u, _, vh = torch.linalg.svd(torch.randn(rows, columns, generator=generator), full_matrices=False)
    return u @ torch.diag(torch.linspace(1, 0.05, min(rows, columns))) @ vh


@given(st.integers(2, 24), st.integers(2, 24), st.integers(0, 99), st.floats(1e-3, 1e3))
def test_orthogonalize_keeps_singular_vectors_and_levels_singular_values(rows, columns, seed, size):
    x = matrix(rows, columns, seed)
    u, _, vh = torch.linalg.svd(x, full_matrices=False)
    inside = u.mT @ orthogonalize(size * x) @ vh.mT  # diagonal, if the singular vectors are the same
    values = inside.diagonal()
    assert (inside - torch.diag(values)).abs().max() < 1e-3
    assert values.min() > 0.6 and values.max() < 1.25


def test_a_stack_is_orthogonalized_matrix_by_matrix():
    stack = torch.stack([matrix(6, 9, seed) for seed in range(3)])
    for one, of_stack in zip(stack, orthogonalize(stack), strict=True):
        torch.testing.assert_close(orthogonalize(one), of_stack)
    assert orthogonalize(torch.zeros(2, 3, 3)).isfinite().all()


def stepped(value: Tensor, gradients: list[Tensor], **settings: float) -> Tensor:
    """`value` after one Muon step per gradient."""
    parameter = nn.Parameter(value.clone())
    muon = Muon([parameter], **settings)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        muon.step()
    return parameter.detach()


def test_muon_steps_by_hand():
    value, gradients = matrix(4, 6, 0), [matrix(4, 6, 1), matrix(4, 6, 2)]
    lr, momentum, decay = 0.1, 0.9, 0.5
    expected, buffer = value, torch.zeros(4, 6)
    for gradient in gradients:
        buffer = momentum * buffer + (1 - momentum) * gradient
        nesterov = momentum * buffer + (1 - momentum) * gradient
        expected = expected * (1 - lr * decay) - lr * 0.2 * math.sqrt(6) * orthogonalize(nesterov)
    actual = stepped(value, gradients, lr=lr, momentum=momentum, weight_decay=decay)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_muon_handles_the_experts_of_a_layer_as_single_matrices():
    values, gradients = (torch.stack([matrix(4, 6, s) for s in seeds]) for seeds in (range(9), range(9, 18)))
    together = stepped(values, [gradients], lr=0.1)
    for value, gradient, actual in zip(values, gradients, together, strict=True):
        torch.testing.assert_close(actual, stepped(value, [gradient], lr=0.1), rtol=1e-4, atol=1e-5)


def groups(optimizer: Optimizer) -> dict[str, tuple[str, float]]:
    """Name of each parameter -> (its optimiser, its weight decay); every parameter exactly once."""
    names = {parameter: name for name, parameter in optimizer.parameters.items()}
    found: dict[str, tuple[str, float]] = {}
    for part in optimizer.parts:
        for group in part.param_groups:
            for parameter in group["params"]:
                assert names[parameter] not in found
                found[names[parameter]] = (type(part).__name__, group["weight_decay"])
    return found


EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}


@pytest.mark.parametrize("overrides", [{}, {"tie_word_embeddings": False}, EXPERTS], ids=["tied", "untied", "experts"])
@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_every_parameter_has_one_optimizer_and_its_weight_decay(kind, overrides):
    model = tiny_model(**overrides)
    found = groups(Optimizer(model, kind, 1e-3, weight_decay=0.1))
    assert found.keys() == dict(model.named_parameters()).keys()
    for name, (part, decay) in found.items():
        if "norm" in name:
            assert (part, decay) == ("AdamW", 0.0), name
        elif "embed_tokens" in name or "lm_head" in name or name.endswith("mlp.gate.weight") or kind == "adamw":
            assert (part, decay) == ("AdamW", 0.1), name
        else:
            assert (part, decay) == ("Muon", 0.1), name


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_optimizer_state_survives_its_own_tensors(kind):
    def step(model, optimizer, seed):
        ids = torch.randint(0, 31, (2, 9), generator=torch.Generator().manual_seed(seed))
        model(ids).square().mean().backward()
        optimizer.step(0.5)

    first = tiny_model()
    optimizer = Optimizer(first, kind, 1e-2, 0.1)
    step(first, optimizer, 0)
    second = tiny_model()
    second.load_state_dict(first.state_dict())
    taken_up = Optimizer(second, kind, 1e-2, 0.1)
    taken_up.load_tensors(optimizer.tensors())
    for model, part in ((first, optimizer), (second, taken_up)):
        step(model, part, 1)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_the_factor_scales_every_learning_rate():
    model = tiny_model()
    optimizer = Optimizer(model, "muon", 1e-2, 0.1)
    optimizer.step(0.25)
    assert {group["lr"] for part in optimizer.parts for group in part.param_groups} == {0.0025}


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_frozen_parameters_stay_and_have_no_state(kind):
    model = tiny_model()
    frozen = {name for name, parameter in model.named_parameters() if "layers.0" in name or "embed" in name}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = Optimizer(model, kind, 1e-2, 0.1)
    model(torch.arange(8)[None]).square().mean().backward()
    optimizer.step(1.0)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == set(dict(model.named_parameters())) - frozen
    assert not frozen & {name.rsplit("|", 1)[0] for name in optimizer.tensors()}


def test_a_model_without_anything_to_train_is_refused():
    with pytest.raises(SansiError, match=r"no parameter to train: all are frozen"):
        Optimizer(tiny_model().requires_grad_(False), "muon", 1e-3, 0.1)


@pytest.mark.parametrize("spoil", ["shape", "missing", "stranger"])
def test_state_of_another_model_is_refused(spoil):
    model = tiny_model()
    optimizer = Optimizer(model, "adamw", 1e-2, 0.1)
    model(torch.arange(8)[None]).square().mean().backward()
    optimizer.step(1.0)
    tensors = optimizer.tensors()
    name = "model.norm.weight|exp_avg"
    if spoil == "shape":
        tensors[name] = torch.zeros(3)
    elif spoil == "missing":
        del tensors[name]
    else:
        tensors["model.other|exp_avg"] = tensors[name]
    with pytest.raises(SansiError, match=r"optimiser state"):
        Optimizer(tiny_model(), "adamw", 1e-2, 0.1).load_tensors(tensors)


def test_an_unknown_optimizer_is_named():
    with pytest.raises(SansiError, match='unknown optimizer "muno"'):
        Optimizer(tiny_model(), "muno", 1e-3, 0.1)


@pytest.mark.parametrize(
    ("schedule", "total", "expected"),
    [
        # Ten steps of warm-up, a plateau, then a line from step 80 to what would be step 100.
        (Schedule(warmup_steps=10), 100, {0: 0.1, 4: 0.5, 9: 1.0, 50: 1.0, 80: 1.0, 90: 0.55, 99: 0.145}),
        (Schedule(warmup_steps=10, decay_from=1.0), 100, {9: 1.0, 99: 1.0}),
        (Schedule(warmup_steps=0, decay_from=0.0, start=0.3, final=0.2), 100, {0: 0.3, 50: 0.25}),
        (Schedule("cosine", warmup_steps=20, final=0.0), 100, {9: 0.5, 20: 1.0, 40: 0.853553, 60: 0.5, 80: 0.146447}),
        (Schedule(warmup_steps=100), 2, {0: 0.01, 1: 0.02}),
        # A warm-up that nobody set fits the run: a tenth of it, at most a hundred steps.
        (Schedule(), 50, {0: 0.2, 4: 1.0, 30: 1.0}),
        (Schedule(), 5000, {0: 0.01, 49: 0.5, 99: 1.0}),
        (Schedule(), 5, {0: 1.0}),
        (Schedule("cosine", warmup_steps=5), 2, {0: 0.2, 1: 0.4}),
    ],
)
def test_schedule_values(schedule, total, expected):
    assert {step: schedule.factor(step, total) for step in expected} == pytest.approx(expected, abs=1e-6)


@given(st.sampled_from(["wsd", "cosine"]), st.integers(0, 50), st.floats(0, 1), st.floats(0, 1), st.integers(1, 80))
def test_a_schedule_stays_between_zero_and_the_peak_and_falls_after_its_warmup(kind, warmup, decay_from, final, total):
    schedule = Schedule(kind, warmup, decay_from, final=final)
    factors = [schedule.factor(step, total) for step in range(total)]
    assert all(0 < f <= 1 or (f == 0 and final == 0) for f in factors)
    after = factors[max(warmup - 1, 0) :]
    assert all(b <= a + 1e-12 for a, b in pairwise(after))
