"""Messages, calls and the state of a run as plain data, and back: what they were, to the id."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sansi.agents.events import event_json, message_to_json
from sansi.agents.loop.run import CallRecord, RunState
from sansi.agents.observation import Attachment
from sansi.base import SansiError
from sansi.client import Usage
from sansi.text import Message, ToolCall

_BY_EVENTS = ("messages", "conversation", "records", "held")
"""What of a state is known from the messages and the events; the rest is small, and written beside each event."""


def message_from_json(saved: Mapping[str, Any]) -> Message:
    """What `message_to_json` wrote. Raises SansiError for anything else."""
    try:
        errors = saved.get("call_errors") or {}
        calls = tuple(_call(call, errors.get(call["id"])) for call in saved.get("tool_calls") or ())
        return Message(
            role=_text(saved["role"]),
            content=_text(saved["content"]),
            reasoning_content=_optional(saved.get("reasoning_content")),
            tool_calls=calls,
            tool_call_id=_optional(saved.get("tool_call_id")),
            name=_optional(saved.get("name")),
            ids=_ids(saved.get("ids")),
            prefill=_ids(saved.get("prefill")),
            origin=_optional(saved.get("origin")),
            tainted=bool(saved.get("tainted", False)),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SansiError(f"this is no saved message ({error!r:.100})", param="messages") from error


def record_to_json(record: CallRecord) -> dict[str, Any]:
    return dict(event_json(record))


def record_from_json(saved: Mapping[str, Any]) -> CallRecord:
    """What `record_to_json` wrote. Raises SansiError for anything else."""
    try:
        call = ToolCall(**saved["call"])
        files = tuple(attachment_from_json(file) for file in saved["attachments"])
        return CallRecord(**{**saved, "call": call, "attachments": files})
    except (KeyError, TypeError) as error:
        raise SansiError(f"this is no saved call ({error!r:.100})", param="records") from error


def attachment_from_json(saved: Mapping[str, Any]) -> Attachment:
    try:
        data = base64.b64decode(saved["base64"], validate=True)
        return Attachment(_text(saved["name"]), _text(saved["media_type"]), data)
    except (KeyError, TypeError, binascii.Error) as error:
        raise SansiError(f"this is no saved attachment ({error!r:.100})", param="attachments") from error


def figures_of(state: RunState) -> dict[str, Any]:
    """All of a state but what the events tell."""
    names = [f.name for f in dataclasses.fields(state) if f.name not in _BY_EVENTS]
    return {name: event_json(getattr(state, name)) for name in names}


def state_from(
    messages: Sequence[Message],
    conversation: str,
    records: Sequence[CallRecord],
    held: Mapping[str, CallRecord],
    figures: Mapping[str, Any],
) -> RunState:
    """A state from its parts. Raises SansiError where the figures are not what `figures_of` wrote."""
    known = {f.name for f in dataclasses.fields(RunState)} - set(_BY_EVENTS)
    try:
        values = {name: value for name, value in figures.items() if name in known}
        if "usage" in values:
            values["usage"] = Usage(**values["usage"])
        return RunState(list(messages), conversation, list(records), dict(held), **values)
    except (TypeError, AttributeError) as error:
        raise SansiError(f"this is no saved state of a run ({error!r:.100})", param="state") from error


def state_to_json(state: RunState) -> dict[str, Any]:
    return {
        "conversation": state.conversation,
        "messages": [message_to_json(message) for message in state.messages],
        "records": [record_to_json(record) for record in state.records],
        "held": {id_: record_to_json(record) for id_, record in state.held.items()},
        "figures": figures_of(state),
    }


def state_from_json(saved: Mapping[str, Any]) -> RunState:
    """What `state_to_json` wrote. Raises SansiError for anything else."""
    try:
        messages = [message_from_json(message) for message in saved["messages"]]
        records = [record_from_json(record) for record in saved["records"]]
        held = {id_: record_from_json(record) for id_, record in saved["held"].items()}
        return state_from(messages, saved["conversation"], records, held, saved["figures"])
    except (KeyError, TypeError, AttributeError) as error:
        raise SansiError(f"this is no saved state of a run ({error!r:.100})", param="state") from error


def _call(saved: Mapping[str, Any], error: str | None) -> ToolCall:
    function = saved["function"]
    return ToolCall(_text(saved["id"]), _text(function["name"]), _text(function["arguments"]), _optional(error))


def _ids(saved: Any) -> tuple[int, ...] | None:
    if saved is None:
        return None
    if not all(type(token) is int for token in saved):
        raise TypeError("ids are whole numbers")
    return tuple(saved)


def _optional(value: Any) -> str | None:
    return None if value is None else _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value
