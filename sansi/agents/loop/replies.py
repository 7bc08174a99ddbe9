"""Replies as they may be sent again, and the messages that answer their calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sansi.agents.loop.run import CallRecord
from sansi.base import SansiError
from sansi.text import Message, ToolCall
from sansi.text.messages import is_tool_name
from sansi.text.schema import parse_arguments


def repeatable(message: Message) -> Message:
    """`message` as it may be sent again: arguments that are no JSON object, or a name that no tool may have, would make
    every later request invalid.

    Such a call keeps its place with empty arguments, or as "unknown"; its observation quotes what the model wrote.
    """
    calls = tuple(_mended(call) for call in message.tool_calls)
    return replace(message, tool_calls=calls) if calls != message.tool_calls else message


def _mended(call: ToolCall) -> ToolCall:
    if not _is_object(call.arguments):
        call = replace(call, arguments="{}", error=call.error or "the arguments are no JSON object")
    return call if is_tool_name(call.name) else replace(call, name="unknown")


def _is_object(arguments: str) -> bool:
    try:
        parse_arguments(arguments)
    except SansiError:
        return False
    return bool(arguments.strip()) and arguments.strip() != "null"


def results_of(calls: Sequence[ToolCall], records: dict[str, CallRecord]) -> list[Message]:
    """The messages that answer calls, in call order, whatever the order in which they ended."""
    return [_result(call, records[call.id]) for call in calls]


def _result(call: ToolCall, record: CallRecord) -> Message:
    return Message(
        role="tool",
        content=f"{record.observation}\n[{record.remark}]" if record.remark else record.observation,
        tool_call_id=call.id,
        name=call.name,
        origin=record.origin,
        tainted=record.tainted,
    )
