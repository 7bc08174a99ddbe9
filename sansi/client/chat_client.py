"""`ChatClient`: whoever can complete a chat, whole or as a stream."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from sansi.base import SansiError
from sansi.client.reply import AssistantReply
from sansi.text import Content, Event, Message, Reasoning, ToolCallDelta

Delta: TypeAlias = Event | AssistantReply
"""A piece of a streamed completion: `Reasoning`, `Content`, `ToolCallDelta`; the last one is the whole reply."""
Tools: TypeAlias = Sequence[Mapping[str, Any]]
T = TypeVar("T")


class ChatClient(Protocol):
    """What the agent loop needs. `tools` are entries of the OpenAI `tools` list; `options` are the client's own."""

    def complete(self, messages: Sequence[Message], tools: Any, **options: Any) -> AssistantReply:
        """The next assistant message. Raises SansiError when there is none to be had."""
        ...


@runtime_checkable
class StreamingClient(Protocol):
    """A client that tells its reply as it comes; leaving the stream early ends the completion on the other side too."""

    def stream(self, messages: Sequence[Message], tools: Any, **options: Any) -> AsyncIterator[Delta]:
        """The events of one reply, then the reply. Raises SansiError when there is none to be had."""
        ...


class Completes:
    """`acomplete` for a client that streams."""

    def stream(self, messages: Sequence[Message], tools: Tools = (), **options: Any) -> AsyncGenerator[Delta, None]:
        raise NotImplementedError

    async def acomplete(self, messages: Sequence[Message], tools: Tools = (), **options: Any) -> AssistantReply:
        """As `complete`, without blocking; cancelling it ends the completion on the other side."""
        async with aclosing(self.stream(messages, tools, **options)) as deltas:
            async for delta in deltas:
                if isinstance(delta, AssistantReply):
                    return delta
        raise SansiError("the stream ended without a reply")


async def deltas_of(
    client: ChatClient | StreamingClient, messages: Sequence[Message], tools: Tools, options: Mapping[str, Any]
) -> AsyncGenerator[Delta, None]:
    """One completion of any client as deltas. Of one that can not stream they come at once, when it is whole."""
    if isinstance(client, StreamingClient):
        stream = client.stream(messages, tools, **options)
        try:
            async for delta in stream:
                yield delta
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()  # ends the completion now, not at garbage collection
        return
    reply = await on_thread(lambda: client.complete(messages, tools, **options))
    for event in events_of(reply.message):
        yield event
    yield reply


def events_of(message: Message) -> list[Event]:
    found: list[Event] = []
    if message.reasoning_content:
        found.append(Reasoning(message.reasoning_content))
    if message.content:
        found.append(Content(message.content))
    for index, call in enumerate(message.tool_calls):
        found += [ToolCallDelta(index, call.id, call.name, ""), ToolCallDelta(index, call.id, None, call.arguments)]
    return found


async def on_thread(work: Callable[[], T], name: str = "client") -> T:
    """`work` on a daemon thread of its own: whoever waits may leave, and a program's end need not wait for it."""
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = context.run(work)
        except StopIteration as stopped:  # a future can not carry it
            error = RuntimeError(f"StopIteration: {stopped}")
        except BaseException as raised:
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
