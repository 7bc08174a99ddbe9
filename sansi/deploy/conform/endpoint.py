"""An endpoint from outside: requests as they are sent, answers as they come, nothing tidied up."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from sansi.base.errors import SansiError

LONGEST_SHOWN = 2000  # characters of a body in the evidence


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    status: int
    body: Any
    """JSON, or the text where it is none."""
    headers: Mapping[str, str]
    seconds: float

    @property
    def is_refused(self) -> bool:
        """The server says that the request is at fault."""
        return 400 <= self.status < 500

    @property
    def choice(self) -> dict[str, Any]:
        """The first choice; empty where there is none."""
        choices = self.body.get("choices") if isinstance(self.body, dict) else None
        return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}

    @property
    def message(self) -> dict[str, Any]:
        message = self.choice.get("message")
        return message if isinstance(message, dict) else {}

    @property
    def content(self) -> str:
        return _text(self.message.get("content"))

    @property
    def reasoning(self) -> str:
        """Under either name."""
        return _thought(self.message)

    @property
    def calls(self) -> list[dict[str, Any]]:
        calls = self.message.get("tool_calls")
        return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []

    @property
    def finish(self) -> Any:
        return self.choice.get("finish_reason")

    @property
    def usage(self) -> dict[str, Any]:
        usage = self.body.get("usage") if isinstance(self.body, dict) else None
        return usage if isinstance(usage, dict) else {}


@dataclass
class Stream:
    """A streamed answer: the chunks, and what they add up to."""

    status: int
    content_type: str
    chunks: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False
    """Whether `data: [DONE]` ended it."""
    broken: list[str] = field(default_factory=list)
    """Events that are no JSON."""
    error: Any = None
    """The body, where the status is not 200."""

    @property
    def deltas(self) -> list[dict[str, Any]]:
        found = []
        for chunk in self.chunks:
            for choice in chunk.get("choices") or []:
                if choice.get("index", 0) == 0 and isinstance(choice.get("delta"), dict):
                    found.append(choice["delta"])
        return found

    @property
    def content(self) -> str:
        return "".join(_text(delta.get("content")) for delta in self.deltas)

    @property
    def reasoning(self) -> str:
        return "".join(map(_thought, self.deltas))

    @property
    def finish(self) -> Any:
        reasons = [c.get("finish_reason") for chunk in self.chunks for c in chunk.get("choices") or []]
        return next((reason for reason in reversed(reasons) if reason), None)

    @property
    def usage(self) -> dict[str, Any]:
        given = [chunk["usage"] for chunk in self.chunks if isinstance(chunk.get("usage"), dict)]
        return given[-1] if given else {}


class Endpoint:
    """One model behind one OpenAI-compatible URL."""

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        api_key: str | None = None,
        timeout: float = 120.0,
        transport: Any = None,
    ):
        if not base_url.startswith(("http://", "https://")):
            raise SansiError(f'the address must start with http:// or https://, not "{base_url}"', param="url")
        base_url = base_url.rstrip("/")
        self.base_url = base_url if base_url.endswith("/v1") else f"{base_url}/v1"
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(timeout=timeout, headers=headers, trust_env=False, transport=transport)
        self.timeout = timeout
        self.model = model or self._first_model()

    def _first_model(self) -> str:
        answer = self.get("/models")
        cards = answer.body.get("data") if isinstance(answer.body, dict) else None
        names = [card.get("id") for card in cards or [] if isinstance(card, dict)]
        if answer.status != 200 or not names or not isinstance(names[0], str):
            raise SansiError(f"{self.base_url}/models lists no model (status {answer.status}); name one with --model")
        return names[0]

    def get(self, path: str) -> Answer:
        return self._send("GET", self.base_url + path, None)

    def post(self, path: str, body: Any, root: bool = False) -> Answer:
        """root: below the server's root instead of /v1."""
        base = self.base_url.removesuffix("/v1") if root else self.base_url
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._send("POST", base + path, content)

    def chat(self, messages: list[dict[str, Any]], **options: Any) -> Answer:
        return self.post("/chat/completions", {"model": self.model, "messages": messages, **options})

    def stream(self, messages: list[dict[str, Any]], **options: Any) -> Stream:
        body = {"model": self.model, "messages": messages, "stream": True, **options}
        url = f"{self.base_url}/chat/completions"
        try:
            with self._http.stream("POST", url, json=body) as response:
                result = Stream(response.status_code, response.headers.get("content-type", ""))
                if response.status_code != 200:
                    result.error = _body(response.read(), response.headers.get("content-type", ""))
                    return result
                for line in response.iter_lines():
                    _read_event(line, result)
                return result
        except httpx.HTTPError as error:
            raise self._unreachable(url, error) from error

    def leave(self, messages: list[dict[str, Any]], **options: Any) -> None:
        """Begin a stream and hang up after its first bytes."""
        body = {"model": self.model, "messages": messages, "stream": True, **options}
        url = f"{self.base_url}/chat/completions"
        try:
            with self._http.stream("POST", url, json=body) as response:
                next(response.iter_raw(), b"")
        except httpx.HTTPError as error:
            raise self._unreachable(url, error) from error

    def close(self) -> None:
        self._http.close()

    def _send(self, method: str, url: str, content: bytes | None) -> Answer:
        start = time.monotonic()
        headers = {"Content-Type": "application/json"} if content is not None else {}
        try:
            response = self._http.request(method, url, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise self._unreachable(url, error) from error
        body = _body(response.content, response.headers.get("content-type", ""))
        return Answer(response.status_code, body, dict(response.headers), time.monotonic() - start)

    def _unreachable(self, url: str, error: httpx.HTTPError) -> SansiError:
        if isinstance(error, httpx.TimeoutException):
            return SansiError(f"{url}: no answer within {self.timeout:g} s ({type(error).__name__}); raise --timeout")
        return SansiError(f"{url}: can not be reached ({error or type(error).__name__}); is the server running?")


def _read_event(line: str, result: Stream) -> None:
    if not line.startswith("data:"):
        return
    data = line[5:].strip()
    if data == "[DONE]":
        result.done = True
        return
    try:
        chunk = json.loads(data)
    except ValueError:
        result.broken.append(data[:LONGEST_SHOWN])
        return
    if isinstance(chunk, dict):
        result.chunks.append(chunk)
    else:
        result.broken.append(data[:LONGEST_SHOWN])


def _body(content: bytes, content_type: str) -> Any:
    text = content.decode("utf-8", errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text[:LONGEST_SHOWN]


def _thought(part: dict[str, Any]) -> str:
    """Of a message or a delta, under either name."""
    return _text(part.get("reasoning_content")) or _text(part.get("reasoning"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
