"""The loss of packed samples is the loss of each sample alone: packing changes speed, not what is learnt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sansi.data import SampleDataset
from sansi.model import Transformer
from sansi.train.loss import packed_loss, packed_mask
from tiny_training import samples, tiny_model


def packed_rows(pairs: list, length: int) -> dict[str, torch.Tensor]:
    """Every sample once, in one batch."""
    data = SampleDataset(pairs, length, 1, pad_id=0)
    rows = [data.take() for _ in range(data.rows_per_epoch)]
    return {
        name: torch.from_numpy(np.stack([getattr(r, name) for r in rows])) for name in ("ids", "document", "loss_mask")
    }


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
    loss, targets = packed_loss(model, **packed_rows(pairs, 24))
    expected, count = loss_one_by_one(model, pairs)
    assert int(targets) == count
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    packed, alone = gradients(model, loss), gradients(model, expected)
    torch.testing.assert_close(packed, alone, rtol=1e-3, atol=1e-4)


def test_a_forward_that_sees_its_neighbours_has_another_loss():
    """The test above can fail: without the packed mask it does."""
    model, pairs = tiny_model(scale=8.0), samples(15)
    rows = packed_rows(pairs, 24)
    loss, _ = packed_loss(model, rows["ids"], torch.zeros_like(rows["document"]), rows["loss_mask"])
    assert abs(loss - loss_one_by_one(model, pairs)[0]) > 1e-2


def test_a_batch_without_targets_has_no_loss_and_no_gradient():
    model, rows = tiny_model(), packed_rows(samples(4), 24)
    loss, targets = packed_loss(model, rows["ids"], rows["document"], torch.zeros_like(rows["loss_mask"]))
    assert loss == 0 and targets == 0
    assert not gradients(model, loss).any()


def test_packed_mask_is_causal_within_a_document():
    mask = packed_mask(torch.tensor([[0, 0, 1, 1, 2]]))
    assert mask.shape == (1, 1, 5, 5)
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1],
    ]
