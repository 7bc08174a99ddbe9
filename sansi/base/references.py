"""References inside one JSON schema: JSON pointers (RFC 6901), anchors, and the identifiers that it gives its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from sansi.base.shown import show

MAX_DEPTH = 200  # of the lists and objects of a schema, within which its parts are looked for

MAPS = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
SINGLES = (
    *("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"),
    *("unevaluatedItems", "unevaluatedProperties", "additionalItems"),
)


class References:
    """Finds what the `$ref`s of a schema refer to. Raises ValueError for one that is nested too deeply.

    A reference is read against the nearest `$id` around it. Nothing outside the schema is ever looked up.
    """

    def __init__(self, schema: Any):
        self._named: dict[str, Any] = {"": schema}  # by absolute identifier, with the anchor if that is one
        self._bases: dict[int, str] = {}  # the identifier in force, by the id() of a part
        self._paths: dict[int, str] = {}  # and where it stands
        self._learn(schema, "", "")

    def path(self, part: Any) -> str:
        """Where a part of the schema stands, as "properties.a.items"; "" for the schema itself."""
        return self._paths.get(id(part), "")

    def base(self, part: Any) -> str:
        """The identifier that references in this part of the schema are read against; "" where there is none."""
        return self._bases.get(id(part), "")

    def target(self, part: Mapping[str, Any]) -> Any:
        """What the `$ref` of `part` refers to. Raises LookupError that says why there is nothing."""
        ref = part["$ref"]
        if not isinstance(ref, str):
            raise LookupError(f"$ref is {show(ref, 80)}, which is no text")
        resource, fragment = urldefrag(_joined(self.base(part), ref))
        if resource not in self._named:
            raise LookupError(f'$ref "{ref:.80}" leads out of the schema; only what stands in it can be referred to')
        if fragment and not fragment.startswith("/"):
            name = f"{resource}#{unquote(fragment)}"
            if name not in self._named:
                raise LookupError(f'$ref "{ref:.80}" leads nowhere: no $anchor has that name')
            return self._named[name]
        found, base = self._named[resource], resource
        for step in fragment.split("/")[1:]:
            found = _member(found, unquote(step).replace("~1", "/").replace("~0", "~"))
            base = _identified(found, base)
        if not isinstance(found, dict | bool):
            raise LookupError(f'$ref "{ref:.80}" leads nowhere')
        if id(found) not in self._bases:  # it stands where no keyword puts a schema
            self._learn(found, base, unquote(fragment[1:]).replace("/", "."))
        return found

    def _learn(self, schema: Any, base: str, path: str, depth: int = 0) -> None:
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        if not isinstance(schema, dict) or id(schema) in self._bases:
            return
        base = _identified(schema, base)
        self._bases[id(schema)], self._paths[id(schema)] = base, path
        if base:
            self._named.setdefault(base, schema)
        for name in _anchors(schema):
            self._named.setdefault(f"{base}#{name}", schema)
        for step, part in subschemas(schema):
            self._learn(part, base, f"{path}.{step}" if path else step, depth + 1)


def subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas that stand right inside this one, and where."""
    for key in MAPS:
        if isinstance(value := schema.get(key), dict):
            yield from ((f"{key}.{name}", part) for name, part in value.items())
    for key in LISTS:
        if isinstance(value := schema.get(key), list):
            yield from ((f"{key}[{i}]", part) for i, part in enumerate(value))
    for key in SINGLES:
        if isinstance(value := schema.get(key), dict | bool):
            yield key, value


def _identified(schema: Any, base: str) -> str:
    """The identifier in force in `schema`, which stands where `base` is."""
    own = schema.get("$id") if isinstance(schema, dict) else None
    return urldefrag(_joined(base, own)).url if isinstance(own, str) and not own.startswith("#") else base


def _anchors(schema: Mapping[str, Any]) -> list[str]:
    own = schema.get("$id")  # older drafts wrote anchors so
    old = [own[1:]] if isinstance(own, str) and own.startswith("#") else []
    return [*old, *(name for key in ("$anchor", "$dynamicAnchor") if isinstance(name := schema.get(key), str))]


def _joined(base: str, ref: str) -> str:
    """`urljoin` forgets a base like "urn:…"."""
    if not ref or ref.startswith("#"):
        return base + ref
    try:
        return urljoin(base, ref)
    except ValueError:  # it is no address: then it is a name that nothing has
        return ref


def _member(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and step.isascii() and step.isdigit() and (step == "0" or step[0] != "0"):
        return value[int(step)] if len(step) < 9 and int(step) < len(value) else None
    return None
