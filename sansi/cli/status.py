"""What is told while something takes long."""

from __future__ import annotations

import contextlib
from typing import Any


def status(text: str) -> contextlib.AbstractContextManager[Any]:
    """A line that says what takes so long, for somebody who watches."""
    from rich.console import Console

    console = Console(stderr=True)
    return console.status(text) if console.is_terminal else contextlib.nullcontext()
