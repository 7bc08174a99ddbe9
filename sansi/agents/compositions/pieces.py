"""Texts that are longer than a context: cut into pieces, and findings joined in rounds that fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sansi.agents.compositions import prompts
from sansi.agents.compositions.asking import reply_to, side_by_side
from sansi.client import ChatClient


async def joined(
    client: ChatClient,
    question: str,
    findings: Sequence[str],
    size: int,
    at_once: int,
    options: Mapping[str, Any] | None = None,
) -> str:
    """The answer from numbered findings. While they are longer than `size` characters together, neighbours that fit
    are condensed first, side by side; their numbers are kept. Raises SansiError where a reply is cut."""
    entries = list(findings)
    while len(entries) > 1 and len("\n".join(entries)) > size:
        asked = [prompts.CONDENSE.format(findings=text, question=question) for text in groups_of(entries, size)]
        entries = await side_by_side([partial(reply_to, client, prompt, options) for prompt in asked], at_once)
    return await reply_to(client, prompts.JOIN.format(findings="\n".join(entries), question=question), options)


def groups_of(entries: Sequence[str], size: int) -> list[str]:
    """Neighbours in groups of at most `size` characters, but of two at least, so that each round has fewer."""
    groups: list[list[str]] = []
    for entry in entries:
        if groups and (len(groups[-1]) < 2 or len("\n".join([*groups[-1], entry])) <= size):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    return ["\n".join(group) for group in groups]


def pieces_of(text: str, size: int) -> Iterator[tuple[int, str]]:
    """Pieces that end with a line where they can, and begin a tenth of their size before the last one ended."""
    start = 0
    while start < len(text):
        end = min(len(text), start + size)
        line = text.rfind("\n", start + size // 2, end) + 1 if end < len(text) else 0
        end = line or end
        if text[start:end].strip():
            yield start, text[start:end]
        start = end if end == len(text) else max(end - size // 10, start + 1)
