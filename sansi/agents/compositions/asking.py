"""What the compositions share: one reply to one prompt, and lists that a model has written."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from sansi.agents.loop import Agent
from sansi.agents.loop.run import AgentRun
from sansi.base import SansiError
from sansi.client import ChatClient
from sansi.text import Message

T = TypeVar("T")
_ITEM = re.compile(r"^\s*(?:\d{1,3}[.)、]|[-*•])\s*(.+?)\s*$", re.MULTILINE)


async def reply_to(client: ChatClient, prompt: str, options: Mapping[str, Any] | None = None) -> str:
    """The answer to one prompt. Raises SansiError where it was cut, or there is none."""
    run = await Agent(client, options=options).arun([Message("user", prompt)])
    return whole_answer(run).strip()


def whole_answer(run: AgentRun) -> str:
    """The answer of a run that came to one. Raises SansiError for any other."""
    if run.stopped_reason in ("length", "abort", "context", "cancelled", "paused"):
        raise SansiError(f"a part of the work has no whole answer: {run.error or run.stopped_reason}")
    return run.answer


def items_of(text: str, most: int) -> list[str]:
    """The entries of a numbered or dotted list, at most `most`; a text without one is one entry for each line."""
    found = _ITEM.findall(text) or [line.strip() for line in text.splitlines() if line.strip()]
    return [item.strip("*_ ") for item in found[:most]]


def named_in(text: str, names: Iterable[str]) -> str | None:
    """The name that a text gives, if it is one alone; the longest, where names stand in each other."""
    found = [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)]
    found = [n for n in found if not any(n != other and n.lower() in other.lower() for other in found)]
    return found[0] if len(found) == 1 else None


async def side_by_side(work: Iterable[Callable[[], Awaitable[T]]], at_once: int) -> list[T]:
    """All results in order, with at most `at_once` under way. The first error ends the others, and is raised."""
    free = asyncio.Semaphore(at_once)

    async def one(job: Callable[[], Awaitable[T]]) -> T:
        async with free:
            return await job()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(job)) for job in work]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
