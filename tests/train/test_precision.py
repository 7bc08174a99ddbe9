"""Half precision is for products alone: weights, gradients and optimiser state stay float32."""

from __future__ import annotations

import pytest
import torch
from sansi.base import SansiError
from sansi.model import load
from sansi.train.random_state import random_state, set_random_state
from tiny_training import make_trainer, tiny_model

STEPS = {"steps": 20, "learning_rate": 1e-5, "schedule": {"warmup_steps": 0}, "optimizer": "adamw"}


def large_model() -> torch.nn.Module:
    return tiny_model(scale=5.0)


def test_small_steps_of_a_half_precision_model_are_not_lost(tmp_path):
    """Half of the distance to a neighbouring bfloat16 is more than one such step, but not more than their sum."""
    model = large_model().to(torch.bfloat16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer = make_trainer(tmp_path, model=model, **STEPS)
    assert trainer.dtype == torch.bfloat16
    trainer.train()
    after = model.state_dict()
    assert {value.dtype for value in after.values()} == {torch.float32}
    assert {v.dtype for v in trainer.optimizer.tensors().values()} == {torch.float32}
    moved = [(after[n].to(torch.bfloat16) != before[n]).float().mean().item() for n in before]
    assert sum(moved) / len(moved) > 0.05
    assert min((after[n] != before[n]).float().mean().item() for n in before) > 0.5
    saved = load(trainer.run.latest(), device="cpu", dtype="float32")
    assert all(torch.equal(saved.state_dict()[n], after[n]) for n in after)


def test_bfloat16_products_over_float32_weights(tmp_path):
    whole, half = (make_trainer(tmp_path / d, steps=7, dtype=d) for d in ("float32", "bfloat16"))
    seen: list[torch.dtype] = []
    half.model.model.layers[0].mlp.up_proj.register_forward_hook(lambda *a: seen.append(a[2].dtype))
    whole.train(), half.train()
    assert set(seen) == {torch.bfloat16}
    losses = [[row["loss"] for row in t.run.metrics()] for t in (whole, half)]
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.02)


def test_the_table_of_positions_is_float32_too(tmp_path):
    model = large_model().to(torch.bfloat16)
    make_trainer(tmp_path, model=model, **STEPS)
    assert torch.equal(model.rope_cos, tiny_model().rope_cos) and torch.equal(model.rope_sin, tiny_model().rope_sin)


def test_float64_stays_float64(tmp_path):
    model = large_model().double()
    make_trainer(tmp_path, model=model, steps=2).train()
    assert {value.dtype for value in model.state_dict().values()} == {torch.float64}
    again = make_trainer(tmp_path, model=large_model().double(), steps=2)
    assert all(torch.equal(again.model.state_dict()[n], v) for n, v in model.state_dict().items())


def test_the_dtype_of_the_products_is_a_setting(tmp_path):
    make_trainer(tmp_path, steps=2, dtype="bfloat16").train()
    with pytest.raises(SansiError, match="dtype: 'bfloat16' there, 'float32' here"):
        make_trainer(tmp_path, steps=2)


def test_quantised_weights_are_refused(tmp_path):
    model = tiny_model()
    up = model.model.layers[0].mlp.up_proj
    up.weight = torch.nn.Parameter(torch.zeros(32, 16, dtype=torch.int8), requires_grad=False)
    with pytest.raises(SansiError, match="quantised model can not be trained"):
        make_trainer(tmp_path, model=model)


def test_random_state_comes_back():
    import random

    import numpy as np

    def draws() -> list[float]:
        return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(()).item()]

    import json

    draws()
    state = json.loads(json.dumps(random_state()))
    first = draws()
    draws()
    set_random_state(state)
    assert draws() == first
