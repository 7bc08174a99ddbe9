"""`read_result`: the whole text of results that the context had no room for, piece by piece."""

from __future__ import annotations

import re
from pathlib import Path

from sansi.agents.context import ToolContext
from sansi.agents.observation import Result
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.client.token_count import CHARS_PER_TOKEN, chars_within

RESULTS = "results"
"""The folder of whole texts in the folder of a conversation."""
AROUND = 200  # characters before a place that was looked for
HEADER = 120  # characters of the line that says where a piece is from


def result_name(number: int, tool: str, tainted: bool) -> str:
    """The file of a whole text; that strangers wrote it stands in its name, so that a restart forgets it not."""
    return f"{number:04d}-{re.sub('[^A-Za-z0-9_-]', '_', tool)[:40]}{'.tainted' * tainted}.txt"


def read_result(name: str, context: ToolContext, offset: int = 0, find: str | None = None) -> Result:
    """Read on in a tool result of which only the beginning and the end were shown.

    Args:
        name: The name that stands where the result was cut.
        offset: From which character on.
        find: Begin shortly before the first place after offset that holds this text.
    """
    text = _file(context.folder / RESULTS, name).read_bytes().decode("utf-8")
    if not 0 <= offset <= len(text):
        raise SansiError(f"offset must be from 0 to {len(text)}, not {offset}")
    start = offset
    if find:
        place = text.lower().find(find.lower(), offset)
        if place < 0:
            raise SansiError(f'"{find[:80]}" does not stand in {name} after character {offset}')
        start = max(0, place - AROUND)
    piece = text[start : start + max(200, context.room - HEADER)]
    piece = piece[: chars_within(piece, int(context.room / CHARS_PER_TOKEN))]
    end = start + len(piece)
    more = f"; offset={end} reads on" if end < len(text) else ""
    return Result(f"[characters {start} to {end} of {len(text)}{more}]\n{piece}", tainted=".tainted." in name)


def _file(folder: Path, name: str) -> Path:
    known = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    if name not in known:  # a name, never a path
        raise SansiError(f'there is no result "{name[:80]}"{did_you_mean(name, known)}')
    return folder / name


READ_RESULT = Tool.from_function(read_result, origin="built-in", max_result_chars=40_000)
