"""Grammars over a codec's vocabulary: the engine knows ids only, so the bytes behind them come from here.

Which grammar a request gets, by its tools (and the choice among them) and by its response format:

| tool choice           | text                     | "json_object", "json_schema"              |
|-----------------------|--------------------------|-------------------------------------------|
| no tools, or "none"   | none                     | the JSON text                             |
| "auto"                | none; calls bound to     | the JSON text, or calls, bound to their   |
|                       | their schemas if a tool  | schemas                                   |
|                       | is strict; one call if   |                                           |
|                       | not parallel             |                                           |
| "required", or a name | calls, bound to their schemas; no text, whatever its format          |

"regex" binds the answer as JSON does where no calls may come, and is refused under "auto".

The engine arms a grammar once the thought is closed, so thinking is free under each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import show
from sansi.engine import Grammar, GrammarCompiler
from sansi.engine.json_schema import Unsupported
from sansi.text import ChatCodec

FORMATS = ("text", "json_object", "json_schema", "regex")
CHOICES = ("auto", "none", "required")
ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
UNTAGGED = (
    'this model writes its calls without tags, so they can not be bound: leave out "strict", a tool_choice that '
    "forces a call, parallel_tool_calls and response_format beside tools"
)
NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


def grammar_compiler(codec: ChatCodec) -> GrammarCompiler:
    """A compiler for the codec's ids; added tokens are in no text. Make one per model and keep it: it caches."""
    tokenizer = codec.tokenizer
    pieces = [tokenizer.token_bytes(id_) for id_ in range(tokenizer.vocab_size)]
    return GrammarCompiler(pieces, codec.stop_ids[0], list(tokenizer.added.values()))


class Grammars:
    """Makes the grammars of one model's requests. Safe to use from several threads."""

    def __init__(self, codec: ChatCodec):
        self._compiler = grammar_compiler(codec)
        self._tags = codec.call_tags

    def of(
        self,
        tools: Sequence[Mapping[str, Any]],
        tool_choice: str = "auto",
        parallel: bool = True,
        response_format: Mapping[str, Any] | None = None,
    ) -> Grammar | None:
        """The grammar of the answer, None where it is free; `tools` have been read by the codec.

        Raises SansiError that names the field for a schema that cannot be compiled.
        """
        expression = _read_expression(response_format)
        form = None if expression is not None else _read_format(response_format)
        offered = {function["name"]: function for function in (tool.get("function") or tool for tool in tools)}
        check_tool_choice(tool_choice, offered)
        strict = {name for i, name in enumerate(offered) if self._is_strict(offered[name], i)}
        if expression is not None and (not offered or tool_choice in ("auto", "none")):
            return self._expression(expression, bool(offered) and tool_choice == "auto")
        if not offered or tool_choice == "none":
            return None if form is None else self._json(*form)
        forced = tool_choice != "auto"
        if not forced and parallel and not strict and form is None:
            return None
        if self._tags is None:
            raise SansiError(UNTAGGED, param="tools" if strict else "tool_choice" if forced else "parallel_tool_calls")
        if form is not None:
            self._json(*form)  # what is wrong with it is not the tools' fault
        schema, lenient = form if form is not None else (None, False)
        named = tool_choice not in CHOICES
        chosen = [tool_choice] if named else list(offered)
        bound = strict if len(chosen) > 1 else chosen
        parameters = {name: self._arguments(offered[name], name in bound) for name in chosen}
        choice: Any = "required" if forced else "auto"
        try:
            return self._compiler.tool_calls(
                parameters, *self._tags, choice, parallel and not named, None if forced else schema, lenient
            )
        except SansiError as error:
            raise _of_a_tool(error, list(offered)) from error

    def _arguments(self, function: Mapping[str, Any], bound: bool) -> Mapping[str, Any]:
        """The schema that a grammar knows of a tool's arguments. One that no grammar can be made of, of a tool that
        is neither strict nor the only one, fails no request: its calls are checked once they are written."""
        schema = _parameters(function)
        try:
            self._compiler.check(schema, "object", lenient=True)
        except SansiError:
            return schema if bound else ANY_OBJECT
        return schema

    def _expression(self, expression: str, with_calls: bool) -> Grammar:
        if with_calls:
            reason = (
                'response_format binds the whole answer, calls included; leave out tools, or set tool_choice "none"'
            )
            raise SansiError(reason, param="response_format")
        return _named(lambda: self._compiler.regex(expression), "response_format.regex")

    def _json(self, schema: Mapping[str, Any], lenient: bool) -> Grammar:
        where = "response_format.json_schema.schema"
        return _named(lambda: self._compiler.json_schema(schema, lenient), where)

    def _is_strict(self, function: Mapping[str, Any], index: int) -> bool:
        """Whether a tool is strict. Then nothing of its schema may be beyond what the grammar can hold the model to."""
        where = f"tools[{index}].function"
        strict = function.get("strict")
        if strict not in (None, True, False):
            raise SansiError(f"{where}.strict must be true or false, not {show(strict)}", param=f"{where}.strict")
        if strict:
            _named(lambda: self._compiler.check(_parameters(function), "object"), f"{where}.parameters")
        return bool(strict)


def check_tool_choice(choice: Any, offered: Mapping[str, Any]) -> None:
    """Raise SansiError unless `choice` is one of CHOICES, or the name of an offered tool."""
    known = list(dict.fromkeys([*CHOICES, *offered]))
    if choice not in known:
        raise SansiError(f"tool_choice is {show(choice)}{did_you_mean(str(choice), known)}", param="tool_choice")
    if choice == "required" and not offered:
        raise SansiError('tool_choice is "required", but there are no tools; give some', param="tool_choice")


def _read_format(value: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], bool] | None:
    """(schema, whether it is read leniently) of a response format; None where the text is free."""
    if value is None:
        return None
    where = "response_format"
    if not isinstance(value, Mapping):
        raise SansiError(f"{where} must be an object, not {show(value)}", param=where)
    kind = value.get("type")
    if kind not in FORMATS:
        raise SansiError(f"{where}.type is {show(kind)}{did_you_mean(str(kind), FORMATS)}", param=f"{where}.type")
    _only_keys(value, where, ("type", "json_schema") if kind == "json_schema" else ("type",))
    if kind == "text":
        return None
    return (ANY_OBJECT, False) if kind == "json_object" else _read_schema(value.get("json_schema"))


def _read_expression(value: Mapping[str, Any] | None) -> str | None:
    """What the text must match from start to end; None where the format is another."""
    if not isinstance(value, Mapping) or value.get("type") != "regex":
        return None
    where = "response_format"
    _only_keys(value, where, ("type", "regex"))
    expression = value.get("regex")
    if not isinstance(expression, str) or not expression:
        raise SansiError(f"{where}.regex must be an expression, not {show(expression)}", param=f"{where}.regex")
    return expression


def _read_schema(value: Any) -> tuple[Mapping[str, Any], bool]:
    where = "response_format.json_schema"
    if not isinstance(value, Mapping):
        raise SansiError(f"{where} must be an object with a name and a schema, not {show(value)}", param=where)
    _only_keys(value, where, ("name", "description", "schema", "strict"))
    for key, kinds, least in (("name", str, True), ("description", str, False), ("strict", bool, False)):
        given = value.get(key)
        if not isinstance(given, kinds) and (least or given is not None):
            wanted = "text" if kinds is str else "true or false"
            raise SansiError(f"{where}.{key} must be {wanted}, not {show(given)}", param=f"{where}.{key}")
    schema = value.get("schema", ANY_OBJECT)
    if not isinstance(schema, Mapping):
        raise SansiError(f"{where}.schema must be an object, not {show(schema)}", param=f"{where}.schema")
    return schema, not value.get("strict")


def _only_keys(value: Mapping[str, Any], where: str, known: Sequence[str]) -> None:
    for key in value:
        if key not in known:
            reason = f"{where}.{key} is not supported{did_you_mean(str(key), known)}"
            raise SansiError(reason, param=f"{where}.{key}")


def _parameters(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a tool's arguments; one that says nothing of parameters has none."""
    given = function.get("parameters")
    return NO_ARGUMENTS if given is None else given


def _of_a_tool(error: SansiError, names: Sequence[str]) -> SansiError:
    """An error of the compiler's in the schema of one of these tools, by the field of the request."""
    name = (error.param or "").removeprefix("tools.")
    where = f"tools[{names.index(name)}].function.parameters" if name in names else "tools"
    return SansiError(f"{where}: {str(error).removeprefix(f'{error.param}: ')}", param=where)


def _named(compile_: Any, where: str) -> Any:
    """What `compile_` makes; its error names `where`, and says what to do without what cannot be enforced."""
    try:
        return compile_()
    except SansiError as error:
        advice = "; leave strict out to go without that, or take it out of the schema"
        reason = str(error).removeprefix(f"{error.param}: ") + (advice if isinstance(error, Unsupported) else "")
        raise SansiError(f"{where}: {reason}", param=where) from error
