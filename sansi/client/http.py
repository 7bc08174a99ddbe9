"""`HTTPChatClient`: any OpenAI-compatible server as a `ChatClient`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Literal

import httpx

from sansi.base import SansiError
from sansi.base.sizes import size_text
from sansi.client.chat_client import Completes, Delta, Tools
from sansi.client.reply import AssistantReply, ReplyReader, read_reply
from sansi.client.retry import waits
from sansi.client.streaming import (
    HINT,
    JSON,
    NotACompletion,
    Refused,
    Server,
    as_json,
    http_error,
    list_models,
    streamed,
    unreachable,
)
from sansi.client.token_count import TokenCount
from sansi.text import Message, message_to_dict

COUNTED = ("enable_thinking", "chat_template_kwargs", "history", "soft_switch")  # options that change the prompt
MAX_ANSWER = 64 * 2**20  # bytes
PATIENCE = 4  # times the seconds that a server may be silent: all that its answer may take to come


class HTTPChatClient(Completes):
    """Any OpenAI-compatible server, for example `HTTPChatClient("http://127.0.0.1:8000/v1", "nano")`.

    Environment variables (proxies, keys) are not read: what counts is what is passed here. `reasoning_field` is the
    name under which thoughts are sent back, and None sends none; in answers both names are understood. A server that is
    too busy (HTTP 429, 502, 503, 504) is asked again up to `retries` times, when it says or after 1 s, 2 s, 4 s, …
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        timeout: float = 600.0,
        connect_timeout: float = 10.0,
        reasoning_field: Literal["reasoning_content", "reasoning"] | None = "reasoning_content",
        retries: int = 2,
        proxy: str | None = None,
        transport: Any = None,
    ):
        if not base_url.startswith(("http://", "https://")):
            raise SansiError(f'base_url must start with http:// or https://, not "{base_url}"', param="base_url")
        if reasoning_field not in ("reasoning_content", "reasoning", None):
            raise SansiError(f'unknown reasoning_field "{reasoning_field}"', param="reasoning_field")
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise SansiError(f"retries must be a whole number of 0 or more, not {retries!r}", param="retries")
        self.server = Server(base_url.rstrip("/"), api_key, timeout, connect_timeout)
        self.url = self.server.base_url + "/chat/completions"
        self.model = model
        self.reasoning_field = reasoning_field
        self.retries = retries
        self._reach = {"proxy": proxy, "transport": transport}
        # As many connections as there are threads that ask: a thread that waits for one would say "no answer in time".
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._http = httpx.Client(**self.server.options, **self._reach, limits=limits)
        self._facts = threading.Lock()
        self._known: dict[str, Any] = {}  # what the server has told of itself: its context
        self._counts = True  # until it turns out that it does not

    def complete(self, messages: Sequence[Message], tools: Tools = (), **options: Any) -> AssistantReply:
        """POST one chat completion. `options` go into the request body as they are (temperature, thinking_budget, ...).

        Raises SansiError when the server can not be reached, refuses, or answers something else than a completion.
        """
        sent = self.request_body(messages, tools, options)
        for wait in waits(self.retries):
            try:
                body = self._post(self.url, sent)
                break
            except Refused as error:
                time.sleep(wait(error))
        return self.reply_of(body)

    def post(self, body: Mapping[str, Any]) -> Any:
        """What the server answers to a request's body, once and as it is: for who checks and repeats by own rules.

        Raises Unreachable, Refused and, where it is no JSON, NotACompletion: each a SansiError.
        """
        return self._post(self.url, body)

    def reply_of(self, answer: Any) -> AssistantReply:
        """The completion in an answer's body. Raises NotACompletion where there is none."""
        try:
            return read_reply(answer)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise NotACompletion(f"{self.url}: the answer is not a chat completion ({error!r}); {HINT}") from error

    async def stream(
        self, messages: Sequence[Message], tools: Tools = (), **options: Any
    ) -> AsyncGenerator[Delta, None]:
        """As `complete`, as it is written; leaving early ends the completion at the server too."""
        reader = ReplyReader()
        body = self.request_body(messages, tools, options)
        body.setdefault("stream_options", {"include_usage": True})
        async with AsyncExitStack() as stack:
            for wait in waits(self.retries):
                try:
                    chunks = await stack.enter_async_context(streamed(self.server, body, **self._reach))
                    break
                except Refused as error:
                    await asyncio.sleep(wait(error))
            async for chunk in chunks:
                for event in reader.feed(chunk):
                    yield event
        yield reader.reply

    def count_tokens(self, messages: Sequence[Message], tools: Tools = (), **options: Any) -> TokenCount | None:
        """What `/tokenize` of the server says (Sansi, vLLM); None where it has none, which is asked once."""
        if not self._counts:
            return None
        body = {"model": self.model, "messages": [self._wire(m) for m in messages]}
        body |= {name: options[name] for name in COUNTED if name in options} | ({"tools": list(tools)} if tools else {})
        try:
            told = self._post(self.server.base_url.removesuffix("/v1") + "/tokenize", body)
            count = TokenCount(int(told["count"]), "endpoint")
        except (SansiError, KeyError, TypeError, ValueError):
            self._counts = False
            return None
        if isinstance(told.get("max_model_len"), int):
            self._known["context_length"] = told["max_model_len"]
        return count

    @property
    def context_length(self) -> int | None:
        """Tokens of prompt and reply together, as the server's card of the model says; None where it does not."""
        with self._facts:
            if "context_length" not in self._known:
                self._known["context_length"] = self._told_context()
            return self._known["context_length"]

    def _told_context(self) -> int | None:
        try:
            cards = [card for card in list_models(self.server, **self._reach) if card["id"] == self.model]
        except SansiError:
            return None
        sizes = [card.get(name) for card in cards for name in ("context_length", "max_model_len", "context_window")]
        return next((size for size in sizes if isinstance(size, int) and size > 0), None)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> HTTPChatClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request_body(
        self, messages: Sequence[Message | Mapping[str, Any]], tools: Tools, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What is posted for these. A message that is a mapping goes as it is: it may have pictures among its parts."""
        if "stream" in options:
            raise SansiError('the option "stream" does not work here: use complete() or stream()', param="stream")
        body = {"model": self.model, "messages": [self._wire(m) for m in messages], **options}
        return body | ({"tools": list(tools)} if tools else {})

    def _wire(self, message: Message | Mapping[str, Any]) -> dict[str, Any]:
        if isinstance(message, Mapping):
            return dict(message)
        wire = dict(message_to_dict(message))
        thought = wire.pop("reasoning_content", None)
        if thought is not None and self.reasoning_field is not None:
            wire[self.reasoning_field] = thought
        return wire

    def _post(self, url: str, body: Mapping[str, Any]) -> Any:
        try:
            with self._http.stream("POST", url, content=as_json(body), headers=JSON) as streamed_response:
                response = self._whole(streamed_response, url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unreachable(url, error) from error
        if response.status_code != 200:
            raise http_error(response, url)
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise NotACompletion(f"{url}: the answer is not JSON; {HINT}") from error

    def _whole(self, response: httpx.Response, url: str) -> httpx.Response:
        """The response with its content, which neither goes on for ever nor fills the memory."""
        content, end = bytearray(), time.monotonic() + PATIENCE * self.server.timeout
        for piece in response.iter_bytes():
            content += piece
            if len(content) > MAX_ANSWER:
                raise NotACompletion(f"{url}: the answer has more than {size_text(MAX_ANSWER)}")
            if time.monotonic() > end:
                raise httpx.ReadTimeout("the answer does not end")
        headers = {name: value for name, value in response.headers.items() if name in ("retry-after", "content-type")}
        return httpx.Response(response.status_code, headers=headers, content=bytes(content), request=response.request)
