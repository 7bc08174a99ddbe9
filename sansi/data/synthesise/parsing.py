"""Answers to what was asked for: prose, pairs of questions and answers, code with its test."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r"^```[ \t]*(?:python|py)?[ \t]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE | re.IGNORECASE)
_WHOLE = re.compile(r"\A```(?:markdown|md|text)?[ \t]*\n(.*)\n```\Z", re.DOTALL | re.IGNORECASE)
_MARK = r"(?:\*\*|__|#{1,4}[ \t]+)?"
_NUMBER = r"(?:\d{1,2}[.)][ \t]*)?"
_QUESTION = rf"^{_MARK}{_NUMBER}{_MARK}(?:Q|Question)[ \t]*\d*[ \t]*(?:\*\*)?[:.：](?:\*\*)?"
_ANSWER = rf"^{_MARK}{_NUMBER}{_MARK}(?:A|Answer)[ \t]*\d*[ \t]*(?:\*\*)?[:.：](?:\*\*)?"
_PAIR = re.compile(
    rf"{_QUESTION}[ \t]*(.+?)\s*{_ANSWER}[ \t]*(.+?)\s*(?={_QUESTION}|\Z)", re.DOTALL | re.MULTILINE | re.IGNORECASE
)
FEWEST_PAIRS = 2


@dataclass(frozen=True)
class Code:
    """A task with its solution and the solution's test."""

    task: str
    solution: str
    test: str

    @property
    def text(self) -> str:
        """As a document."""
        return f"{self.task}\n\n```python\n{self.solution}\n```\n\n```python\n{self.test}\n```"


def prose(answer: str) -> str:
    """Without a fence around all of it."""
    text = answer.strip()
    found = _WHOLE.match(text)
    return (found[1] if found and "```" not in found[1] else text).strip()


def pairs(answer: str) -> list[tuple[str, str]] | None:
    """Questions with their answers; None where there are fewer than two, or a question stands there twice."""
    found = [(question.strip(" *\n"), reply.strip(" \n")) for question, reply in _PAIR.findall(prose(answer))]
    whole = [(question, reply) for question, reply in found if len(question) > 5 and reply]
    distinct = {" ".join(question.casefold().split()) for question, _ in whole}
    return whole if len(whole) >= FEWEST_PAIRS and len(distinct) == len(whole) == len(found) else None


def pairs_text(found: list[tuple[str, str]]) -> str:
    """As a document."""
    return "\n\n".join(f"Q: {question}\n\nA: {reply}" for question, reply in found)


def code(answer: str) -> Code | None:
    """The two blocks and what stands before them; None where there are others."""
    blocks = _FENCE.findall(answer)
    task = answer.partition("```")[0].strip()
    task = re.sub(r"(?im)^(?:#{1,4}\s*)?\**(?:task|solution|aufgabe)\**:?\**[ \t]*$\n?", "", task).strip()
    if len(blocks) != 2 or not task:
        return None
    solution, test = (block.strip("\n") for block in blocks)
    return Code(task, solution, test) if solution.strip() and test.strip() else None
