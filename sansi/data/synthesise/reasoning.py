"""Worked problems as documents: drawn from seeds that no evaluation draws from, solved by Sansi's own solvers."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import replace

from sansi.data.documents import Document, text_sha256
from sansi.data.problems import solve, training_problems

LICENCE = "CC0-1.0"


def reasoning_documents(
    count: int, stream: int = 0, families: tuple[str, ...] = (), held_out: Collection[tuple[str, ...]] = frozenset()
) -> Iterator[Document]:
    """`count` problems of a training stream (0 to 999), each with its thought and its answer.

    held_out: keys of problems that are left out, whatever their seed.
    """
    if not count:
        return
    drawn = training_problems(stream, families, held_out)
    for number, problem in enumerate(itertools.islice(drawn, count)):
        solution = solve(problem.task, problem.question)
        text = f"{problem.question}\n\n{solution.thought.strip()}\n\nAnswer: {solution.answer}"
        provenance = {"generator": "sansi", "prompt": f"problem/{problem.task}", "stream": str(stream)}
        yield replace(
            _EMPTY,
            id=f"synthetic/problem/{stream}/{number}",
            text=text,
            sha256=text_sha256(text),
            provenance=provenance,
        )


_EMPTY = Document(
    id="",
    source="synthetic",
    licence=LICENCE,
    kind="prose",
    language="en",
    detected_language="en",
    quality=1.0,
    sha256="",
    text="",
    original=True,
    script="Latn",
    field="mathematics",
    media_type="text/plain",
)
