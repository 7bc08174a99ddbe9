"""The JSON schemas of Ollama's answers, for the API's document."""

from __future__ import annotations

from collections.abc import Mapping

from sansi.serve.api.schemas import COUNT, IDS, NUMBER, REPORT, TEXT, Schema, list_of, object_of

_SCORE: Mapping[str, Schema] = {"token": TEXT, "logprob": NUMBER, "bytes": IDS}
_SCORES = list_of(object_of({**_SCORE, "top_logprobs": list_of(object_of(_SCORE))}))
_END: Mapping[str, Schema] = {
    "model": TEXT,
    "created_at": TEXT,
    "done": {"enum": [True]},
    "done_reason": {"enum": ["stop", "length"]},
    **dict.fromkeys(("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration"), COUNT),
    **dict.fromkeys(("eval_count", "eval_duration"), COUNT),
    "sansi": REPORT,
}
_MORE: Mapping[str, Schema] = {
    "logprobs": _SCORES,
    "broken_tool_calls": list_of(object_of({"name": TEXT, "arguments": TEXT, "error": TEXT})),
}
_FUNCTION = object_of({"index": COUNT, "name": TEXT, "arguments": {"type": "object"}})
_MESSAGE = object_of(
    {"role": {"enum": ["assistant"]}, "content": TEXT},
    {"thinking": TEXT, "tool_calls": list_of(object_of({"id": TEXT, "function": _FUNCTION}))},
)
_LOADED: Mapping[str, Schema] = {
    "model": TEXT,
    "created_at": TEXT,
    "done": {"enum": [True]},
    "done_reason": {"enum": ["load"]},
}


def _answer(said: Mapping[str, Schema], more: Mapping[str, Schema]) -> Schema:
    return {"anyOf": [object_of({**_END, **said}, {**_MORE, **more}), object_of({**_LOADED, **said})]}


CHAT = _answer({"message": _MESSAGE}, {})
GENERATE = _answer({"response": TEXT}, {"thinking": TEXT})
ERROR = object_of({"error": TEXT})
