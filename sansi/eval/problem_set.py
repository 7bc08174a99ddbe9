"""Ask a chat model a set of problems and grade the answer text."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sansi.base.progress import Bar
from sansi.chat import ChatModel, ChatOptions, ChatResult
from sansi.data.problems import Problem, is_right


@dataclass(frozen=True)
class Graded:
    """One problem, what the model did with it, and whether the answer text was right."""

    problem: Problem
    result: ChatResult
    right: bool

    def to_dict(self) -> dict[str, Any]:
        return {
            "family": self.problem.task,
            "question": self.problem.asked,
            "expected": self.problem.answer,
            "thought": self.result.message.reasoning_content,
            "answer": self.result.message.content,
            "right": self.right,
            "reasoning_tokens": self.result.usage.reasoning_tokens,
            "thinking_end_reason": self.result.report.thinking_end_reason,
            "finish_reason": self.result.finish_reason,
        }


@dataclass(frozen=True)
class Score:
    """Accuracy over a set of graded answers."""

    problems: int
    accuracy: float
    """Share of right answers, 0 to 1."""
    standard_error: float
    """Binomial standard error of `accuracy`."""
    by_family: dict[str, float]
    """Accuracy per family."""
    reasoning_tokens: float
    """Mean tokens between the think tags."""
    end_reasons: dict[str, int]
    """Why thoughts ended, counted."""

    @classmethod
    def of(cls, graded: list[Graded]) -> Score:
        families: dict[str, list[bool]] = {}
        for item in graded:
            families.setdefault(item.problem.task, []).append(item.right)
        accuracy = sum(g.right for g in graded) / len(graded)
        return cls(
            problems=len(graded),
            accuracy=accuracy,
            standard_error=math.sqrt(accuracy * (1 - accuracy) / len(graded)),
            by_family={name: sum(right) / len(right) for name, right in sorted(families.items())},
            reasoning_tokens=sum(g.result.usage.reasoning_tokens for g in graded) / len(graded),
            end_reasons=dict(Counter(str(g.result.report.thinking_end_reason) for g in graded)),
        )


def ask(
    chat: ChatModel,
    problems: list[Problem],
    options: ChatOptions,
    suffix: str = "",
    seed: int = 0,
    progress: Bar | None = None,
) -> list[Graded]:
    """Answers to all problems, in order. Problem i is sampled with seed `seed + i`; `suffix` follows each question."""
    each = [dataclasses.replace(options, seed=seed + i) for i in range(len(problems))]
    conversations = [[{"role": "user", "content": problem.asked + suffix}] for problem in problems]
    results = chat.complete_batch(conversations, each, progress=progress)
    return [
        Graded(problem, result, is_right(problem, (result.message.content or "").strip()))
        for problem, result in zip(problems, results, strict=True)
    ]
