"""What a chat-completions request may say. Each field is checked or refused by name: none is accepted and ignored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.strict_json import parse_json
from sansi.chat import ChatOptions

Check = Callable[[Any, str], Any]  # (value, name of the field) -> the value, or SansiError that names the field


@dataclass(frozen=True)
class ChatRequest:
    """A checked request body. `options.*` is None where the request is silent, so that presets apply."""

    model: str
    messages: list[dict[str, Any]]
    options: ChatOptions
    stream: bool
    include_usage: bool


def parse_body(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises SansiError for anything that is not one, NaN and lone surrogates included."""
    try:
        body = parse_json(raw)
        json.dumps(body, ensure_ascii=False).encode()  # a lone surrogate is parsed, but no tokenizer can take it
    except (ValueError, RecursionError) as error:
        raise SansiError(f"the request body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise SansiError(f"the request body must be a JSON object, not {_kind(body)}")
    return body


def parse_chat_request(body: Mapping[str, Any]) -> ChatRequest:
    """Check every field. A null means "not given", as in OpenAI's API. Raises SansiError with `param`."""
    given = {name: value for name, value in body.items() if value is not None}
    _refuse_unknown(given)
    values = {name: check(given[name], name) for name, check in CHECKS.items() if name in given}
    for name in ("model", "messages"):
        if name not in values:
            raise SansiError(f'"{name}" is required', param=name)
    kwargs = values.get("chat_template_kwargs", {})
    thinking = _agree(values, "enable_thinking", "chat_template_kwargs.enable_thinking", kwargs.get("enable_thinking"))
    max_tokens = _agree(values, "max_tokens", "max_completion_tokens", values.get("max_completion_tokens"))
    options = ChatOptions(
        enable_thinking=thinking,
        max_tokens=max_tokens,
        **{name: values[name] for name in (*SAMPLING, "thinking_budget", "tools") if name in values},
    )
    stream = values.get("stream", False)
    if "stream_options" in values and not stream:
        raise SansiError('"stream_options" needs "stream": true', param="stream_options")
    include_usage = values.get("stream_options", {}).get("include_usage") or False
    return ChatRequest(values["model"], values["messages"], options, stream, include_usage)


# --- checks of one value -------------------------------------------------------------------------------------------


def _number(low: float, high: float, *, above: bool = False) -> Check:
    """A finite number in [low, high], or (low, high] with `above`."""

    def check(value: Any, name: str) -> float:
        ok = isinstance(value, int | float) and not isinstance(value, bool)
        if not ok or not (low < value if above else low <= value) or value > high:  # an infinity fails here too
            bounds = f"{'above' if above else 'from'} {low:g} {'and at most' if above else 'to'} {high:g}"
            raise SansiError(f'"{name}" must be a number {bounds}, not {_show(value)}', param=name)
        return float(value)

    return check


def _integer(low: int, high: int | None = None) -> Check:
    def check(value: Any, name: str) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
            raise SansiError(f'"{name}" must be a whole number {bounds}, not {_show(value)}', param=name)
        return value

    return check


def _boolean(value: Any, name: str) -> bool:
    return _of_type(value, bool, name)


def _string(value: Any, name: str) -> str:
    return _of_type(value, str, name)


def _object(**checks: Check) -> Check:
    """An object that has no other keys than these; each is optional and null means "not given"."""

    def check(value: Any, name: str) -> dict[str, Any]:
        found = {k: v for k, v in _of_type(value, dict, name).items() if v is not None}
        for key in found:
            if key not in checks:
                raise SansiError(f'"{name}.{key}" is not supported{did_you_mean(key, checks)}', param=f"{name}.{key}")
        return {key: checks[key](v, f"{name}.{key}") for key, v in found.items()}

    return check


def _messages(value: Any, name: str) -> list[Any]:
    """Only the container is looked at here: what a message may hold is known to the codec, which checks it."""
    return _of_type(value, list, name)


def _tools(value: Any, name: str) -> list[Any] | None:
    """As `_messages`, but for one promise that the codec knows nothing of."""
    for i, tool in enumerate(_of_type(value, list, name)):
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and function.get("strict"):
            here = f"{name}[{i}].function.strict"
            raise SansiError(f'"{here}" is not supported: arguments are not bound to the schema', param=here)
    return value or None


def _only(supported: Any) -> Check:
    """A field of OpenAI's API with one value that says what this server does anyway; any other value is refused."""

    def check(value: Any, name: str) -> Any:
        if value != supported or type(value) is not type(supported):
            raise SansiError(f'"{name}" is supported only as {json.dumps(supported)}, not {_show(value)}', param=name)
        return value

    return check


SAMPLING: dict[str, Check] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1, above=True),
    "top_k": _integer(0, 2**31 - 1),
    "min_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "repetition_penalty": _number(0, 10, above=True),
    "seed": _integer(0, 2**63 - 1),
}
CHECKS: dict[str, Check] = {
    "model": _string,
    "messages": _messages,
    "stream": _boolean,
    "stream_options": _object(include_usage=_boolean),
    "max_tokens": _integer(1),
    "max_completion_tokens": _integer(1),
    "enable_thinking": _boolean,
    "chat_template_kwargs": _object(enable_thinking=_boolean),
    "thinking_budget": _integer(0),
    "tools": _tools,
    "tool_choice": _only("auto"),
    "parallel_tool_calls": _only(True),
    "n": _only(1),
    "logprobs": _only(False),
    "response_format": _only({"type": "text"}),
    **SAMPLING,
}


# --- helpers ---------------------------------------------------------------------------------------------------------


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    unknown = [name for name in given if name not in CHECKS]
    if unknown:
        names = ", ".join(f'"{name}"' for name in unknown)
        raise SansiError(f"not supported: {names}{did_you_mean(unknown[0], CHECKS)}", param=unknown[0])


def _agree(values: Mapping[str, Any], name: str, other_name: str, other_value: Any) -> Any:
    """The value of a field that has two spellings. Raises SansiError when both are given and differ."""
    value = values.get(name)
    if value is not None and other_value is not None and value != other_value:
        message = f'"{name}" is {_show(value)} but "{other_name}" is {_show(other_value)}; give one of them'
        raise SansiError(message, param=name)
    return other_value if value is None else value


def _of_type(value: Any, expected: type, name: str) -> Any:
    if not isinstance(value, expected):
        raise SansiError(f'"{name}" must be {KINDS[expected]}, not {_kind(value)}', param=name)
    return value


KINDS = {bool: "true or false", str: "a string", list: "an array", dict: "an object", type(None): "null"}


def _kind(value: Any) -> str:
    return KINDS.get(type(value), "a number")


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:39] + "…"
