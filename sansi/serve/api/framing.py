"""How the chunks of a stream are written one after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Made once: `json.dumps` with any option makes one for each call.
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
# Line ends to many a reader of lines, though not to JSON or to event streams.
LINE_ENDS = re.compile("[\x85\u2028\u2029]")


@dataclass(frozen=True)
class Framing:
    """Server-sent events without names, as OpenAI has them; other framings are made from this one."""

    media_type: str = "text/event-stream"
    end: bytes = b"data: [DONE]\n\n"
    """After the last chunk of a stream that came to its end."""
    beat: bytes = b": working\n\n"
    """Says nothing; for a stream that would be silent for long. Every reader of events passes over a comment."""

    def chunk(self, value: Mapping[str, Any]) -> bytes:
        """One chunk. JSON has no raw newline, so one `data:` line is enough."""
        return b"data: %b\n\n" % encoded(value)


class NamedFraming(Framing):
    """Events that are named after their type, which the last of them tells the end by."""

    def chunk(self, value: Mapping[str, Any]) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), encoded(value))


class LineFraming(Framing):
    """A line of JSON for each chunk."""

    def chunk(self, value: Mapping[str, Any]) -> bytes:
        return b"%b\n" % encoded(value)


EVENTS = Framing()
NAMED_EVENTS = NamedFraming(end=b"")
PINGED_EVENTS = NamedFraming(end=b"", beat=b'event: ping\ndata: {"type":"ping"}\n\n')
LINES = LineFraming("application/x-ndjson", end=b"", beat=b" ")  # white space before the next object


def encoded(value: Any) -> bytes:
    """The same in UTF-8. Half a surrogate pair, as names of files may have it, becomes "?": it cannot be sent."""
    return one_line(value).encode(errors="replace")


def one_line(value: Any) -> str:
    """The value as JSON, in one line to whatever reads it."""
    text = ENCODER.encode(value)
    return text if text.isascii() else LINE_ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
