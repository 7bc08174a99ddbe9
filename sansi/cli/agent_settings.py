"""What a session of `sansi agent` runs with, kept in its first line: `--resume` goes on with model, tools and rules as
they were, and only options that are given again differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from sansi.cli.usage import is_given

EMBEDDINGS = ("embeddings_url", "embeddings_model", "embeddings_key_env")
MODEL, TOOLS = (
    ("model", "url", "api_key_file", "api_key_env", "hub", "device", "quantize"),
    ("tools", "mcp", *EMBEDDINGS),
)
CHOOSES_MODEL = ("model", "url")
RULES = ("always", "ask", "never")


@dataclass(frozen=True)
class AgentSettings:
    """The options of `sansi agent` that outlive the process, under their names. Of a key only the place is kept."""

    model: str | None
    url: str | None
    api_key_file: str | None
    api_key_env: str | None
    device: str
    quantize: str | None
    hub: str
    tools: list[str] | None
    mcp: list[str] | None
    folder: str
    embeddings_url: str | None
    embeddings_model: str | None
    embeddings_key_env: str | None
    mode: str
    always: list[str] | None
    ask: list[str] | None
    never: list[str] | None
    thinking_budget: int | None
    max_calls: int
    max_tokens: int | None
    max_seconds: float | None
    loop_breaker: int

    def to_json(self, name: str) -> dict[str, Any]:
        """For the first line of a session. Paths are absolute, since it may be gone on with from another folder.
        name: what the model is called; a server may have another one first by then."""
        kept = dataclasses.asdict(self)
        for key in ("folder", "api_key_file"):
            kept[key] = kept[key] and _absolute(kept[key])
        kept["mcp"] = self.mcp and [_absolute(file) for file in self.mcp]
        if self.url is not None:
            kept["model"] = name
        elif self.model is not None and Path(self.model).is_dir():
            kept["model"] = _absolute(self.model)
        return kept


def settings_of(ctx: typer.Context, head: Mapping[str, Any]) -> AgentSettings:
    """The options that were given; where none was, what the session's first line (`head`) says; else the defaults.

    A model is chosen as a whole, by name or address, and so are the tools: who gives one of these options gives all.
    Rules join those of the session, of which the most careful wins: none of them is lost by another one.
    """
    names = [field.name for field in dataclasses.fields(AgentSettings)]
    given = {name for name in names if is_given(ctx, name)}
    if given & set(CHOOSES_MODEL):
        given.update(MODEL)
    if given & set(TOOLS):
        given.update(TOOLS)
    kept = head.get("settings")
    before = {k: v for k, v in kept.items() if k in names and k not in given} if isinstance(kept, dict) else {}
    options = {name: ctx.params[name] for name in names}
    options = {
        name: None if value in ([], ()) else value for name, value in options.items()
    }  # not given, and repeatable
    kept_rules = rules_of(head)
    joined = {name: [*kept_rules.get(name, ()), *(ctx.params[name] or ())] for name in RULES}
    return AgentSettings(
        **{**options, **before, **{name: list(dict.fromkeys(rules)) or None for name, rules in joined.items()}}
    )


def rules_of(head: Mapping[str, Any]) -> dict[str, list[str]]:
    """The rules of a session, by what they say."""
    kept = head.get("settings")
    return {name: list(kept[name]) for name in RULES if kept.get(name)} if isinstance(kept, dict) else {}


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
