"""One page over HTTP, with bounds on what is connected to, how much is read and how long it takes.

A name is resolved once for each connection. Every address that it has must be public, and the connection goes to the
very address that was checked; the name serves for TLS and the Host header alone. So no second answer of a name server
can lead elsewhere. A redirect is a new address, and is checked as the first was. No proxy is used, as a proxy would
resolve the name once more; no cookies, no credentials, no other method than GET.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from ipaddress import ip_network
from typing import Any

import httpcore

from sansi import __version__
from sansi.agents.tools.web.bodies import ACCEPTED, read_body
from sansi.agents.tools.web.networks import Address, Network, parsed, why_not_public
from sansi.agents.tools.web.urls import WebAddress, read_address
from sansi.base.errors import SansiError

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to the addresses of the host, as texts."""
REDIRECTS = (301, 302, 303, 307, 308)
MOST_ADDRESSES = 3  # of a host, that are tried one after the other
_TEXTUAL = re.compile(
    r"text/.*|application/(?:pdf|json|xml|xhtml\+xml|yaml|toml|javascript|octet-stream|x-(?:yaml|ndjson|sh|tex|python))"
    r"|[\w.+-]+/[\w.+-]+\+(?:json|xml)|image/svg\+xml"
)


async def system_resolver(host: str, port: int) -> list[str]:
    """The system's addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class WebAccess:
    """What a program lets its agents reach. Sizes in bytes, times in seconds."""

    allowed_networks: tuple[str, ...] = ()
    """Networks that are not public and may be reached all the same: "127.0.0.1", "10.1.0.0/16"."""
    ports: tuple[int, ...] | None = (80, 443, 8000, 8080, 8443)
    """None: any."""
    max_bytes: int = 8 * 2**20
    """Of a page, unpacked. Of text, the rest is left out; a PDF that is larger is refused."""
    seconds: float = 20.0
    """For all of it, redirects included."""
    max_redirects: int = 5
    resolve: Resolve = field(default=system_resolver, repr=False)
    backend: httpcore.AsyncNetworkBackend | None = field(default=None, repr=False)
    """What connects to an address; None: the network."""

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        try:
            return tuple(ip_network(each) for each in self.allowed_networks)
        except ValueError as error:
            raise SansiError(f"allowed_networks: {error}", param="allowed_networks") from error


@dataclass(frozen=True)
class Page:
    """An answer. `url` is where it came from in the end; `elsewhere` where a redirect leads that was not followed."""

    url: WebAddress
    status: int
    media_type: str | None
    data: bytes
    cut: bool = False
    elsewhere: WebAddress | None = None


async def get_page(
    url: str,
    access: WebAccess,
    follow: Callable[[WebAddress, WebAddress], bool] | None = None,
    addresses: Sequence[str] = (),
) -> Page:
    """The page at an address. follow: whether a redirect from one address to another is followed; None: all are.
    addresses: of its host, which are connected to and not looked up anew.

    Raises SansiError, a sentence, for an address that is not public, what is no text, and whatever goes wrong.
    """
    address = read_address(url)
    try:
        async with asyncio.timeout(access.seconds), _pool(access, {address.host: addresses}) as pool:
            return await _followed(pool, address, access, follow)
    except TimeoutError:
        raise SansiError(f"{address} did not answer within {access.seconds:g} seconds") from None
    except httpcore.TimeoutException:
        raise SansiError(f"{address.authority} did not answer in time") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ssl.SSLError) as error:
        raise SansiError(f"{address.authority} can not be read: {_reason(error)}") from error


async def _followed(
    pool: Any, address: WebAddress, access: WebAccess, follow: Callable[[WebAddress, WebAddress], bool] | None
) -> Page:
    for _ in range(access.max_redirects + 1):
        check_port(address, access)
        page = await _answer(pool, address, access)
        if page.elsewhere is None or (follow is not None and not follow(address, page.elsewhere)):
            return page
        address = page.elsewhere
    raise SansiError(f"more than {access.max_redirects} redirects, the last one to {address}")


async def _answer(pool: Any, address: WebAddress, access: WebAccess) -> Page:
    where = httpcore.URL(
        scheme=address.scheme.encode(),
        host=address.host.encode(),
        port=address.port,
        target=address.target.encode("ascii"),
    )
    async with pool.stream("GET", where, headers=_headers(address)) as response:
        headers = {name.lower(): value.decode("latin-1") for name, value in reversed(response.headers)}
        media_type = headers.get(b"content-type")
        location = headers.get(b"location")
        if response.status in REDIRECTS and location:
            # Servers write addresses beyond ASCII as UTF-8.
            to = read_address(location.encode("latin-1").decode("utf-8", "replace"), base=address)
            return Page(address, response.status, media_type, b"", elsewhere=to)
        _check_type(address, media_type)
        body = await read_body(response.aiter_stream(), headers.get(b"content-encoding", ""), access.max_bytes)
    return Page(address, response.status, media_type, body.data, body.cut)


def _headers(address: WebAddress) -> list[tuple[bytes, bytes]]:
    return [
        (b"Host", address.authority.encode()),
        (b"User-Agent", f"Sansi/{__version__}".encode()),
        (b"Accept", b"text/html, text/markdown;q=0.9, text/plain;q=0.9, application/pdf;q=0.8, */*;q=0.5"),
        (b"Accept-Encoding", ACCEPTED.encode()),
        (b"Connection", b"close"),
    ]


def check_port(address: WebAddress, access: WebAccess) -> None:
    if access.ports is not None and address.port not in access.ports:
        known = ", ".join(map(str, access.ports))
        raise SansiError(f"{address} has the port {address.port}, and only these are asked: {known}", param="url")


def _check_type(address: WebAddress, media_type: str | None) -> None:
    kind = (media_type or "text/plain").partition(";")[0].strip().lower()
    if not _TEXTUAL.fullmatch(kind):
        raise SansiError(f"{address} is {kind[:60]}; text, HTML, JSON, XML and PDF are read")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


# --- connecting ------------------------------------------------------------------------------------------------------


def _pool(access: WebAccess, known: Mapping[str, Sequence[str]]) -> httpcore.AsyncConnectionPool:
    # No connection is used again: each has its own check.
    return httpcore.AsyncConnectionPool(
        ssl_context=_tls(), max_keepalive_connections=0, http2=False, network_backend=Guard(access, known)
    )


@cache
def _tls() -> ssl.SSLContext:  # 20 ms that each page would take anew
    import httpx

    return httpx.create_ssl_context()


class Guard(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only: to those of a host that it has resolved and checked itself.

    known: addresses of hosts that are not resolved anew.
    """

    def __init__(self, access: WebAccess, known: Mapping[str, Sequence[str]] | None = None):
        self._access, self._known = access, known or {}
        self._inner = access.backend or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        known = self._known.get(host)
        addresses = checked(host, known, self._access) if known else await look_up_host(host, port, self._access)
        for number, address in enumerate(addresses, 1):
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise AssertionError("a host has addresses")

    async def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        raise SansiError("no socket of this machine is connected to")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def look_up_host(host: str, port: int, access: WebAccess) -> list[Address]:
    """The addresses of a host, looked up and checked. Raises SansiError, a sentence."""
    try:
        found = await access.resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise SansiError(f"the host {host} is not known: {_reason(error)}", param="url") from error
    return checked(host, found, access)


def checked(host: str, texts: Sequence[str], access: WebAccess) -> list[Address]:
    """The addresses of a host, all of which are public. One that is not refuses them all: what a name server mixes it
    also chooses. Raises SansiError, a sentence."""
    try:
        found = [parsed(text) for text in texts]
    except ValueError as error:
        raise SansiError(f"the host {host} has no address that can be read: {error}", param="url") from error
    if not found:
        raise SansiError(f"the host {host} has no address", param="url")
    for address in found:
        if (why := why_not_public(address, access.networks)) is not None:
            shown = str(address) if str(address) == host else f"{host} ({address})"
            raise SansiError(f"{shown} is not fetched from: it is {why}", param="url")
    return found[:MOST_ADDRESSES]
