"""Tools: typed Python functions that a model may call. Whatever goes wrong in one becomes an observation."""

from __future__ import annotations

import contextvars
import inspect
import json
import math
import re
import threading
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sansi.agents.schema import Schema, schema_of
from sansi.base import SansiError
from sansi.text.schema import check_tool_schema, conform, parse_arguments

Status = Literal["ok", "error", "invalid_arguments", "unknown_tool", "denied", "timeout", "not_executed"]
Approve = Callable[[str, Mapping[str, Any]], bool]
"""Asked before every call with the tool's name and its typed arguments; False means that the call is not made."""


@dataclass(frozen=True)
class Observation:
    """What the model is told about one call, and what became of it."""

    text: str
    status: Status

    def __post_init__(self) -> None:
        # Half of a surrogate pair, from a tool or quoted from the model, can be neither sent nor encoded.
        object.__setattr__(self, "text", self.text.encode("utf-8", "replace").decode("utf-8"))


@dataclass(frozen=True)
class Tool:
    """One callable tool. `Tool.from_function` fills everything from the function's annotations and docstring."""

    name: str
    description: str
    parameters: Schema
    """JSON schema of the arguments, of type "object"."""
    function: Callable[..., Any]
    """Called with the typed arguments as keywords, on a thread of its own."""
    timeout: float = 30.0
    """Seconds until the call is given up."""
    approve: Approve | None = None
    """Asked before every call; None approves all of them."""
    max_result_chars: int = 20_000
    """A longer result is cut, and the cut is stated."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.name):
            raise SansiError(f'tool name "{self.name}" must be 1-64 letters, digits, "_" or "-"', param="name")
        if not self.description.strip():
            raise SansiError(f'tool "{self.name}" has no description; the model needs one (a docstring will do)')
        if not (self.timeout > 0 and math.isfinite(self.timeout)):
            raise SansiError(f'tool "{self.name}": timeout must be over 0 seconds, not {self.timeout}', param="timeout")
        if self.max_result_chars < 1:
            raise SansiError(f'tool "{self.name}": max_result_chars must be at least 1', param="max_result_chars")
        check_tool_schema(self.parameters, f'tool "{self.name}": parameters')
        if self.parameters.get("type") != "object":
            raise SansiError(f'tool "{self.name}": the schema of the parameters must have type "object"')

    @classmethod
    def from_function(cls, function: Callable[..., Any], **fields: Any) -> Tool:
        """A tool from a function whose parameters are annotated.

        The docstring's text before "Args:" describes the tool; its "Args:" entries (`name: text`) describe the
        parameters. `fields` are further fields of Tool (timeout, approve, ...) and win over what the function says.
        Raises SansiError for a parameter without annotation, one that JSON can not carry, `*args` or `**kwargs`.
        """
        name = fields.pop("name", getattr(function, "__name__", "tool"))
        summary, notes = _read_docstring(inspect.getdoc(function) or "")
        fields.setdefault("description", summary)
        fields.setdefault("parameters", _parameters(function, name, notes))
        return cls(name=name, function=function, **fields)

    @property
    def spec(self) -> dict[str, Any]:
        """The entry of the OpenAI `tools` list."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    def call(self, arguments: str) -> Observation:
        """Check, approve and run one call. `arguments` is the JSON text that the model wrote. Never raises."""
        try:
            typed = conform(self.parameters, parse_arguments(arguments))
        except SansiError as error:
            return Observation(f"error: {error}", "invalid_arguments")
        refusal = self._refusal(typed)
        return refusal or self._run(typed)

    def _refusal(self, typed: dict[str, Any]) -> Observation | None:
        if self.approve is None:
            return None
        try:
            approved = self.approve(self.name, typed)
        except Exception as error:  # an approval that fails is not an approval
            return Observation(f"error: the call was not made: asking for approval failed ({error!r})", "denied")
        return None if approved is True else Observation("error: the user did not approve this call", "denied")

    def _run(self, typed: dict[str, Any]) -> Observation:
        """Run on a daemon thread: Python can not stop a thread, so a late one goes on, and its result is dropped."""
        outcome: list[Observation] = []
        context = contextvars.copy_context()

        def work() -> None:
            outcome.append(context.run(self._observe, typed))

        thread = threading.Thread(target=work, name=f"tool-{self.name}", daemon=True)
        thread.start()
        thread.join(min(self.timeout, threading.TIMEOUT_MAX))
        return outcome[0] if outcome else Observation(f"error: no result within {self.timeout:g} s", "timeout")

    def _observe(self, typed: dict[str, Any]) -> Observation:
        try:
            return Observation(self._cut(_as_text(self.function(**typed))), "ok")
        except BaseException as error:  # also SystemExit: a tool must not end the program
            reason = str(error) if isinstance(error, SansiError) else f"{type(error).__name__}: {error}"
            return Observation(self._cut(f"error: {reason}"), "error")

    def _cut(self, text: str) -> str:
        left_out = len(text) - self.max_result_chars
        return text if left_out <= 0 else f"{text[: self.max_result_chars]}\n[cut: {left_out} more characters]"


def _as_text(result: Any) -> str:
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)


def _parameters(function: Callable[..., Any], name: str, notes: dict[str, str]) -> Schema:
    if inspect.iscoroutinefunction(function):
        raise SansiError(f'tool "{name}": async functions are not supported; wrap it in asyncio.run')
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise SansiError(f'tool "{name}": an annotation can not be resolved: {error}') from error
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        where = f'tool "{name}", parameter "{parameter.name}"'
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise SansiError(f"{where}: it can not be given by name; *args, **kwargs and positional-only do not work")
        if parameter.name not in hints:
            raise SansiError(f"{where}: it has no annotation, and the schema is made from annotations")
        properties[parameter.name] = _property(parameter, hints[parameter.name], notes.get(parameter.name), where)
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    unknown = sorted(notes.keys() - properties.keys())
    if unknown:
        raise SansiError(f'tool "{name}": the docstring describes {", ".join(unknown)}, which it does not take')
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _property(parameter: inspect.Parameter, hint: Any, note: str | None, where: str) -> Schema:
    schema = schema_of(hint, where)
    if note:
        schema["description"] = note
    if parameter.default is not parameter.empty and _is_json(parameter.default):
        schema["default"] = parameter.default
    return schema


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description, and the entries of the "Args:" section by name."""
    parts = re.split(r"^Args:\s*$", text, maxsplit=1, flags=re.MULTILINE)
    notes: dict[str, str] = {}
    section = re.split(r"^\S", parts[1], maxsplit=1, flags=re.MULTILINE)[0] if len(parts) > 1 else ""
    indent, name = None, None
    for line in filter(str.strip, section.splitlines()):
        depth = len(line) - len(line.lstrip())
        indent = depth if indent is None else indent
        entry = re.match(r"\s*(\w+)\s*(?:\([^)]*\))?:\s*(.*)", line) if depth == indent else None
        if entry:
            name = entry[1]
            notes[name] = entry[2].strip()
        elif name:
            notes[name] = f"{notes[name]} {line.strip()}".strip()
    return parts[0].strip(), notes
