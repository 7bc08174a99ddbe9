"""A dialect: one way to ask for an answer over HTTP and to tell it, a thin pair of functions around one request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sansi.chat import ChatModel
from sansi.serve.api.fields import Field
from sansi.serve.api.framing import EVENTS, Framing
from sansi.serve.api.requests import ChatRequest, Policy, TextRequest
from sansi.serve.api.response_bodies import Reply

Request = ChatRequest | TextRequest


@dataclass(frozen=True)
class Told:
    """A body that the model has nothing to answer to: whether it is there is all that is asked."""

    model: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Dialect:
    """Who adds one writes its tables, these functions, and its place in `dialects.places`."""

    name: str
    path: str
    """Where a body is posted."""
    fields: Mapping[str, Field]
    required: Sequence[str]
    parse: Callable[[Mapping[str, Any], Policy], Request | Told]
    """A body to a request. Raises SansiError, with `param`, for what is wrong with it."""
    reply: Callable[[ChatModel, Any], Reply]
    """What tells the answers to a request."""
    answer: Mapping[str, Any]
    """The JSON schema of a whole answer."""
    framing: Framing = EVENTS
    """How the chunks of a stream stand in it."""
    error: Callable[[Mapping[str, Any], int], Mapping[str, Any]] = lambda body, status: body
    """OpenAI's error object, and the HTTP status, to an error as this dialect has it."""
    error_schema: Mapping[str, Any] | None = None
    """The JSON schema of such an error; None: OpenAI's."""
