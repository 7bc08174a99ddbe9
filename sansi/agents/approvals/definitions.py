"""Definitions of tools: what an approval was given to. One that changed since is another tool."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sansi.agents.approvals.rules import Described


def definition_of(tool: Described) -> dict[str, Any]:
    """What is approved with a tool: all that the model and the user are told of it."""
    return {
        "name": tool.name,
        "title": tool.title,
        "origin": tool.origin,
        "effects": sorted(tool.effects),
        "description": tool.description,
        "parameters": tool.parameters,
    }


def key_of(tool: Described) -> str:
    """Under which a definition is remembered: where the tool comes from, and its name there."""
    return f"{tool.origin}/{tool.title or tool.name}"


def fingerprint_of(definition: Mapping[str, Any]) -> str:
    """SHA-256 of a definition, in hexadecimal; the order of its keys does not count."""
    text = json.dumps(definition, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def change_of(tool: Described, before: Mapping[str, Any] | None) -> str:
    """What changed since an earlier definition of the tool, by lines; empty where nothing did, or there is none."""
    now = definition_of(tool)
    return "" if before is None or fingerprint_of(before) == fingerprint_of(now) else difference(before, now)


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The lines that differ between two definitions, each with `-` or `+`, and what stands around them."""
    old, new = (json.dumps(part, indent=1, sort_keys=True, ensure_ascii=False).splitlines() for part in (before, now))
    return "\n".join(list(difflib.unified_diff(old, new, lineterm="", n=1))[2:])
