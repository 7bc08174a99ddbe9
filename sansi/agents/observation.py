"""What a call comes back with: what the tool returns, and what the model and the user are told of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from sansi.base.words import count

Status = Literal[
    "ok",
    "error",
    "invalid_arguments",
    "unknown_tool",
    "denied",
    "timeout",
    "cancelled",
    "not_executed",
    "unknown",  # the program ended while the call ran: it may have had its effect
]
SHORTEST_HEAD = 20  # characters
SHARE_OF_HEAD = 0.7  # what a text begins with says most; errors and totals stand at its end


@dataclass(frozen=True)
class Attachment:
    """A file that a tool made: a plot, a table, a page's image. The model is told its name, users see it."""

    name: str
    media_type: str
    data: bytes

    def __repr__(self) -> str:
        return f"Attachment({self.name!r}, {self.media_type!r}, {len(self.data)} bytes)"


@dataclass(frozen=True)
class Result:
    """What a tool returns where a text alone does not do."""

    text: str
    attachments: tuple[Attachment, ...] = ()
    is_error: bool = False
    """The tool says itself that it failed; the text says how."""
    origin: str | None = None
    """Where the text is from, as an address or a path, where that is another place than the tool's own."""
    tainted: bool | None = None
    """Whether strangers wrote the text; None: as the tool says of all its results."""
    ends_run: bool = False
    """The run ends with this result: no further reply is asked for."""


@dataclass(frozen=True)
class Observation:
    """What the model is told about one call, and what became of it."""

    text: str
    status: Status
    attachments: tuple[Attachment, ...] = ()
    origin: str | None = None
    """Who says it: the origin of the tool, and of the text where they differ; None: Sansi itself."""
    tainted: bool = False
    """Strangers may have written the text: what it asks for is not what the user asked for."""
    ends_run: bool = False
    """The run ends with it."""

    def __post_init__(self) -> None:
        # Half of a surrogate pair, from a tool or quoted from the model, can be neither sent nor encoded.
        object.__setattr__(self, "text", self.text.encode("utf-8", "replace").decode("utf-8"))

    def with_text(self, text: str) -> Observation:
        return replace(self, text=text)


def read_result(returned: Any) -> Result:
    """What a function returned as a Result: text as it is, anything else as JSON."""
    if isinstance(returned, Result):
        return returned
    if isinstance(returned, Attachment):
        return Result(f"[{returned.name}: {returned.media_type}, {count(len(returned.data), 'byte')}]", (returned,))
    text = returned if isinstance(returned, str) else json.dumps(returned, ensure_ascii=False, default=str)
    return Result(text)


def head_and_tail(text: str, room: int, note: str) -> str:
    """`text` in about `room` characters: its beginning, what `note` says of the gap, its end. {cut} in `note` becomes
    the number of characters left out. At least a little of each stays, however small the room."""
    if len(text) <= room:
        return text
    room = max(room, 40)
    head = max(SHORTEST_HEAD, int(room * SHARE_OF_HEAD))
    tail = max(10, room - head)
    if head + tail >= len(text):
        return text
    gap = note.format(cut=len(text) - head - tail)
    return f"{text[:head]}\n[{gap}]\n{text[len(text) - tail :]}"
