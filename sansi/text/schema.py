"""JSON Schema of tools: checked when it is read; it checks and types the arguments that a model writes.

Validation is jsonschema-rs's. What this module adds is bounds on what a schema may ask for, the conversion of values
that a model wrote in the wrong type, and sentences that tell a model what to mend. A value is converted only where
there is one reading of it:

| wanted          | written                       | becomes                                        |
|-----------------|-------------------------------|------------------------------------------------|
| integer         | `3.0`, `"3"`, `"3.0"`         | `3`                                            |
| number          | `"2.5"`                       | `2.5`                                          |
| string          | `3`, `1.10`, `true`           | `"3"`, `"1.10"` (as written), `"true"`         |
| boolean         | `"true"`, `"False"`           | `true`, `false`                                |
| null            | `"null"`                      | `null`                                         |
| object, array   | a string that holds one       | what the string holds                          |
| enum, const     | the same, spelled in JSON     | the one member that is spelled so              |
| anyOf, oneOf    | what fits no option           | the one value that fits after conversion       |
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import jsonschema_rs

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.references import LISTS, MAPS, SINGLES, References, subschemas
from sansi.base.shown import show
from sansi.base.strict_json import json_fault, refuse_constant

MAX_SCHEMA_CHARS = 100_000
MAX_SCHEMA_DEPTH = 64
MAX_SCHEMA_NODES = 5_000  # subschemas once references are written out: small schemas can refer exponentially often
MAX_DIGITS = 4_000
MAX_WHOLE_FLOAT = 2**53  # from it on a float is not one whole number
MAX_PROBLEMS, MAX_PATH = 20, 200  # sentences of one error, and characters of a path: both are as long as a model writes
REGEX = jsonschema_rs.RegexOptions(size_limit=2**20, dfa_size_limit=2**20)  # linear in the text, whatever the pattern

_DYNAMIC = {"$dynamicRef", "$recursiveRef"}
_REFERRING = {"$ref", "$defs", "definitions", "$id", "$anchor", "$dynamicAnchor", *_DYNAMIC}
_SAME_VALUE = {"allOf", "anyOf", "oneOf", "not", "if", "then", "else"}
_NOTES = {"title", "description", "default", "examples", "deprecated"}
_LOOKING = re.compile(r"\(\?(<?[=!]|>)|\\([1-9]|k<)")  # around or back, for which no time is a bound
_HALF_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def check_tool_schema(schema: Any, where: str) -> None:
    """Raise SansiError, with `param` = `where`, unless `schema` can describe the arguments of a tool."""
    tool_schema(schema, where)


def tool_schema(schema: Any, where: str = "parameters") -> ToolSchema:
    """The compiled schema; the same schema is compiled once. Raises SansiError as `check_tool_schema` does."""
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise SansiError(f"{where} cannot be written as JSON ({error})", param=where) from error
    try:
        return _compiled(text)
    except _BadSchema as error:
        raise SansiError(f"{where} is not a schema of arguments: {error}", param=where) from error


def conform(schema: Mapping[str, Any], value: Any, where: str = "arguments") -> Any:
    """`value` typed by `schema`. Raises SansiError that lists what does not fit."""
    compiled = tool_schema(schema)
    typed = compiled.typed(value)
    problems = compiled.problems(typed)
    if problems:
        raise SansiError(f"{where}: " + "; ".join(problems))
    return typed


def parse_arguments(text: str) -> dict[str, Any]:
    """The object that a tool call's argument text holds. Raises SansiError when it is malformed; "" and null are {}."""
    try:
        value = _plain(read_json(text or "{}"))
        value = {} if value in (None, "") else value
    except ValueError as error:
        reason = f"the arguments are not valid JSON ({error}); write one JSON object, not {_shown(text, 200)}"
        raise SansiError(reason) from error
    if not isinstance(value, dict):
        raise SansiError(f"the arguments must be one JSON object, not {_shown(value)}")
    return value


def read_json(text: str) -> Any:
    """The value of strict JSON, whose floats remember how they were written. Raises ValueError for all else.

    Refused beyond the standard, since readers disagree on them: a key that stands twice, a number that no float holds,
    half of a surrogate pair, nesting too deep for the reader.
    """
    try:
        value = _DECODER.decode(text)
        if _HALF_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(json_fault(error)) from error
    return value


class _WrittenFloat(float):
    """A float that knows its own spelling: a version "1.10" must not become "1.1"."""

    written: str


def _float(text: str) -> _WrittenFloat:
    value = _WrittenFloat(text)
    if not math.isfinite(value):
        raise ValueError(f"{_shown(text)} is too large for a number")
    value.written = text
    return value


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits; at most {MAX_DIGITS} can be read")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {_shown(twice)} stands twice")
    return value


_DECODER = json.JSONDecoder(
    parse_constant=refuse_constant, parse_float=_float, parse_int=_integer, object_pairs_hook=_object
)


@dataclass(frozen=True)
class _Tree:
    """A schema without references. whole: it says all that the schema does."""

    schema: dict[str, Any]
    whole: bool


class ToolSchema:
    """The schema of one tool's arguments, compiled. Made by `tool_schema`.

    What cannot be checked within bounds is left out: expressions that look around or back, `$dynamicRef`, and what
    stands deeper than a few levels inside itself in a schema that refers to itself.
    """

    def __init__(self, schema: dict[str, Any]):
        found = _tree(schema)
        self.tree = found.schema
        checked = schema if found.whole else found.schema  # which names its draft, too
        self.by_member = not self.tree.keys() & {"allOf", "anyOf", "oneOf", "enum", "const"}
        """Each argument can be typed on its own."""
        try:
            self._validator = jsonschema_rs.validator_for(checked, offline=True, pattern_options=REGEX)
        except (jsonschema_rs.ValidationError, ValueError) as error:
            raise _BadSchema(_wrong_keyword(error)) from error
        self._fits = functools.lru_cache(maxsize=None)(_option_validator)

    def member(self, name: str) -> Any:
        """The schema of one argument; None where it has none."""
        known = self.tree.get("properties", {})
        return known[name] if name in known else self.tree.get("additionalProperties")

    def problems(self, value: Any) -> list[str]:
        """What does not fit, a sentence each, in the order of the schema; no more than the first `MAX_PROBLEMS`."""
        value = _plain(value)
        told = chain.from_iterable(_sentences(e, self.tree, value) for e in self._validator.iter_errors(value))
        found = list(islice(told, MAX_PROBLEMS + 1))
        return [*found[:MAX_PROBLEMS], "and more"] if len(found) > MAX_PROBLEMS else found

    def misfits(self, text: str) -> list[str]:
        """The problems that are left of argument text once it is typed. Raises ValueError if it is no JSON."""
        return self.problems(self._typed(self.tree, read_json(text)))

    def typed(self, value: Any) -> Any:
        """`value` with every conversion that has one reading; the rest as it was."""
        return _plain(self._typed(self.tree, value))

    def typed_text(self, text: str, schema: Any = None) -> str:
        """The same for JSON text, and for a part of the schema. Text in which nothing is converted stays as it is."""
        try:
            value = read_json(text)
        except ValueError:
            return text  # not this method's to report
        typed = self._typed(self.tree if schema is None else schema, value)
        return text if _same(value, typed) else json.dumps(typed, ensure_ascii=False)

    def _typed(self, schema: Any, value: Any) -> Any:
        if not isinstance(schema, Mapping):
            return value
        for part in schema.get("allOf", ()):
            value = self._typed(part, value)
        for options in (schema.get("anyOf"), schema.get("oneOf")):
            value = self._typed_as_one_of(options, value) if options else value
        members = [schema["const"]] if "const" in schema else schema.get("enum")
        value = _converted(schema.get("type"), value)
        if members is not None:
            return _member(members, value)
        if isinstance(value, dict):
            return self._typed_object(schema, value)
        return self._typed_array(schema, value) if isinstance(value, list) else value

    def _typed_as_one_of(self, options: Sequence[Any], value: Any) -> Any:
        for option in options:
            if self._fit(option, value):
                return self._typed(option, value)
        readings = [(option, self._typed(option, value)) for option in options]
        fitting = {json.dumps(typed): typed for option, typed in readings if self._fit(option, typed)}
        return next(iter(fitting.values())) if len(fitting) == 1 else value

    def _fit(self, option: Any, value: Any) -> bool:
        return self._fits(json.dumps(option))(_plain(value))

    def _typed_object(self, schema: Mapping[str, Any], value: dict[str, Any]) -> dict[str, Any]:
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        return {key: self._typed(known.get(key, rest), item) for key, item in value.items()}

    def _typed_array(self, schema: Mapping[str, Any], value: list[Any]) -> list[Any]:
        first, rest = schema.get("prefixItems", []), schema.get("items")
        return [self._typed(first[i] if i < len(first) else rest, item) for i, item in enumerate(value)]


def keeps_strings(schema: Any) -> bool:
    """Whether this (inlined) schema converts no string at all, so that one can be passed on while it grows."""
    if not isinstance(schema, Mapping):
        return True
    wanted = schema.get("type", "string")
    members = [*schema.get("enum", ()), schema.get("const", "")]
    if "string" not in (wanted if isinstance(wanted, list) else [wanted]) or not all(
        isinstance(m, str) for m in members
    ):
        return False
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return "allOf" not in schema and (not options or any(_is_any_string(option) for option in options))


def _is_any_string(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "string" and schema.keys() <= {"type", *_NOTES}


# --- conversion ------------------------------------------------------------------------------------------------------


def _converted(wanted: Any, value: Any) -> Any:
    """`value` as one of the types `wanted`, where there is one reading; else as it was."""
    if wanted is None:
        return value
    kinds = wanted if isinstance(wanted, list) else [wanted]
    if any(_is(kind, value) for kind in kinds):
        return value
    readings = [read for kind in kinds if _is(kind, read := _as(kind, value))]
    return readings[0] if readings and all(_same(readings[0], other) for other in readings) else value


def _as(kind: str, value: Any) -> Any:
    if kind == "string":
        return _spelled(value) if isinstance(value, bool | int | float) else value
    if isinstance(value, str):
        try:
            value = read_json(value.strip().lower() if kind == "boolean" else value)
        except ValueError:
            return value
    if kind == "integer" and isinstance(value, float) and value.is_integer() and abs(value) < MAX_WHOLE_FLOAT:
        return int(value)
    return value


_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _is(kind: str, value: Any) -> bool:
    return _TYPES[kind](value)


def _member(members: Sequence[Any], value: Any) -> Any:
    """The member that `value` is, or else the only one that is spelled as it is."""
    if any(_same(member, value) for member in members):
        return value
    spelled = [member for member in members if _spelled(member) == _spelled(value)]
    return spelled[0] if len(spelled) == 1 else value


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values: in Python `True == 1 == 1.0`, and all three are written differently."""
    return a is b or (a == b and json.dumps(a) == json.dumps(b))


def _spelled(value: Any) -> str:
    return getattr(value, "written", None) or (value if isinstance(value, str) else json.dumps(value, default=repr))


def _plain(value: Any) -> Any:
    """The same value with ordinary floats, which is what other libraries know."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, _WrittenFloat) else value


# --- what a schema may be --------------------------------------------------------------------------------------------


class _BadSchema(ValueError):
    pass


@functools.lru_cache(maxsize=256)
def _compiled(text: str) -> ToolSchema:
    if len(text) > MAX_SCHEMA_CHARS:
        raise _BadSchema(f"it is {len(text)} characters long; at most {MAX_SCHEMA_CHARS} are read")
    schema = json.loads(text)
    if not isinstance(schema, dict):
        raise _BadSchema(f"it must be an object, not {_shown(schema)}")
    kinds = schema.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        raise _BadSchema(f'its type must be "object", not {_shown(kinds)}')
    if not _is_known_draft(schema.get("$schema")):
        del schema["$schema"]
    return ToolSchema(schema)


@functools.lru_cache(maxsize=64)
def _is_known_draft(name: Any) -> bool:
    """Whether a `$schema` names a draft of the standard; another is read as the latest."""
    try:
        jsonschema_rs.validator_for({} if name is None else {"$schema": name}, offline=True)
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True


def _option_validator(text: str) -> Callable[[Any], bool]:
    return jsonschema_rs.validator_for(json.loads(text), offline=True, pattern_options=REGEX).is_valid


def _tree(schema: dict[str, Any]) -> _Tree:
    """The schema with each reference written out. Raises _BadSchema for what has no bound.

    One that refers to itself is written out a few times over, as far as it stays within the bounds.
    """
    try:
        references = References(schema)
    except ValueError as error:
        raise _BadSchema(str(error)) from error
    recursive = _recursive(schema, references)
    repeats = (4, 2, 1, 0) if recursive else (0,)
    for times in repeats:
        inliner = _Inliner(references, recursive, times)
        try:
            root = (id(schema),)
            return _Tree(inliner.part(schema, 0, root, root), inliner.whole)
        except _BadSchema:
            if times == repeats[-1]:
                raise
    raise AssertionError(repeats)


def _recursive(schema: dict[str, Any], references: References) -> frozenset[int]:
    """The id() of each part that is referred to from inside itself."""
    inner: dict[int, list[int]] = {}
    targets: set[int] = set()
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict) or id(node) in inner:
            continue
        parts = [part for _, part in subschemas(node)]
        if "$ref" in node:
            with suppress(LookupError, ValueError):  # of use or not: whoever follows it will say what is wrong
                parts.append(references.target(node))
                targets.add(id(parts[-1]))
        inner[id(node)] = [id(part) for part in parts]
        waiting += parts
    return frozenset(target for target in targets if target in _reached(target, inner))


def _reached(start: int, inner: Mapping[int, Sequence[int]]) -> set[int]:
    found: set[int] = set()
    waiting = [*inner.get(start, ())]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += inner.get(node, ())
    return found


class _Inliner:
    """Writes references out. `times`: how often one of the `recursive` may stand inside itself; 0: or in another."""

    def __init__(self, references: References, recursive: frozenset[int], times: int):
        self.whole = True
        """Nothing was left out: the result says all that the schema does."""
        self._references, self._recursive, self._times, self._nodes = references, recursive, times, 0

    def part(self, node: Any, depth: int, inside: tuple[int, ...], beside: tuple[int, ...] = ()) -> Any:
        """inside: the targets that this part stands in. beside: those that describe the same value as it does."""
        self._nodes += 1
        if self._nodes > MAX_SCHEMA_NODES:
            raise _BadSchema(f"with its references written out it has more than {MAX_SCHEMA_NODES} parts")
        if depth > MAX_SCHEMA_DEPTH:
            raise _BadSchema(f"it is nested more than {MAX_SCHEMA_DEPTH} deep")
        if not isinstance(node, dict):
            return node
        out = {key: value for key, value in node.items() if key not in _REFERRING and self._keeps(key, value)}
        self.whole &= not _DYNAMIC & node.keys()
        for key in out.keys() & {*MAPS, *LISTS, *SINGLES}:
            out[key] = self._inner(key, out[key], depth + 1, inside, beside if key in _SAME_VALUE else ())
        if "$ref" not in node:
            return out
        target = _target(self._references, node)
        if id(target) in beside:
            raise _BadSchema(f"$ref {_shown(node['$ref'])} refers to itself")
        if self._is_enough(id(target), inside):
            self.whole = False
            return out
        found = self.part(target, depth + 1, (*inside, id(target)), (*beside, id(target)))
        return found if out.keys() <= _NOTES else {**out, "allOf": [*out.get("allOf", ()), found]}

    def _inner(self, key: str, value: Any, depth: int, inside: tuple[int, ...], beside: tuple[int, ...]) -> Any:
        if key in MAPS and isinstance(value, dict):
            if key == "patternProperties":
                value = {name: part for name, part in value.items() if self._keeps("pattern", name)}
            return {name: self.part(part, depth, inside) for name, part in value.items()}
        if key in LISTS and isinstance(value, list):
            return [self.part(part, depth, inside, beside) for part in value]
        return self.part(value, depth, inside, beside) if key in SINGLES else value

    def _is_enough(self, target: int, inside: tuple[int, ...]) -> bool:
        if target not in self._recursive:
            return False
        return inside.count(target) > self._times if self._times else not self._recursive.isdisjoint(inside)

    def _keeps(self, key: str, value: Any) -> bool:
        """Whether a keyword is one that can be checked: not an expression that looks around, or back."""
        if key != "pattern" or not isinstance(value, str) or _is_linear(value) or not _looks_around(value):
            return True
        self.whole = False
        return False


def _target(references: References, node: Mapping[str, Any]) -> Any:
    try:
        return references.target(node)
    except (LookupError, ValueError) as error:
        raise _BadSchema(str(error.args[0])) from error


@functools.lru_cache(maxsize=1024)
def _is_linear(pattern: str) -> bool:
    return _compiles(pattern, REGEX)


@functools.lru_cache(maxsize=1024)
def _looks_around(pattern: str) -> bool:
    return bool(_LOOKING.search(pattern)) and _compiles(pattern, jsonschema_rs.FancyRegexOptions())


def _compiles(pattern: str, options: Any) -> bool:
    try:
        jsonschema_rs.validator_for({"pattern": pattern}, offline=True, pattern_options=options)
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True


# --- what is told ----------------------------------------------------------------------------------------------------


def _wrong_keyword(error: Exception) -> str:
    """What is wrong with a schema, by the error that the standard's own schema finds in it."""
    if not isinstance(error, jsonschema_rs.ValidationError):
        return "it cannot be read"
    path, found = _path(error.instance_path), error.instance
    if not path:
        return _cut(error.message, 300)
    if path.rpartition(".")[2] == "type":
        return f"at {path}: {_shown(found)} names no type{did_you_mean(str(found), _TYPES)}"
    if error.kind.name == "format":
        return f"at {path}: {_shown(found)} is not a regular expression that can be compiled"
    return f"at {path}: {_sentence(error).removeprefix(f'{_quoted(path)} ').removeprefix(f'{_quoted(path)}: ')}"


def _sentences(error: jsonschema_rs.ValidationError, tree: Mapping[str, Any], value: Any) -> Iterator[str]:
    """What a model has to mend in `value`: of an object's unknown arguments each has its sentence."""
    unknown = _unknown(error, value)
    if not unknown:
        yield _sentence(error)
        return
    known, path = _at(tree, error.instance_path).get("properties", {}), _path(error.instance_path)
    for key in unknown:
        name = _cut(f"{path}.{key}" if path else key, MAX_PATH)
        yield f'unknown argument "{name}"' + (did_you_mean(key, known) if known else "; none is expected")


def _unknown(error: jsonschema_rs.ValidationError, value: Any) -> list[str]:
    if error.kind.name in ("additionalProperties", "unevaluatedProperties"):
        return list(error.kind.as_dict()["unexpected"])
    if error.kind.name == "falseSchema" and error.schema_path[-1:] == ["additionalProperties"]:
        for step in error.instance_path:  # where no property is declared, the library stops at the first
            value = value[step]
        return list(value) if isinstance(value, dict) and value != error.instance else []
    return []


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    """One problem. The library's own words serve where these have none."""
    path, kind, found = _path(error.instance_path), error.kind, error.instance
    name = _quoted(path)
    told = kind.as_dict()
    if kind.name == "type":
        return f"{name} must be {_one_of(told['types'])}, not {_shown(found)}"
    if kind.name == "enum":
        return f"{name} is {_shown(found)}{did_you_mean(_spelled(found), map(_spelled, told['options']))}"
    if kind.name == "required":
        return f'"{path}.{told["property"]}" is missing' if path else f'"{told["property"]}" is missing'
    if kind.name in ("anyOf", "oneOf") and (wanted := _types_of(told.get("context", ()))):
        return f"{name} must be {_one_of(wanted)}, not {_shown(found)}"
    if kind.name in _MISFITS:
        several = kind.name == "oneOf" and not all(told["context"])
        return f"{name} is {_shown(found)}, which {'fits more than one option' if several else _MISFITS[kind.name]}"
    return f"{name}: {_cut(error.message, 300)}"


def _types_of(context: Iterable[Sequence[jsonschema_rs.ValidationError]]) -> list[str]:
    """The types that the options of an anyOf want, if a wrong type is all that is wrong with each."""
    kinds = [errors[0].kind for errors in context if len(errors) == 1 and errors[0].kind.name == "type"]
    return [kind for found in kinds for kind in found.as_dict()["types"]] if len(kinds) == len(list(context)) else []


def _at(tree: Any, path: Sequence[str | int]) -> Mapping[str, Any]:
    """The schema of what stands at `path`, as far as plain objects and arrays lead there."""
    for step in path:
        inner = tree.get("items") if isinstance(step, int) else tree.get("properties", {}).get(step)
        tree = inner if isinstance(inner, Mapping) else {}
    return tree


_MISFITS = {
    "anyOf": "fits no option",
    "oneOf": "fits no option",
    "not": "is what it must not be",
    "falseSchema": "must not stand there",
}


def _quoted(path: str) -> str:
    return f'"{path}"' if path else "the value"


def _path(steps: Iterable[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return _cut(text.removeprefix("."), MAX_PATH)


def _one_of(kinds: Iterable[str]) -> str:
    return ", or ".join("null" if kind == "null" else f"{'an' if kind[0] in 'aio' else 'a'} {kind}" for kind in kinds)


def _shown(value: Any, limit: int = 80) -> str:
    return show(value, limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
