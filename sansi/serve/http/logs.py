"""What the server writes down: a line for each request, without what was asked and answered unless that is wanted."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from sansi.chat import ChatResult, TextResult
from sansi.serve.http.request_log import Record
from sansi.text import message_to_dict

FORMATS = ("text", "json", "off")
MAX_PATH = 256  # characters; a client may ask for any
log = logging.getLogger("sansi.requests")


def configure(form: str, stream: Any = None) -> None:
    """Send the log of this process to standard error, in one of FORMATS. "off" leaves warnings and errors."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers, root.level = [handler], logging.WARNING
    for written in (log, logging.getLogger("sansi.mcp")):
        written.setLevel(logging.WARNING if form == "off" else logging.INFO)


def write(record: Record, with_text: bool) -> None:
    """One line for a request that has ended. What only looks at the server is not worth one, unless it fails."""
    if record.status < 400 and record.model is None:
        return
    log.info("request", extra={"fields": fields_of(record, with_text)})


def fields_of(record: Record, with_text: bool) -> dict[str, Any]:
    fields = {
        "id": record.id,
        "method": record.method,
        "path": record.path[:MAX_PATH],
        "status": record.status,
        "error": record.error,
        "key": record.key,
        "model": record.model,
        "stream": record.stream or None,
        **_answers(record),
        "first_token_s": _rounded(record.first_token),
        "total_s": _rounded(record.seconds),
        **record.labels,
    }
    if with_text and record.asked is not None:
        fields["asked"] = record.asked
        fields["answered"] = [_said(result) for result in record.results]
    return {name: value for name, value in fields.items() if value is not None}


def _answers(record: Record) -> dict[str, Any]:
    """Sums over the answers of a request; it has several where n > 1."""
    results = record.results
    if not results:
        return {}
    first = results[0]
    return {
        "mode": first.report.mode,
        "prompt_tokens": first.usage.prompt_tokens,
        "cached_tokens": first.usage.cached_tokens,
        "thinking_tokens": sum(result.usage.reasoning_tokens for result in results),
        "completion_tokens": sum(result.usage.completion_tokens for result in results),
        "thinking_end": first.report.thinking_end_reason,
        "finish": ",".join(result.finish_reason for result in results),
    }


def _said(result: ChatResult | TextResult) -> Any:
    return message_to_dict(result.message) if isinstance(result, ChatResult) else result.text


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


class _Text(logging.Formatter):
    """`2026-01-31T12:00:00 INFO request id=… status=200 …`; a value that is no plain word is in JSON."""

    def format(self, record: logging.LogRecord) -> str:
        words = [f"{name}={_word(value)}" for name, value in _fields(record).items()]
        head = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')} {record.levelname} {record.getMessage()}"
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return " ".join([head, *words]) + trace


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"), "level": record.levelname.lower()}
        line |= {"message": record.getMessage(), **_fields(record)}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return _dumped(line)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return getattr(record, "fields", {})


def _word(value: Any) -> str:
    plain = isinstance(value, str) and value and value.isprintable() and not any(c in ' "=' for c in value)
    return value if plain else _dumped(value)


def _dumped(value: Any) -> str:
    """JSON that is one line of a terminal, whatever a client or a model wrote."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if text.isprintable() else json.dumps(value, default=str)
