"""What the answer's text must be: OpenAI's `response_format`, and what other servers call it, as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import show
from sansi.base.strict_json import parse_json
from sansi.serve.api.fields import Field, Kind, Reading, array, by_type, of_type, record, text

MAX_EXPRESSION = 2**16  # characters
MAX_ALTERNATIVES = 1000
UNNAMED = "answer"  # OpenAI wants a schema to have a name, and shows it to nobody
INSTEAD = "guided_regex, guided_choice or response_format of type json_schema"
TYPES = ("text", "json_object", "json_schema", "json", "regex", "choice")
Format = dict[str, Any]  # as ChatOptions.response_format

# --- kinds -----------------------------------------------------------------------------------------------------------


def _schema() -> Kind:
    """A JSON schema, or the text of one."""

    def written(value: Any, name: str, reading: Reading) -> dict[str, Any]:
        try:
            schema = parse_json(value)
        except ValueError:
            schema = None
        if not isinstance(schema, dict):
            raise SansiError(f'"{name}" must be a JSON schema, not {show(value)}', param=name)
        return schema

    return by_type("a JSON schema", {dict: of_type(dict), str: Kind(written, {"type": "string"})})


def _json_schema() -> Kind:
    """OpenAI's object around a schema; its name may be missing, and `strict` be the text that one guide shows."""
    known = record(name=text(2**16), description=text(2**16), schema=SCHEMA, strict=_STRICT)

    def check(value: Any, name: str, reading: Reading) -> Format:
        return {"name": UNNAMED, "schema": {"type": "object"}, **known.check(value, name, reading)}

    return Kind(check, known.schema)


def _flag() -> Kind:
    def check(value: Any, name: str, reading: Reading) -> bool:
        if value in ("true", "false") and isinstance(value, str):
            return value == "true"
        return of_type(bool).check(value, name, reading)

    return Kind(check, {"enum": [True, False, "true", "false"]})


SCHEMA, EXPRESSION = _schema(), text(MAX_EXPRESSION, 1)
CHOICES = array(text(MAX_EXPRESSION), 1, MAX_ALTERNATIVES)
_STRICT = _flag()


def _response_format() -> Kind:
    """The shapes of OpenAI (`json_schema`), llama-server and Together (`json_object` with a schema), TGI (`value`)."""
    whole = _json_schema()

    def check(value: Any, name: str, reading: Reading) -> Format | None:
        given = {key: inner for key, inner in of_type(dict).check(value, name, reading).items() if inner is not None}
        kind = given.pop("type", None)
        if kind not in TYPES:
            hint = f"; use {INSTEAD}" if kind in ("grammar", "structural_tag") else did_you_mean(str(kind), TYPES[:3])
            raise SansiError(f"{name}.type is {show(kind)}{hint}", param=f"{name}.type")
        keys = _KEYS[kind]
        for key in given:
            if key not in keys:
                where = f"{name}.{key}"
                raise SansiError(f"{where} is not supported{did_you_mean(key, keys)}", param=where)
        if len(given) > 1:
            key, other = list(given)[:2]
            reason = f'"{name}.{key}" and "{name}.{other}" bind the answer in two ways; give one of them'
            raise SansiError(reason, param=f"{name}.{other}")
        key, found = next(iter(given.items()), (None, None))
        if key == "json_schema":
            return {"type": "json_schema", "json_schema": whole.check(found, f"{name}.{key}", reading)}
        if key is not None:
            return _MADE[kind].read(found, f"{name}.{key}", reading)
        if kind in ("text", "json_object", "json"):
            return None if kind == "text" else {"type": "json_object"}
        raise SansiError(f"{name}.{keys[0]} is missing", param=f"{name}.{keys[0]}")

    shapes = [
        _shape(kind, {key: whole if key == "json_schema" else _MADE[kind].kind for key in _KEYS[kind]})
        for kind in TYPES
    ]
    return Kind(check, {"anyOf": shapes})


def _shape(kind: str, keys: Mapping[str, Kind]) -> dict[str, Any]:
    """The JSON schema of one type of format, which is said by one of its keys."""
    properties = {key: {"anyOf": [dict(one.schema), {"type": "null"}]} for key, one in keys.items()}
    shape = {"type": "object", "properties": {"type": {"const": kind}, **properties}, "required": ["type"]}
    some = {"anyOf": [{"required": [key], "properties": {key: dict(one.schema)}} for key, one in keys.items()]}
    needed = some if kind in ("json_schema", "regex", "choice") else {}
    return {**shape, "additionalProperties": False, "maxProperties": 2, **needed}


_KEYS: Mapping[Any, tuple[str, ...]] = {
    "text": (),
    "json_object": ("schema", "json_schema"),
    "json_schema": ("json_schema", "schema"),
    "json": ("value", "schema", "json_schema"),
    "regex": ("regex", "pattern", "value"),
    "choice": ("choice", "choices"),
}

# --- one format ------------------------------------------------------------------------------------------------------


class _Made:
    """How a format is made from one value."""

    def __init__(self, kind: Kind, make: Callable[[Any], Format]):
        self.kind, self.make = kind, make

    def read(self, value: Any, name: str, reading: Reading) -> Format:
        return self.make(self.kind.check(value, name, reading))


def _of_schema(schema: dict[str, Any]) -> Format:
    return {"type": "json_schema", "json_schema": {"name": UNNAMED, "schema": schema}}


def _of_choices(choices: list[str]) -> Format:
    return {"type": "regex", "regex": "|".join(map(_literal, sorted(set(choices), key=choices.index)))}


def _literal(words: str) -> str:
    """An expression that nothing but these words match."""
    return "(" + "".join(c if c.isalnum() else f"\\x{{{ord(c):x}}}" for c in words) + ")"


_JSON, _REGEX = _Made(SCHEMA, _of_schema), _Made(EXPRESSION, lambda regex: {"type": "regex", "regex": regex})
_CHOICE = _Made(CHOICES, _of_choices)
_MADE = {"json_object": _JSON, "json_schema": _JSON, "json": _JSON, "regex": _REGEX, "choice": _CHOICE}
_STRUCTURED = record(
    open_=True,
    json=SCHEMA,
    regex=EXPRESSION,
    choice=CHOICES,
    json_object=of_type(bool),
    grammar=text(0),
    structural_tag=text(0),
)


def _structured() -> Kind:
    """vLLM's object, of which one key says what is wanted."""

    def check(value: Any, name: str, reading: Reading) -> Format | None:
        given = _STRUCTURED.check(value, name, reading)
        wanted = [key for key in ("json", "regex", "choice", "json_object") if given.get(key)]
        if len(wanted) > 1:
            reason = f'"{name}.{wanted[0]}" and "{name}.{wanted[1]}" bind the answer in two ways; give one of them'
            raise SansiError(reason, param=f"{name}.{wanted[1]}")
        if not wanted:
            return None
        made = {"json": _JSON, "regex": _REGEX, "choice": _CHOICE}.get(wanted[0])
        return {"type": "json_object"} if made is None else made.make(given[wanted[0]])

    return Kind(check, _STRUCTURED.schema, _STRUCTURED.schema_for(False))


def _as_format(made: _Made) -> Kind:
    return Kind(made.read, made.kind.schema)


FORMATS: dict[str, Field] = {
    "response_format": Field(_response_format(), "Bind the answer to JSON, to a JSON schema, or to an expression."),
    "guided_json": Field(_as_format(_JSON), "vLLM's name for a response_format with this schema."),
    "json_schema": Field(_as_format(_JSON), "llama-server's name for it."),
    "guided_regex": Field(_as_format(_REGEX), "The answer is matched by this expression, from start to end."),
    "regex": Field(_as_format(_REGEX), "SGLang's name for it."),
    "guided_choice": Field(_as_format(_CHOICE), "The answer is one of these texts."),
    "structured_outputs": Field(_structured(), "vLLM's object: json, regex, choice or json_object."),
}
# Where an error of the grammar's compiler stands in the request.
_PLACES = {
    "guided_json": ("response_format.json_schema.schema", "guided_json"),
    "json_schema": ("response_format.json_schema.schema", "json_schema"),
    "structured_outputs": ("response_format.json_schema.schema", "structured_outputs.json"),
}


def format_of(values: Mapping[str, Any]) -> tuple[Format | None, dict[str, str]]:
    """The one format that a request asks for, and what an error in it is to name. Raises SansiError for two."""
    if FORMATS.keys().isdisjoint(values):
        return None, {}
    given = {name: values[name] for name in FORMATS if values.get(name) is not None}
    if not given:
        return None, {}
    name, *others = given
    for other in others:
        if given[other] != given[name]:
            reason = f'"{name}" and "{other}" bind the answer in two ways; give one of them'
            raise SansiError(reason, param=other)
    if name == "response_format":
        return given[name], {}
    inner, place = _PLACES.get(name, ("response_format.regex", name))
    return given[name], {inner: place, "response_format": name}
