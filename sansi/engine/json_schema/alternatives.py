"""What a JSON schema asks of one value, taken apart: alternatives, each a list of constraints that must all hold.

Keywords that combine schemas (`$ref`, `allOf`, `anyOf`, `oneOf`) apply to the same value as the schema that they stand
in. Once they are written out, a value fits if it fits all parts of one alternative; what the parts say of an object's
properties or a list's items is about other values, and is looked at when these are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.references import References
from sansi.engine.json_schema.expressions import is_empty, is_known, matches
from sansi.engine.json_schema.numbers import NotHeld, Range, holds, range_of, written

MAX_WORK = 100_000  # parts that are looked at for one schema; combinations can grow exponentially
MAX_COUNT = 1_000_000  # of characters, items or properties: no text has more
MAX_NESTED = 60  # how deep a value is looked into to find that nothing fits

TYPES = ("null", "boolean", "number", "string", "array", "object")
UNHELD = (
    *("not", "if", "contains", "uniqueItems", "dependentRequired", "dependentSchemas", "dependencies"),
    *("$dynamicRef", "$recursiveRef"),
)
"""Keywords that nothing can be held to while it is written, unless they say nothing (see `_says_nothing`)."""
_COMBINING = ("$ref", "allOf", "anyOf", "oneOf")
_BESIDE = {*_COMBINING, "if", "then", "else", "dependentSchemas", "patternProperties", "unevaluatedProperties"}
_SIZES = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
_Shape = tuple[Callable[[Any], bool], str]
_LIST: _Shape = (lambda value: isinstance(value, list), "a list")
_NAMES: _Shape = (lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value), "a list of names")
_OBJECT: _Shape = (lambda value: isinstance(value, dict), "an object")
_TEXT: _Shape = (lambda value: isinstance(value, str), "text")
_NUMBER: _Shape = (lambda value: isinstance(value, int | float), "a number")
_ABOVE_0: _Shape = (lambda value: isinstance(value, int | float) and value > 0, "a number above 0")
_COUNT: _Shape = (lambda value: _NUMBER[0](value) and value >= 0 and value % 1 == 0, "a whole number, 0 or more")
_SHAPES: dict[str, _Shape] = {
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems", "enum"), _LIST),
    **dict.fromkeys(("properties", "patternProperties"), _OBJECT),
    **dict.fromkeys(("pattern", "format"), _TEXT),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBER),
    **dict.fromkeys((key for keys in _SIZES.values() for key in keys), _COUNT),
    "required": _NAMES,
    "multipleOf": _ABOVE_0,
    "type": (lambda value: isinstance(value, str | list), "the name of a type, or a list of them"),
}
"""What the values of keywords must be."""

Schema = Mapping[str, Any] | bool
Schemas = tuple[Schema, ...]
"""Schemas that one value must fit all of."""


class Unsupported(SansiError):
    """A part of a schema that a grammar can not hold a model to; without it, it could."""


@dataclass(frozen=True)
class Part:
    """The keywords of one schema that say something about the value itself."""

    keywords: Mapping[str, Any]
    closed: bool
    """It lists the properties of an object and says nothing of others, which are then not generated."""
    where: str = ""
    """Where it stands in the schema."""


Alternative = tuple[Part, ...]


class Alternatives:
    """Takes the parts of one schema apart.

    lenient: leave out what a grammar cannot hold a model to; else Unsupported names it. Raises SansiError also for a
    schema that is wrong, or whose combinations are too many.
    """

    def __init__(self, schema: Schema, lenient: bool = False):
        try:
            self._references = References(schema)
        except ValueError as error:
            raise SansiError(str(error)) from error
        self.lenient = lenient
        self._work = 0
        self._known: dict[tuple[int, ...], tuple[Schemas, list[Alternative]]] = {}
        self._enums: dict[tuple[int, ...], tuple[Alternative, tuple[list[Any], set[Any]] | None]] = {}
        self._possible: dict[tuple[int, ...], bool] = {}
        self._asked: set[tuple[int, ...]] = set()  # what is being found out

    def of(self, schemas: Schemas) -> list[Alternative]:
        """The alternatives of a value that must fit all of `schemas`; none where nothing can."""
        key = tuple(map(id, schemas))
        if key not in self._known:  # the schemas are kept with them, so that no id comes to stand for another
            found: list[Alternative] = [()]
            for schema in schemas:
                found = self._all(found, self._expanded(schema, frozenset()))
            self._known[key] = schemas, found
        return self._known[key][1]

    def unheld(self, what: str, parts: Alternative) -> None:
        """Something in one of these parts that cannot be held: left out, or refused."""
        if not self.lenient:
            raise Unsupported(_at(parts[-1].where if parts else "", f"{what} cannot be enforced"))

    def count(self, parts: int = 1) -> None:
        self._work += parts
        if self._work > MAX_WORK:
            raise SansiError(f"its parts combine to more than {MAX_WORK}; make it simpler")

    # --- combining ---------------------------------------------------------------------------------------------------

    def _all(self, some: Iterable[Alternative], others: Sequence[Alternative]) -> list[Alternative]:
        found = []
        for one in some:
            self.count(len(others))
            found += [(*one, *other) for other in others]
        return found

    def _expanded(self, schema: Schema, inside: frozenset[int]) -> list[Alternative]:
        """inside: schemas that refer to this one without a value between, so that it cannot refer to them."""
        self.count()
        if isinstance(schema, bool):
            return [()] if schema else []
        if not isinstance(schema, Mapping):
            raise SansiError(f"{_shown(schema)} stands where a schema must stand: an object, true or false")
        if id(schema) in inside:
            return []  # it asks that a value fits what it must fit
        own = _own_part(schema, self._references.path(schema))
        self._check(own)
        inside |= {id(schema)}
        found: list[Alternative] = [(own,)]
        if "$ref" in schema:
            found = self._all(found, self._expanded(self._target(schema, own.where), inside))
        parts = schema.get("allOf", [])
        alone = len(parts) == 1 and not schema.get("properties")
        for part in parts:
            options = self._expanded(part, inside)
            found = self._all(found, options if alone else [tuple(map(_open, option)) for option in options])
        if "anyOf" in schema:
            found = self._all(found, [a for option in schema["anyOf"] for a in self._expanded(option, inside)])
        if "oneOf" in schema:
            each = [self._expanded(option, inside) for option in schema["oneOf"]]
            self._check_one_of(found, each, own)
            found = self._all(found, [alternative for option in each for alternative in option])
        return [_evaluated(schema, alternative) for alternative in found]

    def _target(self, schema: Mapping[str, Any], where: str) -> Schema:
        try:
            return self._references.target(schema)
        except (LookupError, ValueError) as error:
            raise SansiError(_at(where, str(error.args[0]))) from error

    def _check_one_of(self, beside: list[Alternative], options: list[list[Alternative]], own: Part) -> None:
        """A grammar knows the options of a oneOf as those of an anyOf, so no two of them may fit one value."""
        for some, others in combinations([] if self.lenient else options, 2):
            if any(map(self.fits_something, self._all(beside, self._all(some, others)))):
                self.unheld("oneOf with options that one value may fit at once", (own,))

    def _check(self, part: Part) -> None:
        schema = part.keywords
        for key in UNHELD:
            if key in schema and not _says_nothing(key, schema):
                self.unheld(f'"{key}"', (part,))
        for key, (fits, wanted) in _SHAPES.items():
            if key in schema and not fits(schema[key]):
                raise SansiError(_at(part.where, f"{key} must be {wanted}, not {_shown(schema[key])}"))
        for least, _ in _SIZES.values():
            if schema.get(least, 0) > MAX_COUNT:
                self.unheld(f"{least} above {MAX_COUNT}", (part,))
        for kind in _listed(schema.get("type", [])):
            if kind not in ("integer", *TYPES):
                known = did_you_mean(str(kind), ["integer", *TYPES])
                raise SansiError(_at(part.where, f"type is {_shown(kind)}{known}"))

    # --- whether anything fits ---------------------------------------------------------------------------------------

    def fits_something(self, alternative: Alternative, nested: int = 0) -> bool:
        """False only if no value fits: what that would take too long to find is taken for possible."""
        self.count()
        members = self.members(alternative)
        if members is not None:
            return bool(members)
        return any(self.fits_a(kind, alternative, nested) for kind in types(alternative))

    def fits_a(self, kind: str, alternative: Alternative, nested: int = 0) -> bool:
        """The same for values of one type."""
        if kind == "number":
            try:
                return written(numbers(alternative)) is not None
            except NotHeld:
                return True
        if kind in ("null", "boolean"):
            return True
        least, most = bounds(alternative, *_SIZES[kind])
        if most is not None and least > most:
            return False
        if kind == "string":
            return not is_empty(string_schema(alternative))
        if nested > MAX_NESTED:
            return True
        if kind == "array":
            needed = [items(alternative, i) for i in range(min(least, prefix(alternative) + 1))]
        else:
            names = required(alternative)
            if most is not None and len(names) > most:
                return False
            needed = [self.member(alternative, name) for name in names]
        return all(self.any_fits(schemas, nested + 1) for schemas in needed)

    def any_fits(self, schemas: Schemas, nested: int = 0) -> bool:
        """As `fits_something`, for a value that must fit all of `schemas`.

        A value that must hold another of its kind, which must hold another, has no end, so nothing fits.
        """
        key = tuple(map(id, schemas))
        if key in self._possible or key in self._asked:
            return self._possible.get(key, False)
        self._asked.add(key)
        found = any(self.fits_something(option, nested) for option in self.of(schemas))
        self._asked.remove(key)
        if found or not self._asked:  # else it may yet turn out that what was asked before has an end
            self._possible[key] = found
        return found

    # --- values that are listed --------------------------------------------------------------------------------------

    def members(self, alternative: Alternative) -> list[Any] | None:
        """The values that enum and const leave; None where neither stands."""
        listed = self._enumerated(alternative)
        return None if listed is None else [value for value in listed[0] if self.fits(value, alternative)]

    def _enumerated(self, alternative: Alternative) -> tuple[list[Any], set[Any]] | None:
        """What stands in every enum and const, and its keys: they are asked for once for each item of a list."""
        known = tuple(map(id, alternative))
        if known not in self._enums:
            lists = [[part.keywords["const"]] for part in alternative if "const" in part.keywords]
            lists += [part.keywords["enum"] for part in alternative if "enum" in part.keywords]
            keys = [set(map(_key, each)) for each in lists]  # of thousands, so not each is compared with each
            common = set.intersection(*keys) if keys else set()
            found = ([value for value in lists[0] if _key(value) in common], common) if lists else None
            self._enums[known] = alternative, found
        return self._enums[known][1]

    def fits(self, value: Any, alternative: Alternative) -> bool:
        """Whether a value fits an alternative, but for its enum and const."""
        kind = type_of(value)
        if kind not in types(alternative):
            return False
        if kind == "number":
            return holds(numbers(alternative), value)
        if kind not in _SIZES:
            return True
        least, most = bounds(alternative, *_SIZES[kind])
        if len(value) < least or (most is not None and len(value) > most):
            return False
        if kind == "string":
            return all(self._is_found(pattern, value, alternative) for pattern in patterns(alternative))
        self.count(len(value))
        if kind == "array":
            return all(self._one_fits(item, items(alternative, i)) for i, item in enumerate(value))
        named = all(name in value for name in required(alternative))
        return named and all(self._one_fits(item, self.member(alternative, key)) for key, item in value.items())

    def _is_found(self, pattern: str, text: str, alternative: Alternative) -> bool:
        if is_known("pattern", pattern):
            return matches(pattern, text)
        self.unheld(f"pattern {_shown(pattern)}", alternative)
        return True

    def _one_fits(self, value: Any, schemas: Schemas) -> bool:
        for alternative in self.of(schemas):
            listed = self._enumerated(alternative)
            if (listed is None or _key(value) in listed[1]) and self.fits(value, alternative):
                return True
        return False

    # --- what stands inside a value ----------------------------------------------------------------------------------

    def member(self, alternative: Alternative, name: str) -> Schemas:
        """What a property of an object must fit."""
        allowed = names(alternative)
        if allowed and not self._one_fits(name, allowed):
            return (False,)
        found: list[Schema] = []
        for part in alternative:
            declared, rest = part.keywords.get("properties", {}), part.keywords.get("additionalProperties", True)
            here = [declared[name]] if name in declared else []
            patterned = part.keywords.get("patternProperties", {})
            here += [schema for pattern, schema in patterned.items() if matches(pattern, name)]
            found += here or [rest]
        return together(found)

    def listed_names(self, alternative: Alternative) -> list[str] | None:
        """The names that properties may have, where these are listed."""
        lists = [self.members(option) for option in self.of(names(alternative))]
        if any(members is None for members in lists):
            return None
        return [name for members in lists for name in members or () if isinstance(name, str)]


def names(alternative: Alternative) -> Schemas:
    """What the names of an object's properties must fit."""
    return together(part.keywords["propertyNames"] for part in alternative if "propertyNames" in part.keywords)


def items(alternative: Alternative, index: int) -> Schemas:
    """What an item of a list must fit. Older drafts have a list in `items`, and the rest in `additionalItems`."""
    found: list[Schema] = []
    for part in alternative:
        first, rest = _items(part.keywords)
        found.append(first[index] if index < len(first) else rest)
    return together(found)


def prefix(alternative: Alternative) -> int:
    """How many items of a list may have a schema of their own."""
    return max((len(_items(part.keywords)[0]) for part in alternative), default=0)


def together(schemas: Iterable[Schema]) -> Schemas:
    """Each once, without those that anything fits."""
    return tuple({id(schema): schema for schema in schemas if schema is not True}.values())


def types(alternative: Alternative) -> list[str]:
    """The types that a value may have; an integer is a number."""
    allowed = set(TYPES)
    for part in alternative:
        if "type" in part.keywords:
            allowed &= {"number" if kind == "integer" else kind for kind in _listed(part.keywords["type"])}
    return [kind for kind in TYPES if kind in allowed]


def numbers(alternative: Alternative) -> Range:
    found = Range()
    for part in alternative:
        kinds = _listed(part.keywords.get("type", "number"))
        found = found.within(replace(range_of(part.keywords), whole="number" not in kinds))
    return found


def bounds(alternative: Alternative, least: str, most: str) -> tuple[int, int | None]:
    """The least and the greatest that two keywords allow; None where no text comes to it."""

    def within_reach(key: str) -> list[int]:
        return [int(n) for part in alternative if (n := part.keywords.get(key)) is not None and n <= MAX_COUNT]

    return max(within_reach(least), default=0), min(within_reach(most), default=None)


def string_schema(alternative: Alternative) -> dict[str, Any]:
    """What an alternative says of strings, as far as the compiler knows it, as one schema."""
    least, most = bounds(alternative, *_SIZES["string"])
    said = [(key, part.keywords[key]) for part in alternative for key in ("pattern", "format") if key in part.keywords]
    kept = [{key: value} for key, value in dict.fromkeys(said) if is_known(key, value)]
    sizes = {"minLength": least, **({} if most is None else {"maxLength": most})}
    return {"type": "string", **sizes, **({"allOf": kept} if kept else {})}


def patterns(alternative: Alternative) -> list[str]:
    return list(dict.fromkeys(part.keywords["pattern"] for part in alternative if "pattern" in part.keywords))


def required(alternative: Alternative) -> list[str]:
    names = [name for part in alternative for name in part.keywords.get("required", ()) if isinstance(name, str)]
    return list(dict.fromkeys(names))


def is_closed(alternative: Alternative) -> bool:
    """Whether an object lists what it has, and nothing says anything of other properties."""
    listing = [part for part in alternative if "properties" in part.keywords]
    others = {"patternProperties", "additionalProperties"}
    return len(listing) == 1 and listing[0].closed and not any(others & part.keywords.keys() for part in alternative)


def type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _key(value: Any) -> tuple[Any, ...]:
    """The same for equal JSON values, and different for all others: 1 is 1.0, and not true."""
    if isinstance(value, list):
        return ("array", *map(_key, value))
    if isinstance(value, dict):
        return ("object", frozenset((name, _key(inner)) for name, inner in value.items()))
    return (type_of(value), value)


def _items(keywords: Mapping[str, Any]) -> tuple[Sequence[Schema], Schema]:
    own = keywords.get("items", True)
    if isinstance(own, list):
        return own, keywords.get("additionalItems", True)
    return keywords.get("prefixItems", []), own


def _own_part(schema: Mapping[str, Any], where: str) -> Part:
    silent = "additionalProperties" not in schema and not _BESIDE & schema.keys()
    return Part(schema, silent and "properties" in schema, where)


def _open(part: Part) -> Part:
    return replace(part, closed=False)


def _evaluated(schema: Mapping[str, Any], alternative: Alternative) -> Alternative:
    """With what `schema` says of properties and items that none of its parts says anything of."""
    said = [part.keywords for part in alternative]
    more = []
    if "unevaluatedProperties" in schema and not any("additionalProperties" in keywords for keywords in said):
        known = {
            key: dict.fromkeys((name for keywords in said for name in keywords.get(key, ())), True)
            for key in ("properties", "patternProperties")
        }
        more.append(Part({**known, "additionalProperties": schema["unevaluatedProperties"]}, closed=False))
    if "unevaluatedItems" in schema and not any(_items(keywords)[1] is not True for keywords in said):
        evaluated = [True] * prefix(alternative)
        more.append(Part({"prefixItems": evaluated, "items": schema["unevaluatedItems"]}, closed=False))
    return (*alternative, *more)


def _says_nothing(key: str, schema: Mapping[str, Any]) -> bool:
    if key == "if":
        return not schema.keys() & {"then", "else"}
    if key == "contains":
        return schema.get("minContains") == 0 and "maxContains" not in schema
    if key in ("not", "uniqueItems"):
        return schema[key] is False
    return schema[key] == {}


def _listed(kinds: Any) -> list[Any]:
    return kinds if isinstance(kinds, list) else [kinds]


def _at(where: str, reason: str) -> str:
    return f"at {where:.200}: {reason}" if where else reason


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 80 else text[:80] + "…"
