"""Reasoning RL on a task of one word: it raises the reward, resumes bit for bit, and stops when something is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from sansi.base import SansiError
from sansi.base.runs import RunFolder
from sansi.data.problems import Problem
from sansi.model import Transformer, load
from sansi.post.grpo import GRPO, GRPOConfig, Rollout, learnable, roll_out
from tiny_policy import NEVER, YES, chat_with, make_codec, make_model, make_policy

CONFIG = GRPOConfig(
    steps=10, questions_per_step=2, group_size=32, learning_rate=3e-3, max_tokens=64, checkpoint_every=4
)
TIMES = ("seconds", "rollout_tokens_per_second")


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
    assert 0.3 < rows[0]["reward"] < 0.7
    assert sum(row["reward"] for row in rows[-3:]) / 3 > rows[0]["reward"] + 0.25
    assert rows[0]["engine_mismatch"] < 1e-4 and rows[0]["well_formed"] > 0.9 and rows[0]["truncated"] < 0.1

    killed = make(tmp_path / "killed")
    usual, updates = killed.optimizer.step, []

    def dying(factor: float) -> None:
        updates.append(factor)
        if len(updates) == 12:  # in the middle of the sixth round, after the checkpoint of the fourth
            raise Killed
        usual(factor)

    killed.optimizer.step = dying
    with pytest.raises(Killed):
        killed.train()
    resumed = make(tmp_path / "killed")
    assert resumed.step == 4
    resumed.train()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert history(tmp_path / "killed") == rows
    assert RunFolder(tmp_path / "killed").steps() == [8, 10]
    ids = torch.arange(9)[None]
    assert torch.equal(load(RunFolder(tmp_path / "killed").latest(), device="cpu")(ids), whole.model(ids))


def test_a_round_without_signal_changes_nothing_and_claims_nothing(make, tmp_path, policy):
    figures = iter([0.25])
    grpo = make(tmp_path, [NEVER, NEVER], evaluate=lambda chat: next(figures), steps=2)
    grpo.train()
    for name, value in policy.state_dict().items():
        assert torch.equal(value, grpo.model.state_dict()[name]), name
    first, second = history(tmp_path)
    assert first["reward"] == 0 and first["mixed_groups"] == 0 and "entropy" not in first
    assert "held_out_accuracy" not in first and second["held_out_accuracy"] == 0.25


def test_a_policy_that_is_not_the_engines_stops_the_run(make, tmp_path):
    with pytest.raises(SansiError, match=r"engine and trainer disagree .* \(limit 1e-12\)"):
        make(tmp_path, max_mismatch=1e-12).train()
    assert RunFolder(tmp_path).latest() is None


def test_every_pass_asks_every_problem_once_in_an_order_of_its_own(make, tmp_path):
    problems = [Problem("gcd", str(i), "", {}) for i in range(6)]
    grpo = make(tmp_path, problems)
    rounds = []
    for grpo.step in range(9):  # three passes of three rounds
        rounds.append([p.question for p in grpo._questions()])
    passes = [rounds[i] + rounds[i + 1] + rounds[i + 2] for i in (0, 3, 6)]
    assert all(sorted(asked) == [p.question for p in problems] for asked in passes)
    assert passes[0] != passes[1]


def test_impossible_settings_are_named_at_once(make, tmp_path):
    with pytest.raises(SansiError) as error:
        make(tmp_path, steps=0, group_size=1, clip_low=2.0, checkpoint_every=0, learning_rate=0.0)
    for name in ("steps", "group_size", "clip_low", "checkpoint_every", "learning_rate"):
        assert f'"{name}"' in str(error.value)
    with pytest.raises(SansiError, match="asks 5 questions, but there are 3"):
        make(tmp_path, questions_per_step=5)


def test_learnable_problems_are_those_solved_sometimes(codec, policy):
    with chat_with(policy, codec) as chat:
        assert learnable(chat, [YES, NEVER, YES], CONFIG, samples=8) == [YES, YES]


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
