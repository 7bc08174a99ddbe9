"""Reasoning RL: group-relative policy optimisation on problems with a verifier.

Source: Shao et al. 2024 (DeepSeekMath), section 4.1. Departures, each from Yu et al. 2025 (DAPO) unless said:
no KL term to a reference model; the upper clip is wider than the lower one, which keeps the entropy up; the mean is
taken over tokens of the batch, not over answers; truncated rollouts get no gradient, nor do those whose thought was
closed for the model or never closed (each still counts as wrong in its group); groups whose answers are all right
or all wrong carry no signal and are dropped. The ratio is taken to the engine's own log-probabilities, so a difference
between engine and trainer is part of what is clipped, and the run stops when it grows (Yao et al. 2025, "Your efficient
RL framework secretly brings you off-policy RL training"). Rollouts are sampled at temperature 1 without filters: the
distribution that these log-probabilities, and the gradient, belong to.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sansi.base import SansiError, config_to_dict
from sansi.base.config import Config, as_config
from sansi.base.progress import progress_bar
from sansi.base.runs import RunFolder
from sansi.chat import ChatModel, ChatOptions, ChatResult
from sansi.data.problems import Problem
from sansi.engine import Engine
from sansi.model import Transformer
from sansi.post.rewards import Reward, reasoning_reward
from sansi.text import Codec
from sansi.train.checkpoint import Checkpointer, ExtraFiles
from sansi.train.optim import Optimizer, clip_gradients
from sansi.train.schedule import Schedule


@dataclass(frozen=True)
class GRPOConfig(Config):
    """How reasoning RL trains."""

    steps: int = 60
    """Rollout rounds."""
    questions_per_step: int = 32
    """Questions asked in a round."""
    group_size: int = 8
    """Answers sampled per question."""
    updates_per_step: int = 2
    """Optimiser steps per round: the later ones reuse the rollouts off-policy."""
    learning_rate: float = 6e-5
    """Peak learning rate."""
    clip_low: float = 0.2
    """A token's probability ratio is not pushed below 1 - clip_low."""
    clip_high: float = 0.28
    """... nor above 1 + clip_high."""
    max_tokens: int = 320
    """Longest answer, thought included."""
    max_mismatch: float = 0.05
    """Largest mean |engine log-prob - trainer log-prob| before the run stops."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    checkpoint_every: int = 10
    """Rounds between checkpoints."""
    seed: int = 0
    """Seed of question order and sampling."""

    def problems(self) -> list[str]:
        whole = ("steps", "questions_per_step", "updates_per_step", "max_tokens", "checkpoint_every")
        found = [f'"{name}" must be at least 1, not {value}' for name in whole if (value := getattr(self, name)) < 1]
        positive = ("learning_rate", "clip_high", "max_mismatch", "max_grad_norm")
        found += [f'"{name}" must be above 0, not {value}' for name in positive if (value := getattr(self, name)) <= 0]
        if not 0 < self.clip_low < 1:
            found.append(f'"clip_low" must lie between 0 and 1, not {self.clip_low}')
        if self.group_size < 2:
            found.append(f'"group_size" must be at least 2, not {self.group_size}: an advantage compares answers')
        return found


@dataclass(frozen=True)
class Rollout:
    """One sampled answer. Token t of `ids` was sampled with `logprobs[t]` after `prompt_ids + ids[:t]`."""

    prompt_ids: list[int]
    ids: list[int]
    logprobs: list[float]
    reward: Reward
    truncated: bool
    """Cut short, or with a thought that did not end by the model's own closing tag."""


@dataclass(frozen=True)
class Batch:
    """Rollouts side by side, right-padded: ids [n, length]; the rest [n, length - 1] for the predicted tokens."""

    ids: Tensor
    targets: Tensor
    logprobs: Tensor
    advantages: Tensor

    def rows(self, index: Tensor) -> Batch:
        return Batch(self.ids[index], self.targets[index], self.logprobs[index], self.advantages[index])


@dataclass(frozen=True)
class PolicyLoss:
    """The clipped objective and what there is to know about it."""

    loss: Tensor
    entropy: float
    """Mean entropy of the policy at the sampled tokens, in nats."""
    clipped: float
    """Share of tokens whose ratio was clipped."""
    mismatch: float
    """Mean |log-prob now - log-prob at sampling|: of an untouched policy, the engine's error."""
    max_ratio: float
    """Largest probability ratio."""


def group_advantages(rewards: Tensor) -> Tensor:
    """Rewards [groups, size] to advantages: distance to the group's mean in its standard deviations; 0 if all equal."""
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    return centred / (rewards.std(dim=1, keepdim=True, correction=0) + 1e-6)


def policy_loss(logits: Tensor, batch: Batch, clip_low: float, clip_high: float) -> PolicyLoss:
    """Clipped policy-gradient loss over the target tokens. `logits` [n, length - 1, vocabulary]."""
    logprobs_all = logits.float().log_softmax(-1)
    logprobs = logprobs_all.gather(-1, batch.ids[:, 1:, None]).squeeze(-1)
    log_ratio = torch.where(batch.targets, logprobs - batch.logprobs, 0.0)
    ratio = log_ratio.exp()
    advantages = batch.advantages[:, None]
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    objective = torch.minimum(ratio * advantages, clipped * advantages)
    count = batch.targets.sum().clamp(min=1)
    with torch.no_grad():
        entropy = -(logprobs_all.exp() * logprobs_all).sum(-1)[batch.targets].mean()
        was_clipped = ((clipped * advantages < ratio * advantages) & batch.targets).sum() / count
    return PolicyLoss(
        loss=-(objective * batch.targets).sum() / count,
        entropy=entropy.item(),
        clipped=was_clipped.item(),
        mismatch=(log_ratio.abs().sum() / count).item(),
        max_ratio=ratio.max().item(),
    )


class GRPO:
    """Reasoning RL of `model` on `problems`; opening the same run folder again goes on where it stopped.

    `evaluate` measures the policy every `evaluate_every` rounds; its figure is logged as `held_out_accuracy`. Raises
    SansiError for impossible values in `config`, and when there are fewer problems than a round asks.
    """

    def __init__(
        self,
        model: Transformer,
        codec: Codec,
        problems: list[Problem],
        config: GRPOConfig,
        run: RunFolder,
        extra_files: ExtraFiles | None = None,
        evaluate: Callable[[ChatModel], float] | None = None,
        evaluate_every: int = 20,
    ):
        config = as_config(GRPOConfig, config, "GRPO configuration")
        if len(problems) < config.questions_per_step:
            raise SansiError(
                f"a round asks {config.questions_per_step} questions, but there are {len(problems)}", param="problems"
            )
        self.model, self.codec, self.problems, self.config, self.run = model, codec, problems, config, run
        self.optimizer = Optimizer(model, "adamw", config.learning_rate, weight_decay=0.0, betas=(0.9, 0.95))
        self.schedule = Schedule(warmup_steps=5, decay_from=0.7, final=0.2)
        self.checkpointer = Checkpointer(run, model, self.optimizer, extra_files)
        self.evaluate, self.evaluate_every = evaluate, evaluate_every
        state = self.checkpointer.resume()
        self.step = state["step"] if state else 0

    def train(self) -> Transformer:
        """Run to the last round and return the model."""
        rollouts = self.config.questions_per_step * self.config.group_size
        engine = Engine(self.model, max_batch=rollouts, memory=0.4)  # the rest is for the gradients
        chat = ChatModel(engine, self.codec, "policy")
        try:
            with progress_bar("reasoning RL", self.config.steps, self.step) as bar:
                while self.step < self.config.steps:
                    metrics = self._round(chat)
                    self.step += 1
                    if self.evaluate and self.step % self.evaluate_every == 0:
                        metrics["held_out_accuracy"] = self.evaluate(chat)
                    self.run.log(self.step, **metrics)
                    bar.update(1, f"reward {metrics['reward']:.3f}  right {metrics['right']:.3f}")
                    if self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps:
                        self.checkpointer.save(self.step, {"config": config_to_dict(self.config)})
        finally:
            engine.close()
        return self.model.eval()

    def _round(self, chat: ChatModel) -> dict[str, float]:
        started = time.perf_counter()
        groups = roll_out(chat, self._questions(), self.config, seed=self.config.seed * 1_000_003 + self.step)
        rolled = time.perf_counter()
        losses = self._update(groups)
        rollouts = list(itertools.chain(*groups))
        tokens = sum(len(r.ids) for r in rollouts)
        if losses and losses[0].mismatch > self.config.max_mismatch:
            raise SansiError(
                f"engine and trainer disagree by {losses[0].mismatch:.4f} nats a token "
                f"(limit {self.config.max_mismatch}); the rollouts are not this policy's own: "
                "give both the same weights in the same dtype, or raise max_mismatch"
            )
        return {
            "reward": sum(r.reward.value for r in rollouts) / len(rollouts),
            "right": sum(r.reward.right for r in rollouts) / len(rollouts),
            "well_formed": sum(r.reward.well_formed for r in rollouts) / len(rollouts),
            "truncated": sum(r.truncated for r in rollouts) / len(rollouts),
            "mixed_groups": sum(len({r.reward.value for r in g}) > 1 for g in groups) / len(groups),
            "mean_tokens": tokens / len(rollouts),
            "rollout_tokens_per_second": tokens / (rolled - started),
            "seconds": time.perf_counter() - started,
            **_update_metrics(losses),
        }

    def _questions(self) -> list[Problem]:
        """The round's questions: the problems in a new order in every pass."""
        count, size = self.config.questions_per_step, len(self.problems)
        first_pass, index = divmod(self.step * count, size)
        passes = range(first_pass, first_pass + 1 + (index + count - 1) // size)
        orders = [random.Random(f"{self.config.seed} {number}").sample(range(size), size) for number in passes]
        return [self.problems[i] for i in list(itertools.chain(*orders))[index : index + count]]

    def _update(self, groups: list[list[Rollout]]) -> list[PolicyLoss]:
        batch = make_batch(groups, pad_id=self.codec.tokenizer.end_of_text_id)
        if batch is None:
            return []
        self.model.train()
        losses = []
        order = torch.randperm(len(batch.ids), generator=torch.Generator().manual_seed(self.step))
        for part in order.chunk(self.config.updates_per_step):
            rows = batch.rows(part)
            logits = self.model(rows.ids[:, :-1])
            result = policy_loss(logits, rows, self.config.clip_low, self.config.clip_high)
            result.loss.backward()
            clip_gradients(self.model, self.config.max_grad_norm, self.step + 1)
            self.optimizer.step(self.schedule.factor(self.step, self.config.steps))
            losses.append(result)
        self.model.eval()
        return losses


def _update_metrics(losses: list[PolicyLoss]) -> dict[str, float]:
    """What the updates of a round show; nothing when the round had no signal and there was no update."""
    if not losses:
        return {}
    return {
        "entropy": losses[0].entropy,
        "clipped": losses[-1].clipped,
        "engine_mismatch": losses[0].mismatch,
        "max_ratio": max(item.max_ratio for item in losses),
    }


def roll_out(chat: ChatModel, problems: list[Problem], config: GRPOConfig, seed: int) -> list[list[Rollout]]:
    """`group_size` answers to each problem, in thinking mode, from the plain distribution of the model."""
    options = ChatOptions(
        enable_thinking=True,
        max_tokens=config.max_tokens,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        min_p=0.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        repetition_penalty=1.0,
        logprobs=True,
    )
    conversations, each = [], []
    for i, problem in enumerate(problems):
        for j in range(config.group_size):
            conversations.append([{"role": "user", "content": problem.question}])
            each.append(dataclasses.replace(options, seed=hash((seed, i, j)) % 2**31))
    results = chat.complete_batch(conversations, each)
    rollouts = [_rollout(problems[i // config.group_size], result) for i, result in enumerate(results)]
    return [rollouts[i : i + config.group_size] for i in range(0, len(rollouts), config.group_size)]


def _rollout(problem: Problem, result: ChatResult) -> Rollout:
    assert result.logprobs is not None
    end = result.report.thinking_end_reason
    return Rollout(
        prompt_ids=list(result.prompt_ids),
        ids=list(result.ids),
        logprobs=list(result.logprobs),
        reward=reasoning_reward(problem, result.message, end),
        # A thought that was closed for the model holds forced tokens, which are not its own choice.
        truncated=result.finish_reason == "length" or end != "natural",
    )


def make_batch(groups: list[list[Rollout]], pad_id: int) -> Batch | None:
    """The rollouts that carry signal as one padded batch; None when there are none.

    Those are the whole ones of groups that have both a right and a wrong answer.
    """
    chosen: list[tuple[Rollout, float]] = []
    for group in groups:
        rewards = torch.tensor([[r.reward.value for r in group]])
        if rewards.min() == rewards.max():
            continue
        advantages = group_advantages(rewards)[0].tolist()
        chosen += [(r, a) for r, a in zip(group, advantages, strict=True) if not r.truncated]
    if not chosen:
        return None
    length = max(len(r.prompt_ids) + len(r.ids) for r, _ in chosen)
    ids = torch.full((len(chosen), length), pad_id)
    logprobs = torch.zeros(len(chosen), length - 1)
    targets = torch.zeros(len(chosen), length - 1, dtype=torch.bool)
    for row, (rollout, _) in enumerate(chosen):
        begin, end = len(rollout.prompt_ids), len(rollout.prompt_ids) + len(rollout.ids)
        ids[row, :end] = torch.tensor(rollout.prompt_ids + rollout.ids)
        logprobs[row, begin - 1 : end - 1] = torch.tensor(rollout.logprobs)
        targets[row, begin - 1 : end - 1] = True
    return Batch(ids, targets, logprobs, torch.tensor([a for _, a in chosen]))


def learnable(
    chat: ChatModel, problems: list[Problem], config: GRPOConfig, samples: int = 4, seed: int = 1
) -> list[Problem]:
    """The problems that the model solves sometimes: neither always nor never out of `samples` tries."""
    rounds = dataclasses.replace(config, group_size=samples)
    groups = roll_out(chat, problems, rounds, seed)
    return [p for p, g in zip(problems, groups, strict=True) if 0 < sum(r.reward.value for r in g) < samples]
