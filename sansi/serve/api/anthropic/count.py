"""Anthropic's count of the tokens of a request."""

from __future__ import annotations

import functools
from typing import Any

from sansi.chat import ChatModel
from sansi.serve.api.anthropic.request import COUNT_REQUIRED, FIELDS, MessagesRequest, parse_messages_request
from sansi.serve.api.anthropic.schema import COUNTED, ERROR
from sansi.serve.api.computation import Computation
from sansi.serve.api.tokenizer import ids_of


def count_tokens(chat: ChatModel, asked: MessagesRequest) -> dict[str, Any]:
    return {"input_tokens": len(ids_of(chat, asked))}


COUNT_TOKENS = Computation(
    "count_tokens",
    "/v1/messages/count_tokens",
    FIELDS,
    COUNT_REQUIRED,
    functools.partial(parse_messages_request, required=COUNT_REQUIRED),
    count_tokens,
    COUNTED,
    ERROR,
)
