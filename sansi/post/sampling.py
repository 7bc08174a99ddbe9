"""Rollouts: answers that the policy samples, with what is needed to learn from them. Token ids are the only truth."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sansi.base import SansiError
from sansi.chat import ChatModel, ChatOptions, ChatResult
from sansi.data.problems import Problem, Task, Verdict
from sansi.eval.problem_set import judge
from sansi.post.advantages import has_signal
from sansi.post.config import GRPOConfig
from sansi.post.rewards import Reward, reasoning_reward

log = logging.getLogger("sansi")

# Temperature 1 without filters or penalties: the distribution that the log-probabilities, and the gradient, belong to.
PLAIN = ChatOptions(
    enable_thinking=True,
    temperature=1.0,
    top_p=1.0,
    top_k=0,
    min_p=0.0,
    presence_penalty=0.0,
    frequency_penalty=0.0,
    repetition_penalty=1.0,
    logprobs=True,
)


@dataclass(frozen=True)
class Rollout:
    """One sampled answer. Token t of `ids` was sampled with `logprobs[t]` after `prompt_ids + ids[:t]`.

    A rollout of several turns is one sequence as well: `ids` then holds all that came after the first prompt, and
    `mask` says which of them the model sampled. Raises SansiError where the lengths of the lists differ.
    """

    prompt_ids: list[int]
    ids: list[int]
    logprobs: list[float]
    reward: Reward
    truncated: bool
    """Cut short, or with a thought that did not end by the model's own closing tag."""
    mask: list[bool] | None = None
    """Which of `ids` are the model's own; the others (results of tools, a user's words, forced tokens) are read and not
    learned, and their log-probabilities mean nothing. None: all of them."""

    def __post_init__(self) -> None:
        if not isinstance(self.reward, Reward):
            raise SansiError(f'"reward" is {self.reward!r:.80}; give a Reward', param="reward")
        for name, ids in (("prompt_ids", self.prompt_ids), ("ids", self.ids)):
            if bad := [id_ for id_ in ids if not isinstance(id_, int | np.integer)]:
                raise SansiError(f'"{name}" of a rollout holds {bad[0]!r:.80}; ids are whole numbers', param=name)
        lengths = {len(self.ids), len(self.logprobs), len(self.ids if self.mask is None else self.mask)}
        if len(lengths) > 1 or not self.prompt_ids:
            raise SansiError(
                f"a rollout of {len(self.prompt_ids)} prompt ids, {len(self.ids)} ids, {len(self.logprobs)} "
                f"log-probabilities and {'no' if self.mask is None else len(self.mask)} mask values; "
                "give a prompt, and one of each per id"
            )

    @property
    def own(self) -> list[bool]:
        """Which of `ids` the model sampled."""
        return [True] * len(self.ids) if self.mask is None else self.mask


def roll_out(
    chat: ChatModel,
    problems: Sequence[Problem],
    config: GRPOConfig,
    seed: int,
    task: Task | None = None,
    first: int = 0,
) -> list[list[Rollout]]:
    """`group_size` judged answers to each problem, in thinking mode, from the plain distribution of the model.

    task: who judges; None: the task of each problem. Answer j to the i-th problem has random numbers of its own, which
    `seed`, `first` + i and j decide.
    """
    options = dataclasses.replace(PLAIN, max_tokens=config.max_tokens)
    conversations, each = [], []
    for i, problem in enumerate(problems):
        for j in range(config.group_size):
            conversations.append(problem.messages)
            each.append(dataclasses.replace(options, seed=hash((seed, first + i, j)) % 2**31))
    results = chat.complete_batch(conversations, each)
    asked = [problem for problem in problems for _ in range(config.group_size)]
    judged = zip(results, judge(asked, results, task), strict=True)
    rollouts = [_rollout(result, verdict) for result, verdict in judged]
    return [rollouts[i : i + config.group_size] for i in range(0, len(rollouts), config.group_size)]


def _rollout(result: ChatResult, verdict: Verdict) -> Rollout:
    assert result.logprobs is not None
    end = result.report.thinking_end_reason
    return Rollout(
        prompt_ids=list(result.prompt_ids),
        ids=list(result.ids),
        logprobs=list(result.logprobs),
        reward=reasoning_reward(verdict, result.message, end),
        # A thought that was closed for the model holds forced tokens, which are not its own choice.
        truncated=result.finish_reason == "length" or end != "natural",
    )


def learnable(
    chat: ChatModel,
    problems: Sequence[Problem],
    config: GRPOConfig,
    samples: int = 4,
    seed: int = 1,
    task: Task | None = None,
    at_least: int | None = None,
) -> list[Problem]:
    """The problems whose answers differ in reward: of `samples` tries neither all right nor all wrong.

    Raises SansiError, with the counts, where they are fewer than `at_least` (None: what a round asks), since rounds of
    other problems teach nothing. With a smaller `at_least`, fewer than a round asks are a warning.
    """
    if not isinstance(samples, int) or samples < 2:
        raise SansiError(f'"samples" is {samples!r}; it must be at least 2, to compare answers', param="samples")
    needed = config.questions_per_step if at_least is None else at_least
    groups = roll_out(chat, problems, dataclasses.replace(config, group_size=samples), seed, task)
    rewards = [[rollout.reward.value for rollout in group] for group in groups]
    chosen = [problem for problem, values in zip(problems, rewards, strict=True) if has_signal(values)]
    counts = f"{len(chosen)} of {len(problems)} problems are learnable: {_census(rewards)}"
    if len(chosen) < needed:
        advice = "give easier or harder problems, or more of them"
        raise SansiError(f"{counts}, but {needed} are needed; {advice}", param="problems")
    if len(chosen) < config.questions_per_step:
        log.warning("%s; a round asks %d", counts, config.questions_per_step)
    return chosen


def _census(rewards: Sequence[Sequence[float | None]]) -> str:
    """What became of the groups that say nothing."""
    known = [[value for value in group if value is not None] for group in rewards]
    silent = [values for values in known if not has_signal(values)]
    never, unjudged = sum(bool(v) and max(v) <= 0 for v in silent), sum(not v for v in silent)
    return (
        f"{never} never earned anything, {len(silent) - never - unjudged} always the same, {unjudged} were not judged"
    )
