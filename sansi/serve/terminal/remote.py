"""A model behind a running server, as the terminal chat asks one of its own process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sansi.chat import ChatOptions, ChatResult, Preset
from sansi.chat.options import ChatUsage, Report
from sansi.chat.presets import Presets
from sansi.client.reply import ReplyReader
from sansi.client.streaming import Server, find_card, streamed
from sansi.text import Event, Message
from sansi.text.messages import message_to_dict

SAMPLING = tuple(field.name for field in fields(Preset))


class RemoteChat:
    """What `TerminalChat` needs of a ChatModel, from any OpenAI-compatible server."""

    presets = Presets(source="published; the server may have others")

    def __init__(self, server: Server, card: Mapping[str, Any]):
        self._server = server
        self.name = str(card["id"])
        self.context_length = _number(card.get("context_length") or card.get("max_model_len"))
        """Tokens; 0: the server does not say."""
        told = card.get("sansi")
        self.thinks = not (isinstance(told, Mapping) and told.get("thinking") is False)
        """Whether the model has a thinking mode; so it is thought where the server does not say."""
        self.examples = _in_english(card.get("examples"))
        self.description = str(_english(card.get("description")) or "")

    @classmethod
    def of(cls, url: str, model: str | None = None, api_key: str | None = None) -> RemoteChat:
        """The model called `model` at `url`; None: its first one. Raises SansiError where there is none."""
        server = Server.at(url, api_key)
        return cls(server, find_card(server, model))

    async def stream(
        self, messages: Sequence[Message], options: ChatOptions
    ) -> AsyncGenerator[Event | ChatResult, None]:
        """As `ChatModel.stream`: the events of one answer, then its result."""
        heard = ReplyReader()
        body = {"model": self.name, "messages": [message_to_dict(message) for message in messages]}
        async with streamed(self._server, body | _fields(options)) as chunks:
            async for chunk in chunks:
                for event in heard.feed(chunk):
                    yield event
        yield _result(heard, options)


def _fields(options: ChatOptions) -> dict[str, Any]:
    """What was chosen, in names that servers of several kinds know; what was not chosen is the server's."""
    chosen = {name: getattr(options, name) for name in (*SAMPLING, "thinking_budget", "max_tokens", "seed")}
    body: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if options.enable_thinking is not None:
        body["chat_template_kwargs"] = {"enable_thinking": options.enable_thinking}
    if options.tools:
        body["tools"] = list(options.tools)
    if options.history != "official":
        body["history"] = options.history
    if options.continue_final:
        body["continue_final"] = options.continue_final
    return body | {"stream_options": {"include_usage": True}}


def _result(heard: ReplyReader, options: ChatOptions) -> ChatResult:
    """The answer as the terminal tells it. Where a server says nothing, nothing is made up."""
    told, details = heard.report, heard.usage.get("completion_tokens_details") or {}
    prompt_details = heard.usage.get("prompt_tokens_details") or {}
    timing = told.get("timing") or {}
    completion = _number(heard.usage.get("completion_tokens"))
    closing = _number(told.get("closing_phrase_tokens"))
    usage = ChatUsage(
        prompt_tokens=_number(heard.usage.get("prompt_tokens")),
        completion_tokens=completion,
        reasoning_tokens=_number(details.get("reasoning_tokens")),
        cached_tokens=_number(prompt_details.get("cached_tokens")),
        sampled_tokens=max(0, completion - closing),
    )
    report = Report(
        mode=told.get("mode") or ("thinking" if heard.thought else "non-thinking"),
        mode_source=told.get("mode_source") or "the server",
        budget_requested=told.get("thinking_budget_requested", options.thinking_budget),
        budget_applied=told.get("thinking_budget_applied"),
        thinking_end_reason=told.get("thinking_end_reason"),
        closing_phrase_tokens=closing,
        closing_phrase=told.get("closing_phrase") or "",
        max_tokens=_number(told.get("max_tokens")),
        answer_reserve=_number(told.get("answer_reserve")),
        sampling=dict(told.get("sampling") or {}),
        preset=told.get("preset") or "the server's",
        warnings=tuple(told.get("warnings") or ()),
    )
    rate = timing.get("tokens_per_second")
    seconds = max(0, usage.sampled_tokens - 1) / rate if isinstance(rate, int | float) and rate > 0 else None
    return ChatResult(
        message=heard.message,
        finish_reason=heard.finish_reason or "stop",  # type: ignore[arg-type]
        usage=usage,
        report=report,
        ids=(),
        prompt_ids=(),
        decode_seconds=seconds,
    )


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _english(value: Any) -> Any:
    """A server's text in English where it has several languages; else what it gives."""
    return value.get("en") or next(iter(value.values()), None) if isinstance(value, Mapping) else value


def _in_english(examples: Any) -> list[str]:
    listed = _english(examples)
    texts = [example.get("text") if isinstance(example, Mapping) else example for example in listed or ()]
    return [text for text in texts if isinstance(text, str)]
