"""Problems of one's own, from a JSONL file: a line is a conversation, an answer, and the name of a verifier."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from sansi.base.errors import SansiError, did_you_mean
from sansi.data.jsonl import read_jsonl
from sansi.data.problems.task import Problem, Verdict, as_verdict, check_level, check_whole
from sansi.data.problems.verifiers import verifier_of
from sansi.text import Message, message_to_dict, read_messages

FIELDS = ("messages", "question", "answer", "verifier", "metadata", "difficulty")
MOST_LEVELS = 1_000


@dataclass(frozen=True)
class VerifierTask:
    """A verifier by name (or `module:function`), as the task of the problems that name it."""

    name: str
    verifier: str | Mapping[str, Any] = "exact"
    levels: int = 1

    @classmethod
    def of(cls, problem: Problem) -> VerifierTask:
        return cls(problem.task, "exact" if problem.verifier is None else problem.verifier)

    @property
    def trusted(self) -> bool:
        return not is_function(self.verifier) and verifier_of(self.verifier)[1].trusted

    def problem(self, seed: int, difficulty: int = 0) -> Problem:
        raise SansiError(f"{self.name} draws no problems; give problems with it", param="task")

    def verify(self, problem: Problem, message: Message) -> Verdict:
        if is_function(self.verifier):
            return as_verdict(_function(self.verifier)(problem, message))
        _, verifier, options = verifier_of(self.verifier)
        if wrong := verifier.check(problem.answer, options):
            raise SansiError(f"the expected answer {problem.answer!r:.80} {wrong}", param="answer")
        return verifier.judge(problem.answer, message.content, options)


@dataclass(frozen=True)
class JsonlTask:
    """The problems of a file, in its order: seed i is problem i modulo their number, of those of the level asked."""

    name: str
    problems: tuple[Problem, ...]

    @classmethod
    def from_file(cls, path: str | Path) -> JsonlTask:
        """Read and check a whole file. Raises one SansiError that names every bad line by its number."""
        return cls(str(path), tuple(read_problems(path)))

    @property
    def levels(self) -> int:
        return max(problem.difficulty or 0 for problem in self.problems) + 1

    @property
    def size(self) -> int:
        return len(self.problems)

    def problem(self, seed: int, difficulty: int = 0) -> Problem:
        check_level(self, difficulty)
        some = self._levels[difficulty]
        if not some:
            raise SansiError(f"{self.name} has no problem of difficulty {difficulty}", param="difficulty")
        return some[check_whole("seed", seed) % len(some)]

    def verify(self, problem: Problem, message: Message) -> Verdict:
        return VerifierTask.of(problem).verify(problem, message)

    @functools.cached_property
    def _levels(self) -> list[list[Problem]]:
        levels: list[list[Problem]] = [[] for _ in range(self.levels)]
        for problem in self.problems:
            levels[problem.difficulty or 0].append(problem)
        return levels


def read_problems(path: str | Path) -> list[Problem]:
    """The problems of a JSONL file; each line `{"messages": [...], "answer": ..., "verifier": "numeric"}`.

    `question`, a text, may stand in the place of `messages`; `verifier` is "exact" where it is left out; `metadata` (an
    object) and `difficulty` (0, 1, ...) are optional. Raises SansiError that names every bad line; none is skipped.
    """
    return read_jsonl(path, lambda record: _problem(record, str(path)), "problems", "task")


def _problem(record: Mapping[str, Any], task: str) -> Problem:
    if unknown := [key for key in record if key not in FIELDS]:
        raise SansiError(f'unknown field "{unknown[0]}"{did_you_mean(unknown[0], FIELDS)}')
    context, question = _conversation(record)
    metadata, difficulty = record.get("metadata", {}), record.get("difficulty", 0)
    if not isinstance(metadata, dict):
        raise SansiError(f'"metadata" must be an object, not {metadata!r:.60}')
    if isinstance(difficulty, bool) or not isinstance(difficulty, int) or not 0 <= difficulty < MOST_LEVELS:
        raise SansiError(f'"difficulty" must be a whole number from 0 to {MOST_LEVELS - 1}, not {difficulty!r:.60}')
    verifier = record.get("verifier", "exact")
    _check_answer(record, verifier)
    return Problem(
        task,
        question,
        record.get("answer"),
        metadata,
        difficulty=difficulty,
        context=context,
        verifier=verifier,
    )


def _conversation(record: Mapping[str, Any]) -> tuple[tuple[dict[str, Any], ...], str]:
    if ("messages" in record) == ("question" in record):
        raise SansiError('needs either "messages" or "question"')
    if "question" in record:
        question = record["question"]
        if not isinstance(question, str) or not question.strip():
            raise SansiError(f'"question" must be a text, not {question!r:.60}')
        return (), question
    messages = read_messages(record["messages"])
    last = messages[-1]
    if last.role != "user" or last.name is not None or not last.content.strip():
        raise SansiError("the last of the messages must be a user's question, of role and content alone")
    return tuple(message_to_dict(message) for message in messages[:-1]), last.content


def _check_answer(record: Mapping[str, Any], spec: Any) -> None:
    if is_function(spec):  # what it makes of the answer is its own affair
        _function(spec)
        return
    _, verifier, options = verifier_of(spec)
    if "answer" not in record:
        raise SansiError('"answer" is missing')
    if wrong := verifier.check(record["answer"], options):
        raise SansiError(f'"answer" {record["answer"]!r:.60} {wrong}')


def is_function(spec: Any) -> TypeGuard[str]:
    """Whether a problem's verifier is a function of one's own, `module:function`, and none of ours by name."""
    return isinstance(spec, str) and ":" in spec


def _function(name: str) -> Callable[[Problem, Message], Any]:
    from sansi.data.problems.attributes import load_attribute

    found = load_attribute(name)
    if not callable(found):
        raise SansiError(f'"{name}" is {found!r:.60}; it must be a function (problem, message)', param="verifier")
    return found
