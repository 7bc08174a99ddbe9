"""What `bench/serve.py` asks of every server, and how requests become figures."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine_cases import limit
from sansi.model import ModelConfig

WORDS = [
    "time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state",
    "family", "student", "group", "country", "problem", "hand", "part", "place", "case", "week", "company", "system",
    "program", "question", "work", "government", "number", "night", "point", "home", "water",
]  # fmt: skip


@dataclass(frozen=True)
class LoadCase:
    """So many clients, each asking its next question when it has its answer. Every request has a seed of its own."""

    name: str
    concurrency: int
    requests: int
    new_tokens: int | None = None
    """Tokens of every answer; None: as many as the model likes, by its own preset."""
    words: int = 100
    """Length of the question, where `new_tokens` is given."""

    @property
    def title(self) -> str:
        return f"{self.concurrency} client{'s' if self.concurrency > 1 else ''}"

    def rehearsal(self) -> LoadCase:
        """The same in small."""
        few = max(2, self.concurrency // 4)
        return replace(self, concurrency=few, requests=2 * few, new_tokens=self.new_tokens and 8, words=10)

    def make(self, round_: int) -> list[dict[str, Any]]:
        """The same requests for every contender, other ones in each round, so that no cache of prefixes helps."""
        rng = random.Random(f"{self.name} {round_}")
        return [self._body(rng, index) for index in range(self.requests)]

    def _body(self, rng: random.Random, index: int) -> dict[str, Any]:
        if self.new_tokens is None:
            return {"messages": _user(_sum(rng)), "max_tokens": 256, "seed": index}
        question = " ".join(rng.choices(WORDS, k=self.words))
        return {"messages": _user(question), "max_tokens": self.new_tokens, "seed": index}


def _user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _sum(rng: random.Random) -> str:
    terms = " ".join(f"{rng.choice('+-')} {rng.randint(1, 99)}" for _ in range(rng.randint(2, 4)))
    return f"State the final answer to the following arithmetic problem: {rng.randint(1, 99)} {terms} ="


NANO_CASES = (LoadCase("c1", 1, 32), LoadCase("c8", 8, 128), LoadCase("c32", 32, 256))
CASES = (LoadCase("c1", 1, 4, 64), LoadCase("c8", 8, 16, 64), LoadCase("c32", 32, 64, 64))


# --- figures ----------------------------------------------------------------------------------------------------------


def run_of(reply: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a load: milliseconds of the requests that were answered, and why the others were not."""
    good = [answer for answer in reply["answers"] if answer["error"] is None]
    steps = [1000 * (one["last"] - one["first"]) / max(1, one["tokens"] - 1) for one in good]
    return {
        "value": sum(one["tokens"] for one in good) / reply["seconds"],
        "seconds": round(reply["seconds"], 3),
        "generator_cpu": round(reply.get("generator_cpu", 0), 3),
        "tokens": sum(one["tokens"] for one in good),
        "prompt_tokens": next((one["prompt_tokens"] for one in good if one["prompt_tokens"]), None),
        "first_ms": [round(1000 * one["first"], 2) for one in good],
        "step_ms": [round(step, 3) for step in steps],
        "errors": [answer["error"] for answer in reply["answers"] if answer["error"] is not None],
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of `values` lies; between two of them, the line through both."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


@dataclass(frozen=True)
class Limits:
    """What the machine's memory and arithmetic allow at best."""

    tokens_per_second: float
    first_ms: float
    """One prompt alone."""
    step_ms: float
    """Between two tokens of one client, all clients served."""


def limits(case: LoadCase, prompt: int, config: ModelConfig, weight_bytes: int, rates: Mapping[str, float]) -> Limits:
    """See `engine_cases.limit`; prompt: tokens of a rendered question."""
    assert case.new_tokens is not None
    one = {"prompts": [[0] * prompt], "new_tokens": [case.new_tokens]}
    full = {key: value * case.concurrency for key, value in one.items()}
    return Limits(
        limit("output", full, config, weight_bytes, rates),
        limit("milliseconds", one, config, weight_bytes, rates),
        1000 * case.concurrency / limit("decode", full, config, weight_bytes, rates),
    )
