"""`--set stage.key=value`: a recipe's values changed from the command line, with the types that TOML gives them."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.config import field_names
from sansi.base.errors import SansiError, did_you_mean
from sansi.recipes.stages import Kind

EVERY = "*"


@dataclass(frozen=True)
class Override:
    """One changed value: `("s1", "schedule", "final")` and 0.1."""

    path: tuple[str, ...]
    value: Any

    def __str__(self) -> str:
        return ".".join(self.path)


def parse_override(text: str) -> Override:
    """Read `stage.key=value`. The value is TOML's; what is none is taken as a text. Raises SansiError without "="."""
    path, equals, value = text.partition("=")
    keys = tuple(part.strip() for part in path.split("."))
    if not equals or not all(keys):
        raise SansiError(f'--set {text}: write it as stage.key=value (or seed=1; "*.key=value" sets it in every stage)')
    return Override(keys, _typed(value.strip()))


def _typed(value: str) -> Any:
    try:
        values = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return value
    return values["value"] if len(values) == 1 else value  # a text with a line break in it


def apply_overrides(
    values: Mapping[str, Any], overrides: Iterable[Override], kinds: Mapping[str, Kind]
) -> tuple[dict[str, Any], list[str]]:
    """The values of a recipe, changed; and what is wrong with the changes."""
    changed, problems = copy.deepcopy(dict(values)), []
    for override in overrides:
        if problem := _apply(changed, override, kinds):
            problems.append(f"--set {override}: {problem}")
    return changed, problems


def _apply(values: dict[str, Any], override: Override, kinds: Mapping[str, Kind]) -> str:
    first, *keys = override.path
    if not keys:
        if first in ("seed", "until"):
            values[first] = override.value
            return ""
        return f'write it as stage.key=value; of the recipe itself "seed" and "until" can be set, not "{first}"'
    tables = [table for table in values.get("stage", ()) if isinstance(table, dict)]
    chosen = [t for t in tables if (_has(t, keys[0], kinds) if first == EVERY else t.get("name") == first)]
    if not chosen and first == EVERY:
        return f'no stage has the key "{keys[0]}"'
    if not chosen:
        return f'there is no stage "{first}"{did_you_mean(first, [str(t.get("name")) for t in tables])}'
    return next(filter(None, [_assign(table, keys, override.value) for table in chosen]), "")


def _has(table: Mapping[str, Any], key: str, kinds: Mapping[str, Kind]) -> bool:
    kind = kinds.get(str(table.get("kind")))
    return kind is not None and key in field_names(kind.config)


def _assign(table: dict[str, Any], keys: list[str], value: Any) -> str:
    *outer, last = keys
    if keys in (["name"], ["kind"]):
        return f'"{last}" can not be set'
    for key in outer:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            return f'"{key}" has no parts to be set'
    table[last] = _here(value) if outer == ["inputs"] else value
    return ""


def _here(value: Any) -> Any:
    """A path of the command line is one of the working directory; in a recipe it is one of the recipe's folder."""
    if isinstance(value, list):
        return [_here(item) for item in value]
    return (
        str(Path(value).resolve())
        if isinstance(value, str) and ("/" in value or "." in value) and Path(value).exists()
        else value
    )
