"""Which rollouts are learned from, and how they lie in rows."""

from __future__ import annotations

import math

import pytest
import torch
from sansi.base import SansiError
from sansi.post.packing import Learned, learned_from, make_batch, pack_rollouts
from sansi.post.rewards import Reward
from sansi.post.sampling import Rollout

THIRD = 1 / math.sqrt(3)  # one right of four


def rollout(
    prompt: list[int], ids: list[int], reward: float | None, truncated: bool = False, mask: list[bool] | None = None
) -> Rollout:
    logprobs = [-0.5 * (i + 1) for i in range(len(ids))]
    return Rollout(prompt, ids, logprobs, Reward(reward, bool(reward), True), truncated, mask)


def test_each_token_lies_beside_its_own_log_probability():
    batch = make_batch([[rollout([1, 2, 3], [4, 5], 1.0), rollout([1], [6, 7, 8], 0.0)]], pad_id=9)
    assert batch is not None
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5], [1, 6, 7, 8, 9]]
    assert batch.documents == ((5,), (4, 1))  # padding is a document of its own
    assert batch.loss_mask.int().tolist() == [[0, 0, 0, 1, 1], [0, 1, 1, 1, 0]]
    assert batch.logprobs.tolist() == [[0, 0, 0, -0.5, -1.0], [0, -0.5, -1.0, -1.5, 0]]
    assert batch.advantages[0].tolist() == pytest.approx([0, 0, 0, 1, 1], abs=1e-4)
    assert batch.advantages[1].tolist() == pytest.approx([0, -1, -1, -1, 0], abs=1e-4)


def test_short_rollouts_share_a_row():
    learned = [Learned(rollout([1], list(range(n)), 1.0), float(n)) for n in (2, 9, 3, 5)]
    batch = pack_rollouts(learned, pad_id=0)
    assert batch.documents == ((3, 4, 3), (10,), (6, 4))
    assert batch.advantages[0].tolist() == [0, 2, 2, 0, 3, 3, 3, 0, 0, 0]
    assert batch.loss_mask.sum() == 2 + 9 + 3 + 5


def test_ranks_share_the_rows():
    learned = [Learned(rollout([n], [n] * n, 1.0), float(n)) for n in range(1, 9)]
    whole = pack_rollouts(learned, 0)
    shares = [pack_rollouts(learned, 0, rank, 3) for rank in range(3)]
    assert sorted(map(tuple, whole.ids.tolist())) == sorted(tuple(r) for s in shares for r in s.ids.tolist())
    spare = pack_rollouts(learned[:1], 0, 1, 2)
    assert spare.targets == 0 and len(spare) == 1 and spare.ids.shape == (1, 2)


def test_groups_without_contrast_and_truncated_rollouts_are_left_out():
    right, wrong, cut = rollout([1], [2], 1.0), rollout([1], [3], 0.0), rollout([1], [4, 4, 4, 4], 0.0, truncated=True)
    assert make_batch([[right, right], [wrong, wrong]], 0) is None
    assert make_batch([[cut, cut], [right, right]], 0) is None
    assert make_batch([], 0) is None
    batch = make_batch([[right, right], [right, wrong, wrong, cut]], 0)
    assert batch is not None and batch.ids.tolist() == [[1, 2], [1, 3], [1, 3]]
    # The truncated one counts as wrong in its group.
    assert batch.advantages[:, 1].tolist() == pytest.approx([3 * THIRD, -THIRD, -THIRD], abs=1e-4)


def test_an_answer_that_nobody_could_judge_counts_nowhere():
    right, wrong, unknown = rollout([1], [2], 1.0), rollout([1], [3], 0.0), rollout([1], [4], None)
    batch = make_batch([[right, unknown, wrong]], 0)
    assert batch is not None and batch.ids.tolist() == [[1, 2], [1, 3]]
    assert batch.advantages[:, 1].tolist() == pytest.approx([1, -1], abs=1e-4)
    assert make_batch([[right, unknown], [unknown, unknown]], 0) is None


def test_rewards_may_be_whole_numbers():
    group = [rollout([1], [2], 1), rollout([1], [3], 0)]
    assert make_batch([group], 0).advantages[:, 1].tolist() == pytest.approx([1, -1], abs=1e-4)
    partial = [rollout([1], [2], 0.75), rollout([1], [3], 0.25)]
    assert [item.advantage for item in learned_from([partial], "none")] == [0.25, -0.25]


def test_what_is_not_the_models_own_is_read_and_not_learned():
    """Two assistant turns with the result of a tool between them, in one sequence."""
    mask = [True, True, False, False, True]
    batch = make_batch([[rollout([1, 2], [3, 4, 5, 6, 7], 1, mask=mask), rollout([1, 2], [8], 0)]], 0)
    assert batch.ids[0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert batch.loss_mask[0].int().tolist() == [0, 0, 1, 1, 0, 0, 1]
    nothing = rollout([1], [2, 3], 1, mask=[False, False])
    assert len(learned_from([[nothing, rollout([1], [2], 0)]])) == 1


def test_a_rollout_whose_parts_do_not_fit_is_refused():
    reward = Reward(1, True, True)
    with pytest.raises(SansiError, match="2 ids, 1 log-probabilities"):
        Rollout([1], [2, 3], [-0.1], reward, False)
    with pytest.raises(SansiError, match="1 mask values"):
        Rollout([1], [2, 3], [-0.1, -0.1], reward, False, [True])
    with pytest.raises(SansiError, match="0 prompt ids"):
        Rollout([], [2], [-0.1], reward, False)
    with pytest.raises(SansiError, match='"reward" is'):
        Reward(torch.inf, True, True)
    with pytest.raises(SansiError, match=r'"reward" is 1\.0; give a Reward'):
        Rollout([1], [2], [-0.1], 1.0, False)
    with pytest.raises(SansiError, match="\"ids\" of a rollout holds 'two'"):
        Rollout([1], ["two"], [-0.1], reward, False)
