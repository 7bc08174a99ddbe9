"""The body of an answer, unpacked as it comes and never further than there is room for."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable
from dataclasses import dataclass

from sansi.base.errors import SansiError

ACCEPTED = "gzip, deflate"  # what is asked for; a server that packs otherwise is not read
_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}


@dataclass(frozen=True)
class Body:
    """What was read, and whether more followed."""

    data: bytes
    cut: bool


async def read_body(parts: AsyncIterable[bytes], encoding: str, most: int) -> Body:
    """At most `most` bytes, whatever is sent and however small it was packed. Raises SansiError."""
    unpack = _unpacker(encoding)
    data, received = bytearray(), 0
    async for part in parts:
        received += len(part)
        data += unpack(part, most + 1 - len(data))
        if len(data) > most or received > most:
            return Body(bytes(data[:most]), True)
    return Body(bytes(data), False)


class _Plain:
    def __call__(self, part: bytes, room: int) -> bytes:
        return part[:room]


class _Unpacker:
    """zlib's, which is never asked for more than there is room for."""

    def __init__(self, encoding: str):
        self._window = _WINDOW[encoding]
        self._zlib = zlib.decompressobj(self._window)
        self._raw = encoding == "deflate"  # some servers send it without zlib's header

    def __call__(self, part: bytes, room: int) -> bytes:
        try:
            return self._zlib.decompress(part, room)
        except zlib.error as error:
            if self._raw:
                self._raw, self._zlib = False, zlib.decompressobj(-15)
                return self(part, room)
            raise SansiError(f"what the server sent can not be unpacked: {error}") from error
        finally:
            self._raw = False


def _unpacker(encoding: str) -> _Plain | _Unpacker:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return _Plain()
    if encoding not in _WINDOW:
        raise SansiError(f'the server packed its answer as "{encoding[:60]}", and was asked for {ACCEPTED}')
    return _Unpacker(encoding)
