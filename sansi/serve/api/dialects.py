"""Which dialects the server speaks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sansi.serve.api.dialect import Dialect
from sansi.serve.api.openai_chat import OPENAI_CHAT
from sansi.serve.api.openai_completions import OPENAI_COMPLETIONS


@dataclass(frozen=True)
class Place:
    """Where a dialect is spoken. It is loaded when somebody speaks it: most servers hear one or two."""

    name: str
    path: str
    load: Callable[[], Dialect]
    """The dialect, with what it keeps from request to request; one for each server."""


def places() -> tuple[Place, ...]:
    """Those of one server."""
    found = [Place(one.name, one.path, functools.partial(_itself, one)) for one in (OPENAI_CHAT, OPENAI_COMPLETIONS)]
    loaded = (
        Place("responses", "/v1/responses", _responses),
        Place("messages", MESSAGES, _messages),
        Place("ollama_chat", "/api/chat", _ollama_chat),
        Place("ollama_generate", "/api/generate", _ollama_generate),
    )
    # `cache` would keep one dialect of responses for all servers of a process if it stood at the function.
    return (*found, *(replace(place, load=functools.cache(functools.partial(place.load))) for place in loaded))


def error_at(path: str, body: Mapping[str, Any], status: int) -> Mapping[str, Any]:
    """An error in the shape that clients of this path expect; `body`: as OpenAI has it."""
    if path.startswith(MESSAGES):
        from sansi.serve.api.anthropic.reply import messages_error

        return messages_error(body, status)
    if path.startswith("/api/"):
        from sansi.serve.api.ollama.reply import ollama_error

        return ollama_error(body, status)
    return body


MESSAGES = "/v1/messages"


def _itself(dialect: Dialect) -> Dialect:
    return dialect


def _responses() -> Dialect:
    from sansi.serve.api.responses import responses_dialect

    return responses_dialect()


def _messages() -> Dialect:
    from sansi.serve.api.anthropic import ANTHROPIC_MESSAGES

    return ANTHROPIC_MESSAGES


def _ollama_chat() -> Dialect:
    from sansi.serve.api.ollama import OLLAMA_CHAT

    return OLLAMA_CHAT


def _ollama_generate() -> Dialect:
    from sansi.serve.api.ollama import OLLAMA_GENERATE

    return OLLAMA_GENERATE
