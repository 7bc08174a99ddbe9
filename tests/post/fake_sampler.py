"""A sampler without an engine: answers of random ids with the log-probabilities that the model gives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from sansi.data.problems import Problem
from sansi.model import ModelConfig, Transformer
from sansi.post.config import GRPOConfig
from sansi.post.packing import Learned, pack_rollouts
from sansi.post.policy import score_batch
from sansi.post.rewards import Reward
from sansi.post.sampling import Rollout

VOCAB = 19
CONFIG = GRPOConfig(questions_per_step=2, group_size=4, updates_per_step=2, max_oversampling=1.0)
PROBLEMS = [Problem("mine", str(i), "", {}) for i in range(6)]

RewardOf = Callable[[Problem, int], float | None]


def tiny_model() -> Transformer:
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "max_position_embeddings": 64}
    model = Transformer(ModelConfig.preset("nano", vocab_size=VOCAB, **shape))
    model.init_weights(0)
    return model


class Sampler:
    """`reward` says what answer j to a problem earns; `error` is added to the log-probabilities."""

    def __init__(self, model: Transformer, reward: RewardOf, error: float = 0.0, truncated: bool = False):
        self.model, self.reward, self.error, self.truncated = model, reward, error, truncated
        self.asked: list[list[str]] = []
        self.synchronised = 0
        self.was_training: list[bool] = []

    def sync(self) -> None:
        self.synchronised += 1
        self.was_training.append(self.model.training)

    def sample(self, problems: Sequence[Problem], seed: int, first: int) -> list[list[Rollout]]:
        self.asked.append([problem.question for problem in problems])
        return [
            [self._rollout(problem, seed, first + i, j) for j in range(CONFIG.group_size)]
            for i, problem in enumerate(problems)
        ]

    def _rollout(self, problem: Problem, seed: int, number: int, j: int) -> Rollout:
        draw = torch.Generator().manual_seed(hash((seed, number, j)) % 2**31)
        ids = torch.randint(0, VOCAB, (3 + j,), generator=draw).tolist()
        value = self.reward(problem, j)
        rollout = Rollout([1], ids, [0.0] * len(ids), Reward(value, bool(value), True, "raised: no"), self.truncated)
        with torch.no_grad():
            logprobs = score_batch(self.model, pack_rollouts([Learned(rollout, 0.0)], 0)).logprobs + self.error
        return dataclasses.replace(rollout, logprobs=logprobs.tolist())


def mixed(problem: Problem, j: int) -> float:
    return float(j % 2)


def silent(problem: Problem, j: int) -> float:
    return 1.0


def sometimes(problem: Problem, j: int) -> float:
    """Every second problem teaches something."""
    return float(int(problem.question) % 2 == 0 and j == 0)
