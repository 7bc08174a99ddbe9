"""What `sansi run` is asked: from its arguments, a pipe, or a file of JSON lines. No torch."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import WRITTEN, read_json
from sansi.base.shown import show
from sansi.base.strict_json import parse_json

NOT_IN_A_BATCH = ("stream", "stream_options", "n")
NOT_TOLD = ("logprobs", "top_logprobs", "return_token_ids")  # a line of the output has no place for them
WRAPPING = ("custom_id", "method", "url", "body")  # a line of OpenAI's batch files


@dataclass(frozen=True)
class BatchLine:
    """One line of a batch: a request body without its model, and the caller's name for it."""

    number: int
    """From 1."""
    body: dict[str, Any]
    custom_id: str | None = None


def question(prompt: str | None) -> str:
    """The prompt, then what is piped in. Raises SansiError where there is neither."""
    reads = prompt in (None, "-") or _is_piped()
    parts = [None if prompt == "-" else prompt, read_stdin() if reads else None]
    text = "\n\n".join(part.strip("\n") for part in parts if part and part.strip())
    if not text:
        raise SansiError("nothing to ask: give a PROMPT, or pipe a text in")
    return text


def read_stdin() -> str:
    """All of standard input, "" where it is a terminal. Raises SansiError where it is no UTF-8."""
    try:
        raw = b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read()
    except (OSError, ValueError):  # it is closed
        raw = b""
    return _decoded(raw, "standard input")


def read_batch(file: str) -> list[BatchLine]:
    """The lines of a JSONL file ("-": standard input); empty ones are skipped. Raises SansiError with the line."""
    if file == "-":
        name, text = "standard input", read_stdin()
    else:
        name, text = file, _decoded(_bytes_of(file), file)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise SansiError(f"{name} holds no lines")
    return [_batch_line(number, line, f"{name}, line {number}") for number, line in lines]


def read_schema(file: str) -> dict[str, Any]:
    """The `response_format` for a file that holds a JSON schema."""
    schema = read_json(Path(file), WRITTEN)
    if not isinstance(schema, dict):
        raise SansiError(f"{file}: a JSON schema is an object, not {show(schema)}")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _batch_line(number: int, line: str, where: str) -> BatchLine:
    try:
        value = parse_json(line)
    except (ValueError, RecursionError) as error:
        raise SansiError(f"{where}: not valid JSON: {error}") from error
    value = {"prompt": value} if isinstance(value, str) else value
    if not isinstance(value, Mapping):
        raise SansiError(f'{where}: must be a text, or an object with "messages" or "prompt"')
    custom_id = value.get("custom_id")
    if custom_id is not None and not isinstance(custom_id, str):
        raise SansiError(f"{where}: custom_id must be a text, not {show(custom_id)}")
    return BatchLine(number, _body(_unwrapped(value, where), where), custom_id)


def _unwrapped(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    if "body" not in value:
        return {key: item for key, item in value.items() if key != "custom_id"}
    if unknown := [key for key in value if key not in WRAPPING]:
        raise SansiError(f'{where}: beside "body" there may be custom_id, method and url, not "{unknown[0]}"')
    if value.get("url", "/v1/chat/completions") != "/v1/chat/completions" or not isinstance(value["body"], Mapping):
        raise SansiError(f"{where}: only bodies for /v1/chat/completions can be run")
    return dict(value["body"])


def _body(body: dict[str, Any], where: str) -> dict[str, Any]:
    if "prompt" in body:
        if "messages" in body or not isinstance(body["prompt"], str):
            raise SansiError(f'{where}: give "prompt", a text, or "messages"')
        body["messages"] = [{"role": "user", "content": body.pop("prompt")}]
    for name in NOT_IN_A_BATCH:
        if body.get(name) is True or body.get(name) not in (None, False, 1):
            raise SansiError(f'{where}: "{name}" has no meaning here; each line gets one answer, whole')
        body.pop(name, None)
    for name in NOT_TOLD:
        if body.get(name):
            raise SansiError(f'{where}: "{name}" is told by the server alone; see sansi serve', param=name)
    return body


def _is_piped() -> bool:
    """Whether standard input is a pipe or a file; a terminal, /dev/null, or none at all is not read unasked."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _bytes_of(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise SansiError(f"{file}: cannot be read: {error.strerror or error}") from error


def _decoded(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SansiError(f"{name} is not UTF-8 text (byte {error.start})") from error
