"""Streamed completions of any OpenAI-compatible server, and which models it has."""

from __future__ import annotations

import functools
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from sansi.base import SansiError
from sansi.base.errors import did_you_mean

JSON = {"Content-Type": "application/json"}
ENDPOINTS = ("/chat/completions", "/completions", "/responses")
HINT = 'base_url must be that of an OpenAI-compatible API and usually ends in "/v1"'


@dataclass(frozen=True)
class Server:
    """Where to ask, and with what key."""

    base_url: str
    """With the path of the API, which usually ends in /v1."""
    api_key: str | None = field(default=None, repr=False)  # no log or traceback is to show it
    timeout: float = 600.0
    """Seconds that the server may be silent."""
    connect_timeout: float = 10.0

    @classmethod
    def at(cls, url: str, api_key: str | None = None) -> Server:
        """From the address that a user gives: without a path, the API is at /v1. Raises SansiError for no address."""
        if not url.startswith(("http://", "https://")) or not urlsplit(url).netloc:
            raise SansiError(f'"{url}" is no address of a server; give http://HOST:PORT', param="url")
        base = url.rstrip("/")
        if end := next((end for end in ENDPOINTS if urlsplit(base).path.endswith(end)), None):
            meant = base.split("?")[0].removesuffix(end)
            raise SansiError(f'"{url}" is the address of one endpoint; give that of the API: {meant}', param="url")
        return cls(base if urlsplit(base).path else f"{base}/v1", api_key)

    @property
    def options(self) -> dict[str, Any]:
        """For a client of httpx. Variables of the environment are not read: what counts is what is given here."""
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        timeout = httpx.Timeout(self.timeout, connect=self.connect_timeout)
        return {"headers": headers, "timeout": timeout, "trust_env": False, "verify": _certificates()}


@functools.cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)  # 20 ms that each client would take anew


def list_models(server: Server, **client: Any) -> list[dict[str, Any]]:
    """The cards of the models that a server has. Raises SansiError where it can not be reached, or is none."""
    url = f"{server.base_url}/models"
    try:
        with httpx.Client(**server.options, **client) as http:
            response = http.get(url)
        if response.status_code != 200:
            raise http_error(response, url)
        cards = [card for card in response.json()["data"] if isinstance(card["id"], str)]
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, SansiError):
            raise
        raise SansiError(f"{url}: that is no list of models; give the address of an OpenAI-compatible API") from error
    return cards


def find_card(server: Server, name: str | None = None) -> dict[str, Any]:
    """The card of the model called `name`; None: of the first one. Raises SansiError where the server has none."""
    cards = {card["id"]: card for card in list_models(server)}
    if not cards or (name is not None and name not in cards):
        raise SansiError(f'{server.base_url} has no model "{name or ""}"{did_you_mean(name or "", cards)}')
    return cards[name] if name is not None else next(iter(cards.values()))


@asynccontextmanager
async def streamed(
    server: Server, body: Mapping[str, Any], **client: Any
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The chunks of one completion; leaving early ends it at the server too. `client` goes to httpx (proxy, …).

    Raises SansiError, there or between the chunks, where the server refuses, breaks off, or answers something else.
    """
    url = f"{server.base_url}/chat/completions"
    content = as_json({**body, "stream": True})
    try:
        async with (
            httpx.AsyncClient(**server.options, **client) as http,
            http.stream("POST", url, content=content, headers=JSON) as response,
        ):
            if response.status_code != 200:
                await response.aread()
                raise http_error(response, url)
            yield _chunks(response, url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unreachable(url, error) from error


def as_json(body: Mapping[str, Any]) -> bytes:
    """A request's body. Raises SansiError for what JSON can not carry."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    except (TypeError, ValueError) as error:
        raise SansiError(f"an option can not be sent as JSON: {error}") from error


async def _chunks(response: httpx.Response, url: str) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue  # comments that keep the connection open, names of events
        text = line.removeprefix("data:").strip()
        if text == "[DONE]":
            return
        try:
            chunk = json.loads(text)
        except ValueError as error:
            raise SansiError(f"{url}: the stream holds something else than JSON") from error
        if isinstance(chunk, dict) and (said := chunk.get("error")):
            raise SansiError(str(said.get("message", said)) if isinstance(said, dict) else str(said))
        yield chunk


class Refused(SansiError):
    """The server has answered with another status than 200."""

    def __init__(self, message: str, status: int, retry_after: float | None, **fields: str | None):
        super().__init__(message, **fields)
        self.status = status
        self.retry_after = retry_after
        """Seconds after which the server wants to be asked again, where it says so."""


class Unreachable(SansiError):
    """There is no answer: nobody is there, or whoever is there stopped, or is too slow."""

    def __init__(self, message: str, sent: bool):
        super().__init__(message)
        self.sent = sent
        """The server may have read the request, and worked (and charged) for it."""


class NotACompletion(SansiError):
    """The server has answered with status 200, and not with a chat completion."""


def http_error(response: httpx.Response, url: str) -> Refused:
    """An error with the server's own words where it has any, else with the status."""
    try:
        error = response.json()["error"]
        known = error if isinstance(error, dict) else {"message": str(error)}
        message, param, code = known["message"], known.get("param"), known.get("code")
    except (ValueError, KeyError, TypeError):
        message, param, code = f"{response.reason_phrase}; {HINT}", None, None
    code = code if isinstance(code, str) else None
    told = f"{url}: HTTP {response.status_code}: {message}"
    if response.status_code == 401:
        sent = "the API key was refused" if "authorization" in response.request.headers else "an API key is needed"
        told += f" ({sent}: --api-key-file or --api-key-env on the command line, api_key in Python)"
    return Refused(told, response.status_code, _seconds(response.headers.get("retry-after")), param=param, code=code)


def _seconds(text: str | None) -> float | None:
    """A Retry-After in seconds; a date is taken for none."""
    try:
        seconds = float(text or "nan")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def unreachable(url: str, error: Exception) -> Unreachable:
    """The error of a server that does not answer, or stopped in the middle."""
    sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.InvalidURL)
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(f"{url}: no answer in time ({type(error).__name__}); raise the timeout", sent)
    return Unreachable(
        f"{url}: can not be reached ({str(error) or type(error).__name__}); is the server running?", sent
    )
