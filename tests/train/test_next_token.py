"""The loss of packed samples is the loss of each sample alone: packing changes speed, not what is learnt."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sansi.data import Batch, SampleDataset
from sansi.data.shards.streams import stack
from sansi.model import Transformer
from sansi.train.objective import NextToken, with_attention
from tiny_training import samples, tiny_model


def packed_rows(pairs: list, length: int) -> Batch:
    """Every sample once, in one batch."""
    data = SampleDataset(pairs, length, 1, pad_id=0)
    return stack([data.take() for _ in range(data.rows_per_epoch)])


def mean_loss(model: Transformer, batch: Batch) -> torch.Tensor:
    loss = NextToken()(model, with_attention(batch), {})
    assert float(loss.count) == batch.targets == NextToken().counts(batch)["loss"]
    return loss.sum / max(batch.targets, 1)


def loss_one_by_one(model: Transformer, pairs: list) -> tuple[torch.Tensor, int]:
    """Sum over the samples, each in a forward of its own without any mask; and the number of targets."""
    total, count = torch.zeros(()), 0
    for ids, mask in pairs:
        row = torch.tensor([ids])
        losses = F.cross_entropy(model(row[:, :-1])[0], row[0, 1:], reduction="none")
        chosen = torch.tensor(mask[1:], dtype=torch.bool)
        total, count = total + losses[chosen].sum(), count + int(chosen.sum())
    return total / count, count


def gradients(model: Transformer, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("seed", range(4))
def test_packed_loss_is_the_loss_of_each_sample_alone(seed):
    model, pairs = tiny_model(seed, scale=8.0), samples(15, seed)
    batch = packed_rows(pairs, 24)
    loss = mean_loss(model, batch)
    expected, count = loss_one_by_one(model, pairs)
    assert batch.targets == count
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    packed, alone = gradients(model, loss), gradients(model, expected)
    torch.testing.assert_close(packed, alone, rtol=1e-3, atol=1e-4)


def test_a_forward_that_sees_its_neighbours_has_another_loss():
    """The test above can fail: without the packed mask it does."""
    model, pairs = tiny_model(scale=8.0), samples(15)
    rows = packed_rows(pairs, 24)
    blind = rows.with_attention(None)
    merged = Batch(blind.ids, ((blind.ids.shape[1],),) * len(blind), blind.loss_mask)
    assert abs(mean_loss(model, merged) - loss_one_by_one(model, pairs)[0]) > 1e-2


def test_a_batch_without_targets_has_no_loss_and_no_gradient():
    model, rows = tiny_model(), packed_rows(samples(4), 24)
    loss = mean_loss(model, Batch(rows.ids, rows.documents, torch.zeros_like(rows.loss_mask)))
    assert loss == 0
    assert not gradients(model, loss).any()


def test_weights_are_those_of_a_weighted_mean():
    model, rows = tiny_model(scale=8.0), packed_rows(samples(9), 24)
    weights = torch.rand(rows.ids.shape, generator=torch.Generator().manual_seed(1))
    batch = with_attention(Batch(rows.ids, rows.documents, rows.loss_mask, weights=weights))
    loss = NextToken()(model, batch, {})
    logits = model(rows.ids[:, :-1], attention=batch.attention)
    each = F.cross_entropy(logits.transpose(1, 2), rows.ids[:, 1:], reduction="none")
    chosen = (weights * rows.loss_mask)[:, 1:]
    torch.testing.assert_close(loss.sum / NextToken().counts(batch)["loss"], (each * chosen).sum() / chosen.sum())


def test_attention_is_causal_within_the_documents_that_are_read():
    batch = Batch(torch.ones(1, 6, dtype=torch.int64), ((2, 2, 2),), torch.zeros(1, 6, dtype=torch.bool))
    mask = with_attention(batch).attention.mask  # of the five tokens that are read
    assert mask.shape == (1, 1, 5, 5)
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1],
    ]
