"""Anthropic's messages."""

from __future__ import annotations

from sansi.serve.api.anthropic.reply import MessagesReply, messages_error
from sansi.serve.api.anthropic.request import FIELDS, REQUIRED, parse_messages_request
from sansi.serve.api.anthropic.schema import ERROR, MESSAGE
from sansi.serve.api.dialect import Dialect
from sansi.serve.api.framing import PINGED_EVENTS

ANTHROPIC_MESSAGES = Dialect(
    "messages",
    "/v1/messages",
    FIELDS,
    REQUIRED,
    parse_messages_request,
    MessagesReply,
    MESSAGE,
    PINGED_EVENTS,
    messages_error,
    ERROR,
)
