"""What models are asked to make of a seed document. A changed prompt gets another version, which documents carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Shape = Literal["text", "questions", "code"]


@dataclass(frozen=True)
class Prompt:
    """One way to make a document of another one."""

    name: str
    version: int
    text: str
    """Before the seed, which follows in a fence of its own."""
    shape: Shape
    """What an answer has to be."""
    min_characters: int
    """Of an answer."""
    keeps_language: bool = True
    """Whether an answer is in the seed's language."""

    @property
    def title(self) -> str:
        """As provenance has it: "textbook/1"."""
        return f"{self.name}/{self.version}"

    def about(self, seed: str) -> str:
        """The whole question."""
        return f"{self.text}\n\n<source>\n{seed}\n</source>"


_SAME = "Write in the language of the source. Use your own words: no sentence of the source may come back as it is."
_ONLY = "Answer with the text alone, without a remark before or after it, and without mentioning a source."

PROMPTS: Mapping[str, Prompt] = {
    prompt.name: prompt
    for prompt in (
        Prompt(
            "textbook",
            1,
            "Write one section of a textbook on the subject of the source below, for students who meet it for the "
            "first time. Begin with a heading (# …). Say what the matter is and why it matters, define each term "
            "where it first comes, explain step by step, give at least one worked example, and end with a short "
            f"summary. State nothing that the source or common knowledge does not bear out. {_SAME} {_ONLY}",
            "text",
            600,
        ),
        Prompt(
            "questions",
            1,
            "Write five questions that somebody who has understood the source below can answer, and their answers. "
            "Mix facts with reasons and consequences. Each question must be clear to a reader who has never seen the "
            "source, and each answer complete in one to four sentences. Give each pair as two paragraphs that begin "
            f"with “Q:” and “A:”. {_SAME} {_ONLY}",
            "questions",
            200,
        ),
        Prompt(
            "code",
            1,
            "Invent a small programming task that has to do with the source below, and solve it in Python with the "
            "standard library alone. Give two fenced blocks. The first (```python) is the solution: functions with "
            "type hints and docstrings, nothing that reads input, files or the network, nothing that runs on import. "
            "The second (```python) is its test: at least four plain assert statements on results of these functions, "
            "edge cases among them; it can use the functions without importing them. Before the blocks, state the "
            "task in two to five sentences.",
            "code",
            200,
            keeps_language=False,
        ),
        Prompt(
            "rewrite",
            1,
            "Rewrite the web text below as a clear article of good prose. Keep every fact, number and name that is "
            "about its subject; leave out menus, advertisements, calls to subscribe, and what is about the website. "
            f"Order it sensibly and explain what outsiders would not understand. {_SAME} {_ONLY}",
            "text",
            300,
        ),
    )
}
