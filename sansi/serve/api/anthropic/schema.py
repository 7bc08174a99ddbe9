"""The JSON schemas of a whole message and of an error, for the API's document."""

from __future__ import annotations

from collections.abc import Mapping

from sansi.serve.api.schemas import COUNT, REPORT, TEXT, Schema, list_of, object_of, or_null


def _block(kind: str, **more: Schema) -> Schema:
    return object_of({"type": {"enum": [kind]}, **more})


_COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
_USAGE: Mapping[str, Schema] = {
    **dict.fromkeys(_COUNTS, COUNT),
    "output_tokens_details": object_of({"thinking_tokens": COUNT}),
}
MESSAGE = object_of(
    {
        "id": TEXT,
        "type": {"enum": ["message"]},
        "role": {"enum": ["assistant"]},
        "model": TEXT,
        "content": list_of(
            {
                "anyOf": [
                    _block("thinking", thinking=TEXT, signature=TEXT),
                    _block("text", text=TEXT),
                    _block("tool_use", id=TEXT, name=TEXT, input={"type": "object"}),
                ]
            }
        ),
        "stop_reason": {
            "enum": ["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]
        },
        "stop_sequence": or_null(TEXT),
        "usage": object_of(_USAGE),
        "sansi": REPORT,
    }
)
COUNTED = object_of({"input_tokens": COUNT})
ERROR = object_of(
    {"type": {"enum": ["error"]}, "error": object_of({"type": TEXT, "message": TEXT}, {"param": TEXT})},
)
