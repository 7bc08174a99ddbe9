"""Ask a chat model a set of problems and let each problem's task judge the answer."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sansi.base import SansiError
from sansi.base.progress import Bar
from sansi.chat import ChatModel, ChatOptions, ChatResult
from sansi.data.problems import OUTCOMES, Attempt, Problem, Task, Verdict, verify_all
from sansi.data.problems.task import check_problems
from sansi.eval.intervals import ONE_SIGMA, wilson_interval


@dataclass(frozen=True)
class Graded:
    """One problem, what the model did with it, and what that is worth."""

    problem: Problem
    result: ChatResult
    verdict: Verdict

    @property
    def right(self) -> bool:
        return self.verdict.right

    def to_dict(self) -> dict[str, Any]:
        return {
            "task": self.problem.task,
            "difficulty": self.problem.difficulty,
            "question": self.problem.asked,
            "expected": self.problem.answer,
            "thought": self.result.message.reasoning_content,
            "answer": self.result.message.content,
            "right": self.right,
            "outcome": self.verdict.outcome,
            "score": self.verdict.score,
            "parts": dict(self.verdict.parts),
            "detail": self.verdict.detail,
            "reasoning_tokens": self.result.usage.reasoning_tokens,
            "thinking_end_reason": self.result.report.thinking_end_reason,
            "finish_reason": self.result.finish_reason,
        }


@dataclass(frozen=True)
class Score:
    """Accuracy over a set of graded answers.

    An answer whose outcome is unknown (its verifier failed) is neither right nor wrong: it is counted in `outcomes` and
    is in no denominator. Every other outcome but right counts as not right.
    """

    problems: int
    """All of them, the unknown included."""
    accuracy: float | None
    """Share of right answers, 0 to 1, among those that are known; None where none is."""
    standard_error: float | None
    """Half the width of Wilson's interval of one standard deviation: also at 0 and 1 not 0; None as for accuracy."""
    by_family: dict[str, float | None]
    """Accuracy per task."""
    reasoning_tokens: float
    """Mean tokens between the think tags."""
    end_reasons: dict[str, int]
    """Why thoughts ended, counted."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """Outcomes counted, those that occur: right, wrong, malformed, unanswered, cut, refused, unknown."""

    @classmethod
    def of(cls, graded: Sequence[Graded]) -> Score:
        """The score of some answers. Raises SansiError where there are none."""
        if not graded:
            raise SansiError("there are no answers to score; ask one problem at least", param="graded")
        tasks: dict[str, list[Verdict]] = {}
        for item in graded:
            tasks.setdefault(item.problem.task, []).append(item.verdict)
        verdicts = [item.verdict for item in graded]
        counted = Counter(verdict.outcome for verdict in verdicts)
        return cls(
            problems=len(graded),
            accuracy=_accuracy(verdicts),
            standard_error=_standard_error(verdicts),
            by_family={name: _accuracy(some) for name, some in sorted(tasks.items())},
            reasoning_tokens=sum(g.result.usage.reasoning_tokens for g in graded) / len(graded),
            end_reasons=dict(Counter(str(g.result.report.thinking_end_reason) for g in graded)),
            outcomes={outcome: counted[outcome] for outcome in OUTCOMES if counted[outcome]},
        )

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's interval of 95 %; None where nothing is known, or the outcomes were not stored."""
        known = sum(self.outcomes.values()) - self.outcomes.get("unknown", 0)
        return wilson_interval(self.outcomes.get("right", 0), known) if known else None


def _known(verdicts: Iterable[Verdict]) -> list[bool]:
    return [verdict.right for verdict in verdicts if verdict.outcome != "unknown"]


def _accuracy(verdicts: Iterable[Verdict]) -> float | None:
    right = _known(verdicts)
    return sum(right) / len(right) if right else None


def _standard_error(verdicts: Iterable[Verdict]) -> float | None:
    right = _known(verdicts)
    if not right:
        return None
    low, high = wilson_interval(sum(right), len(right), ONE_SIGMA)
    return (high - low) / 2


def ask(
    chat: ChatModel,
    problems: Sequence[Problem],
    options: ChatOptions,
    suffix: str = "",
    seed: int = 0,
    progress: Bar | None = None,
    task: Task | None = None,
) -> list[Graded]:
    """Answers to all problems, in order. Problem i is sampled with seed `seed + i`; `suffix` follows each question.

    task: judges them all; None: each problem's own. Raises SansiError for an empty list.
    """
    problems = check_problems(problems)
    each = [dataclasses.replace(options, seed=seed + i) for i in range(len(problems))]
    conversations = [dataclasses.replace(p, wording=p.asked + suffix).messages for p in problems]
    results = chat.complete_batch(conversations, each, progress=progress)
    return [Graded(*item) for item in zip(problems, results, judge(problems, results, task), strict=True)]


def judge(problems: Sequence[Problem], results: Sequence[ChatResult], task: Task | None = None) -> list[Verdict]:
    """The verdict on each result of a chat that was asked `problems`, in order; `task` as for `ask`."""
    attempts = [
        Attempt(p, r.message, r.finish_reason, r.report.thinking_end_reason, task)
        for p, r in zip(problems, results, strict=True)
    ]
    return verify_all(attempts)
