"""What a tool, or the MCP server behind it, asks the user in the middle of a call: a form, or a page to visit.

A form is an object of flat fields, as MCP's elicitation has it: texts, numbers, booleans, one or several of a list.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.client.chat_client import on_thread
from sansi.text.schema import conform

Q = TypeVar("Q")
Action = Literal["accept", "decline", "cancel"]
ACTIONS: tuple[Action, ...] = get_args(Action)
Kind = Literal["text", "number", "integer", "boolean", "choice", "choices"]
YES, NO = ("yes", "y", "true", "on", "1"), ("no", "n", "false", "off", "0")


@dataclass(frozen=True)
class Question:
    """Something that the user is asked in the middle of a call."""

    server: str
    """Who asks: an MCP server's name."""
    message: str
    schema: dict[str, Any] | None = None
    """Of the form to fill in: JSON schema of an object whose members are texts, numbers, booleans or choices."""
    url: str | None = None
    """A page for the user to visit, instead of a form. It is the server's word: show it whole before it is opened."""
    id: str = ""
    """Under which it is answered."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The form's fields in the server's order; none where a page is to be visited."""
        properties = (self.schema or {}).get("properties")
        required = (self.schema or {}).get("required") or ()
        members = properties.items() if isinstance(properties, Mapping) else ()
        return tuple(_field(str(n), s if isinstance(s, Mapping) else {}, n in required) for n, s in members)

    def fitted(self, reply: Reply) -> Reply:
        """The reply with the form's defaults for what was left out. Raises SansiError for values that do not fit it."""
        if reply.action != "accept" or self.schema is None:
            return Reply(reply.action)
        defaults = {each.name: each.schema["default"] for each in self.fields if "default" in each.schema}
        given = {name: value for name, value in reply.content.items() if value is not None}
        known = [each.name for each in self.fields]
        for name in given:
            if known and name not in known:
                raise SansiError(f'the form has no field "{name!s:.60}"{did_you_mean(name, known)}', param="content")
        content = conform({"type": "object", **self.schema}, {**defaults, **given}, "the form")
        return Reply("accept", content)


@dataclass(frozen=True)
class Field:
    """One field of a form."""

    name: str
    kind: Kind
    schema: Mapping[str, Any]
    required: bool = False
    options: tuple[tuple[Any, str], ...] = ()
    """Of a choice: what may be chosen, and how it is called."""

    @property
    def title(self) -> str:
        return str(self.schema.get("title") or self.name)

    @property
    def description(self) -> str:
        return str(self.schema.get("description") or "")

    @property
    def default(self) -> Any:
        return self.schema.get("default")

    def read(self, text: str) -> Any:
        """What a user typed as the field's value; None: left empty. Raises SansiError for what does not fit."""
        text = text.strip()
        if not text:
            if self.required and self.default is None:
                raise SansiError(f"“{self.title}” must be filled in", param=self.name)
            return self.default
        if self.kind == "choice":
            value: Any = self._option(text)
        elif self.kind == "choices":
            value = [self._option(part.strip()) for part in text.split(",") if part.strip()]
        else:
            value = self._boolean(text) if self.kind == "boolean" else text
        form = {"type": "object", "properties": {self.name: dict(self.schema)}}
        return conform(form, {self.name: value}, "that")[self.name]

    def _option(self, text: str) -> Any:
        """By its number, its value or its name."""
        for value, name in self.options:
            if text in (str(value), name):
                return value
        if text.isascii() and text.isdecimal() and 1 <= int(text) <= len(self.options):
            return self.options[int(text) - 1][0]
        names = [str(value) for value, _ in self.options]
        raise SansiError(f"“{self.title}” has no choice “{text:.60}”{did_you_mean(text, names)}", param=self.name)

    def _boolean(self, text: str) -> bool:
        word = text.lower()
        if word not in (*YES, *NO):
            raise SansiError(f"“{self.title}” is yes or no, not “{text:.60}”", param=self.name)
        return word in YES


@dataclass(frozen=True)
class Reply:
    """What the user says: accept with the form's values, decline, or cancel (no choice was made)."""

    action: Action
    content: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise SansiError(
                f"an answer is {self.action!r:.60}{did_you_mean(str(self.action), ACTIONS)}", param="action"
            )
        if not isinstance(self.content, Mapping):
            raise SansiError(f"the content of an answer is an object, not {self.content!r:.60}", param="content")

    @classmethod
    def read(cls, given: object) -> Reply:
        """From a Reply, one of its words, or a mapping with its fields. Raises SansiError for anything else."""
        if isinstance(given, Reply):
            return given
        if isinstance(given, str):
            return cls(given)  # type: ignore[arg-type]
        if isinstance(given, Mapping) and "action" in given:
            known = [each.name for each in dataclasses.fields(cls)]
            for name in given:
                if name not in known:
                    raise SansiError(
                        f'an answer has no field "{name!s:.60}"{did_you_mean(name, known)}', param="answer"
                    )
            return cls(**given)
        raise SansiError(
            f'the answer to a form is {{"action": "accept", "decline" or "cancel", "content": …}}, not {given!r:.60}',
            param="answer",
        )


Ask: TypeAlias = Callable[[Question], "Reply | Awaitable[Reply]"]
"""Asks the user. A plain function is called on a thread of its own, so that it may wait for somebody."""


async def reply_to(ask: Ask, question: Question) -> Reply:
    """What the user says, with the form's defaults. Raises SansiError for a reply that is none, or does not fit."""
    return question.fitted(Reply.read(await said_to(ask, question)))


async def said_to(ask: Callable[[Q], Any], question: Q) -> Any:
    """What whoever is asked says, as it is, without blocking the loop of events: one that is not async gets a thread
    of its own."""
    if inspect.iscoroutinefunction(ask) or inspect.iscoroutinefunction(type(ask).__call__):
        return await ask(question)
    said = await on_thread(lambda: ask(question), "ask")
    return await said if inspect.isawaitable(said) else said


def _field(name: str, schema: Mapping[str, Any], required: bool) -> Field:
    options = _options(schema)
    if options:
        return Field(name, "choice", schema, required, options)
    items = schema.get("items")
    if schema.get("type") == "array":
        return Field(name, "choices", schema, required, _options(items if isinstance(items, Mapping) else {}))
    kinds: dict[object, Kind] = {"integer": "integer", "number": "number", "boolean": "boolean"}
    kind = schema.get("type")
    return Field(name, kinds.get(kind, "text") if isinstance(kind, str) else "text", schema, required)


def _options(schema: Mapping[str, Any]) -> tuple[tuple[Any, str], ...]:
    """By `enum`, with `enumNames` beside it, or by alternatives with `const` and `title`."""
    values = schema.get("enum")
    if isinstance(values, list):
        names = schema.get("enumNames")
        names = names if isinstance(names, list) and len(names) == len(values) else values
        return tuple((value, str(name)) for value, name in zip(values, names, strict=True))
    for key in ("oneOf", "anyOf"):
        members = schema.get(key)
        if isinstance(members, list) and all(isinstance(each, Mapping) and "const" in each for each in members):
            return tuple((each["const"], str(each.get("title") or each["const"])) for each in members)
    return ()
