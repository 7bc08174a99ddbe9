"""Which dialects the server speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sansi.serve.api.anthropic import ANTHROPIC_MESSAGES
from sansi.serve.api.anthropic.reply import messages_error
from sansi.serve.api.dialect import Dialect
from sansi.serve.api.ollama import OLLAMA_CHAT, OLLAMA_GENERATE
from sansi.serve.api.ollama.reply import ollama_error
from sansi.serve.api.openai_chat import OPENAI_CHAT
from sansi.serve.api.openai_completions import OPENAI_COMPLETIONS
from sansi.serve.api.responses import responses_dialect


def dialects() -> tuple[Dialect, ...]:
    """Those of one server, with what each keeps from request to request."""
    return (OPENAI_CHAT, OPENAI_COMPLETIONS, responses_dialect(), ANTHROPIC_MESSAGES, OLLAMA_CHAT, OLLAMA_GENERATE)


def error_at(path: str, body: Mapping[str, Any], status: int) -> Mapping[str, Any]:
    """An error in the shape that clients of this path expect; `body`: as OpenAI has it."""
    for beginning, error in _ERRORS:
        if path.startswith(beginning):
            return error(body, status)
    return body


_ERRORS = ((ANTHROPIC_MESSAGES.path, messages_error), ("/api/", ollama_error))
