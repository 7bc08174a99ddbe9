"""Asking what an MCP server wants to know in the middle of a call: a form field by field, or a page to visit."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from sansi.agents.forms import Action, Field, Question, Reply
from sansi.agents.showing import visible
from sansi.base.errors import SansiError
from sansi.serve.terminal.agent.question import KeyReader

BOUNDS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "format": "format: {}",
    "pattern": "must match {}",
}
WHAT = {"number": "a number", "integer": "a whole number", "boolean": "yes or no", "choices": "several, with commas"}
EDIT = {"e": "edit"}
FILL, SEND, VISITED = {"f": "fill in"}, {"s": "send", **EDIT}, {"v": "I have visited it"}
LEAVE: dict[str, Action] = {"d": "decline", "c": "cancel"}


def fill(console: Console, question: Question, keys: KeyReader) -> Reply:
    """The user's reply. Raises KeyboardInterrupt where the user stops the run instead."""
    console.print()
    _say(console, f"? MCP server {question.server} asks you something, and the call waits for it:", "bold yellow")
    _say(console, "\n".join(f"  │ {line}" for line in visible(question.message).split("\n")))
    if question.schema is None:
        return _visited(console, question.url or "", keys)
    pressed = _key(keys, FILL)
    while pressed not in LEAVE:
        reply = _filled(console, question, keys)
        if reply is not None:
            _say(console, f"  {json.dumps(dict(reply.content), ensure_ascii=False)}")
        pressed = _key(keys, SEND if reply is not None else EDIT)
        if reply is not None and pressed == "s":
            return reply
    return Reply(LEAVE[pressed])


def _visited(console: Console, url: str, keys: KeyReader) -> Reply:
    """A page is never opened for the user: whose it is has to be looked at first."""
    host = urlsplit(url).hostname or "(no host)"
    _say(console, f"  It wants you to visit a page of {visible(host)}, which is not opened for you:")
    _say(console, f"    {visible(url)}", "bold")
    pressed = _key(keys, VISITED)
    return Reply(LEAVE.get(pressed, "accept"))


def _filled(console: Console, question: Question, keys: KeyReader) -> Reply | None:
    """What was typed, field by field; None where it does not fit as a whole."""
    given = {each.name: _read(console, each, keys) for each in question.fields}
    try:
        return question.fitted(Reply("accept", given))
    except SansiError as error:
        _say(console, f"  {error}", "error")
        return None


def _read(console: Console, wanted: Field, keys: KeyReader) -> Any:
    """One field, until it fits."""
    _say(console, f"  {visible(wanted.title)}{_facts(wanted)}")
    if wanted.description:
        _say(console, f"    {visible(wanted.description)}", "note")
    for number, (value, name) in enumerate(wanted.options, 1):
        _say(console, f"    {number}. {visible(name)}" + ("" if str(value) == name else f" ({visible(str(value))})"))
    while True:
        try:
            return wanted.read(keys.line("  › "))
        except SansiError as error:
            _say(console, f"    {error}", "error")


def _facts(wanted: Field) -> str:
    """What may be typed, and what leaving it empty comes to."""
    items = wanted.schema.get("items")
    told = [WHAT.get(wanted.kind, "")]
    told += [words.format(wanted.schema[key]) for key, words in BOUNDS.items() if key in wanted.schema]
    if wanted.default is not None:
        told.append(f"empty: {json.dumps(wanted.default, ensure_ascii=False)}")
    elif not wanted.required:
        told.append("may be left empty")
    if wanted.kind == "choices" and not wanted.options and isinstance(items, dict):
        told.append(f"each {items.get('type', 'text')}")
    told = [visible(fact) for fact in told if fact]
    return f" ({'; '.join(told)})" if told else ""


def _key(keys: KeyReader, offered: dict[str, str]) -> str:
    legend = "  ".join(f"[{key}] {word}" for key, word in {**offered, **LEAVE}.items())
    return keys.key(f"  {legend}, then Enter  › ", {**offered, **LEAVE})


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style), soft_wrap=True)
