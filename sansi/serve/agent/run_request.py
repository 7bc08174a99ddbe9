"""The body of a run: that of a chat completion, with names of the server's tools in the place of definitions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sansi.agents import Limits, RunState, Tool
from sansi.agents.approvals import Answer
from sansi.agents.loop.run import CallRecord
from sansi.agents.observation import Status
from sansi.base import SansiError
from sansi.serve.api.fields import show
from sansi.serve.api.openai_chat import parse_chat_request
from sansi.serve.api.requests import ChatRequest, Policy
from sansi.text import Message, ToolCall, read_messages

OWN = ("tools", "conversation", "answers", "max_tool_calls")
NOT_HERE = {
    "tool_choice": "the model chooses among the tools of the server",
    "parallel_tool_calls": "calls of one reply run side by side",
    "n": "a run has one answer",
    "logprobs": "a run tells none; ask /v1/chat/completions",
    "response_format": "a run answers in words; ask /v1/chat/completions",
}


@dataclass(frozen=True)
class RunRequest:
    """What a run is asked."""

    chat: ChatRequest
    limits: Limits
    tools: tuple[str, ...] | None = None
    """Names; None: all."""
    conversation: str | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """To questions that a paused run ended with, by the call's id."""


def parse_run(body: Mapping[str, Any], policy: Policy, caps: Limits) -> RunRequest:
    """Check every field. caps: the most that a run may have. Raises SansiError with `param`."""
    max_calls = caps.max_calls if caps.max_calls is not None else sys.maxsize
    for name, why in NOT_HERE.items():
        if body.get(name) not in (None, False) and not (name == "n" and body[name] == 1):
            raise SansiError(f'"{name}" has no meaning for a run: {why}', param=name)
    chat = parse_chat_request({name: value for name, value in body.items() if name not in OWN}, policy)
    calls = body.get("max_tool_calls")
    if calls is not None and (isinstance(calls, bool) or not isinstance(calls, int) or not 0 <= calls <= max_calls):
        raise SansiError(f'"max_tool_calls" must be from 0 to {max_calls}, not {show(calls)}', param="max_tool_calls")
    budget = chat.options.thinking_budget
    limits = replace(caps, max_calls=caps.max_calls if calls is None else calls, thinking_budget=budget)
    chat = replace(chat, options=replace(chat.options, thinking_budget=None))
    return RunRequest(chat, limits, _names(body), _conversation(body), _answers(body))


def messages_of(asked: RunRequest, tools: Mapping[str, Tool], is_strangers: Callable[[str], bool]) -> list[Message]:
    """The conversation, in which results of tools are marked again with whose text they are: requests do not say.

    is_strangers: whether a text was a stranger's when a tool gave it; what a tool of one's own read may be, too.
    """
    names: dict[str, str] = {}
    found = []
    for message in read_messages(asked.chat.messages):
        names |= {call.id: call.name for call in message.tool_calls}
        if message.role == "tool":
            tool = tools.get(names.get(message.tool_call_id or "", ""))
            origin = "a tool that this server does not have" if tool is None else tool.origin
            tainted = tool is None or tool.tainted or is_strangers(message.content)
            message = replace(message, origin=origin, tainted=tainted)
        found.append(message)
    return found


def state_of(
    asked: RunRequest, tools: Mapping[str, Tool], conversation: str, is_strangers: Callable[[str], bool]
) -> RunState:
    """Where the run begins. Of a run that paused some calls may have their results: they are not made again.

    Raises SansiError for an answer about a call that does not wait.
    """
    messages = messages_of(asked, tools, is_strangers)
    at = max((i for i, message in enumerate(messages) if message.role == "assistant"), default=-1)
    calls = {call.id: call for call in messages[at].tool_calls} if at >= 0 else {}
    results = {m.tool_call_id: m for m in messages[at + 1 :] if m.role == "tool" and m.tool_call_id in calls}
    partly = len(results) == len(messages) - at - 1 and len(results) < len(calls)
    held = {str(id): _held(calls[str(id)], result) for id, result in results.items()} if partly else {}
    begun = messages[: at + 1] if partly else messages
    waiting = calls.keys() - held.keys() if partly else set()
    if unknown := sorted(asked.answers.keys() - waiting):
        raise SansiError(f'"answers": no call {show(unknown[0])} waits for an answer', param="answers")
    return RunState(begun, conversation, held=held, tainted=any(message.tainted for message in begun))


def _held(call: ToolCall, result: Message) -> CallRecord:
    status: Status = "error" if result.content.startswith("error:") else "ok"
    return CallRecord(call, status, result.content, 0.0, origin=result.origin, tainted=result.tainted)


def _names(body: Mapping[str, Any]) -> tuple[str, ...] | None:
    given = body.get("tools")
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        hint = "tools of your own, which you run yourself, go to /v1/chat/completions"
        raise SansiError(f'"tools" must be a list of names of this server\'s tools; {hint}', param="tools")
    return tuple(given)


def _conversation(body: Mapping[str, Any]) -> str | None:
    given = body.get("conversation")
    if given is None:
        return None
    if not isinstance(given, str) or not given.isascii() or not given.isalnum() or len(given) > 64:
        raise SansiError(f'"conversation" must be 1 to 64 letters and digits, not {show(given)}', param="conversation")
    return given


def _answers(body: Mapping[str, Any]) -> dict[str, Answer]:
    given = body.get("answers")
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SansiError(f'"answers" must be an object of answers by call, not {show(given)}', param="answers")
    return {str(id): Answer.read(answer) for id, answer in given.items()}
