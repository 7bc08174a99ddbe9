"""One completion as the loop hears it: deltas become events, what is used is counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from sansi.agents.events import AgentEvent, CallArguments, CallStarted, ContentText, ReasoningText
from sansi.agents.forms import Ask
from sansi.agents.loop.calls import Emit, Gate
from sansi.agents.loop.limits import Limits
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.client import AssistantReply, ChatClient, Delta, Usage, deltas_of, estimated_tokens
from sansi.text import Content, Message, Reasoning


@dataclass(frozen=True)
class Settings:
    """What is the same for all runs of an agent."""

    client: ChatClient
    tools: Mapping[str, Tool]
    options: Mapping[str, Any]
    limits: Limits
    gate: Gate | None = None
    ask: Ask | None = None


@dataclass
class Heard:
    """What has come of a reply that may never become whole."""

    thought: str = ""
    content: str = ""
    reply: AssistantReply | None = None
    holds_content: bool = False
    """Its text is not shown before it is known that it counts."""
    taken: Collection[str] = ()
    """Ids of earlier calls: results are told apart by the ids of their calls, and some servers begin anew each time."""
    _calls: dict[int, str] = field(default_factory=dict)
    """The ids of the calls, by their index."""
    _held: list[AgentEvent] = field(default_factory=list)

    def take(self, delta: Delta, emit: Emit) -> None:
        if isinstance(delta, AssistantReply):
            self.reply = replace(delta, message=self._with_own_ids(delta.message))
        elif isinstance(delta, Reasoning):
            self.thought += delta.text
            emit(ReasoningText(delta.text, delta.closing))
        elif isinstance(delta, Content):
            self.content += delta.text
            (self._held.append if self.holds_content else emit)(ContentText(delta.text))
        else:
            self.release(emit)
            if delta.index not in self._calls:
                self._calls[delta.index] = self._own(delta.id, delta.index)
                emit(CallStarted(delta.index, self._calls[delta.index], delta.name or ""))
            if delta.arguments:
                emit(CallArguments(delta.index, self._calls[delta.index], delta.arguments))

    def _own(self, given: str, index: int) -> str:
        """An id that no other call of the conversation has: the given one, if it is."""
        own, known, number = given or f"call_{index}", {*self.taken, *self._calls.values()}, 1
        while own in known:
            number += 1
            own = f"{given or 'call'}_{number}"
        return own

    def _with_own_ids(self, message: Message) -> Message:
        """The message with the ids that its calls had when they were told of."""
        if len(self._calls) != len(message.tool_calls):  # a client that tells of none, or of others
            self._calls = {}
            for index, call in enumerate(message.tool_calls):
                self._calls[index] = self._own(call.id, index)
        own = [self._calls[index] for index in sorted(self._calls)]
        if own == [call.id for call in message.tool_calls]:
            return message
        calls = tuple(replace(call, id=id_) for call, id_ in zip(message.tool_calls, own, strict=True))
        return replace(message, tool_calls=calls)

    def release(self, emit: Emit) -> None:
        """Show what was held back: it counts."""
        held, self._held, self.holds_content = self._held, [], False
        for event in held:
            emit(event)


async def hear(
    heard: Heard,
    client: ChatClient,
    messages: Sequence[Message],
    specs: Sequence[dict[str, Any]],
    options: Mapping[str, Any],
    emit: Emit,
) -> None:
    """One completion into `heard`. Raises SansiError, whatever it is that the client raises."""
    try:
        async with aclosing(deltas_of(client, messages, specs, options)) as deltas:
            async for delta in deltas:
                heard.take(delta, emit)
    except SansiError:
        raise
    except Exception as error:
        raise SansiError(f"the client failed: {type(error).__name__}: {error}") from error
    if heard.reply is None:
        raise SansiError("the client's stream ended without a reply")


def partial(heard: Heard) -> AssistantReply:
    """The reply as far as it came: no calls, since none was whole."""
    return AssistantReply(Message("assistant", heard.content, heard.thought or None), "length")


def counted(reply: AssistantReply) -> tuple[Usage, bool]:
    """What a reply has used, and whether its thought had to be estimated: some servers do not count."""
    usage, message = reply.usage, reply.message
    if not usage.completion_tokens:
        written = [message.content, message.reasoning_content or "", *(call.arguments for call in message.tool_calls)]
        usage = replace(usage, completion_tokens=sum(estimated_tokens(text) for text in written if text))
    if usage.reasoning_tokens or not message.reasoning_content or "mode" in reply.report:
        return usage, False
    thought = min(estimated_tokens(message.reasoning_content), usage.completion_tokens)
    return replace(usage, reasoning_tokens=thought), True
