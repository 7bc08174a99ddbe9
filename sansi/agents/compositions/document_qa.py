"""Questions about many long documents: every piece is asked side by side, and the findings become one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sansi.agents.compositions import prompts
from sansi.agents.compositions.asking import reply_to, side_by_side
from sansi.agents.compositions.pieces import joined, pieces_of
from sansi.agents.running import run_sync
from sansi.base import SansiError
from sansi.client import ChatClient

NOTHING = "NOTHING"


@dataclass(frozen=True)
class Finding:
    """What one piece of a document says about the question."""

    document: str
    start: int
    """The piece's first character."""
    text: str


@dataclass(frozen=True)
class DocumentAnswer:
    """The answer, and the findings that its numbers name, from 1."""

    text: str
    findings: tuple[Finding, ...]
    pieces: int
    """How many were read."""


def ask_documents(client: ChatClient, question: str, documents: Mapping[str, str], **how: Any) -> DocumentAnswer:
    """Ask texts by name; as `aask_documents`, for programs without an event loop."""
    return run_sync(aask_documents(client, question, documents, **how))


async def aask_documents(
    client: ChatClient,
    question: str,
    documents: Mapping[str, str],
    *,
    piece_chars: int = 6000,
    at_once: int = 8,
    options: Mapping[str, Any] | None = None,
) -> DocumentAnswer:
    """Read pieces of `piece_chars` characters, `at_once` side by side; `options` go to the client. Findings that are
    longer than a piece together are joined in rounds. The answer says so where no piece has anything. Raises
    SansiError where there is no text, or a reply is cut."""
    pieces = [(name, *piece) for name, text in documents.items() for piece in pieces_of(text, piece_chars)]
    if not pieces:
        raise SansiError("there is no text to ask", param="documents")
    asked = [prompts.READ.format(name=n, text=t, question=question, nothing=NOTHING) for n, _, t in pieces]
    replies = await side_by_side([partial(reply_to, client, prompt, options) for prompt in asked], at_once)
    found = [
        Finding(n, s, r) for (n, s, _), r in zip(pieces, replies, strict=True) if r.strip(" .\"'*") != NOTHING and r
    ]
    if not found:
        return DocumentAnswer("The documents say nothing about it.", (), len(pieces))
    listed = [f"[{i}] {finding.document}: {finding.text}" for i, finding in enumerate(found, 1)]
    text = await joined(client, question, listed, piece_chars, at_once, options)
    return DocumentAnswer(text, tuple(found), len(pieces))
