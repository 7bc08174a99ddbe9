"""The producer of reasoning RL: rounds of rollouts of the present policy, as batches for the one training loop.

A round asks questions, checks that the answers are the policy's own, and is handed out in `updates_per_step` batches;
the later ones are off-policy. The state is the place in the problems and, should a round be put aside in its middle,
what is left of it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import logging
import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sansi.base import SansiError, config_to_dict
from sansi.base.differences import changes, flat
from sansi.data.batch import Batch
from sansi.data.problems import Problem
from sansi.model import Transformer
from sansi.post.advantages import has_signal
from sansi.post.config import GRPOConfig
from sansi.post.packing import Learned, learned_from, pack_rollouts
from sansi.post.policy import at_targets, score_batch
from sansi.post.rewards import Reward
from sansi.post.sampling import Rollout
from sansi.train.parallel import World
from sansi.train.precision import autocast

log = logging.getLogger("sansi")

LEAST_SIGNAL = 0.25  # share of groups with signal that is reckoned with at the least when more questions are asked
PROBES = 16  # rollouts that are scored in a round without signal
# Fields of the configuration that may change when a run goes on: they say how it is cut up and when it stops.
# The loop looks at those that are its own.
FREE = {
    *("checkpoint_every", "max_mismatch", "max_rounds_without_signal"),
    *("micro_batch_size", "gradient_checkpointing", "dtype", "steps"),
}


class Sampler(Protocol):
    """Whoever samples from the policy: the engine in this process, or one elsewhere."""

    def sync(self) -> None:
        """Take over the policy's present weights."""
        ...

    def sample(self, problems: Sequence[Problem], seed: int, first: int) -> list[list[Rollout]]:
        """A group of judged rollouts for each problem, the first of which is number `first` of the round.

        Seed and number decide the random numbers, whatever else is asked beside.
        """
        ...


class Rollouts:
    """Endless batches of rollouts of `model`, sampled by `sampler`, on `problems`.

    Every pass over the problems has an order of its own, which the seed decides. Several ranks ask a share of a round's
    questions each and exchange the answers, so that all of them hand out the same batches. reference: a frozen model
    for the KL term. judge: who judges, a digest by name, for the record.

    Iterating raises SansiError when sampler and model disagree by more than `max_mismatch`, before anything is learned
    from such a round, and after `max_rounds_without_signal` rounds that taught nothing.
    """

    may_be_silent = True  # a round without signal is warned of here

    def __init__(
        self,
        model: Transformer,
        sampler: Sampler,
        problems: Sequence[Problem],
        config: GRPOConfig,
        pad_id: int = 0,
        reference: Transformer | None = None,
        judge: Mapping[str, str] | None = None,
    ):
        if len(problems) < config.questions_per_step:
            raise SansiError(
                f"a round asks {config.questions_per_step} questions, but there are {len(problems)}", param="problems"
            )
        if config.kl_weight and reference is None:
            raise SansiError(f'"kl_weight" is {config.kl_weight}, but there is no reference model', param="reference")
        self.model, self.sampler, self.problems, self.config = model, sampler, list(problems), config
        self.pad_id, self.reference, self.judge = pad_id, reference, dict(judge or {})
        self.dtype = torch.float32  # of the trainer's products, which what is scored here has to be like
        self.round = 0  # rounds begun
        self.asked = 0  # questions asked so far, over all passes
        self.silent = 0  # rounds in a row without signal
        self._parts: list[list[Learned]] = []  # what is left of the round
        self._metrics: dict[str, float] = {}
        self._begun = time.perf_counter()

    # ---- the producer's side -------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if not self._parts:
            self._begin_round()
        return self._batch(self._parts.pop(0))

    def metrics(self) -> dict[str, float]:
        """What the present round showed."""
        return {**self._metrics, "seconds": time.perf_counter() - self._begun} if self._metrics else {}

    def fingerprint(self) -> dict[str, Any]:
        """Whatever decides the batches, apart from the model."""
        settings = {name: value for name, value in config_to_dict(self.config).items() if name not in FREE}
        return {**settings, "problems": _digest(self.problems), "judge": self.judge}

    def state_dict(self) -> dict[str, Any]:
        """The place, ready for JSON."""
        left = [[dataclasses.asdict(item) for item in part] for part in self._parts]
        place = {"round": self.round, "asked": self.asked, "silent": self.silent}
        return {**place, "left": left, "made_with": self.fingerprint()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved place. Raises SansiError that names what differs if it was made with something else."""
        if found := changes(flat(state.get("made_with", {})), flat(self.fingerprint())):
            raise SansiError(
                f"the run was begun otherwise ({'; '.join(found)}); go on with the old values, or begin another run"
            )
        self.round, self.asked, self.silent = (int(state[name]) for name in ("round", "asked", "silent"))
        self._parts = [[_learned(item) for item in part] for part in state["left"]]

    # ---- a round -------------------------------------------------------------------------------------------------

    def _begin_round(self) -> None:
        self._begun = time.perf_counter()
        was_training = self.model.training
        self.model.eval()
        self.sampler.sync()
        groups = self._groups()
        rolled = time.perf_counter()
        learned = learned_from(groups, self.config.scale_rewards)
        agreement = self._check_agreement(learned or [Learned(r, 0.0) for r in _flat(groups)[:PROBES]])
        self.model.train(was_training)
        tokens = sum(len(rollout.ids) for rollout in _flat(groups))
        speed = {"rollout_tokens_per_second": tokens / (rolled - self._begun)}
        self._metrics = {"round": self.round + 1, **_group_metrics(groups), **agreement, **speed}
        self._notice_silence(groups, bool(learned))
        self._parts = self._shuffled(learned)
        self.round += 1

    def _groups(self) -> list[list[Rollout]]:
        """The groups of a round: while too few of them have signal further questions are asked, up to the bound."""
        wanted, groups = self.config.questions_per_step, list[list[Rollout]]()
        seed = self.config.seed * 1_000_003 + self.round
        count = wanted
        while count > 0:
            groups += self._sample(self._next_problems(count), seed, len(groups))
            found = sum(bool(learned_from([group])) for group in groups)
            missing = max(wanted - found, 0)
            likely = math.ceil(missing / max(found / len(groups), LEAST_SIGNAL))
            count = min(likely, self.config.most_questions - len(groups))
        return groups

    def _next_problems(self, count: int) -> list[Problem]:
        """The next questions: the problems in a new order in every pass."""
        size = len(self.problems)
        first_pass, index = divmod(self.asked, size)
        passes = range(first_pass, first_pass + 1 + (index + count - 1) // size)
        orders = [random.Random(f"{self.config.seed} {number}").sample(range(size), size) for number in passes]
        self.asked += count
        return [self.problems[i] for i in list(itertools.chain(*orders))[index : index + count]]

    def _sample(self, problems: list[Problem], seed: int, first: int) -> list[list[Rollout]]:
        """A group for each problem; of several ranks each samples a share of them."""
        world = self._world()
        begin, end = (len(problems) * number // world.size for number in (world.rank, world.rank + 1))

        def mine() -> list[list[Rollout]]:
            return self.sampler.sample(problems[begin:end], seed, first + begin) if begin < end else []

        return list(itertools.chain(*world.gather(mine)))

    def _shuffled(self, learned: list[Learned]) -> list[list[Learned]]:
        """The rollouts in as many parts as the round has updates; without any, parts that teach nothing."""
        order = torch.randperm(len(learned), generator=torch.Generator().manual_seed(self.round)).numpy()
        return [[learned[i] for i in part] for part in np.array_split(order, self.config.updates_per_step)]

    def _batch(self, part: Sequence[Learned]) -> Batch:
        batch = pack_rollouts(part, self.pad_id)
        if self.reference is None:
            return batch
        return dataclasses.replace(batch, reference_logprobs=self._reference_logprobs(self.reference, batch))

    # ---- what is checked before anything is learned ----------------------------------------------------------------

    @torch.no_grad()
    def _check_agreement(self, learned: Sequence[Learned]) -> dict[str, float]:
        """Entropy of the policy at the sampled tokens, and how far the sampler's log-probabilities are from its own.

        The policy is untouched since it was synchronised, so what differs is a difference of weights or arithmetic (Yao
        et al. 2025, "Your efficient RL framework secretly brings you off-policy RL training").
        """
        world = self._world()
        batch = pack_rollouts(learned, self.pad_id, world.rank, world.size)
        entropy, error, count = (sum(parts) for parts in zip(*world.gather(lambda: self._scored(batch)), strict=True))
        mismatch = error / max(count, 1.0)
        if not mismatch <= self.config.max_mismatch:  # NaN is no agreement either
            raise SansiError(
                f"engine and trainer disagree by {mismatch:.4f} nats a token (limit {self.config.max_mismatch}); the "
                "rollouts are not this policy's own, and nothing was learned from them: give both the same weights in "
                "the same dtype, or raise max_mismatch"
            )
        return {"entropy": entropy / max(count, 1.0), "engine_mismatch": mismatch}

    @torch.no_grad()
    def _scored(self, batch: Batch) -> tuple[float, float, float]:
        """Entropy and error, each added up over the targets, and how many those are."""
        entropy = error = 0.0
        for part in self._micro_batches(batch):
            with autocast(self.model, self.dtype):
                scores = score_batch(self.model, part)
            assert part.logprobs is not None and scores.entropy is not None
            error += (scores.logprobs - at_targets(part.logprobs, part)).abs().sum().item()
            entropy += scores.entropy.sum().item()
        return entropy, error, float(batch.targets)

    @torch.no_grad()
    def _reference_logprobs(self, reference: Transformer, batch: Batch) -> Tensor:
        values = torch.zeros(batch.ids.shape)
        rows = 0
        for part in self._micro_batches(batch):
            mask = part.loss_mask[:, 1:].cpu()
            with autocast(reference, self.dtype):
                scores = score_batch(reference, part)
            values[rows : rows + len(part), 1:][mask] = scores.logprobs.float().cpu()
            rows += len(part)
        return values

    def _world(self) -> World:
        return World.current(next(self.model.parameters()).device)

    def _micro_batches(self, batch: Batch) -> Iterator[Batch]:
        device = next(self.model.parameters()).device
        return (part.to(device) for part in batch.micro_batches(self.config.micro_batch_size))

    def _notice_silence(self, groups: list[list[Rollout]], has_learned: bool) -> None:
        """Warn of a round that taught nothing, and stop the run after several in a row."""
        self.silent = 0 if has_learned else self.silent + 1
        if has_learned:
            return
        rewards = [rollout.reward for rollout in _flat(groups)]
        known = [reward.value for reward in rewards if reward.value is not None]
        unknown = [reward for reward in rewards if reward.value is None]
        mean = f"{sum(known) / len(known):.3f}" if known else "unknown"
        why = f"in none of {len(groups)} groups do answers that are whole differ in reward (mean {mean})"
        if unknown:
            why += f"; {len(unknown)} of {len(rewards)} answers could not be judged, the first: {unknown[0].detail}"
        log.warning("round %d taught nothing: %s", self.round + 1, why)
        if self.silent >= self.config.max_rounds_without_signal:
            raise SansiError(
                f"{self.silent} rounds in a row taught nothing: {why}; give problems that the model solves sometimes "
                "(sansi.post.grpo.learnable chooses them), or raise max_rounds_without_signal"
            )


def _group_metrics(groups: Sequence[Sequence[Rollout]]) -> dict[str, float]:
    rollouts = _flat(groups)
    rewards = [rollout.reward for rollout in rollouts]
    known = [reward.value for reward in rewards if reward.value is not None]

    def share(values: Iterator[bool]) -> float:
        return sum(values) / len(rollouts)

    return {
        "reward": sum(known) / max(len(known), 1),
        "right": share(reward.right for reward in rewards),
        "well_formed": share(reward.well_formed for reward in rewards),
        "unknown": share(reward.value is None for reward in rewards),
        "truncated": share(rollout.truncated for rollout in rollouts),
        "questions": len(groups),
        "mixed_groups": sum(has_signal([r.reward.value for r in group]) for group in groups) / len(groups),
        "mean_tokens": sum(len(rollout.ids) for rollout in rollouts) / len(rollouts),
    }


def _flat(groups: Sequence[Sequence[Rollout]]) -> list[Rollout]:
    return list(itertools.chain(*groups))


def _digest(problems: Sequence[Problem]) -> str:
    """Of the problems and their order."""
    texts = (json.dumps(dataclasses.asdict(p), sort_keys=True, default=str, ensure_ascii=False) for p in problems)
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()[:16]


def _learned(item: Mapping[str, Any]) -> Learned:
    rollout = dict(item["rollout"])
    return Learned(Rollout(**{**rollout, "reward": Reward(**rollout["reward"])}), item["advantage"])
