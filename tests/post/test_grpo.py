"""Reasoning RL on a task of one word: it raises the reward, resumes bit for bit, and stops when something is wrong."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from own_verifiers import Contrary, broken, generous
from sansi.base import SansiError
from sansi.base.runs import RunFolder
from sansi.data.problems import Problem, as_task
from sansi.model import Transformer, load
from sansi.post.grpo import GRPO, GRPOConfig, Rollout, learnable, roll_out
from tiny_policy import NEVER, YES, chat_with, make_codec, make_model, make_policy

CONFIG = GRPOConfig(steps=8, questions_per_step=2, group_size=32, learning_rate=3e-3, max_tokens=64, checkpoint_every=4)
TIMES = ("seconds", "rollout_tokens_per_second", "tokens_per_second")


class Killed(BaseException):
    """Not an Exception, as the end of a process is none."""


@pytest.fixture(scope="module")
def codec():
    return make_codec()


@pytest.fixture(scope="module")
def policy(codec, tmp_path_factory):
    return make_policy(codec, tmp_path_factory.mktemp("policy"))


@pytest.fixture
def make(codec, policy):
    """A GRPO of a fresh copy of the policy."""

    def made(folder: Path, problems: list[Problem] | None = None, evaluate: Any = None, **changes: Any) -> GRPO:
        model = Transformer(policy.config)
        model.load_state_dict(policy.state_dict())
        config = dataclasses.replace(CONFIG, **changes)
        return GRPO(model, codec, problems or [YES] * 3, config, RunFolder(folder), None, evaluate, evaluate_every=2)

    return made


def history(folder: Path) -> list[dict]:
    return [{k: v for k, v in row.items() if k not in TIMES} for row in RunFolder(folder).metrics()]


def test_reward_rises_and_a_killed_run_resumes_bit_for_bit(make, tmp_path):
    whole = make(tmp_path / "whole")
    whole.train()
    rows = history(tmp_path / "whole")
    assert [(row["round"], row["step"]) for row in rows] == [(n, 2 * n) for n in range(1, 9)]
    assert 0.3 < rows[0]["reward"] < 0.7
    assert sum(row["reward"] for row in rows[-3:]) / 3 > rows[0]["reward"] + 0.25
    assert rows[0]["engine_mismatch"] < 1e-4 and rows[0]["well_formed"] > 0.9 and rows[0]["truncated"] < 0.1
    assert all({"entropy", "policy_entropy", "clipped", "max_ratio", "log_ratio", "loss"} <= row.keys() for row in rows)

    killed = make(tmp_path / "killed")
    usual, updates = killed.trainer.optimizer.step, []

    def dying(factor: float) -> None:
        updates.append(factor)
        if len(updates) == 10:  # in the middle of the fifth round, after the checkpoint of the fourth
            raise Killed
        usual(factor)

    killed.trainer.optimizer.step = dying
    with pytest.raises(Killed):
        killed.train()
    resumed = make(tmp_path / "killed")
    assert resumed.step == 4
    resumed.train()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert history(tmp_path / "killed") == rows
    assert RunFolder(tmp_path / "killed").steps() == [8, 16]
    ids = torch.arange(9)[None]
    assert torch.equal(load(RunFolder(tmp_path / "killed").latest(), device="cpu")(ids), whole.model(ids))


def test_rounds_without_signal_change_nothing_and_are_noticed(make, tmp_path, policy, caplog):
    figures = iter([0.25])
    grpo = make(tmp_path, [NEVER, NEVER], evaluate=lambda chat: next(figures), steps=2)
    with caplog.at_level(logging.WARNING, "sansi"):
        grpo.train()
    assert sum("taught nothing" in record.message for record in caplog.records) == 2
    for name, value in policy.state_dict().items():
        assert torch.equal(value, grpo.model.state_dict()[name]), name
    first, _ = (row for row in history(tmp_path) if "reward" in row)
    assert first["reward"] == 0 and first["mixed_groups"] == 0 and first["questions"] == 4
    assert first["entropy"] > 0 and first["engine_mismatch"] < 1e-4 and "clipped" not in first
    assert [row["held_out_accuracy"] for row in history(tmp_path) if "held_out_accuracy" in row] == [0.25]

    with pytest.raises(SansiError, match="3 rounds in a row taught nothing"):
        make(tmp_path / "dead", [NEVER, NEVER], steps=9, max_rounds_without_signal=3).train()


def test_a_policy_that_is_not_the_engines_stops_the_run_before_it_learns(make, tmp_path, policy):
    grpo = make(tmp_path, max_mismatch=1e-12)
    with pytest.raises(SansiError, match=r"engine and trainer disagree .* \(limit 1e-12\)"):
        grpo.train()
    assert RunFolder(tmp_path).latest() is None
    for name, value in policy.state_dict().items():
        assert torch.equal(value, grpo.model.state_dict()[name]), name


def test_a_run_does_not_go_on_with_something_else(make, tmp_path):
    make(tmp_path, steps=1).train()
    for change in ({"group_size": 16}, {"clip_low": 0.1}, {"seed": 3}, {"max_tokens": 32}):
        with pytest.raises(SansiError, match=next(iter(change))):
            make(tmp_path, steps=1, **change)
    with pytest.raises(SansiError, match="problems"):
        make(tmp_path, [YES, YES, NEVER], steps=1)
    assert make(tmp_path, steps=1, max_mismatch=0.1, micro_batch_size=4).step == 1


def test_impossible_settings_are_named_at_once(make, tmp_path):
    with pytest.raises(SansiError) as error:
        make(tmp_path, steps=0, group_size=1, clip_low=2.0, checkpoint_every=0, learning_rate=0.0)
    for name in ("steps", "group_size", "clip_low", "checkpoint_every", "learning_rate"):
        assert f'"{name}"' in str(error.value)
    with pytest.raises(SansiError, match='"group_size" must be a whole number'):
        GRPOConfig(group_size="8")
    with pytest.raises(SansiError, match='"kl_weight" must be a finite number'):
        GRPOConfig(kl_weight=float("nan"))
    with pytest.raises(SansiError, match=r'"max_oversampling" must be at least 1, not 0\.5'):
        GRPOConfig(max_oversampling=0.5)
    with pytest.raises(SansiError, match='"seed" must be 0 or more, not -1'):
        GRPOConfig(seed=-1)
    with pytest.raises(SansiError, match="asks 5 questions, but there are 3"):
        make(tmp_path, questions_per_step=5)
    with pytest.raises(SansiError, match=r"Say it, say.*of task mine is a prompt of \d+ tokens, .* context holds 256"):
        make(tmp_path, [YES, YES, Problem("mine", "Say it, " + 300 * "say it, ", "yes")])
    with pytest.raises(SansiError, match=r"problems\[0\] is 'Say it.'; it must be a Problem"):
        make(tmp_path, ["Say it.", "Say it."])


@pytest.mark.parametrize("verify", [None, generous, Contrary(), broken])
def test_problems_and_verifiers_of_ones_own(codec, policy, verify):
    mine = [Problem("mine", "Say it.", "yes")] * 2
    task = None if verify is None else as_task(verify)
    with chat_with(policy, codec) as chat:
        groups = roll_out(chat, mine, dataclasses.replace(CONFIG, group_size=8), 1, task)
    rewards = [rollout.reward for group in groups for rollout in group if not rollout.truncated]
    assert len(rewards) > 12
    if verify is broken:
        assert all(reward.value is None and "out of order" in reward.detail for reward in rewards)
    else:
        marks = {None: (1.0, 0.0), generous: (0.0, 0.5)}.get(verify, (0.0, 1.0))
        assert {reward.value for reward in rewards} == set(marks)


def test_a_function_can_judge_a_whole_run(codec, policy, tmp_path):
    model = Transformer(policy.config)
    model.load_state_dict(policy.state_dict())
    config = dataclasses.replace(CONFIG, steps=1, group_size=8)
    GRPO(model, codec, [Problem("mine", "Say it.", "yes")] * 2, config, RunFolder(tmp_path), verify=generous).train()
    row = history(tmp_path)[0]
    assert 0.1 < row["reward"] < 0.4 and row["right"] == 0 and row["mixed_groups"] == 1
    with pytest.raises(SansiError, match=r"evaluate is 0\.5; give a function"):
        GRPO(model, codec, [Problem("mine", "Say it.", "yes")] * 2, config, RunFolder(tmp_path), evaluate=0.5)
    with pytest.raises(
        SansiError, match=r"judge.exact: \(absent\) there, '\w{16}' here; judge.generous: '\w{16}' there"
    ):
        GRPO(model, codec, [Problem("mine", "Say it.", "yes")] * 2, config, RunFolder(tmp_path))


def test_a_kl_term_holds_the_policy_where_it_was(make, tmp_path, policy):
    """The reference is the policy that the run began with, and a run does not go on with another."""
    free, held = make(tmp_path / "free", steps=4), make(tmp_path / "held", steps=4, kl_weight=5.0)
    for grpo in (free, held):
        grpo.train()
    without, with_it = history(tmp_path / "free"), history(tmp_path / "held")
    assert "kl" not in without[0] and all(0 <= row["kl"] < 0.1 for row in with_it)
    assert with_it[-1]["reward"] < without[-1]["reward"] - 0.15
    make(tmp_path / "held", steps=4, kl_weight=5.0)
    with torch.no_grad():
        policy.lm_head_weight[0, 0] += 1e-3
    try:
        with pytest.raises(SansiError, match="reference"):
            make(tmp_path / "held", steps=4, kl_weight=5.0)
    finally:
        with torch.no_grad():
            policy.lm_head_weight[0, 0] -= 1e-3


def test_half_precision_is_part_of_what_is_compared(make, tmp_path):
    """Rollouts are scored as the trainer computes: the engine's products are float32, the trainer's are not."""
    grpo = make(tmp_path, steps=1, dtype="bfloat16", gradient_checkpointing=True, micro_batch_size=4)
    grpo.train()
    row = history(tmp_path)[0]
    assert 1e-4 < row["engine_mismatch"] < 0.05
    assert all(parameter.dtype == torch.float32 for parameter in grpo.model.parameters())
    with pytest.raises(SansiError, match="disagree"):
        make(tmp_path / "strict", steps=1, dtype="bfloat16", max_mismatch=1e-5).train()


def test_learnable_problems_are_those_solved_sometimes(codec, policy, caplog):
    with chat_with(policy, codec) as chat:
        assert learnable(chat, [YES, NEVER, YES], CONFIG, samples=8) == [YES, YES]
        with pytest.raises(SansiError, match=r"1 of 3 .* learnable: 2 never earned anything, 0 always the same"):
            learnable(chat, [YES, NEVER, NEVER], CONFIG, samples=8)
        with caplog.at_level(logging.WARNING, "sansi"):
            assert learnable(chat, [NEVER, NEVER], CONFIG, samples=2, at_least=0) == []
        with pytest.raises(SansiError, match='"samples" is 1; it must be at least 2'):
            learnable(chat, [YES, YES], CONFIG, samples=1)
    assert "0 of 2 problems are learnable: 2 never earned anything" in caplog.text


def trainer_logprobs(model: Transformer, rollout: Rollout) -> torch.Tensor:
    """Of every generated token, by one plain forward over prompt and completion."""
    ids = torch.tensor([rollout.prompt_ids + rollout.ids])
    with torch.no_grad():
        logits = model(ids[:, :-1])
    everything = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[0, :, 0]
    return everything[len(rollout.prompt_ids) - 1 :]


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_log_probabilities_of_engine_and_trainer_agree(codec, scale):
    """Ragged prompts in one batch, thoughts that are cut and thoughts that are not: one forward, twice."""
    model = make_model(codec, scale=scale)
    problems = [Problem("gcd", "Say it." + " Now!" * n, "yes", {}) for n in range(3)]
    with chat_with(model, codec) as chat:
        groups = roll_out(chat, problems, dataclasses.replace(CONFIG, group_size=4), seed=5)
    assert [len(group) for group in groups] == [4, 4, 4]
    assert len({tuple(r.ids) for group in groups for r in group}) > 8  # every rollout has a seed of its own
    for rollout in (r for group in groups for r in group):
        assert rollout.prompt_ids[-2] == codec.control.think
        engine = torch.tensor(rollout.logprobs)
        torch.testing.assert_close(engine, trainer_logprobs(model, rollout), atol=2e-4, rtol=1e-4)


def test_the_same_seed_rolls_out_the_same(codec, policy):
    with chat_with(policy, codec) as chat:
        first, again, other = (roll_out(chat, [YES, YES], CONFIG, seed) for seed in (1, 1, 2))
    assert first == again != other
