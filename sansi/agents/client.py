"""`ChatClient`: whoever can complete a chat. Over HTTP any OpenAI-compatible server, in process a `ChatModel`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import httpx

from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.text import Message, ToolCall, message_to_dict


@dataclass(frozen=True)
class Usage:
    """Tokens of one completion, or the sum of several. reasoning_tokens are part of completion_tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)))


@dataclass(frozen=True)
class AssistantReply:
    """One completion: the assistant's message, why it ended, and what the other side reported."""

    message: Message
    finish_reason: str
    """"stop", "tool_calls", "length" (cut: its tool calls must not run) or "abort"."""
    usage: Usage = Usage()
    report: Mapping[str, Any] = field(default_factory=dict)
    """What Sansi says it did: mode, budget, why thinking ended. Empty from other servers."""


class ChatClient(Protocol):
    """What the agent loop needs. `tools` are entries of the OpenAI `tools` list; `options` are the client's own."""

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], **options: Any) -> AssistantReply:
        """The next assistant message. Raises SansiError when there is none to be had."""
        ...


class HTTPChatClient:
    """Any OpenAI-compatible server, for example `HTTPChatClient("http://127.0.0.1:8000/v1", "nano")`.

    Environment variables (proxies, keys) are not read: what counts is what is passed here. `reasoning_field` is the
    name under which thoughts are sent back, and None sends none; in answers both names are understood.
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
        proxy: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ):
        if not base_url.startswith(("http://", "https://")):
            raise SansiError(f'base_url must start with http:// or https://, not "{base_url}"', param="base_url")
        if reasoning_field not in ("reasoning_content", "reasoning", None):
            raise SansiError(f'unknown reasoning_field "{reasoning_field}"', param="reasoning_field")
        self.url = base_url.rstrip("/") + "/chat/completions"
        self.model = model
        self.reasoning_field = reasoning_field
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(timeout, connect=connect_timeout),
            trust_env=False,
            proxy=proxy,
            transport=transport,
        )

    def complete(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), **options: Any
    ) -> AssistantReply:
        """POST one chat completion. `options` go into the request body as they are (temperature, thinking_budget, ...).

        Raises SansiError when the server can not be reached, refuses, or answers something else than a completion.
        """
        if options.get("stream"):
            raise SansiError('the option "stream" does not work here: a reply comes whole', param="stream")
        body = {"model": self.model, "messages": [self._wire(m) for m in messages], **options}
        if tools:
            body["tools"] = list(tools)
        return _reply(self._post(body), self.url)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> HTTPChatClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wire(self, message: Message) -> dict[str, Any]:
        wire = dict(message_to_dict(message))
        thought = wire.pop("reasoning_content", None)
        if thought is not None and self.reasoning_field is not None:
            wire[self.reasoning_field] = thought
        return wire

    def _post(self, body: dict[str, Any]) -> Any:
        try:
            response = self._http.post(self.url, json=body)
        except httpx.TimeoutException as error:
            raise SansiError(f"{self.url}: no answer in time ({type(error).__name__}); raise the timeout") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SansiError(f"{self.url}: can not be reached ({error}); is the server running?") from error
        except (TypeError, ValueError) as error:
            raise SansiError(f"an option can not be sent as JSON: {error}") from error
        if response.status_code != 200:
            raise http_error(response, self.url)
        try:
            return response.json()
        except ValueError as error:
            raise SansiError(f"{self.url}: the answer is not JSON; {_HINT}") from error


class InProcessChatClient:
    """A chat model in this process: any object with `.complete(messages, options)`, such as `sansi.chat.ChatModel`.

    `options` is the model's own frozen dataclass of options (`sansi.chat.ChatOptions()`); each call takes it with the
    tools and the call's options replaced.
    """

    def __init__(self, chat: Any, options: Any):
        self.chat, self.options = chat, options

    def complete(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), **options: Any
    ) -> AssistantReply:
        """Complete in process. Raises SansiError for an option that the model does not have."""
        known = {f.name for f in dataclasses.fields(self.options)}
        for name in options:
            if name not in known:
                raise SansiError(f'unknown option "{name}"{did_you_mean(name, known)}', param=name)
        chosen = dataclasses.replace(self.options, tools=list(tools) or None, **options)
        result = self.chat.complete(list(messages), chosen)
        counted = {f.name: getattr(result.usage, f.name) for f in dataclasses.fields(Usage)}
        report = dataclasses.asdict(result.report)
        return AssistantReply(result.message, result.finish_reason, Usage(**counted), report)


_HINT = 'base_url must be that of an OpenAI-compatible API and usually ends in "/v1"'


def http_error(response: httpx.Response, url: str) -> SansiError:
    """An error with the server's own words where it has any, else with the status."""
    try:
        error = response.json()["error"]
        message, param = (error["message"], error.get("param")) if isinstance(error, dict) else (str(error), None)
    except (ValueError, KeyError, TypeError):
        message, param = f"{response.reason_phrase}; {_HINT}", None
    return SansiError(f"{url}: HTTP {response.status_code}: {message}", param=param)


def _reply(body: Any, url: str) -> AssistantReply:
    try:
        choice = body["choices"][0]
        wire = choice["message"]
        report = body.get("sansi") or {}
        errors = report.get("tool_call_errors") or {}
        calls = tuple(_tool_call(call, i, errors) for i, call in enumerate(wire.get("tool_calls") or ()))
        thought = _text(wire, "reasoning_content")
        message = Message(
            role="assistant",
            content=_text(wire, "content") or "",
            reasoning_content=_text(wire, "reasoning") if thought is None else thought,
            tool_calls=calls,
        )
        reason = _text(choice, "finish_reason") or ("tool_calls" if calls else "stop")
        return AssistantReply(message, reason, _usage(body.get("usage") or {}), report)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise SansiError(f"{url}: the answer is not a chat completion ({error!r}); {_HINT}") from error


def _text(holder: Mapping[str, Any], key: str) -> str | None:
    value = holder.get(key)
    if value is not None and not isinstance(value, str):
        raise TypeError(f'"{key}" is not text')
    return value


def _tool_call(call: Mapping[str, Any], index: int, errors: Mapping[str, str]) -> ToolCall:
    function = call["function"]
    if not isinstance(function["name"], str):
        raise TypeError('"name" is not text')
    arguments = function.get("arguments") or ""
    if not isinstance(arguments, str):  # some servers send the object itself
        arguments = json.dumps(arguments, ensure_ascii=False)
    id_ = call.get("id") or f"call_{index}"
    return ToolCall(id_, function["name"], arguments, errors.get(id_))


def _usage(wire: Mapping[str, Any]) -> Usage:
    details = wire.get("completion_tokens_details") or {}
    return Usage(
        wire.get("prompt_tokens") or 0, wire.get("completion_tokens") or 0, details.get("reasoning_tokens") or 0
    )
