"""JSON schemas of what the server answers, for the API's document; a test holds every answer to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sansi.chat.presets import Preset

Schema = Mapping[str, Any]


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these keys and no others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT, COUNT, NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "number"}
SECONDS, NULL, IDS = {"type": "number", "minimum": 0}, {"type": "null"}, _list(COUNT)

USAGE = _object(
    {
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "total_tokens": COUNT,
        "completion_tokens_details": _object({"reasoning_tokens": COUNT}),
        "prompt_tokens_details": _object({"cached_tokens": COUNT}),
    }
)
TIMING = _object(
    {
        "queue_s": SECONDS,
        "first_token_s": _or_null(SECONDS),
        "total_s": SECONDS,
        "tokens_per_second": _or_null(SECONDS),
    }
)
_SAMPLING: Mapping[str, Schema] = dict.fromkeys(Preset.__dataclass_fields__, NUMBER)
REPORT = _object(
    {
        "mode": {"enum": ["thinking", "non-thinking"]},
        "mode_source": {"enum": ["default", "request", "soft_switch", "model"]},
        "thinking_budget_requested": _or_null(COUNT),
        "thinking_budget_applied": _or_null(COUNT),
        "thinking_end_reason": {"enum": ["natural", "budget", "reserve", "loop", "stop", "length", None]},
        "closing_phrase_tokens": COUNT,
        "max_tokens": COUNT,
        "answer_reserve": COUNT,
        "preset": TEXT,
        "sampling": _object({**_SAMPLING, "seed": COUNT}),
        "stop": _or_null(TEXT),
        "ignored": _list(TEXT),
        "timing": TIMING,
    },
    {"problems": _list(TEXT), "tool_call_errors": {"type": "object", "additionalProperties": TEXT}},
)
_SCORE = {"token": TEXT, "logprob": NUMBER, "bytes": _list({"type": "integer", "minimum": 0, "maximum": 255})}
_SCORES = _list(_object({**_SCORE, "top_logprobs": _list(_object(_SCORE))}))
CHAT_LOGPROBS = _object({"content": _SCORES, "reasoning_content": _SCORES, "refusal": NULL})
TEXT_LOGPROBS = _object(
    {
        "tokens": _list(TEXT),
        "token_logprobs": _list(_or_null(NUMBER)),
        "top_logprobs": _list(_or_null({"type": "object", "additionalProperties": NUMBER})),
        "text_offset": IDS,
    }
)
_FUNCTION = {"name": TEXT, "arguments": TEXT}
_CALL = _object({"id": TEXT, "type": {"enum": ["function"]}, "function": _object(_FUNCTION)})
_CALL_DELTA = _object(
    {"index": COUNT, "function": _object({"arguments": TEXT}, {"name": TEXT})},
    {"id": TEXT, "type": {"enum": ["function"]}},
)
_ROLE = {"enum": ["assistant"]}
MESSAGE = _object(
    {"role": _ROLE, "content": _or_null(TEXT), "refusal": NULL},
    {"reasoning_content": TEXT, "tool_calls": _list(_CALL)},
)
DELTA = _object({}, {"role": _ROLE, "content": TEXT, "reasoning_content": TEXT, "tool_calls": _list(_CALL_DELTA)})
_CHAT_END, _TEXT_END = {"enum": ["stop", "length", "tool_calls"]}, {"enum": ["stop", "length"]}


def _answer(kind: str, choice: Schema, required: Mapping[str, Schema], optional: Mapping[str, Schema]) -> Schema:
    head: dict[str, Schema] = {
        "id": TEXT,
        "object": {"enum": [kind]},
        "created": COUNT,
        "model": TEXT,
        "choices": _list(choice),
    }
    return _object({**head, **required}, optional)


def _choice(required: Mapping[str, Schema], end: Schema, logprobs: Schema, optional: Mapping[str, Schema]) -> Schema:
    fields = {"index": COUNT, **required, "finish_reason": end, "logprobs": _or_null(logprobs)}
    return _object(fields, {"token_ids": IDS, **optional})


_WHOLE: Mapping[str, Schema] = {"usage": USAGE, "sansi": REPORT}
_OF_SEVERAL: Mapping[str, Schema] = {"sansi": REPORT}
_PROMPT: Mapping[str, Schema] = {"prompt_token_ids": IDS}
CHAT_COMPLETION = _answer(
    "chat.completion",
    _choice({"message": MESSAGE}, _CHAT_END, CHAT_LOGPROBS, _OF_SEVERAL),
    _WHOLE,
    _PROMPT,
)
_OF_CHUNKS: Mapping[str, Schema] = {**_WHOLE, "usage": _or_null(USAGE)}
CHAT_CHUNK = _answer(
    "chat.completion.chunk",
    _choice({"delta": DELTA}, _or_null(_CHAT_END), CHAT_LOGPROBS, {}),
    {},
    {**_OF_CHUNKS, **_PROMPT},
)
TEXT_COMPLETION = _answer(
    "text_completion",
    _choice({"text": TEXT}, _TEXT_END, TEXT_LOGPROBS, {**_OF_SEVERAL, **_PROMPT}),
    _WHOLE,
    {},
)
TEXT_CHUNK = _answer(
    "text_completion",
    _choice({"text": TEXT}, _or_null(_TEXT_END), TEXT_LOGPROBS, _PROMPT),
    {},
    _OF_CHUNKS,
)
