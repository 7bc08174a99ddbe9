"""A chat model of this process as a `ChatClient`."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.client.chat_client import Completes, Delta, Tools, events_of, on_thread
from sansi.client.reply import AssistantReply, Usage
from sansi.client.token_count import TokenCount
from sansi.text import Content, Message, Reasoning, ToolCallDelta


class InProcessChatClient(Completes):
    """A chat model in this process: any object with `.complete(messages, options)`, such as `sansi.chat.ChatModel`.

    `options` is the model's own frozen dataclass of options (`sansi.chat.ChatOptions()`); each call takes it with the
    tools and the call's options replaced.
    """

    def __init__(self, chat: Any, options: Any):
        self.chat, self.options = chat, options

    def complete(self, messages: Sequence[Message], tools: Tools = (), **options: Any) -> AssistantReply:
        """Complete in process. Raises SansiError for an option that the model does not have."""
        return _reply(self.chat.complete(list(messages), self._chosen(tools, options)))

    async def stream(
        self, messages: Sequence[Message], tools: Tools = (), **options: Any
    ) -> AsyncGenerator[Delta, None]:
        """As `complete`, as it is written where the model has `.stream(messages, options)`; else when it is whole."""
        chosen = self._chosen(tools, options)
        if not hasattr(self.chat, "stream"):
            reply = _reply(await on_thread(lambda: self.chat.complete(list(messages), chosen)))
            for event in events_of(reply.message):
                yield event
            yield reply
            return
        stream = self.chat.stream(list(messages), chosen)
        try:
            async for item in stream:
                if isinstance(item, Reasoning | Content | ToolCallDelta):
                    yield item
                elif hasattr(item, "message"):  # the result; a stream may hold tokens too
                    yield _reply(item)
        finally:
            await stream.aclose()  # frees the model's slot now

    def count_tokens(self, messages: Sequence[Message], tools: Tools = (), **options: Any) -> TokenCount | None:
        """What the model would be given to read, to the token; None where the model can not say."""
        if not hasattr(self.chat, "prompt_ids"):
            return None
        ids = self.chat.prompt_ids(list(messages), self._chosen(tools, options))
        return TokenCount(len(ids), "codec")

    @property
    def context_length(self) -> int | None:
        """Tokens of prompt and reply together; None where the model does not say."""
        return getattr(self.chat, "context_length", None)

    def _chosen(self, tools: Tools, options: dict[str, Any]) -> Any:
        known = {f.name for f in dataclasses.fields(self.options)}
        for name in options:
            if name not in known:
                raise SansiError(f'unknown option "{name}"{did_you_mean(name, known)}', param=name)
        return dataclasses.replace(self.options, tools=list(tools) or None, **options)


def _reply(result: Any) -> AssistantReply:
    counted = {f.name: getattr(result.usage, f.name) for f in dataclasses.fields(Usage)}
    report = dataclasses.asdict(result.report)
    prompt_ids = getattr(result, "prompt_ids", None)
    return AssistantReply(result.message, result.finish_reason, Usage(**counted), report, prompt_ids)
