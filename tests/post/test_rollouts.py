"""The producer with a sampler of its own: which questions it asks, when it refuses to go on, what it remembers."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging

import pytest
import torch
from fake_sampler import CONFIG, PROBLEMS, Sampler, mixed, silent, sometimes, tiny_model
from sansi.base import SansiError
from sansi.model import Transformer
from sansi.post.policy import score_batch
from sansi.post.rollouts import Rollouts


@pytest.fixture
def model() -> Transformer:
    return tiny_model()


def make(model: Transformer, sampler: Sampler, **changes: object) -> Rollouts:
    return Rollouts(model, sampler, PROBLEMS, dataclasses.replace(CONFIG, **changes))


def ids_of(batch) -> list[list[int]]:
    return batch.ids.tolist()


def test_every_pass_asks_every_problem_once_in_an_order_of_its_own(model):
    sampler = Sampler(model, mixed)
    rollouts = make(model, sampler)
    for _ in range(18):  # three passes of three rounds of two batches
        next(rollouts)
    assert len(sampler.asked) == 9 and sampler.synchronised == 9
    passes = [list(itertools.chain(*sampler.asked[i : i + 3])) for i in (0, 3, 6)]
    assert all(sorted(asked) == [p.question for p in PROBLEMS] for asked in passes)
    assert passes[0] != passes[1] != passes[2]


def test_a_round_is_handed_out_in_parts_that_make_it_up(model):
    sampler = Sampler(model, mixed)
    rollouts = make(model.train(), sampler, updates_per_step=3)
    parts = [next(rollouts) for _ in range(3)]
    assert sampler.was_training == [False] and model.training
    assert sum(part.targets for part in parts) == 2 * (3 + 4 + 5 + 6)
    assert max(p.targets for p in parts) < 0.75 * sum(p.targets for p in parts)
    metrics = rollouts.metrics()
    assert metrics["round"] == 1 and metrics["reward"] == 0.5 and metrics["mixed_groups"] == 1
    assert metrics["entropy"] == pytest.approx(2.9, abs=0.1) and metrics["engine_mismatch"] < 1e-6
    assert metrics["questions"] == 2 and metrics["truncated"] == 0 and metrics["unknown"] == 0


def test_a_round_asks_on_while_too_few_groups_have_signal(model):
    sampler = Sampler(model, sometimes)
    rollouts = make(model, sampler, max_oversampling=4.0)
    next(rollouts)
    asked = [question for call in sampler.asked for question in call]
    assert sum(int(question) % 2 == 0 for question in asked) >= 2 and len(asked) <= 8
    assert rollouts.asked == len(asked) == rollouts.metrics()["questions"]
    next(rollouts), next(rollouts)  # the next round goes on behind them
    again = [question for call in sampler.asked for question in call]
    assert sorted(again[:6]) == [p.question for p in PROBLEMS]


@pytest.mark.parametrize(("bound", "questions"), [(1.0, 2), (1.5, 3), (2.0, 4), (3.7, 7)])
def test_the_bound_on_further_questions_holds(model, bound, questions):
    sampler = Sampler(model, silent)
    rollouts = make(model, sampler, max_oversampling=bound)
    next(rollouts)
    assert sum(map(len, sampler.asked)) == questions


def test_an_answer_has_the_same_random_numbers_however_the_questions_are_shared(model):
    """What holds for ranks: a share of the questions from number `first` on gives the same rollouts."""
    sampler = Sampler(model, mixed)
    whole = sampler.sample(PROBLEMS[:4], 7, 0)
    assert sampler.sample(PROBLEMS[:2], 7, 0) + sampler.sample(PROBLEMS[2:4], 7, 2) == whole


def test_rounds_without_signal_are_warned_of_and_stop_the_run(model, caplog):
    sampler = Sampler(model, silent)
    rollouts = make(model, sampler, max_rounds_without_signal=3, updates_per_step=2)
    with caplog.at_level(logging.WARNING, "sansi"):
        batches = [next(rollouts) for _ in range(4)]
    assert all(batch.targets == 0 for batch in batches)
    assert [record.message[:22] for record in caplog.records] == ["round 1 taught nothing", "round 2 taught nothing"]
    assert rollouts.metrics()["entropy"] > 2 and rollouts.metrics()["engine_mismatch"] < 1e-6
    with pytest.raises(SansiError, match=r"3 rounds in a row taught nothing: .*\(mean 1.000\); give problems that"):
        next(rollouts)


def test_a_round_with_signal_ends_the_count(model):
    rewards = iter([silent, silent, mixed, silent, silent, mixed])
    sampler = Sampler(model, silent)
    rollouts = make(model, sampler, max_rounds_without_signal=3, updates_per_step=1)
    for reward in rewards:
        sampler.reward = reward
        next(rollouts)


def test_answers_that_nobody_can_judge_stop_nothing_and_are_named(model, caplog):
    sampler = Sampler(model, lambda problem, j: None if j == 0 else float(j == 1))
    rollouts = make(model, sampler)
    assert next(rollouts).targets + next(rollouts).targets == 2 * (4 + 5 + 6)
    assert rollouts.metrics()["unknown"] == 0.25 and rollouts.metrics()["reward"] == pytest.approx(1 / 3)
    sampler.reward = lambda problem, j: None
    rollouts = make(model, sampler, max_rounds_without_signal=1)
    with pytest.raises(SansiError, match="8 of 8 answers could not be judged, the first: raised: no"):
        next(rollouts)


@pytest.mark.parametrize("reward", [mixed, silent])
@pytest.mark.parametrize("error", [-0.5, float("nan")])
def test_rollouts_that_are_not_the_policys_own_are_never_handed_out(model, reward, error):
    sampler = Sampler(model, reward, error)
    rollouts = make(model, sampler)
    with pytest.raises(SansiError, match=r"engine and trainer disagree by .* \(limit 0.05\)"):
        next(rollouts)
    make(model, Sampler(model, reward, 0.04))  # below the limit
    next(make(model, Sampler(model, reward, -0.5), max_mismatch=1.0))


def test_micro_batches_change_nothing(model):
    kept = []
    for size in (None, 1, 2):
        rollouts = make(model, Sampler(model, mixed, 0.01), micro_batch_size=size)
        batch = next(rollouts)
        kept.append((ids_of(batch), rollouts.metrics()["entropy"], rollouts.metrics()["engine_mismatch"]))
    assert kept[0][0] == kept[1][0] == kept[2][0]
    for figures in kept[1:]:
        assert kept[0][1:] == pytest.approx(figures[1:], abs=1e-6)


def test_a_reference_scores_every_target(model):
    reference = Transformer(model.config)
    reference.init_weights(1)
    config = dataclasses.replace(CONFIG, kl_weight=0.1, micro_batch_size=2)
    batch = next(Rollouts(model, Sampler(model, mixed), PROBLEMS, config, reference=reference))
    expected = score_batch(reference, batch).logprobs
    torch.testing.assert_close(batch.reference_logprobs[:, 1:][batch.loss_mask[:, 1:]], expected)
    with pytest.raises(SansiError, match="no reference"):
        Rollouts(model, Sampler(model, mixed), PROBLEMS, config)


@pytest.mark.parametrize("taken", range(5))
def test_it_goes_on_from_wherever_it_was_put_aside(model, taken):
    """Between rounds and in the middle of one, whatever the model does in the meantime."""
    whole = make(model, Sampler(model, sometimes), max_oversampling=2.0)
    for _ in range(taken):
        next(whole)
    state = json.loads(json.dumps(whole.state_dict()))
    rest = [ids_of(next(whole)) for _ in range(4)]
    again = make(model, Sampler(model, sometimes), max_oversampling=2.0)
    again.load_state_dict(state)
    assert [ids_of(next(again)) for _ in range(4)] == rest
    assert again.state_dict() == whole.state_dict()


def test_what_is_left_of_a_round_keeps_everything(model):
    first = make(model, Sampler(model, mixed), updates_per_step=3)
    next(first)
    second = make(model, Sampler(model, mixed), updates_per_step=3)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    ours, theirs = next(first), next(second)
    for name in ("ids", "loss_mask", "logprobs", "advantages"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
    assert ours.documents == theirs.documents


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"group_size": 8}, "group_size: 4 there, 8 here"),
        ({"clip_low": 0.3}, "clip_low: 0.2 there, 0.3 here"),
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"kl_weight": 0.0, "scale_rewards": "none"}, "scale_rewards: 'group' there, 'none' here"),
        ({"max_oversampling": 2.0, "updates_per_step": 1}, "max_oversampling: .*; updates_per_step: 2 there, 1 here"),
    ],
)
def test_a_state_of_another_configuration_is_refused_by_name(model, change, named):
    state = make(model, Sampler(model, mixed)).state_dict()
    with pytest.raises(SansiError, match=named):
        make(model, Sampler(model, mixed), **change).load_state_dict(state)


def test_what_does_not_change_the_run_may_change(model):
    state = make(model, Sampler(model, mixed)).state_dict()
    free = {"checkpoint_every": 3, "micro_batch_size": 2, "max_mismatch": 0.1, "max_rounds_without_signal": 9}
    make(model, Sampler(model, mixed), **free).load_state_dict(state)


def test_a_state_of_other_problems_or_another_judge_is_refused(model):
    state = make(model, Sampler(model, mixed)).state_dict()
    sampler = Sampler(model, mixed)
    others = [
        PROBLEMS[::-1],
        PROBLEMS[:5],
        [*PROBLEMS[:5], dataclasses.replace(PROBLEMS[5], answer="6")],
        [*PROBLEMS[:5], dataclasses.replace(PROBLEMS[5], metadata={"a": 1})],
    ]
    for problems in others:
        with pytest.raises(SansiError, match="problems: '"):
            Rollouts(model, sampler, problems, CONFIG).load_state_dict(state)
    with pytest.raises(SansiError, match=r"judge.strict: \(absent\) there, 'abc' here"):
        Rollouts(model, sampler, PROBLEMS, CONFIG, judge={"strict": "abc"}).load_state_dict(state)


def test_too_few_problems_are_refused(model):
    with pytest.raises(SansiError, match="asks 2 questions, but there are 1"):
        Rollouts(model, Sampler(model, mixed), PROBLEMS[:1], CONFIG)
