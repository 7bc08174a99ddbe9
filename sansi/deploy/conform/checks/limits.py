"""Where an answer ends."""

from __future__ import annotations

from sansi.deploy.conform.probe import QUESTION, Probe, user
from sansi.deploy.conform.registry import Failed, NotOffered, check

LONG = "Count from 1 to 200."


@check("max-tokens", "max_tokens is never exceeded, and a cut answer says length")
def max_tokens(probe: Probe) -> str:
    for thinking in (False, True):
        for limit in (1, 3):
            found = probe.ask(LONG, thinking, max_tokens=limit)
            if found.status != 200:
                raise Failed(f"status {found.status} for max_tokens {limit}", found)
            written = found.usage.get("completion_tokens", 0)
            if written > limit:
                raise Failed(f"{written} tokens for max_tokens {limit}", found)
    cut = probe.ask(QUESTION, False, max_tokens=1)
    if len(cut.content.strip()) < len(probe.plain.content.strip()) and cut.finish != "length":
        raise Failed(f"the answer is cut after one token, and finish_reason is {cut.finish!r}", cut, probe.plain)
    return "1 and 3 tokens, in both modes"


@check("stop", "a stop string ends the answer and is not in it")
def stop(probe: Probe) -> str:
    text = probe.plain.content.strip()
    word = text[len(text) // 2 :][:3] if len(text) > 3 else text[-1:]
    if not word:
        raise NotOffered("the answer is too short to stop in it")
    found = probe.ask(QUESTION, False, stop=[word])
    if found.status != 200:
        raise Failed(f"status {found.status} for stop", found)
    if word in found.content:
        raise Failed(f"the stop string {word!r} is in the answer", found)
    if not probe.plain.content.strip().startswith(found.content.strip()):
        raise Failed("the answer before the stop string is another one", found, probe.plain)
    if found.finish != "stop":
        raise Failed(f"finish_reason is {found.finish!r} after a stop string", found)
    streamed = probe.stream(user(QUESTION), False, stop=[word])
    if word in streamed.content:
        raise Failed(f"the stop string {word!r} is in the streamed answer", streamed)
    return f"at {word!r}"


@check("end", "an answer ends at its end of turn")
def end(probe: Probe) -> str:
    found = probe.plain
    if found.finish == "length":
        raise Failed(f"a short question is answered until all {probe.max_tokens} tokens are used up", found)
    return f"after {found.usage.get('completion_tokens')} tokens"


@check("context", "a prompt that is too long is refused in words, at once")
def context(probe: Probe) -> str:
    told = probe.endpoint.get("/models")
    cards = told.body.get("data", []) if isinstance(told.body, dict) else []
    card = next((c for c in cards if isinstance(c, dict) and c.get("id") == probe.endpoint.model), {})
    sizes = [card.get(name) for name in ("max_model_len", "context_length", "context_window")]
    size = next((s for s in sizes if isinstance(s, int)), None)
    if size is None:
        raise NotOffered("/v1/models does not say how long the context is")
    if size > 50_000:
        raise NotOffered(f"not asked: {size:,} tokens of context would take a long prompt")
    found = probe.ask("word " * (2 * size), False, max_tokens=4)
    if found.status == 200:
        raise Failed(f"{2 * size:,} words are accepted in a context of {size:,} tokens, in silence", found)
    if not found.is_refused:
        raise Failed(f"status {found.status} for a prompt that is too long; a 4xx is right", found)
    return f"status {found.status}"
