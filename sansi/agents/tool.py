"""Tools: typed Python functions that a model may call. Whatever goes wrong in one becomes an observation."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, overload

from sansi.agents.context import ToolContext
from sansi.agents.destination import Destination
from sansi.agents.folder_watch import FolderWatch
from sansi.agents.observation import Observation, head_and_tail
from sansi.agents.running import observe, run_sync
from sansi.agents.schema import Schema, called_with_values, context_parameter, parameters_of, read_docstring
from sansi.agents.showing import shown_call
from sansi.base import SansiError
from sansi.text.schema import check_tool_schema, conform, parse_arguments

Effect = Literal["read", "write", "network", "execute"]
EFFECTS: tuple[Effect, ...] = ("read", "write", "network", "execute")
F = TypeVar("F", bound=Callable[..., Any])
MARK = "__sansi_tool__"
"""The attribute in which `@tool` keeps the fields of a method's tool until there is an object."""


@dataclass(frozen=True)
class Tool:
    """One callable tool. `Tool.from_function` fills everything from the function's annotations and docstring."""

    name: str
    description: str
    parameters: Schema
    """JSON schema of the arguments, of type "object"."""
    function: Callable[..., Any]
    """Called with the typed arguments as keywords: on a thread of its own, or on the run's loop if it is async."""
    timeout: float = 30.0
    """Seconds until the call is given up; `ToolContext.progress` begins them anew."""
    max_result_chars: int = 20_000
    """A longer result is cut to its head and tail, and the cut is stated."""
    effects: frozenset[Effect] = frozenset({"read"})
    """What it may do: "read" alone looks at things, "write" changes them, "network" reaches other machines, "execute"
    runs code."""
    origin: str = "python"
    """Who made it: "python", "built-in", "mcp:SERVER"."""
    title: str | None = None
    """Its name where it came from, for people."""
    polling: bool = False
    """Asking it the same again and again is what it is for: the loop breaker leaves it alone."""
    in_order: bool = False
    """Calls of such tools in one reply run one after the other, as they were written: each may need what the one before
    it did. All other calls run side by side."""
    tainted: bool = False
    """Its results are text of strangers: pages, documents, servers that nobody vouched for."""
    show: Callable[[Mapping[str, Any]], str] | None = field(default=None, repr=False, compare=False)
    """How a question for approval shows a call: the whole command, the diff, the address. None: the arguments."""
    destination: Callable[[Mapping[str, Any]], Destination] | None = field(default=None, repr=False, compare=False)
    """Where on the network a call leads, for its question. Raises SansiError for a call that can not be made."""
    watch: FolderWatch | None = field(default=None, repr=False, compare=False)
    """Of folders that it may read and write: text of strangers in files stays theirs."""
    takes_context: str | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.name):
            raise SansiError(f'tool name "{self.name}" must be 1-64 letters, digits, "_" or "-"', param="name")
        if not self.description.strip():
            raise SansiError(f'tool "{self.name}" has no description; the model needs one (a docstring will do)')
        if not (self.timeout > 0 and math.isfinite(self.timeout)):
            raise SansiError(f'tool "{self.name}": timeout must be over 0 seconds, not {self.timeout}', param="timeout")
        if self.max_result_chars < 1:
            raise SansiError(f'tool "{self.name}": max_result_chars must be at least 1', param="max_result_chars")
        object.__setattr__(self, "effects", _effects(self.effects, self.name))
        check_tool_schema(self.parameters, f'tool "{self.name}": parameters')
        if self.parameters.get("type") != "object":
            raise SansiError(f'tool "{self.name}": the schema of the parameters must have type "object"')
        object.__setattr__(self, "takes_context", context_parameter(self.function))

    @classmethod
    def from_function(cls, function: Callable[..., Any], **fields: Any) -> Tool:
        """A tool from a function, sync or async, whose parameters are annotated.

        The docstring's text before "Args:" describes the tool; its "Args:" entries (`name: text`) describe the
        parameters, as do NumPy's "Parameters" and ":param name:". `fields` are further fields of Tool (timeout,
        effects, ...) and win over what the function says.
        Raises SansiError for a parameter without annotation, one that JSON can not carry, `*args` or `**kwargs`.
        """
        fields = {**getattr(function, MARK, {}), **fields}
        name = fields.pop("name", getattr(function, "__name__", "tool"))
        summary, notes = read_docstring(inspect.getdoc(function) or "")
        fields.setdefault("description", summary)
        if "parameters" not in fields:
            fields["parameters"] = parameters_of(function, name, notes)
            function = called_with_values(function, name)
        return cls(name=name, function=function, **fields)

    @property
    def spec(self) -> dict[str, Any]:
        """The entry of the OpenAI `tools` list."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    def read(self, arguments: str) -> dict[str, Any]:
        """The arguments that the model wrote, typed by the schema. Raises SansiError for what can not be run."""
        return conform(self.parameters, parse_arguments(arguments))

    def shown(self, arguments: Mapping[str, Any]) -> str:
        """A call as people see it before they approve it."""
        return shown_call(self, arguments)

    def call(self, arguments: str, context: ToolContext | None = None) -> Observation:
        """Check and run one call. `arguments` is the JSON text that the model wrote. Never raises."""
        return run_sync(self.acall(arguments, context))

    async def acall(self, arguments: str, context: ToolContext | None = None) -> Observation:
        """As `call`, without blocking. Cancelling it tells the tool by its context, and waits for it no longer."""
        try:
            typed = self.read(arguments)
        except SansiError as error:
            return Observation(invalid_arguments(error, self), "invalid_arguments")
        whole = await self.run(typed, context)
        return whole.with_text(head_and_tail(whole.text, self.max_result_chars, "{cut} characters left out"))

    async def run(
        self, typed: Mapping[str, Any], context: ToolContext | None = None, timeout: float | None = None
    ) -> Observation:
        """Run with arguments that `read` has typed, for at most `timeout` seconds where that is less than the tool's
        own. The text is whole. Never raises, but for a cancellation from outside."""
        within = self.timeout if timeout is None else min(timeout, self.timeout)
        context = context or ToolContext(room=self.max_result_chars)
        if self.watch is None:
            return await observe(self, typed, context, within)
        return await self.watch.observe(self, context, lambda: observe(self, typed, context, within))


def invalid_arguments(error: object, tool: Tool) -> str:
    """The observation of a call that does not fit: what is wrong, and what the tool takes."""
    schema = json.dumps(tool.parameters, ensure_ascii=False)
    return f"error: not executed: {error}. The arguments of {tool.name} must fit this schema: {schema}"


def _effects(given: Iterable[Any], name: str) -> frozenset[Effect]:
    effects = frozenset({given} if isinstance(given, str) else given)
    unknown = sorted(map(str, effects - set(EFFECTS)))
    if unknown:
        raise SansiError(f'tool "{name}": unknown effect "{unknown[0]}"; known: {", ".join(EFFECTS)}', param="effects")
    return effects


@overload
def tool(function: F) -> Tool: ...
@overload
def tool(**fields: Any) -> Callable[[Callable[..., Any]], Any]: ...
def tool(function: Any = None, **fields: Any) -> Any:
    """Make a function a Tool: `@tool`, or `@tool(timeout=5, effects={"write"})`.

    On a method it marks the method, which stays one; `tools_of(object)` makes the tools of an object's marked methods,
    which share its state. Raises SansiError as `Tool.from_function` does.
    """
    if function is None:
        return lambda decorated: tool(decorated, **fields)
    if _is_method(function):
        setattr(function, MARK, fields)
        return function
    return Tool.from_function(function, **fields)


def _is_method(function: Any) -> bool:
    """Whether a function that is being defined stands in a class: its first parameter is `self`, without annotation."""
    parameters = list(inspect.signature(function).parameters.values())
    return bool(parameters) and parameters[0].name == "self" and parameters[0].annotation is inspect.Parameter.empty


def tools_of(holder: object, **fields: Any) -> list[Tool]:
    """The tools of an object whose class marks methods with `@tool`; `fields` hold for all of them.

    Raises SansiError where there is none.
    """
    marked = [getattr(holder, name) for name in dir(type(holder)) if hasattr(getattr(type(holder), name, None), MARK)]
    if not marked:
        raise SansiError(f"{type(holder).__name__} has no method with @tool")
    marked.sort(key=lambda method: method.__code__.co_firstlineno)
    return [Tool.from_function(method, **{**getattr(method, MARK), **fields}) for method in marked]
