"""What a connection sees pass: which requests wait, what the server said beside the protocol, and that it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCRequest, JSONRPCResponse, RequestId

from sansi.agents.mcp.foreign import one_line
from sansi.agents.mcp.secrets import without

ANSWERED_KEPT = 1000  # ids
QUOTED = 120  # characters of what a server wrote


class Traffic:
    """The oddities of one connection, counted, the first of each kind quoted; they explain a silence.

    secrets: what nobody is told, though the server may say it.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self.secrets = secrets
        self.waiting: set[str] = set()
        self._answered: dict[str, None] = {}
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self.ended = anyio.Event()
        self.cause = ""
        """Why it ended."""
        self.stderr: Callable[[], str] = str
        """What a program wrote to stderr last, as the end of a sentence."""
        self.lines: Callable[[], tuple[str, ...]] = tuple
        """The same in lines."""
        self.healthy = False
        """Whether the server has answered, so that it deserves to be asked before it is ended."""

    def end(self, cause: str) -> None:
        self.cause = self.cause or cause
        self.ended.set()

    def odd(self, kind: str, quoted: object = "") -> None:
        """`kind` goes on "the server …", after the number of times."""
        text = one_line(without(str(quoted), self.secrets))
        self._first.setdefault(kind, text[:QUOTED] + ("…" if len(text) > QUOTED else ""))
        self._counts[kind] += 1  # last: other threads look up the first of each kind that is counted

    @property
    def oddities(self) -> list[str]:
        """A sentence each."""
        return [
            f"it {kind} ({count} times{f', first: {self._first[kind]}' if self._first[kind] else ''})"
            if count > 1
            else f"it {kind}{f': {self._first[kind]}' if self._first[kind] else ''}"
            for kind, count in list(self._counts.items())
        ]

    def told(self) -> str:
        """The oddities, and what it wrote to stderr, as the end of a sentence."""
        stderr = self.stderr()
        said = stderr if stderr not in self.cause else ""
        return "".join(f"; {oddity}" for oddity in self.oddities) + said

    def asked(self, message: SessionMessage) -> None:
        if isinstance(message.message, JSONRPCRequest):
            self.waiting.add(_key(message.message.id))

    def came(self, item: SessionMessage | Exception) -> None:
        message = item.message if isinstance(item, SessionMessage) else None
        if not isinstance(message, JSONRPCResponse | JSONRPCError):
            return
        key = _key(message.id)
        if key in self.waiting:
            self.waiting.discard(key)
            self._answered[key] = None
            if len(self._answered) > ANSWERED_KEPT:
                del self._answered[next(iter(self._answered))]
        elif message.id is None:
            assert isinstance(message, JSONRPCError)
            self.odd("sent an error that names no request", message.error.message)
        elif key in self._answered:
            self.odd("answered a request more than once")
        else:
            self.odd("answered requests that were never made", f"id {message.id}")


def _key(request_id: RequestId | None) -> str:
    return str(request_id)  # a server may write 5 as "5"


class ReadStream:
    """The stream of incoming messages, watched."""

    def __init__(self, stream: Any, traffic: Traffic):
        self._stream, self._traffic = stream, traffic

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        return await self._watched(self._stream.receive)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def close(self) -> None:
        self._stream.close()

    def __aiter__(self) -> ReadStream:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return await self._watched(self._stream.__anext__)

    async def __aenter__(self) -> ReadStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._stream.__aexit__(*error)

    async def _watched(self, receive: Callable[[], Any]) -> SessionMessage | Exception:
        try:
            item = await receive()
        except (StopAsyncIteration, anyio.EndOfStream, anyio.ClosedResourceError):
            self._traffic.end("it closed the connection")
            raise
        self._traffic.came(item)
        return item


class WriteStream:
    """The stream of outgoing messages, watched."""

    def __init__(self, stream: Any, traffic: Traffic):
        self._stream, self._traffic = stream, traffic

    async def send(self, item: SessionMessage) -> None:
        self._traffic.asked(item)
        await self._stream.send(item)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def close(self) -> None:
        self._stream.close()

    async def __aenter__(self) -> WriteStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._stream.__aexit__(*error)
