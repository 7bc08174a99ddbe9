"""Reasoning RL: group-relative policy optimisation on problems with a verifier.

Source: Shao et al. 2024 (DeepSeekMath), section 4.1. Departures, each from Yu et al. 2025 (DAPO) unless said:

- no KL term to a reference model, unless `kl_weight` asks for one;
- the upper clip is wider than the lower one, which keeps the entropy up;
- the mean is taken over the tokens of a batch, not over answers;
- truncated rollouts get no gradient, nor do those whose thought was closed for the model or never closed; each still
  counts as wrong in its group. An answer that nobody could judge, because its verifier failed, counts nowhere (ours);
- groups of equal rewards carry no signal: they are dropped, and further questions are asked up to a bound;
- the ratio is taken to the engine's own log-probabilities, so a difference between engine and trainer is part of what
  is clipped, and the run stops when it grows, before it learns from such a round (Yao et al. 2025, "Your efficient RL
  framework secretly brings you off-policy RL training").

Rollouts are sampled at temperature 1 without filters: the distribution that these log-probabilities, and the gradient,
belong to.
"""

from __future__ import annotations

import copy
import hashlib
import heapq
from collections.abc import Callable, Sequence
from typing import Any

import torch

from sansi.base import SansiError
from sansi.base.config import as_config
from sansi.base.runs import RunFolder
from sansi.chat import ChatModel
from sansi.data.problems import Problem, Task, as_task
from sansi.data.problems.fingerprints import judge_fingerprint
from sansi.data.problems.task import check_problems
from sansi.engine import Engine
from sansi.model import ModelBundle, Transformer
from sansi.post.config import GRPOConfig
from sansi.post.packing import make_batch
from sansi.post.policy import PolicyGradient
from sansi.post.rollouts import Rollouts
from sansi.post.sampling import Rollout, learnable, roll_out
from sansi.text import Codec
from sansi.train.checks import check_extras
from sansi.train.config import TrainConfig
from sansi.train.loop import Trainer
from sansi.train.schedule import Schedule

__all__ = ["GRPO", "EngineSampler", "GRPOConfig", "Rollout", "learnable", "make_batch", "roll_out"]


LONGEST_PROMPTS = 16  # problems, longest in characters, whose prompts are counted before a run begins


class EngineSampler:
    """Samples from the policy by an engine in this process, which uses the trainer's own module.

    The engine is made when it is first needed, and again after `close`.
    """

    def __init__(self, model: Transformer, codec: Codec, config: GRPOConfig, task: Task | None = None):
        self.model, self.codec, self.config, self.task = model, codec, config, task
        self._chat: ChatModel | None = None

    @property
    def chat(self) -> ChatModel:
        if self._chat is None:
            rollouts = self.config.questions_per_step * self.config.group_size
            engine = Engine(self.model, max_batch=rollouts, memory=0.4)  # the rest is for the gradients
            self._chat = ChatModel(engine, self.codec, "policy")
        return self._chat

    def sync(self) -> None:
        self.chat.engine.refresh()

    def sample(self, problems: Sequence[Problem], seed: int, first: int) -> list[list[Rollout]]:
        return roll_out(self.chat, problems, self.config, seed=seed, task=self.task, first=first)

    def close(self) -> None:
        if self._chat is not None:
            self._chat.close()
        self._chat = None


class GRPO:
    """Reasoning RL of `model` on `problems`; opening the same run folder again goes on where it stopped.

    verify: who judges: a task, its name, or a function (problem, message) -> bool, marks or a Verdict; None: the task
    of each problem, which for problems of one's own compares with `Problem.answer`. `evaluate` measures the policy
    every `evaluate_every` rounds and after the last; its figure is logged as `held_out_accuracy`. bundle: what makes a
    checkpoint a complete model folder; None: what the codec says.

    Raises SansiError for impossible values in `config`, for fewer problems than a round asks, and for a run folder that
    was begun with other problems, verifiers (their code counts) or another configuration, which it names.
    """

    def __init__(
        self,
        model: Transformer,
        codec: Codec,
        problems: Sequence[Problem],
        config: GRPOConfig,
        run: RunFolder,
        bundle: ModelBundle | None = None,
        evaluate: Callable[[ChatModel], float] | None = None,
        evaluate_every: int = 20,
        *,
        verify: Task | Callable[..., Any] | str | None = None,
    ):
        config = as_config(GRPOConfig, config, "GRPO configuration")
        check_prompts(codec, check_problems(problems), model.config.context_length)
        check_extras(bundle, evaluate, None)
        task = None if verify is None else as_task(verify)
        self.model, self.config, self._evaluate = model, config, evaluate
        self.sampler = EngineSampler(model, codec, config, task)
        reference = copy.deepcopy(model).eval().requires_grad_(False) if config.kl_weight else None
        self.rollouts = Rollouts(
            model,
            self.sampler,
            problems,
            config,
            codec.tokenizer.end_of_text_id,
            reference,
            judge_fingerprint(task, problems),
        )
        self.trainer = Trainer(
            model,
            self.rollouts,
            PolicyGradient(config.clip_low, config.clip_high, config.kl_weight),
            train_config(config, evaluate_every),
            run,
            bundle or bundle_of(codec),
            self._measure if evaluate else None,
            {} if reference is None else {"reference": weights_digest(reference)},
        )
        self.rollouts.dtype = self.trainer.dtype

    @property
    def step(self) -> int:
        """Rounds that are done."""
        return self.trainer.step // self.config.updates_per_step

    def train(self) -> Transformer:
        """Run to the last round and return the model."""
        try:
            return self.trainer.train("reasoning RL")
        finally:
            self.sampler.close()

    def _measure(self, model: Transformer) -> dict[str, float]:
        assert self._evaluate is not None
        self.sampler.sync()
        return {"held_out_accuracy": self._evaluate(self.sampler.chat)}


def check_prompts(codec: Codec, problems: Sequence[Problem], context_length: int) -> None:
    """Raise SansiError, before any work, for a problem whose prompt leaves no room for an answer."""
    if not isinstance(codec, Codec):
        raise SansiError(f"codec is a {type(codec).__name__}; give Codec.from_pretrained(folder)", param="codec")
    for problem in heapq.nlargest(LONGEST_PROMPTS, problems, key=lambda p: sum(len(str(m)) for m in p.messages)):
        prompt = codec.render(problem.messages, enable_thinking=True, add_generation_prompt=True)
        if (tokens := len(prompt.ids)) >= context_length - 1:
            raise SansiError(
                f'the problem "{problem.asked[:60]}…" of task {problem.task} is a prompt of {tokens} tokens, but the '
                f"model's context holds {context_length}; leave it out, or lengthen the context first",
                param="problems",
            )


def train_config(config: GRPOConfig, evaluate_every: int = 20) -> TrainConfig:
    """The loop's configuration: its steps are optimiser steps, `updates_per_step` to a round."""
    updates = config.updates_per_step
    return TrainConfig(
        steps=config.steps * updates,
        learning_rate=config.learning_rate,
        optimizer="adamw",
        weight_decay=0.0,
        adam_beta2=0.95,
        max_grad_norm=config.max_grad_norm,
        dtype=config.dtype,
        gradient_checkpointing=config.gradient_checkpointing,
        schedule=Schedule(decay_from=0.7, final=0.2),
        micro_batch_size=config.micro_batch_size,
        checkpoint_every=config.checkpoint_every * updates,
        log_every=updates,
        evaluate_every=evaluate_every * updates,
        compile=False,  # every batch has a shape of its own
    )


def bundle_of(codec: Codec) -> ModelBundle:
    """What a checkpoint has beside its weights, as far as a codec knows it."""
    return ModelBundle(codec.files(), codec.hash)


def weights_digest(model: Transformer) -> str:
    """SHA-256 of the names and values of all weights."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
