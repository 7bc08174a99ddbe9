"""Who may speak to the server: names it is called by, pages that may use it, and keys. A pure ASGI middleware.

A page on the web can make a browser send requests to a server on the same machine. Two checks stand against that: a
request must call the server by a name that it is known by (a foreign name that resolves to 127.0.0.1 is refused), and
a request that a page of another origin makes is refused unless that origin is allowed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from fastapi.responses import Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sansi.serve.api.errors import ServeError
from sansi.serve.http.bodies import CLOSE
from sansi.serve.http.error_responses import of_serve_error
from sansi.serve.http.paths import PROBES
from sansi.serve.http.request_log import record_of
from sansi.serve.http.settings import ServerSettings

# What a key is not asked for: they tell nothing of what others do. Everything else is behind the key.
OPEN = ("/", "/openapi.json", "/version", *PROBES)
OPEN_FOLDER = "/static/"
SAFE = ("GET", "HEAD", "OPTIONS")
HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
CORS_METHODS = "GET, POST"
CORS_EXPOSED = "x-request-id, retry-after"


class AccessControl:
    """Refuses what has no right to be here, and tells browsers which pages have."""

    def __init__(self, app: ASGIApp, settings: ServerSettings):
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _headers_of(scope)
        origin = headers.get(b"origin", b"").decode("latin-1")
        shared = bool(origin) and self._may_share(origin)
        sender = _with_cors(send, origin) if shared else send
        try:
            self._check_host(headers)
            self._check_origin(scope, headers, origin, shared)
            _check_length(headers)
            if scope["method"] == "OPTIONS":
                await _options(headers, origin, shared)(scope, receive, sender)
                return
            self._check_key(scope, headers)
        except ServeError as error:
            record_of(scope).error = error.code
            await of_serve_error(scope["path"], error)(scope, receive, sender)
            return
        await self._app(scope, receive, sender)

    def _check_host(self, headers: Mapping[bytes, bytes]) -> None:
        hosts, host = self._settings.hosts, headers.get(b"host", b"").decode("latin-1")
        if hosts is None:
            return
        name = name_of(host)
        if name not in hosts and not (self._settings.any_address and _is_address(name)):
            message = f'this server is not known as "{name or host[:80]}"; start it with --allow-host NAME'
            raise ServeError(403, message, "host_not_allowed")

    def _check_origin(self, scope: Scope, headers: Mapping[bytes, bytes], origin: str, shared: bool) -> None:
        if not origin or shared or scope["method"] in SAFE:
            return
        if origin.lower() != f"{scope['scheme']}://{headers.get(b'host', b'').decode('latin-1')}".lower():
            message = f"a page of {origin} may not use this server; start it with --allow-origin {origin}"
            raise ServeError(403, message, "origin_not_allowed")

    def _check_key(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        path = scope["path"]
        if self._settings.keys is None or path in OPEN or path.startswith(OPEN_FOLDER):
            return
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer":  # Anthropic's clients send it in a header of its own
            given = headers.get(b"x-api-key", b"")
        challenge = {"WWW-Authenticate": "Bearer"}
        if not given.strip():
            raise ServeError(
                401, "an API key is needed: Authorization: Bearer KEY, or x-api-key: KEY", "invalid_api_key", challenge
            )
        number = self._settings.keys.number_of(given.strip())
        if number is None:
            raise ServeError(401, "this API key is not known here", "invalid_api_key", challenge)
        record_of(scope).key = number

    def _may_share(self, origin: str) -> bool:
        return "*" in self._settings.origins or origin in self._settings.origins


def name_of(host: str) -> str:
    """A Host header without its port, in lower case: "[::1]:8000" is "::1". "" for what is no name or address."""
    found = HOST.fullmatch(host)
    return "" if found is None else (found["address"] or found["name"].rstrip(".")).lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers by name; of one that comes twice, the first. (The HTTP parser refuses a second Host.)"""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name, value)
    return headers


def _check_length(headers: Mapping[bytes, bytes]) -> None:
    """A proxy in front could go by the other of the two, and take the rest for a request of its own."""
    if b"content-length" in headers and b"transfer-encoding" in headers:
        message = "Content-Length and Transfer-Encoding contradict each other; send one of them"
        raise ServeError(400, message, "bad_request", CLOSE)


def _options(headers: Mapping[bytes, bytes], origin: str, shared: bool) -> Response:
    """The answer to a browser that asks whether a page may send what it wants to, or to whoever asks what there is."""
    if not origin:
        return Response(status_code=204, headers={"Allow": "GET, HEAD, POST, OPTIONS"})
    if not shared:
        raise ServeError(403, "pages of other origins may not use this server", "origin_not_allowed")
    allowed = {"Access-Control-Allow-Methods": CORS_METHODS, "Access-Control-Max-Age": "600"}
    if wanted := headers.get(b"access-control-request-headers"):  # an allowed page may send what headers it likes
        allowed["Access-Control-Allow-Headers"] = wanted.decode("latin-1")
    return Response(status_code=204, headers=allowed)


def _with_cors(send: Send, origin: str) -> Send:
    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = CORS_EXPOSED
            headers.add_vary_header("Origin")
        await send(message)

    return tell
