"""OpenAI's responses: a result as one object, or as the events of a stream."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sansi.chat import ChatModel, ChatResult, Tokens
from sansi.serve.api.logprobs import chat_logprobs
from sansi.serve.api.parts import Part, Parts
from sansi.serve.api.response_bodies import Chunk, Done, Reply
from sansi.serve.api.responses.request import ResponsesRequest
from sansi.serve.api.sealed_thoughts import seal
from sansi.text import Content, Reasoning, ToolCallDelta

Keep = Callable[[Mapping[str, Any]], None]
INCOMPLETE, COMPLETED, IN_PROGRESS = "incomplete", "completed", "in_progress"


class ResponsesReply(Reply):
    """Replies of /v1/responses. `keep`: called with each item of the output."""

    kind, prefix = "response", "resp"

    def __init__(self, chat: ChatModel, asked: ResponsesRequest, keep: Keep):
        super().__init__(chat, asked)
        self._asked, self._keep = asked, keep
        self._id = f"{self.prefix}_{random.getrandbits(128):032x}"
        self._number = -1
        self._output: list[dict[str, Any]] = []
        self._parts = Parts(self._begin)
        self._scores: list[dict[str, Any]] = []  # of tokens of the answer's text that no event has told yet

    # --- the whole ----------------------------------------------------------------------------------------------------

    def whole(self, answers: Sequence[Done], tokens: Sequence[Sequence[Tokens]]) -> dict[str, Any]:
        (done,) = answers
        assert isinstance(done.result, ChatResult)
        message = done.result.message
        if message.reasoning_content:
            self._write(Reasoning(message.reasoning_content), ())
        if message.content or self._says_nothing(done):
            self._write(Content(message.content), tokens[0])
        for index, call in enumerate(message.tool_calls):
            self._write(ToolCallDelta(index, call.id, call.name, ""), ())
            self._write(ToolCallDelta(index, call.id, None, call.arguments), ())
        self._parts.end(self._is_whole(done))
        return self._ended(done)

    # --- the stream ---------------------------------------------------------------------------------------------------

    def first_chunks(self, index: int, prompt_ids: Sequence[int] | None) -> list[Chunk]:
        begun = self._response(IN_PROGRESS)
        return [self._event("response.created", response=begun), self._event("response.in_progress", response=begun)]

    def chunks(self, index: int, event: Any, tokens: Sequence[Tokens]) -> list[Chunk]:
        return self._write(event, tokens)

    def last_chunks(self, done: Done, tokens: Sequence[Tokens]) -> list[Chunk]:
        chunks = self._write(Content(""), ()) if self._says_nothing(done) else []
        self._note(tokens)
        chunks += self._parts.end(self._is_whole(done))
        response = self._ended(done)
        return [*chunks, self._event(f"response.{response['status']}", response=response)]

    def final_chunks(self, answers: Sequence[Done]) -> list[Chunk]:
        return []

    def failure_chunks(self, error: Mapping[str, Any], status: int) -> list[Chunk]:
        """The event that ends a stream that can not go on. `error`: OpenAI's error object."""
        told = {"code": _code_of(error, status), "message": error["error"]["message"]}
        return [self._event("response.failed", response=self._response("failed") | {"error": told})]

    # --- items --------------------------------------------------------------------------------------------------------

    def _write(self, event: Any, tokens: Sequence[Tokens]) -> list[Chunk]:
        """The events that a piece of the answer makes."""
        self._note(tokens)
        return self._parts.write(event)

    def _note(self, tokens: Sequence[Tokens]) -> None:
        if tokens and self._asked.options.logprobs:
            self._scores += chat_logprobs(tokens, self._chat)["content"]

    def take_scores(self) -> list[dict[str, Any]]:
        """Those since the last time."""
        scores, self._scores = self._scores, []
        return scores

    def _begin(self, event: Any, index: int) -> _Item:
        if isinstance(event, Reasoning):
            return _Thought(self, index)
        return _Message(self, index) if isinstance(event, Content) else _Call(self, index, event)

    def keep(self, item: dict[str, Any]) -> None:
        """An item that has ended is part of the output."""
        self._output.append(item)
        if self._asked.remember:
            self._keep(item)

    def _says_nothing(self, done: Done) -> bool:
        """Whether an empty message is all that it says: clients ask again where a whole turn has none."""
        assert isinstance(done.result, ChatResult)
        message = done.result.message
        if message.content or message.tool_calls:
            return False
        return not message.reasoning_content or self._is_whole(done)

    def _is_whole(self, done: Done) -> bool:
        return done.result.finish_reason != "length"

    # --- the response -------------------------------------------------------------------------------------------------

    def _response(self, status: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": self.kind,
            "created_at": self._created,
            "status": status,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": self._chat.name,
            "output": self._output,
            "usage": None,
            **self._asked.echo,
        }

    def _ended(self, done: Done) -> dict[str, Any]:
        assert isinstance(done.result, ChatResult)
        self._mark_broken(done.result)
        status, sampling = _status(self._is_whole(done)), done.result.report.sampling
        more: dict[str, Any] = {name: sampling[name] for name in ("temperature", "top_p") if name in sampling}
        if status == COMPLETED:
            more["completed_at"] = int(time.time())
        else:
            more["incomplete_details"] = {"reason": "max_output_tokens"}
        return self._response(status) | more | {"usage": usage(done), "sansi": self.report(done)}

    def _mark_broken(self, result: ChatResult) -> None:
        """A call that must not be executed is not complete."""
        broken = {call.id for call in result.message.tool_calls if call.error is not None}
        for item in self._output:
            if item.get("call_id") in broken:
                item["status"] = INCOMPLETE

    def _event(self, type_: str, **more: Any) -> Chunk:
        self._number += 1
        return {"type": type_, "sequence_number": self._number, **more}


def _status(whole: bool) -> str:
    return COMPLETED if whole else INCOMPLETE


class _Item(Part):
    """An item of the output while it is written."""

    prefix = ""

    def __init__(self, reply: ResponsesReply, index: int):
        self._reply, self._index = reply, index
        self._id = f"{self.prefix}_{random.getrandbits(128):032x}"
        self._texts: list[str] = []

    @property
    def _text(self) -> str:
        return "".join(self._texts)

    def _event(self, type_: str, **more: Any) -> Chunk:
        """About a part of the item."""
        place = {"item_id": self._id, "output_index": self._index}
        return self._reply._event(f"response.{type_}", **place, **more)

    def _added(self, item: dict[str, Any]) -> Chunk:
        return self._reply._event("response.output_item.added", output_index=self._index, item=item)

    def _done(self, item: dict[str, Any]) -> Chunk:
        self._reply.keep(item)
        return self._reply._event("response.output_item.done", output_index=self._index, item=item)


class _Thought(_Item):
    """The thought, in full: as its own summary where the request asks for one, else as the reasoning's text."""

    prefix = "rs"

    def __init__(self, reply: ResponsesReply, index: int):
        super().__init__(reply, index)
        summary = reply._asked.summary
        self._field, self._kind = ("summary", "summary_text") if summary else ("content", "reasoning_text")
        self._part = "reasoning_summary_part" if summary else "content_part"
        self._delta = "reasoning_summary_text" if summary else "reasoning_text"
        self._place = {"summary_index" if summary else "content_index": 0}

    def takes(self, event: Any) -> bool:
        return isinstance(event, Reasoning)

    def begin(self) -> list[Chunk]:
        empty = {"type": self._kind, "text": ""}
        item = {"id": self._id, "type": "reasoning", "status": IN_PROGRESS, "summary": []}
        return [self._added(item), self._event(f"{self._part}.added", **self._place, part=empty)]

    def add(self, event: Any) -> list[Chunk]:
        self._texts.append(event.text)
        return [self._event(f"{self._delta}.delta", **self._place, delta=event.text)]

    def end(self, whole: bool) -> list[Chunk]:
        text = self._text
        part = {"type": self._kind, "text": text}
        item = {"id": self._id, "type": "reasoning", "status": _status(whole), "summary": [], self._field: [part]}
        if self._reply._asked.encrypted:
            item["encrypted_content"] = seal(text)
        return [
            self._event(f"{self._delta}.done", **self._place, text=text),
            self._event(f"{self._part}.done", **self._place, part=part),
            self._done(item),
        ]


class _Message(_Item):
    """The answer's text."""

    prefix = "msg"

    def __init__(self, reply: ResponsesReply, index: int):
        super().__init__(reply, index)
        self._scores: list[dict[str, Any]] = []

    def takes(self, event: Any) -> bool:
        return isinstance(event, Content)

    def begin(self) -> list[Chunk]:
        return [
            self._added(self._item(IN_PROGRESS, [])),
            self._event("content_part.added", content_index=0, part=_output_text("", [])),
        ]

    def add(self, event: Any) -> list[Chunk]:
        self._texts.append(event.text)
        scores = self._reply.take_scores()
        self._scores += scores
        return [self._event("output_text.delta", content_index=0, delta=event.text, logprobs=scores)]

    def end(self, whole: bool) -> list[Chunk]:
        text = self._text
        self._scores += self._reply.take_scores()  # such as those of line breaks that are no part of the text
        part = _output_text(text, self._scores)
        return [
            self._event("output_text.done", content_index=0, text=text, logprobs=self._scores),
            self._event("content_part.done", content_index=0, part=part),
            self._done(self._item(_status(whole), [part])),
        ]

    def _item(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": content}


class _Call(_Item):
    """A call of a function, or of a tool that takes a text."""

    prefix = "fc"

    def __init__(self, reply: ResponsesReply, index: int, event: ToolCallDelta):
        super().__init__(reply, index)
        self._call, self._call_id = event.index, event.id
        self._origin = reply._asked.toolbox.origin(event.name or "")
        if self._origin.custom:
            self._id = "ctc" + self._id[len(self.prefix) :]

    def takes(self, event: Any) -> bool:
        return isinstance(event, ToolCallDelta) and event.index == self._call

    def begin(self) -> list[Chunk]:
        return [self._added(self._item(IN_PROGRESS, ""))]

    def add(self, event: Any) -> list[Chunk]:
        if not event.arguments:
            return []
        self._texts.append(event.arguments)
        if self._origin.custom:  # what is a text to the client is JSON as it is written: it is told when it is whole
            return []
        return [self._event("function_call_arguments.delta", delta=event.arguments)]

    def end(self, whole: bool) -> list[Chunk]:
        said = _custom_input(self._text) if self._origin.custom else self._text
        if self._origin.custom:
            told = [
                self._event("custom_tool_call_input.delta", delta=said),
                self._event("custom_tool_call_input.done", input=said),
            ]
        else:
            told = [self._event("function_call_arguments.done", arguments=said)]
        return [*told, self._done(self._item(_status(whole), said))]

    def _item(self, status: str, said: str) -> dict[str, Any]:
        kind, key = ("custom_tool_call", "input") if self._origin.custom else ("function_call", "arguments")
        item = {"id": self._id, "type": kind, "status": status, "call_id": self._call_id, "name": self._origin.name}
        if self._origin.namespace is not None:
            item["namespace"] = self._origin.namespace
        return {**item, key: said}


def _output_text(text: str, scores: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": scores}


def _custom_input(arguments: str) -> str:
    """The text in the arguments of a tool that takes one; the arguments themselves where they are broken."""
    try:
        said = json.loads(arguments)["input"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return arguments
    return said if isinstance(said, str) else arguments


def _code_of(error: Mapping[str, Any], status: int) -> str:
    """OpenAI's few codes of responses that failed; programs look at them before they try again."""
    if status == 429:
        return "rate_limit_exceeded"
    return "server_error" if status >= 500 else error["error"].get("code") or "invalid_prompt"


def usage(done: Done) -> dict[str, Any]:
    counts = done.result.usage
    return {
        "input_tokens": counts.prompt_tokens,
        "input_tokens_details": {"cached_tokens": counts.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": counts.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
        "total_tokens": counts.prompt_tokens + counts.completion_tokens,
    }
