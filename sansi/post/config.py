"""How reasoning RL trains."""

from __future__ import annotations

from dataclasses import dataclass

from sansi.base.config import Config, too_small
from sansi.post.advantages import ScaleRewards
from sansi.train.precision import ComputeDtype


@dataclass(frozen=True)
class GRPOConfig(Config):
    """How reasoning RL trains."""

    steps: int = 60
    """Rollout rounds."""
    questions_per_step: int = 32
    """Questions asked in a round, and groups that a round is to learn from; see `max_oversampling`."""
    group_size: int = 8
    """Answers sampled per question."""
    updates_per_step: int = 2
    """Optimiser steps per round: the later ones reuse the rollouts off-policy."""
    micro_batch_size: int | None = None
    """Rows that go through the model at once; None: all of an update. Bounds the memory, and changes no gradient."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, a third more work."""
    dtype: ComputeDtype = "auto"
    """Of the trainer's products, as in TrainConfig. The engine's are the weights', float32: half precision is part of
    what `max_mismatch` bounds."""
    learning_rate: float = 6e-5
    """Peak learning rate."""
    clip_low: float = 0.2
    """A token's probability ratio is not pushed below 1 - clip_low."""
    clip_high: float = 0.28
    """... nor above 1 + clip_high."""
    scale_rewards: ScaleRewards = "group"
    """"group": advantages in standard deviations of their group; "none": in units of the reward."""
    kl_weight: float = 0.0
    """Weight of the mean KL to the policy that the run began with; 0: no reference is kept."""
    max_tokens: int = 320
    """Longest answer, thought included."""
    max_oversampling: float = 2.0
    """While fewer groups than `questions_per_step` have answers that differ in reward, a round asks further questions,
    up to so many times `questions_per_step` in all. 1: it asks no others, and batches shrink as the policy improves."""
    max_rounds_without_signal: int = 5
    """Rounds in a row without any such group, each with a warning, after which the run stops."""
    max_mismatch: float = 0.05
    """Largest mean |engine log-prob - trainer log-prob| of a round; above it the run stops before it learns from it."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    checkpoint_every: int = 10
    """Rounds between checkpoints."""
    seed: int = 0
    """Seed of question order and sampling."""

    def problems(self) -> list[str]:
        at_least_one = (
            *("steps", "questions_per_step", "updates_per_step", "micro_batch_size", "max_tokens"),
            *("max_oversampling", "max_rounds_without_signal", "checkpoint_every"),
        )
        found = too_small(self, 1, *at_least_one)
        positive = ("learning_rate", "clip_high", "max_mismatch", "max_grad_norm")
        found += [f'"{name}" must be above 0, not {value}' for name in positive if (value := getattr(self, name)) <= 0]
        if not 0 < self.clip_low < 1:
            found.append(f'"clip_low" must lie between 0 and 1, not {self.clip_low}')
        natural = ("kl_weight", "seed")
        found += [f'"{name}" must be 0 or more, not {value}' for name in natural if (value := getattr(self, name)) < 0]
        if self.group_size < 2:
            found.append(f'"group_size" must be at least 2, not {self.group_size}: an advantage compares answers')
        return found

    @property
    def most_questions(self) -> int:
        """Questions that a round may ask in all."""
        return int(self.questions_per_step * self.max_oversampling)
