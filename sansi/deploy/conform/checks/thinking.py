"""Thinking on and off, how much of it, and where it is told."""

from __future__ import annotations

from sansi.deploy.conform.endpoint import Answer
from sansi.deploy.conform.probe import BUDGETS, QUESTION, Probe, user
from sansi.deploy.conform.registry import Failed, NotOffered, check
from sansi.text import NO_THINK_FLAG

HARD = "How much is 17 + 25 - 9 + 31?"


@check("thinks", "with thinking on there is a thought, apart from the answer")
def thinks(probe: Probe) -> str:
    found = probe.thought
    if found.status != 200:
        raise Failed(f"status {found.status} with thinking on", found)
    if not found.reasoning.strip():
        raise Failed("no reasoning_content and no reasoning: the thought is missing, or inside the content", found)
    if not found.content.strip() and found.finish != "length":
        raise Failed("a thought and no answer after it", found)
    return f"{len(found.reasoning)} characters of thought"


@check("switch", "with thinking off there is none")
def switch(probe: Probe) -> str:
    for text in (QUESTION, HARD):
        found = probe.ask(text, False)
        if found.status != 200:
            raise Failed(f"status {found.status} with thinking off", found)
        if found.reasoning.strip():
            raise Failed("a thought, though thinking is switched off", found)
    return "two questions without a thought"


@check("field", "one name for the thought, streamed and whole")
def field(probe: Probe) -> str:
    _needs_thoughts(probe)
    names = ("reasoning_content", "reasoning")
    whole = {name for name in names if probe.thought.message.get(name)}
    stream = probe.stream(user(QUESTION), True)
    streamed = {name for name in names for delta in stream.deltas if delta.get(name)}
    if whole != streamed:
        raise Failed(f"{_list(whole)} in the whole answer, {_list(streamed)} in the stream", probe.thought, stream)
    first_content = next((n for n, delta in enumerate(stream.deltas) if delta.get("content")), len(stream.deltas))
    late = [delta for delta in stream.deltas[first_content:] if any(delta.get(name) for name in names)]
    if late:
        raise Failed("thought comes after the answer has begun", late[:3])
    return _list(whole)


@check("soft-switch", f"{NO_THINK_FLAG} in the message switches thinking off")
def soft_switch(probe: Probe) -> str:
    found = probe.ask(f"{QUESTION} {NO_THINK_FLAG}")
    if found.status != 200:
        raise Failed(f"status {found.status}", found)
    if found.reasoning.strip():
        raise Failed(f"a thought in spite of {NO_THINK_FLAG}", found)
    return "no thought"


@check("history", "earlier thoughts are taken back under either name")
def history(probe: Probe) -> str:
    _needs_thoughts(probe)
    for name in ("reasoning_content", "reasoning"):
        talk = [
            *user(QUESTION),
            {"role": "assistant", "content": "19", name: "12 + 7 = 19"},
            *user("And 1 more?"),
        ]
        found = probe.chat(talk, False)
        if found.status != 200:
            raise Failed(f"status {found.status} for an assistant's message with {name}", found)
    return "both names"


@check("budget", "a thinking budget holds, and an answer follows")
def budget(probe: Probe) -> str:
    """The first spelling that the server does not refuse is the one that counts; ignored is worse than refused."""
    _needs_thoughts(probe)
    free = probe.ask(HARD, True)
    spent = probe.thought_tokens(free)
    if spent is None:
        raise NotOffered("thoughts can not be counted: no usage.completion_tokens_details and no /tokenize")
    limit = max(1, spent // 2)
    ignored: Answer | None = None
    for name, spelt in BUDGETS.items():
        found = probe.ask(HARD, True, **spelt(limit))
        if found.status != 200:
            continue
        used = probe.thought_tokens(found)
        if used is not None and used <= limit:
            if not found.content.strip():
                raise Failed(f"{name}={limit} holds, and no answer follows", found)
            return f"{name}={limit}: {used} tokens of thought, {spent} without it"
        ignored = ignored or found
    if ignored is None:
        raise NotOffered(f"every spelling is refused ({', '.join(BUDGETS)})")
    raise Failed(f"no spelling of a budget of {limit} holds ({', '.join(BUDGETS)}); ignored in silence", ignored)


@check("reserve", "a small max_tokens still leaves an answer, or says that it was cut")
def reserve(probe: Probe) -> str:
    _needs_thoughts(probe)
    found = probe.ask(HARD, True, max_tokens=24)
    if not found.content.strip() and found.finish != "length":
        raise Failed(f"no answer, and finish_reason is {found.finish!r}", found)
    return "an answer" if found.content.strip() else "cut within the thought, finish_reason length"


def _needs_thoughts(probe: Probe) -> None:
    if not probe.thinks:
        raise NotOffered("the model does not think here")


def _list(names: set[str]) -> str:
    return " and ".join(sorted(names)) or "neither name"
