"""JSON schemas of what the server answers, for the API's document; a test holds every answer to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sansi.chat.presets import Preset

Schema = Mapping[str, Any]


def object_of(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these keys and no others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT, COUNT, NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "number"}
SECONDS, NULL, IDS = {"type": "number", "minimum": 0}, {"type": "null"}, list_of(COUNT)

USAGE = object_of(
    {
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "total_tokens": COUNT,
        "completion_tokens_details": object_of({"reasoning_tokens": COUNT, "closing_phrase_tokens": COUNT}),
        "prompt_tokens_details": object_of({"cached_tokens": COUNT}),
    }
)
RUNNING_USAGE = object_of({"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT})
TIMING = object_of(
    {
        "queue_s": SECONDS,
        "first_token_s": or_null(SECONDS),
        "total_s": SECONDS,
        "tokens_per_second": or_null(SECONDS),
    }
)
_SAMPLING: Mapping[str, Schema] = dict.fromkeys(Preset.__dataclass_fields__, NUMBER)
REPORT = object_of(
    {
        "mode": {"enum": ["thinking", "non-thinking"]},
        "mode_source": {"enum": ["default", "request", "soft_switch", "model"]},
        "thinking_budget_requested": or_null(COUNT),
        "thinking_budget_applied": or_null(COUNT),
        "thinking_end_reason": {
            "enum": ["natural", "budget", "reserve", "loop", "end_of_turn", "stop", "length", None]
        },
        "closing_phrase_tokens": COUNT,
        "closing_phrase": or_null(TEXT),
        "max_tokens": COUNT,
        "answer_reserve": COUNT,
        "preset": TEXT,
        "sampling": object_of({**_SAMPLING, "seed": COUNT}),
        "stop": or_null(TEXT),
        "ignored": list_of(TEXT),
        "warnings": list_of(TEXT),
        "special_tokens_read": COUNT,
        "timing": TIMING,
    },
    {"problems": list_of(TEXT), "tool_call_errors": {"type": "object", "additionalProperties": TEXT}},
)
_SCORE = {"token": TEXT, "logprob": NUMBER, "bytes": list_of({"type": "integer", "minimum": 0, "maximum": 255})}
_SCORES = list_of(object_of({**_SCORE, "top_logprobs": list_of(object_of(_SCORE))}))
CHAT_LOGPROBS = object_of({"content": _SCORES, "reasoning_content": _SCORES, "refusal": NULL})
TEXT_LOGPROBS = object_of(
    {
        "tokens": list_of(TEXT),
        "token_logprobs": list_of(or_null(NUMBER)),
        "top_logprobs": list_of(or_null({"type": "object", "additionalProperties": NUMBER})),
        "text_offset": IDS,
    }
)
_FUNCTION = {"name": TEXT, "arguments": TEXT}
_CALL = object_of({"id": TEXT, "type": {"enum": ["function"]}, "function": object_of(_FUNCTION)})
_CALL_DELTA = object_of(
    {"index": COUNT, "function": object_of({"arguments": TEXT}, {"name": TEXT})},
    {"id": TEXT, "type": {"enum": ["function"]}},
)
_ROLE = {"enum": ["assistant"]}
MESSAGE = object_of(
    {"role": _ROLE, "content": or_null(TEXT), "refusal": NULL},
    {"reasoning_content": TEXT, "tool_calls": list_of(_CALL)},
)
DELTA = object_of(
    {},
    {
        "role": _ROLE,
        "content": TEXT,
        "reasoning_content": TEXT,
        "closing_phrase": {"const": True},
        "tool_calls": list_of(_CALL_DELTA),
    },
)
_CHAT_END, _TEXT_END = {"enum": ["stop", "length", "tool_calls"]}, {"enum": ["stop", "length"]}


def _answer(kind: str, choice: Schema, required: Mapping[str, Schema], optional: Mapping[str, Schema]) -> Schema:
    head: dict[str, Schema] = {
        "id": TEXT,
        "object": {"enum": [kind]},
        "created": COUNT,
        "model": TEXT,
        "choices": list_of(choice),
    }
    return object_of({**head, **required}, optional)


def _choice(required: Mapping[str, Schema], end: Schema, logprobs: Schema, optional: Mapping[str, Schema]) -> Schema:
    fields = {"index": COUNT, **required, "finish_reason": end, "logprobs": or_null(logprobs)}
    return object_of(fields, {"token_ids": IDS, **optional})


_WHOLE: Mapping[str, Schema] = {"usage": USAGE, "sansi": REPORT}
_OF_SEVERAL: Mapping[str, Schema] = {"sansi": REPORT}
_PROMPT: Mapping[str, Schema] = {"prompt_token_ids": IDS}
_SCORED = object_of({"logprob": NUMBER, "rank": or_null(COUNT), "decoded_token": TEXT})
_OF_PROMPT = {"prompt_logprobs": list_of(or_null({"type": "object", "additionalProperties": _SCORED}))}
CHAT_COMPLETION = _answer(
    "chat.completion",
    _choice({"message": MESSAGE}, _CHAT_END, CHAT_LOGPROBS, _OF_SEVERAL),
    _WHOLE,
    {**_PROMPT, **_OF_PROMPT},
)
_OF_CHUNKS: Mapping[str, Schema] = {**_WHOLE, "usage": {"anyOf": [USAGE, RUNNING_USAGE, NULL]}}
CHAT_CHUNK = _answer(
    "chat.completion.chunk",
    _choice({"delta": DELTA}, or_null(_CHAT_END), CHAT_LOGPROBS, {}),
    {},
    {**_OF_CHUNKS, **_PROMPT},
)
TEXT_COMPLETION = _answer(
    "text_completion",
    _choice({"text": TEXT}, _TEXT_END, TEXT_LOGPROBS, {**_OF_SEVERAL, **_PROMPT, **_OF_PROMPT}),
    _WHOLE,
    {},
)
TEXT_CHUNK = _answer(
    "text_completion",
    _choice({"text": TEXT}, or_null(_TEXT_END), TEXT_LOGPROBS, _PROMPT),
    {},
    _OF_CHUNKS,
)
