"""A text as a block of code in Markdown."""

from __future__ import annotations

import re


def fenced(text: str) -> str:
    """The text between fences that nothing in it can close."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
