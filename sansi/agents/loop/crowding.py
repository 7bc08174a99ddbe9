"""Tools whose descriptions leave the conversation no room: told when a program starts, and when a run ends by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sansi.base.words import count
from sansi.client.token_count import estimated_count

ADVICE = "leave tools out (--tools, --mcp), or take a model with a longer context"


def crowding(specs: Sequence[dict[str, Any]], context_length: int | None) -> int:
    """About how many tokens the tools' descriptions take, where that is half of the context or more; else 0."""
    described = estimated_count((), specs).tokens if specs else 0
    return described if described * 2 > (context_length or described * 2) else 0


def warning(specs: Sequence[dict[str, Any]], context_length: int | None) -> str | None:
    """A sentence where they do."""
    described = crowding(specs, context_length)
    if not described:
        return None
    tools = count(len(specs), "tool")
    return f"the descriptions of {tools} take about {described} of the model's {context_length} tokens: {ADVICE}"
