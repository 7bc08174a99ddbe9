"""Answers as a chat model would give them, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sansi.chat import ChatResult, ChatUsage, Report
from sansi.data.problems import Problem, Verdict, as_verdict
from sansi.eval.problem_set import Graded
from sansi.text import Message


def result(
    answer: str | None = "12",
    reasoning_tokens: int = 0,
    end: str | None = None,
    prompt_ids: Sequence[int] = (),
    ids: Sequence[int] = (),
    phrase: int = 0,
    finish: str = "stop",
) -> ChatResult:
    report: dict[str, Any] = {"mode": "thinking", "mode_source": "default", "thinking_end_reason": end}
    report |= {"budget_requested": None, "budget_applied": None, "closing_phrase_tokens": phrase, "max_tokens": 99}
    report["closing_phrase"] = ""
    return ChatResult(
        message=Message("assistant", answer or ""),
        finish_reason=finish,
        usage=ChatUsage(len(prompt_ids), len(ids), reasoning_tokens, 0, len(ids) - phrase),
        report=Report(**report, answer_reserve=0, sampling={}, preset="none"),
        ids=tuple(ids),
        prompt_ids=tuple(prompt_ids),
    )


def graded(task: str, right: bool | None, **of_result: Any) -> Graded:
    """right: None is an answer that nobody knows about."""
    verdict = Verdict(None, "unknown", detail="hang: it hung") if right is None else as_verdict(right)
    return Graded(Problem(task, "?", "12", {}), result(**of_result), verdict)
