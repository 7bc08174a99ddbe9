"""From a finished answer to its verdict: the form, then the task's verifier, and no verifier can stop anything."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError
from sansi.data.problems.own import JsonlTask
from sansi.data.problems.refusals import declines
from sansi.data.problems.registry import task_of
from sansi.data.problems.task import Problem, Task, Verdict, as_verdict, unknown
from sansi.data.problems.workers import WorkerPool, shared_pool
from sansi.text import Message, read_messages

LONGEST_ANSWER = 200_000  # characters that a verifier is given: the deterministic bound on its work
# The words of ours, and those of other servers for the same.
CUT = {"length", "max_tokens", "max_output_tokens"}
REFUSED = {"content_filter", "refusal"}
ABORTED = {"abort", "aborted", "cancelled", "error"}


@dataclass(frozen=True)
class Attempt:
    """An answer to a problem, as a chat gave it."""

    problem: Problem
    message: Message
    finish_reason: str | None = None
    """Why the answer ended ("stop", "length", ...); None: it is whole."""
    thinking_end_reason: str | None = None
    """Why the thought ended ("natural", "budget", "length", ...); None: there was none, or nobody knows."""
    task: Task | None = None
    """Its task; None: the one of the problem's name."""


def form_of(attempt: Attempt) -> Verdict | None:
    """The verdict on an answer that there is nothing to verify of; None where a verifier has to look.

    In this order: aborted is unknown, cut by a limit is cut (also where what there is looks right: nobody knows how it
    would have gone on; a thought that a budget closed is not cut, its answer is whole), declined by the server is
    refused, tool calls without a text are malformed, no text at all is unanswered.
    """
    answer, finish, thought = attempt.message, attempt.finish_reason, attempt.thinking_end_reason
    if finish in ABORTED or thought in ABORTED:
        return unknown("aborted", "the answer was aborted before its end")
    if finish in CUT or thought in CUT:
        return Verdict(0.0, "cut", detail="a limit ended the answer")
    if finish in REFUSED:
        return Verdict(0.0, "refused", detail=f"finish_reason {finish}")
    if not answer.content.strip():
        if answer.tool_calls:
            return Verdict(0.0, "malformed", detail="tool calls where an answer was due")
        return Verdict(0.0, "unanswered", detail="no answer text")
    if len(answer.content) > LONGEST_ANSWER:
        return Verdict(0.0, "malformed", detail=f"over {LONGEST_ANSWER:,} characters")
    return None


def verify_safely(
    task: Task | None,
    problem: Problem,
    message: Message | Mapping[str, Any] | str,
    *,
    finish_reason: str | None = None,
    thinking_end_reason: str | None = None,
    pool: WorkerPool | None = None,
) -> Verdict:
    """The verdict on one answer. A verifier that raises, hangs, exhausts memory or kills its process is `unknown`.

    task: None for the one of the problem's name. A task that is not `trusted` is verified in a process of `pool` (by
    default one that all of this process share). Raises SansiError for a problem or message that is none.
    """
    return _verdict(Attempt(problem, as_message(message), finish_reason, thinking_end_reason, task), pool)


def is_right(problem: Problem, answer: str | None) -> bool:
    """Whether an answer's text is right by the problem's own task."""
    return verify_safely(None, problem, answer or "").right


def verify_all(attempts: Sequence[Attempt], *, pool: WorkerPool | None = None) -> list[Verdict]:
    """`verify_safely` of many answers, in order; those that need a process are verified side by side."""
    pool = pool or shared_pool()
    threads = concurrent.futures.ThreadPoolExecutor(pool.workers, "verify")
    try:
        waiting = [v if (v := _at_once(a)) else threads.submit(_in_process, a, pool) for a in attempts]
        return [v if isinstance(v, Verdict) else v.result() for v in waiting]
    except BaseException:  # Ctrl-C does not wait for a verifier that hangs
        threads.shutdown(wait=False, cancel_futures=True)
        pool.interrupt()
        raise
    finally:
        threads.shutdown()


def as_message(message: Message | Mapping[str, Any] | str) -> Message:
    """An answer given as a text or as a dictionary is an assistant's message."""
    if isinstance(message, Message):
        return message
    if isinstance(message, str):
        return Message("assistant", message)
    if isinstance(message, Mapping):
        return read_messages([{"role": "assistant", **message}])[0]
    raise SansiError(f"message is {message!r:.80}; give a Message, a dictionary or the answer's text", param="message")


def _verdict(attempt: Attempt, pool: WorkerPool | None) -> Verdict:
    return _at_once(attempt) or _in_process(attempt, pool or shared_pool())


def _at_once(attempt: Attempt) -> Verdict | None:
    """The verdict where no other process is needed: there is nothing to verify, or the task is trusted."""
    if not isinstance(attempt.problem, Problem):
        raise SansiError(f"problem is {attempt.problem!r:.80}; it must be a Problem", param="problem")
    if formed := form_of(attempt):
        return formed
    task = _task(attempt)
    if not getattr(task, "trusted", False):
        return None
    try:
        verdict = as_verdict(task.verify(attempt.problem, attempt.message))
    except Exception as error:
        verdict = unknown("raised", f"{type(error).__name__}: {error}")
    return _with_refusal(attempt, verdict)


def _in_process(attempt: Attempt, pool: WorkerPool) -> Verdict:
    task = _task(attempt)
    by_name = attempt.task is None or task is not attempt.task or task is task_of(attempt.problem)
    return _with_refusal(attempt, pool.verify(task, attempt.problem, attempt.message, by_name))


def _task(attempt: Attempt) -> Task:
    """Who judges: the task given; a file of problems leaves it to the verifier that each of them names."""
    given = attempt.task
    return task_of(attempt.problem) if given is None or isinstance(given, JsonlTask) else given


def _with_refusal(attempt: Attempt, verdict: Verdict) -> Verdict:
    """A wrong answer that declines is refused; a right one stays right, whatever its words."""
    if verdict.outcome in ("wrong", "malformed") and declines(attempt.message.content):
        return Verdict(0.0, "refused", verdict.parts, verdict.detail)
    return verdict
