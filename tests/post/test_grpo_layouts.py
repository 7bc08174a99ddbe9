"""GRPO's loss and gradient are those of the whole batch, in micro-batches and on two ranks; so is a whole run."""

from __future__ import annotations

from typing import Any

import torch
from layouts import check_layouts
from sansi.data.batch import Batch
from sansi.model import ModelConfig, Transformer
from sansi.post.packing import Learned, pack_rollouts
from sansi.post.policy import PolicyGradient, at_targets, score_batch
from sansi.post.rewards import Reward
from sansi.post.sampling import Rollout

VOCAB = 23


def make_model(seed: int) -> Transformer:
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "max_position_embeddings": 64}
    model = Transformer(ModelConfig.preset("nano", vocab_size=VOCAB, **shape))
    model.init_weights(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5.0 if parameter.ndim > 1 else 1.0)
    return model.double()


@torch.no_grad()
def policy_gradient() -> tuple[Transformer, Batch, Any]:
    """Rollouts of very different lengths, off-policy so that some are clipped, with a KL term to another model."""
    model, reference = make_model(0), make_model(1)
    draw = torch.Generator().manual_seed(5)
    learned = []
    for prompt, length in ((3, 5), (2, 17), (6, 1), (1, 4), (4, 12), (2, 15), (5, 14), (3, 9)):
        ids = torch.randint(0, VOCAB, (prompt + length,), generator=draw).tolist()
        rollout = Rollout(ids[:prompt], ids[prompt:], [0.0] * length, Reward(1, True, True), False)
        learned.append(Learned(rollout, float(torch.randn((), generator=draw))))
    batch = pack_rollouts(learned, pad_id=0)
    mask = batch.loss_mask[:, 1:]
    for values, scores in ((batch.logprobs, score_batch(model, batch)), (torch.zeros(batch.ids.shape), None)):
        if scores is not None:
            noise = 0.4 * torch.randn(batch.targets, generator=draw)
            values[:, 1:][mask] = scores.logprobs.float() + noise
    far = torch.zeros(batch.ids.shape)
    far[:, 1:][mask] = score_batch(reference, batch).logprobs.float()
    ready = Batch(
        batch.ids,
        batch.documents,
        batch.loss_mask,
        advantages=batch.advantages,
        logprobs=batch.logprobs,
        reference_logprobs=far,
    )
    assert len(ready) >= 4 and at_targets(ready.logprobs, ready).numel() == ready.targets
    return model, ready, PolicyGradient(0.2, 0.28, kl_weight=0.1)


def test_every_layout_has_the_gradient_of_the_whole_batch():
    with torch.enable_grad():
        whole = check_layouts(policy_gradient)
    assert 0.05 < whole.metrics["clipped"] < 0.9 and whole.metrics["kl"] > 0.1
