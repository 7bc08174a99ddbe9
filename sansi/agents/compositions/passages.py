"""Passages that are numbered on from one search to the next, so that a number names one alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from sansi.agents.context import ToolContext
from sansi.agents.observation import Result
from sansi.agents.tool import Tool

PASSAGE = re.compile(r"^\[(\d{1,3})\]", re.MULTILINE)


def counting_on(tool: Tool) -> Tool:
    """The tool with passages that are numbered on from search to search, so that a number names one alone."""
    count = 0

    async def search(context: ToolContext, **arguments: Any) -> Result:
        nonlocal count
        seen = await tool.run(arguments, context)
        first = PASSAGE.search(seen.text)
        expected = int(first[1]) if first else 0  # a tool may count on by itself

        def numbered(found: re.Match[str]) -> str:
            nonlocal count, expected
            if int(found[1]) != expected:  # a line of a passage that looks like one
                return found[0]
            count, expected = count + 1, expected + 1
            return f"[{count}]"

        text = PASSAGE.sub(numbered, seen.text.removeprefix("error: "))
        origin = (seen.origin or "").removeprefix(tool.origin).strip() or None
        return Result(text, seen.attachments, seen.status != "ok", origin, seen.tainted)

    return replace(tool, function=search)
