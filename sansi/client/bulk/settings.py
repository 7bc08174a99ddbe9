"""Which endpoint is asked, how, and what it may cost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sansi.base import SansiError
from sansi.base.config import Config, too_small

OURS = {
    "model": "give it as model of the endpoint",
    "messages": "give them in the request",
    "stream": "answers are taken whole",
    "n": "ask with another sample number instead",
}


@dataclass(frozen=True)
class EndpointSettings(Config):
    """An OpenAI-compatible endpoint, and how many requests are made of it."""

    base_url: str
    """Address of the API; usually ends in /v1."""
    model: str
    """Name of the model, as the endpoint knows it."""
    api_key_env: str | None = None
    """Variable of the environment that holds the API key."""
    api_key_file: Path | None = None
    """File that holds the API key, in place of a variable."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of each request: temperature, max_tokens, seed, …; a request's own options go before these."""
    concurrency: int = 8
    """Requests under way at a time."""
    timeout: float = 600.0
    """Seconds that the endpoint may be silent."""
    retries: int = 4
    """Times that a request is repeated which got no answer, or none that is a completion."""
    first_wait: float = 1.0
    """Seconds before the first repetition; each further one waits twice as long, at most 60, unless told otherwise."""
    give_up_after: int = 10
    """Requests in a row that fail with all their repetitions, after which the endpoint counts as down."""
    prompt_price: float = 0.0
    """Of a million prompt tokens, in whatever currency the budget is in."""
    completion_price: float = 0.0
    """Of a million completion tokens."""
    same_answers: int | None = 3
    """Different questions that may get the same long answer; further ones with it have failed. None: any number."""

    def problems(self) -> list[str]:
        found = too_small(self, 1, "concurrency", "give_up_after", "same_answers")
        found += too_small(self, 0, "retries", "first_wait", "prompt_price", "completion_price")
        if not self.base_url.startswith(("http://", "https://")):
            found.append(f'"base_url" must start with http:// or https://, not "{self.base_url}"')
        if not self.model:
            found.append('"model" is empty; give the name of a model of the endpoint')
        if self.timeout <= 0:
            found.append(f'"timeout" must be more than 0 seconds, not {self.timeout}')
        if self.api_key_env and self.api_key_file:
            found.append('"api_key_env" and "api_key_file" are both given; give one of them')
        return found + [
            f'"options.{name}" can not be set: {told}' for name, told in OURS.items() if name in self.options
        ]

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.prompt_price + completion_tokens * self.completion_price) / 1e6

    def api_key(self) -> str | None:
        """The key that the settings name. Raises SansiError where there is none."""
        if self.api_key_env is not None:
            if not (key := os.environ.get(self.api_key_env)):
                raise SansiError(f"the environment variable {self.api_key_env} is not set", param="api_key_env")
            return key
        if self.api_key_file is None:
            return None
        try:
            words = self.api_key_file.expanduser().read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            told = getattr(error, "strerror", None) or error
            raise SansiError(f"the key file {self.api_key_file}: {told}", param="api_key_file") from error
        if not words:
            raise SansiError(f"the key file {self.api_key_file} is empty", param="api_key_file")
        return words[0]


@dataclass(frozen=True)
class Budget(Config):
    """What all requests with one folder may use together, those of earlier runs and of other processes included.

    No request is made that could go beyond it, so each is counted with the most that it may take: its `max_tokens`.
    """

    max_requests: int | None = None
    """Requests that are sent, repetitions included."""
    max_tokens: int | None = None
    """Prompt and completion tokens together."""
    max_cost: float | None = None
    """By the endpoint's prices, in their currency."""

    def problems(self) -> list[str]:
        return too_small(self, 0, "max_requests", "max_tokens", "max_cost")

    @property
    def counts_tokens(self) -> bool:
        return self.max_tokens is not None or self.max_cost is not None

    def allows(self, requests: int, tokens: int, cost: float) -> bool:
        """Whether so much is within it."""
        given = ((self.max_requests, requests), (self.max_tokens, tokens), (self.max_cost, cost))
        return all(most is None or used <= most for most, used in given)
