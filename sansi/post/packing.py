"""From groups of rollouts to batches: which of them are learned from, and how they lie in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sansi.data.batch import Batch
from sansi.data.shards.bins import best_fit
from sansi.post.advantages import ScaleRewards, group_advantages, has_signal
from sansi.post.sampling import Rollout


@dataclass(frozen=True)
class Learned:
    """A rollout that is learned from."""

    rollout: Rollout
    advantage: float

    @property
    def tokens(self) -> int:
        return len(self.rollout.prompt_ids) + len(self.rollout.ids)


def learned_from(groups: Sequence[Sequence[Rollout]], scale_rewards: ScaleRewards = "group") -> list[Learned]:
    """The rollouts that carry signal: the whole ones of groups whose rewards differ.

    Truncated ones count in the mean of their group with what they earned, and are not learned; those that nobody could
    judge count nowhere.
    """
    chosen = []
    for group in groups:
        rewards = [rollout.reward.value for rollout in group]
        if not has_signal(rewards):
            continue
        advantages = group_advantages(rewards, scale_rewards).tolist()
        chosen += [Learned(r, a) for r, a in zip(group, advantages, strict=True) if _is_learned(r)]
    return chosen


def _is_learned(rollout: Rollout) -> bool:
    return not rollout.truncated and rollout.reward.value is not None and any(rollout.own)


def make_batch(groups: Sequence[Sequence[Rollout]], pad_id: int, scale_rewards: ScaleRewards = "group") -> Batch | None:
    """The rollouts that carry signal as one batch; None when there are none."""
    learned = learned_from(groups, scale_rewards)
    return pack_rollouts(learned, pad_id) if learned else None


def pack_rollouts(learned: Sequence[Learned], pad_id: int, rank: int = 0, world_size: int = 1) -> Batch:
    """Rollouts as rows of the length of the longest, shorter ones several to a row, each a document of its own.

    A rank takes every `world_size`th row: the batches of all ranks together are the one of a single rank. With no rows
    to take, the batch is one row of padding without targets.
    """
    longest = max((item.tokens for item in learned), default=2)
    rows = best_fit([item.tokens for item in learned], longest)[rank::world_size]
    return _stack([[learned[i] for i in row] for row in rows] or [[]], longest, pad_id)


def _stack(rows: Sequence[Sequence[Learned]], length: int, pad_id: int) -> Batch:
    shape = len(rows), length
    ids = torch.full(shape, pad_id, dtype=torch.int64)
    loss_mask = torch.zeros(shape, dtype=torch.bool)
    logprobs, advantages = torch.zeros(shape), torch.zeros(shape)
    documents = []
    for number, row in enumerate(rows):
        begin = 0
        for item in row:
            rollout, middle, end = item.rollout, begin + len(item.rollout.prompt_ids), begin + item.tokens
            ids[number, begin:end] = torch.tensor([*rollout.prompt_ids, *rollout.ids])
            loss_mask[number, middle:end] = torch.tensor(rollout.own)
            logprobs[number, middle:end] = torch.tensor(rollout.logprobs)
            advantages[number, middle:end] = item.advantage
            begin = end
        padding = (length - begin,) if begin < length else ()
        documents.append((*(item.tokens for item in row), *padding))
    return Batch(ids, tuple(documents), loss_mask, advantages=advantages, logprobs=logprobs)
