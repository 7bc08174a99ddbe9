"""Requests that are wrong: each gets a 4xx that says why, and the server goes on."""

from __future__ import annotations

from typing import Any

from sansi.deploy.conform.endpoint import Answer
from sansi.deploy.conform.probe import QUESTION, Probe, user
from sansi.deploy.conform.registry import Failed, check

WRONG: dict[str, dict[str, Any]] = {
    "no messages": {"messages": []},
    "messages of another type": {"messages": "hello"},
    "a role that there is not": {"messages": [{"role": "wizard", "content": "hi"}]},
    "a temperature below 0": {"messages": user(QUESTION), "temperature": -1},
    "top_p above 1": {"messages": user(QUESTION), "top_p": 1.5},
    "max_tokens below 0": {"messages": user(QUESTION), "max_tokens": -5},
    "a schema that is none": {
        "messages": user(QUESTION),
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": 3}}},
    },
}


@check("wrong-json", "a body that is no JSON is refused")
def wrong_json(probe: Probe) -> str:
    return _refused(probe, probe.endpoint.post("/chat/completions", b'{"model": '), "a cut body")


@check("wrong-model", "a model that is not served is refused")
def wrong_model(probe: Probe) -> str:
    body = {"model": "no-such-model-here", "messages": user(QUESTION), "max_tokens": 4}
    return _refused(probe, probe.endpoint.post("/chat/completions", body), "an unknown model")


@check("wrong-values", "values out of range are refused")
def wrong_values(probe: Probe) -> str:
    for what, fields in WRONG.items():
        body = {"model": probe.endpoint.model, "max_tokens": 4, **fields}
        _refused(probe, probe.endpoint.post("/chat/completions", body), what)
    return f"{len(WRONG)} of {len(WRONG)}"


@check("alive", "after all that the server answers as before")
def alive(probe: Probe) -> str:
    found = probe.ask(QUESTION, False)
    if found.status != 200 or found.content.strip() != probe.plain.content.strip():
        raise Failed("another answer than at the beginning", found, probe.plain)
    return "the same answer"


def _refused(probe: Probe, found: Answer, what: str) -> str:
    if found.status == 200:
        raise Failed(f"{what} is accepted", found)
    if not found.is_refused:
        raise Failed(f"status {found.status} for {what}; a 4xx is right", found)
    error = found.body.get("error", found.body) if isinstance(found.body, dict) else found.body
    words = error.get("message", error.get("detail")) if isinstance(error, dict) else error
    if not words:
        raise Failed(f"{what} is refused without a word", found)
    return f"status {found.status}"
