"""Which dialects the server speaks."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from sansi.serve.api.dialect import Dialect
from sansi.serve.api.openai_chat import OPENAI_CHAT
from sansi.serve.api.openai_completions import OPENAI_COMPLETIONS
from sansi.serve.api.places import Place, loaded


def places() -> tuple[Place[Dialect], ...]:
    """Where each is spoken, for one server."""
    # What the dialect of responses keeps from request to request is one server's, so it is made once here and not
    # once in a process, as it would be if `cache` stood at the function.
    return (
        loaded(OPENAI_CHAT),
        loaded(OPENAI_COMPLETIONS),
        Place("responses", "/v1/responses", functools.cache(_responses)),
        Place("messages", MESSAGES, _messages),
        Place("ollama_chat", "/api/chat", _ollama_chat),
        Place("ollama_generate", "/api/generate", _ollama_generate),
    )


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
