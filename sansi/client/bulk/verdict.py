"""What an endpoint's answer is worth: its body to facts that are kept, and these to an `Answer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sansi.base.words import in_a_line
from sansi.client.bulk.refusals import is_refusal, loops
from sansi.client.bulk.request import Answer, Status
from sansi.client.bulk.settings import EndpointSettings
from sansi.client.reply import AssistantReply, Usage
from sansi.client.streaming import NotACompletion, Refused
from sansi.client.token_count import estimated_tokens
from sansi.text import without_thought

LONGEST_DETAIL = 200  # characters
FILTERED = ("content_filter", "content_policy_violation", "responsible_ai_policy_violation", "data_inspection_failed")


class EmptyAnswer(NotACompletion):
    """A completion without a word."""


@dataclass(frozen=True)
class Facts:
    """What is kept of an answer. Verdicts are made from it anew each time: a new rule needs no new answer."""

    text: str
    finish_reason: str
    model: str
    refusal: str | None
    """The model's own words, where it has refused in the field for that."""
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost: float
    oddities: tuple[str, ...] = field(default=())

    @classmethod
    def load(cls, kept: Mapping[str, Any]) -> Facts | None:
        """From the cache; None for what an older or a strange program has written there."""
        try:
            facts = cls(**{name: kept[name] for name in cls.__dataclass_fields__})
            return cls(**{**vars(facts), "oddities": tuple(facts.oddities)})
        except (KeyError, TypeError):
            return None


def facts_of(
    body: Any, reply: AssistantReply, settings: EndpointSettings, prompt_estimate: int, seconds: float
) -> Facts:
    """Of the body of a completion, which `reply` was read from. Raises EmptyAnswer for one without content."""
    message = body["choices"][0]["message"]
    text, refusal = without_thought(reply.message.content), message.get("refusal")
    filtered = reply.finish_reason == "content_filter"
    if not (text.strip() or refusal or filtered or reply.finish_reason == "length"):
        told = " (it calls a tool)" if reply.message.tool_calls else ""
        raise EmptyAnswer(f"the answer is empty{told}")
    usage, oddities = _usage(body.get("usage"), prompt_estimate, reply)
    model = body.get("model")
    model = model if isinstance(model, str) else ""
    if not _same_model(model, settings.model):
        oddities.append("another model" if model else "no model's name")
    cost = settings.cost(usage.prompt_tokens, usage.completion_tokens)
    refused = str(refusal) if refusal else None
    tokens = (usage.prompt_tokens, usage.completion_tokens)
    return Facts(text, reply.finish_reason, model, refused, *tokens, seconds, cost, tuple(oddities))


def answer_of(key: str, facts: Facts, cached: bool) -> Answer:
    """The verdict on an answer by itself."""
    status, reason = _verdict(facts)
    return Answer(
        key=key,
        status=status,
        text=facts.text,
        reason=reason,
        detail=facts.refusal or "",
        model=facts.model,
        usage=Usage(facts.prompt_tokens, facts.completion_tokens),
        seconds=facts.seconds,
        cost=facts.cost,
        cached=cached,
        oddities=facts.oddities,
    )


def _verdict(facts: Facts) -> tuple[Status, str]:
    if facts.refusal or facts.finish_reason == "content_filter":
        return "refused", "content filter" if facts.finish_reason == "content_filter" else "refusal"
    if loops(facts.text, cut=facts.finish_reason == "length"):
        return "failed", "loops"
    if facts.finish_reason == "length":
        return "cut", "max_tokens"
    if facts.finish_reason != "stop":
        return "failed", f"ended by {in_a_line(facts.finish_reason, 40)}"
    return ("refused", "refusal") if is_refusal(facts.text) else ("ok", "")


def failure(key: str, error: Exception, seconds: float = 0.0) -> Answer:
    """Of a request that got no answer."""
    detail = in_a_line(str(error), LONGEST_DETAIL)
    if isinstance(error, Refused) and error.code in FILTERED:
        return Answer(key, "refused", reason="content filter", detail=detail, seconds=seconds)
    reason = f"http {error.status}" if isinstance(error, Refused) else "unreachable"
    reason = "not a completion" if isinstance(error, NotACompletion) else reason
    reason = "empty" if isinstance(error, EmptyAnswer) else reason
    return Answer(key, "failed", reason=reason, detail=detail, seconds=seconds)


def _usage(wire: Any, prompt_estimate: int, reply: AssistantReply) -> tuple[Usage, list[str]]:
    """The tokens that the endpoint counted, or, where it told none that can be, an estimate."""
    wire = wire if isinstance(wire, Mapping) else {}
    told = [wire.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in told):
        return Usage(*told), []  # type: ignore[arg-type]
    written = reply.message.content + (reply.message.reasoning_content or "")
    return Usage(prompt_estimate, estimated_tokens(written)), ["no usage"]


def _same_model(told: str, asked: str) -> bool:
    """Servers add a date or a revision to a name, or take the folder from a path."""
    short = asked.rstrip("/").rpartition("/")[2]
    return (
        told == asked
        or told.rstrip("/").rpartition("/")[2] == short
        or told.startswith((f"{asked}-", f"{asked}@", f"{asked}:"))
    )
