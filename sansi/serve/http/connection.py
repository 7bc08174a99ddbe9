"""One connection of the HTTP server: uvicorn's, with an end to every wait for a client.

Without it a client can hold a connection for ever: by sending no request or half of one, or by reading no answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 30.0  # until the head of a request is complete
MAX_CONNECTIONS = 900  # at once; many systems give a process 1,024 files
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'retry-after: 5\r\n\r\n{"error":{"message":"the server has too many connections; try again later",'
    b'"type":"server_error","param":null,"code":"too_many_connections"}}'
)
CORKED_BYTES = 2**14
WRITE_SECONDS = 60.0  # until a client that lags has read what lies ready for it, some 64 KiB


class Corked:
    """A transport whose writes of one turn of the event loop leave together: one system call, not one for each.

    Each system call hands the interpreter's lock to the engine's thread, and it takes longer than the call to return.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop):
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > CORKED_BYTES:  # beyond it the transport's own limits count
            self.flush()

    def flush(self) -> None:
        if self._parts:
            data, self._size = b"".join(self._parts), 0
            self._parts.clear()
            self._transport.write(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(H11Protocol):
    """Closes what a client leaves lying: a request that does not come, an answer that is not read."""

    request_seconds, write_seconds = REQUEST_SECONDS, WRITE_SECONDS
    max_connections = MAX_CONNECTIONS

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._coming: asyncio.TimerHandle | None = None  # runs while the head of a request is awaited
        self._lagging: asyncio.TimerHandle | None = None  # runs while too much waits to be read by the client

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Corked(transport, self.loop))  # type: ignore[arg-type]
        if len(self.connections) > self.max_connections:
            self.transport.write(FULL)
            self.transport.close()
            return
        self._coming = self.loop.call_later(self.request_seconds, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            _stop(self._coming)
            self._coming = None
        elif self._coming is None and not self.transport.is_closing():  # the first bytes of another request
            self._coming = self.loop.call_later(self.request_seconds, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        _stop(self._lagging)
        self._lagging = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._expect_reading()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._expect_reading()  # a closing connection stays until its last bytes are read

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._coming, self._lagging):
            _stop(timer)
        self._coming = self._lagging = None
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def _expect_reading(self) -> None:
        _stop(self._lagging)
        self._lagging = self.loop.call_later(self.write_seconds, self.transport.abort)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
