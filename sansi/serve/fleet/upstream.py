"""One HTTP request to a replica, over its socket, with an answer that comes piece by piece."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import h11

CONNECT_SECONDS = 10.0
READ_BYTES = 2**16
Headers = Sequence[tuple[bytes, bytes]]
HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"upgrade", b"transfer-encoding", b"expect"),
    }
)
"""Headers that are one connection's own."""


class Lost(Exception):
    """The replica can not be reached, or ended before its answer did."""

    def __init__(self, why: str, sent: bool):
        super().__init__(why)
        self.sent = sent
        """The request had gone out."""


class Answer:
    """A replica's answer, whose head has come."""

    def __init__(self, connection: _Connection, head: h11.Response):
        self._connection = connection
        self.status = head.status_code
        self.headers = [(name, value) for name, value in head.headers if name not in HOP_BY_HOP]

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Lost where the replica ends before it does."""
        while not isinstance(event := await self._connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    def close(self) -> None:
        """Before the end, too: the replica then ends what it computes for it."""
        self._connection.close()


async def ask(socket: str, method: bytes, target: bytes, headers: Headers, body: bytes) -> Answer:
    """Send a request; its answer once the head is there. Raises Lost."""
    connection = await _Connection.open(socket)
    try:
        passed = [(name, value) for name, value in headers if name.lower() not in (*HOP_BY_HOP, b"content-length")]
        passed += [(b"connection", b"close")]
        if body or method not in (b"GET", b"HEAD", b"OPTIONS"):
            passed.append((b"content-length", str(len(body)).encode()))
        await connection.send(h11.Request(method=method, target=target, headers=passed))
        if body:
            await connection.send(h11.Data(data=body))
        await connection.send(h11.EndOfMessage())
        while not isinstance(head := await connection.next_event(), h11.Response):
            pass  # 1xx
        return Answer(connection, head)
    except BaseException:
        connection.close()
        raise


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader, self._writer = reader, writer
        self._state = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, socket: str) -> _Connection:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return cls(*await asyncio.open_unix_connection(socket))
        except (OSError, TimeoutError) as error:
            raise Lost(f"no connection ({error or 'no answer in time'})", sent=False) from error

    async def send(self, event: h11.Event) -> None:
        data = self._state.send(event)
        try:
            self._writer.write(data or b"")
            await self._writer.drain()
        except (OSError, ConnectionError) as error:
            # It may have answered before it had read everything (a body that is too large): look.
            if self._state.their_state is not h11.SEND_RESPONSE:
                raise Lost(str(error), sent=True) from error

    async def next_event(self) -> h11.Event:
        while True:
            try:
                event = self._state.next_event()
                if event is h11.NEED_DATA:
                    self._state.receive_data(await self._reader.read(READ_BYTES))
                    continue
            except (OSError, ConnectionError, h11.RemoteProtocolError) as error:
                raise Lost(str(error) or type(error).__name__, sent=True) from error
            if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                raise Lost("the connection was closed", sent=True)
            assert isinstance(event, h11.Event)
            return event

    def close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.close()
