"""Ollama's API."""

from __future__ import annotations

from sansi.serve.api.dialect import Dialect
from sansi.serve.api.framing import LINES
from sansi.serve.api.ollama.reply import ChatLines, GenerateLines, ollama_error
from sansi.serve.api.ollama.request import (
    CHAT_FIELDS,
    CHAT_REQUIRED,
    GENERATE_FIELDS,
    GENERATE_REQUIRED,
    parse_chat,
    parse_generate,
)
from sansi.serve.api.ollama.schema import CHAT, ERROR, GENERATE

_REST = (LINES, ollama_error, ERROR)
OLLAMA_CHAT = Dialect("ollama_chat", "/api/chat", CHAT_FIELDS, CHAT_REQUIRED, parse_chat, ChatLines, CHAT, *_REST)
OLLAMA_GENERATE = Dialect(
    "ollama_generate",
    "/api/generate",
    GENERATE_FIELDS,
    GENERATE_REQUIRED,
    parse_generate,
    GenerateLines,
    GENERATE,
    *_REST,
)
