"""Answers for pipes: one question, or a batch of them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from sansi.base.errors import SansiError
from sansi.base.progress import Bar, progress_bar
from sansi.chat import ChatModel
from sansi.serve.api import response_bodies
from sansi.serve.api.openai_chat import parse_chat_request
from sansi.serve.api.requests import ChatRequest
from sansi.serve.terminal import looks, loop
from sansi.serve.terminal.chat import Answered, answer
from sansi.serve.terminal.inputs import BatchLine
from sansi.serve.terminal.printers import PipePrinter
from sansi.text import Event, message_to_dict, read_messages

AT_ONCE = 256  # conversations given to the engine; it runs as many of them at a time as its batch holds


def read_request(body: Mapping[str, Any], model: str, system: str | None) -> ChatRequest:
    """A checked request. `system` goes before messages that have no system message of their own."""
    if body.get("model", model) != model:
        raise SansiError(f'"{body["model"]}" is not the model that runs, "{model}"; leave "model" out', param="model")
    messages = body.get("messages")
    if system and isinstance(messages, list) and not _has_system(messages):
        messages = [{"role": "system", "content": system}, *messages]
    given = {key: value for key, value in {**body, "messages": messages}.items() if value is not None}
    request = parse_chat_request({**given, "model": model})
    read_messages(request.messages)
    return request


def read_requests(
    lines: Sequence[BatchLine], flags: Mapping[str, Any], model: str, system: str | None
) -> list[ChatRequest]:
    """One request per line; what a line does not say, the flags do. Raises SansiError that names the line."""
    return [_read_line(line, flags, model, system) for line in lines]


def _read_line(line: BatchLine, flags: Mapping[str, Any], model: str, system: str | None) -> ChatRequest:
    try:
        return read_request({**flags, **line.body}, model, system)
    except SansiError as error:
        raise SansiError(f"line {line.number}: {error}", param=error.param) from error


def run_one(chat: ChatModel, request: ChatRequest, as_json: bool, show_thinking: bool | None) -> None:
    """Answer one question on standard output. The thought goes to standard error, by default if that is a terminal."""
    errors = looks.console(stderr=True)
    watched = errors.is_terminal if show_thinking is None else show_thinking
    printer = PipePrinter(_writer(sys.stdout), _thought_writer() if watched and not as_json else None)
    show: Callable[[Event], None] = (lambda event: None) if as_json else printer.show
    try:
        done = loop.run(answer(chat, read_messages(request.messages), request.options, show))
    finally:
        printer.end()
    if as_json:
        _print_json(sys.stdout, result_dict(chat.name, done, request.ignored))
        return
    for warning in done.result.report.warnings:
        errors.print(looks.printable(warning), style="note", soft_wrap=True)
    if watched:
        errors.print(looks.summary(done.result, done.timing.total), style="note", soft_wrap=True)


def run_batch(chat: ChatModel, lines: Sequence[BatchLine], requests: Sequence[ChatRequest]) -> int:
    """Answer all requests at once, one JSON line each, in order. Returns how many could not be answered."""
    out = sys.stdout  # before the progress bar, which puts itself in its place
    with progress_bar(chat.name, len(requests)) as bar:
        return loop.run(_answer_all(chat, lines, requests, out, bar))


async def _answer_all(
    chat: ChatModel, lines: Sequence[BatchLine], requests: Sequence[ChatRequest], out: TextIO, bar: Bar
) -> int:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(request: ChatRequest) -> dict[str, Any]:
        async with room:
            try:
                done = await answer(chat, read_messages(request.messages), request.options, lambda event: None)
                told = result_dict(chat.name, done, request.ignored)
            except SansiError as error:  # too long for the context, for example: the others go on
                told = response_bodies.error(str(error), param=error.param, code=error.code)
            bar.update()
            return told

    tasks = [asyncio.ensure_future(one(request)) for request in requests]
    failed = 0
    for line, task in zip(lines, tasks, strict=True):
        told = await task
        failed += "error" in told
        name = {} if line.custom_id is None else {"custom_id": line.custom_id}
        _print_json(out, {"line": line.number, **name, **told})
    return failed


def result_dict(model: str, done: Answered, ignored: Sequence[str] = ()) -> dict[str, Any]:
    """One answer in the names of the API, without the wrapping that a single answer has no use for."""
    message = message_to_dict(done.result.message)
    return {
        "model": model,
        "content": message["content"],
        "reasoning_content": message.get("reasoning_content"),
        "tool_calls": message.get("tool_calls", []),
        "finish_reason": done.result.finish_reason,
        "usage": done.usage,
        "sansi": done.report | {"ignored": list(ignored)},
    }


def _writer(file: TextIO) -> Callable[[str], None]:
    """Into a pipe goes what the model wrote; a terminal gets no control characters."""
    clean = looks.printable if file.isatty() else str

    def write(text: str) -> None:
        file.write(clean(text))
        file.flush()

    return write


def _thought_writer() -> Callable[[str], None]:
    errors = looks.console(stderr=True)
    return lambda text: errors.print(looks.printable(text), end="", style="thought", soft_wrap=True)


def _print_json(out: TextIO, value: Mapping[str, Any]) -> None:
    out.write(json.dumps(value, ensure_ascii=False) + "\n")
    out.flush()


def _has_system(messages: list[Any]) -> bool:
    return any(isinstance(message, Mapping) and message.get("role") == "system" for message in messages)
