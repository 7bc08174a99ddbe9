"""The JSON schema of a whole response, for the API's document."""

from __future__ import annotations

from collections.abc import Mapping

from sansi.serve.api.schemas import COUNT, IDS, NULL, NUMBER, REPORT, TEXT, Schema, list_of, object_of, or_null

_STATUS: Schema = {"enum": ["completed", "incomplete"]}
_SCORE: Mapping[str, Schema] = {"token": TEXT, "logprob": NUMBER, "bytes": IDS}
_SCORES = list_of(object_of({**_SCORE, "top_logprobs": list_of(object_of(_SCORE))}))
_HEAD: Mapping[str, Schema] = {"id": TEXT, "status": _STATUS}


def _part(kind: str) -> Mapping[str, Schema]:
    return {"type": {"enum": [kind]}, "text": TEXT}


_MESSAGE = object_of(
    {
        **_HEAD,
        "type": {"enum": ["message"]},
        "role": {"enum": ["assistant"]},
        "content": list_of(
            object_of({**_part("output_text"), "annotations": list_of({"type": "object"}), "logprobs": _SCORES})
        ),
    }
)
_REASONING = object_of(
    {**_HEAD, "type": {"enum": ["reasoning"]}, "summary": list_of(object_of(_part("summary_text")))},
    {"content": list_of(object_of(_part("reasoning_text"))), "encrypted_content": TEXT},
)
_CALL: Mapping[str, Schema] = {**_HEAD, "call_id": TEXT, "name": TEXT}
_FUNCTION_CALL = object_of({**_CALL, "type": {"enum": ["function_call"]}, "arguments": TEXT}, {"namespace": TEXT})
_CUSTOM_CALL = object_of({**_CALL, "type": {"enum": ["custom_tool_call"]}, "input": TEXT}, {"namespace": TEXT})
_USAGE = object_of(
    {
        "input_tokens": COUNT,
        "input_tokens_details": object_of({"cached_tokens": COUNT, "cache_write_tokens": COUNT}),
        "output_tokens": COUNT,
        "output_tokens_details": object_of({"reasoning_tokens": COUNT}),
        "total_tokens": COUNT,
    }
)
_OBJECT, _TEXT_OR_NULL = {"type": "object"}, or_null(TEXT)
RESPONSE = object_of(
    {
        "id": TEXT,
        "object": {"enum": ["response"]},
        "created_at": COUNT,
        "completed_at": or_null(COUNT),
        "status": _STATUS,
        "error": NULL,
        "incomplete_details": or_null(object_of({"reason": {"enum": ["max_output_tokens"]}})),
        "model": TEXT,
        "output": list_of({"anyOf": [_REASONING, _MESSAGE, _FUNCTION_CALL, _CUSTOM_CALL]}),
        "usage": _USAGE,
        "sansi": REPORT,
        "background": {"enum": [False]},
        "instructions": _TEXT_OR_NULL,
        "max_output_tokens": or_null({"type": "integer"}),
        "metadata": _OBJECT,
        "parallel_tool_calls": {"type": "boolean"},
        "previous_response_id": NULL,
        "prompt_cache_key": _TEXT_OR_NULL,
        "reasoning": _OBJECT,
        "safety_identifier": _TEXT_OR_NULL,
        "service_tier": {"enum": ["default"]},
        "store": {"enum": [False]},
        "temperature": or_null(NUMBER),
        "text": _OBJECT,
        "tool_choice": {"anyOf": [TEXT, _OBJECT]},
        "tools": list_of(_OBJECT),
        "top_logprobs": COUNT,
        "top_p": or_null(NUMBER),
        "truncation": {"enum": ["disabled"]},
        "user": _TEXT_OR_NULL,
    }
)
