"""Micro-batches and ranks change how the work is laid out, never its gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from layouts import Make, assert_like, check_layouts, take_step
from ranks import on_two_ranks
from sansi.base import SansiError
from sansi.base.runs import RunFolder
from sansi.data import Batch, PackedDataset, SampleDataset
from sansi.data.shards.streams import stack
from sansi.model import Transformer, load_balancing_loss
from sansi.train.objective import Extra, Loss, NextToken, with_attention
from tiny_training import VOCAB, make_trainer, samples, tiny_model

SPARSE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "router_aux_loss_coef": 0.5}


def batch_of(rows: int, weighted: bool = False) -> Batch:
    """Rows with very different numbers of targets, so that a mean of means would be another loss."""
    data = SampleDataset(samples(40), 24, 1)
    made = stack([data.take() for _ in range(rows)])
    mask = made.loss_mask.clone()
    mask[0, 3:] = False
    weights = torch.rand(mask.shape, generator=torch.Generator().manual_seed(0)) if weighted else None
    return Batch(made.ids, made.documents, mask, weights=weights)


def dense() -> tuple[Transformer, Batch, Any]:
    return tiny_model(scale=8.0).double(), batch_of(6, weighted=True), NextToken(z_loss_weight=0.1)


def sparse() -> tuple[Transformer, Batch, Any]:
    return tiny_model(scale=8.0, **SPARSE).double(), batch_of(6), NextToken(router_z_loss_weight=0.2)


def sparse_with_an_odd_row() -> tuple[Transformer, Batch, Any]:
    return tiny_model(scale=8.0, **SPARSE).double(), batch_of(5), NextToken()


@pytest.mark.parametrize("make", [dense, sparse])
def test_every_layout_has_the_gradient_of_the_whole_batch(make: Make):
    whole = check_layouts(make)
    assert ("balance" in whole.metrics) == (make is sparse)


def test_rows_that_do_not_divide_are_shared_out_too():
    assert_like(take_step(sparse_with_an_odd_row, 2), take_step(sparse_with_an_odd_row))


def test_one_rank_may_have_no_row_at_all():
    assert_like(on_two_ranks(take_step, one_row), take_step(one_row))


def one_row() -> tuple[Transformer, Batch, Any]:
    return tiny_model(scale=8.0).double(), batch_of(3).rows(slice(1, 2)), NextToken()


def test_local_counts_would_have_another_gradient():
    """The test above can fail: a balancing loss of each micro-batch's own counts is another loss."""

    class Local(NextToken):
        def __call__(self, model, batch, statistics):
            return super().__call__(model, batch, {})

    def local():
        model, batch, _ = sparse()
        return model, batch, Local()

    with pytest.raises(AssertionError):
        assert_like(take_step(local, 1), take_step(local))


def test_the_balancing_loss_is_part_of_the_gradient_and_is_logged():
    whole = take_step(sparse)
    model, batch, _ = sparse()
    seen = batch.relevant[:, :-1]
    logits = model.features(batch.ids[:, :-1], attention=with_attention(batch).attention).router_logits
    expected = load_balancing_loss(logits, 2, seen).loss
    assert whole.metrics["balance"] == pytest.approx(expected.item(), rel=1e-5)
    assert 1.0 <= whole.metrics["expert_load_max"] <= 2.0 and whole.metrics["dead_experts"] >= 0

    def without():
        model, batch, _ = sparse()
        return model, batch, NextToken(balance_weight=0.0, router_z_loss_weight=0.2)

    gates = [name for name in whole.gradients if name.endswith("mlp.gate.weight")]
    assert gates and not any(torch.allclose(whole.gradients[n], take_step(without).gradients[n]) for n in gates)


def test_padding_is_left_out_of_the_balance():
    """Rows of padding after the batch change neither load nor probability."""

    def padded():
        model, batch, objective = sparse()
        more = torch.zeros(2, batch.ids.shape[1], dtype=torch.int64)
        ids, mask = torch.cat([batch.ids, more]), torch.cat([batch.loss_mask, more.bool()])
        return model, Batch(ids, batch.documents + ((more.shape[1],),) * 2, mask), objective

    whole, longer = take_step(sparse), take_step(padded)
    assert_like(longer, whole)


def test_batches_of_an_accumulated_step_are_one_batch(tmp_path):
    def train(folder: str, rows: int, accumulated: int) -> tuple[dict, list]:
        text = [np.random.default_rng(i).integers(1, VOCAB, 300) for i in range(2)]
        data = PackedDataset(text, 16, rows)
        trainer = make_trainer(tmp_path / folder, data=data, gradient_accumulation_steps=accumulated, steps=3)
        weights = trainer.train().state_dict()
        rows_seen = [{k: v for k, v in r.items() if "per_second" not in k} for r in trainer.run.metrics()]
        return weights, rows_seen

    (whole, rows), (parts, other_rows) = train("whole", 8, 1), train("parts", 2, 4)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-5)
    assert [row["tokens"] for row in rows] == [row["tokens"] for row in other_rows] == [128, 256, 384]
    for row, other in zip(rows, other_rows, strict=True):
        assert other["loss"] == pytest.approx(row["loss"], rel=1e-4)


# ---- two ranks ------------------------------------------------------------------------------------------------------


def train_on_ranks(folder: Path, steps: int, fail_on: int | None = None) -> dict[str, Any]:
    import torch.distributed as dist

    model = tiny_model(seed=dist.get_rank()).double()  # rank 1 starts from other weights, and gets rank 0's
    trainer = make_trainer(folder, model=model, steps=steps, schedule={"warmup_steps": 2, "decay_from": 1.0})
    if fail_on == dist.get_rank():
        trainer.batches.__class__ = type("Broken", (trainer.batches.__class__,), {"__next__": broken})
    try:
        trainer.train()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {name: value.numpy() for name, value in model.state_dict().items()}


def broken(self):
    raise OSError("the disk of this rank is gone")


def alone(folder: Path, steps: int) -> dict[str, torch.Tensor]:
    trainer = make_trainer(
        folder, model=tiny_model().double(), steps=steps, schedule={"warmup_steps": 2, "decay_from": 1.0}
    )
    return trainer.train().state_dict()


def test_a_run_goes_on_on_another_number_of_ranks(tmp_path):
    expected = alone(tmp_path / "alone", 6)
    alone(tmp_path / "run", 2)
    on_two_ranks(train_on_ranks, tmp_path / "run", 4)
    found = alone(tmp_path / "run", 6)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-8)
    rows = RunFolder(tmp_path / "run").metrics()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["tokens"] for row in rows] == [48 * step for step in range(1, 7)]


def test_an_error_of_one_rank_stops_all(tmp_path):
    found = on_two_ranks(train_on_ranks, tmp_path, 4, 1)
    assert found == {"error": "SansiError: rank 1 of 2 stopped: OSError: the disk of this rank is gone"}


def test_batches_of_another_number_of_ranks_are_refused(tmp_path):
    data = PackedDataset([np.arange(1, 30)], 8, 2, rank=1, world_size=2)
    with pytest.raises(SansiError, match="made for rank 1 of 2, but this is rank 0 of 1"):
        make_trainer(tmp_path, data=data)


def test_a_weight_without_a_count_is_refused():
    def odd(model, batch, statistics):
        loss = model(batch.ids).sum()
        return Loss(loss, batch.targets, {"penalty": Extra(loss, 3.0, weight=1.0)})

    with pytest.raises(SansiError, match=r'gives "penalty" a weight, but declares no count'):
        take_step(lambda: (tiny_model(), batch_of(2), odd))


def test_a_balancing_loss_keeps_experts_alive(tmp_path):
    """Without it experts that nobody visits learn nothing and stay unvisited."""

    def train(coefficient: float) -> tuple[dict[str, torch.Tensor], float]:
        shape = {"num_experts": 16, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
        model = tiny_model(**shape, router_aux_loss_coef=coefficient)
        text = [np.random.default_rng(0).integers(1, VOCAB, 3000)]
        trainer = make_trainer(
            tmp_path / str(coefficient),
            optimizer="adamw",
            model=model,
            data=PackedDataset(text, 32, 4),
            steps=40,
            learning_rate=5e-3,
            schedule={"warmup_steps": 2},
        )
        weights = trainer.train().state_dict()
        return weights, trainer.run.metrics()[-1]

    (without, last), (strong, last_too) = train(0.0), train(1.0)
    assert not any(torch.equal(without[name], strong[name]) for name in without if "mlp" in name)
    assert last_too["balance"] < last["balance"] and last_too["expert_load_max"] < last["expert_load_max"]
    assert last_too["dead_experts"] == 0
