"""A request, its key, and what became of it."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sansi.client.reply import Usage
from sansi.client.token_count import TOKENS_PER_MESSAGE, estimated_tokens
from sansi.text import Message

Status = Literal["ok", "refused", "failed", "cut"]
PIXELS_PER_TOKEN = 28 * 28  # of Qwen's vision models, which have the most tokens for a picture among the common ones
TOKENS_OF_UNKNOWN_PICTURE = 4096
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Request:
    """One question. `options` go into the body as they are, before those of the endpoint's settings."""

    messages: Sequence[Message | Mapping[str, Any]]
    """Mappings go as they are, with pictures among their content's parts: see `user_message`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0
    """Which answer to the same question; each number is asked, and kept, for itself."""


@dataclass(frozen=True)
class Answer:
    """What became of a request."""

    key: str
    """Digest of the whole request: model, messages with their pictures, options, sample."""
    status: Status
    """"ok"; "refused" by the model or its filter; "failed"; "cut" where it ran out of tokens."""
    text: str = ""
    """The answer without its thought; also what there is of one that is cut or refused."""
    reason: str = ""
    """Why it is not ok, in a few words that are the same for each of the kind: "http 500", "loops", "over budget"."""
    detail: str = ""
    """The same in a sentence, with the endpoint's own words."""
    model: str = ""
    """What the endpoint calls the model that answered."""
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    cost: float = 0.0
    cached: bool = False
    """It was paid for before: by an earlier run, or for the same request of this one."""
    oddities: tuple[str, ...] = ()
    """What is wrong with an answer that is used all the same: "no usage", "another model"."""


def picture(data: bytes, media_type: str = "image/png") -> dict[str, Any]:
    """A picture as a part of a message's content."""
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def user_message(text: str, *pictures: Mapping[str, Any]) -> dict[str, Any]:
    """A user's turn: pictures first, as models that see were trained, then the text."""
    return {"role": "user", "content": [*pictures, {"type": "text", "text": text}] if pictures else text}


def key_of(body: Mapping[str, Any], sample: int = 0) -> str:
    """The digest that a request's answer is kept under; where the endpoint is does not count, what it is asked does."""
    whole = [body, sample] if sample else body
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def prompt_tokens_of(body: Mapping[str, Any]) -> int:
    """A cautious estimate of what the endpoint will count."""
    total = sum(estimated_tokens(repr(dict(tool))) for tool in body.get("tools") or ())
    for message in body["messages"]:
        parts = message.get("content") or ""
        parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
        total += TOKENS_PER_MESSAGE + sum(map(_part_tokens, parts))
    return total


def _part_tokens(part: Mapping[str, Any]) -> int:
    if part.get("type") != "image_url":
        return estimated_tokens(str(part.get("text", "")))
    head = base64.b64decode(part["image_url"]["url"].partition(";base64,")[2][:64] or b"", validate=False)
    if len(head) < 24 or not head.startswith(PNG):
        return TOKENS_OF_UNKNOWN_PICTURE
    width, height = struct.unpack(">II", head[16:24])
    return int(width * height / PIXELS_PER_TOKEN) + TOKENS_PER_MESSAGE
