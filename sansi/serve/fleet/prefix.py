"""The beginning of a prompt, in blocks: prompts that begin alike have the same first hashes, whatever comes after."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

BLOCK = 64
"""Characters; some sixteen tokens of English, a block of the engine's cache."""
MOST_BLOCKS = 512
"""Of one prompt: what comes later decides nothing."""
_FIRST = ("model", "system", "instructions", "tools", "functions")
"""Fields that stand before the messages in what the model reads, whatever their place in the body."""
_THEN = ("messages", "input", "prompt")


def asked_in(body: bytes) -> Mapping[str, Any]:
    """The object that a body is; empty for anything else, which the replica refuses."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return asked if isinstance(asked, dict) else {}


def prompt_blocks(asked: Mapping[str, Any]) -> tuple[int, ...]:
    """A hash for each whole block of a request's prompt, each of all that is before it, too; empty for what has none.

    Any dialect: what is not understood here is understood, or refused, by the replica.
    """
    return blocks_of("".join(_beginning(asked)))


def blocks_of(text: str) -> tuple[int, ...]:
    """The hashes of a text's whole blocks."""
    found, before = [], b""
    for first in range(0, min(len(text), BLOCK * MOST_BLOCKS) - BLOCK + 1, BLOCK):
        data = text[first : first + BLOCK].encode("utf-8", "surrogatepass")
        before = blake2b(before + data, digest_size=8).digest()
        found.append(int.from_bytes(before, "little"))
    return tuple(found)


def answers_of(asked: Mapping[str, Any]) -> int:
    """How many answers a request asks for."""
    count = asked.get("n")
    return min(max(count, 1), 128) if type(count) is int else 1


def _beginning(asked: Mapping[str, Any]) -> Iterator[str]:
    """The text as far as it counts, piece by piece."""
    left = BLOCK * MOST_BLOCKS
    for piece in _pieces(asked):
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return


def _pieces(asked: Mapping[str, Any]) -> Iterator[str]:
    for key in _FIRST:
        if asked.get(key):
            yield f"\0{key}\0{_text(asked[key])}"
    for key in _THEN:
        value = asked.get(key)
        listed = value if isinstance(value, list) else [value] if value else []
        for entry in listed:
            yield f"\0{_text(entry)}"


def _text(value: object) -> str:
    """A message's role and text, of which other fields say nothing; of anything else its JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and "content" in value:
        calls = value.get("tool_calls") or value.get("tool_call_id") or ""
        return f"{value.get('role')}\0{_content(value['content'])}\0{_text(calls) if calls else ''}"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _content(value: object) -> str:
    """A text, or parts with texts: the one means the same as the other."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return value if isinstance(value, str) else _text(value)
    return "".join(
        part["text"] if isinstance(part, Mapping) and isinstance(part.get("text"), str) else _text(part)
        for part in value
    )
