"""What the checks ask with: the questions, the spellings of the switch and the budget, and counts of tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sansi.deploy.conform.endpoint import Answer, Endpoint, Stream
from sansi.text.tokenizer import CONTROL_TEXT

QUESTION = "What is 12 + 7?"
SWITCHES: dict[str, Callable[[bool], dict[str, Any]]] = {
    "chat_template_kwargs": lambda on: {"chat_template_kwargs": {"enable_thinking": on}},
    "enable_thinking": lambda on: {"enable_thinking": on},
    "think": lambda on: {"think": on},
}
"""Spellings of the switch: vLLM, SGLang, llama.cpp and Sansi; Alibaba's cloud; Ollama."""
BUDGETS: dict[str, Callable[[int], dict[str, Any]]] = {
    "thinking_budget": lambda n: {"thinking_budget": n},
    "thinking_token_budget": lambda n: {"thinking_token_budget": n},
    "chat_template_kwargs.thinking_budget": lambda n: {"chat_template_kwargs": {"thinking_budget": n}},
    "thinking_budget_tokens": lambda n: {"thinking_budget_tokens": n},
}
"""Spellings of the budget: Sansi and Alibaba's cloud; vLLM; template arguments; llama.cpp."""
TAGS = tuple(text for name, text in CONTROL_TEXT.items() if not name.startswith(("tool_response", "endoftext")))


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@dataclass
class Probe:
    """An endpoint and what is known of it. Everything is asked greedily unless a check is about chance."""

    endpoint: Endpoint
    switch: str = "chat_template_kwargs"
    """A key of SWITCHES."""
    count_prompt: Callable[[list[dict[str, Any]], bool], int] | None = None
    """Tokens of a conversation rendered with the model's own template, thinking or not; None: nobody can say."""
    max_tokens: int = 512
    """Of an ordinary answer, thought included."""

    def ask(self, text: str, thinking: bool | None = None, **options: Any) -> Answer:
        return self.chat(user(text), thinking, **options)

    def chat(self, messages: list[dict[str, Any]], thinking: bool | None = None, **options: Any) -> Answer:
        return self.endpoint.chat(messages, **self._options(thinking, options))

    def stream(self, messages: list[dict[str, Any]], thinking: bool | None = None, **options: Any) -> Stream:
        return self.endpoint.stream(messages, **self._options(thinking, options))

    def _options(self, thinking: bool | None, options: dict[str, Any]) -> dict[str, Any]:
        mode = {} if thinking is None else SWITCHES[self.switch](thinking)
        merged = {"temperature": 0, "max_tokens": self.max_tokens, **mode, **options}
        kwargs = {**mode.get("chat_template_kwargs", {}), **options.get("chat_template_kwargs", {})}
        return merged | ({"chat_template_kwargs": kwargs} if kwargs else {})

    @cached_property
    def thought(self) -> Answer:
        """An answer with thinking switched on."""
        return self.ask(QUESTION, True)

    @cached_property
    def plain(self) -> Answer:
        """An answer with thinking switched off."""
        return self.ask(QUESTION, False)

    @property
    def thinks(self) -> bool:
        return bool(self.thought.reasoning.strip())

    def count(self, text: str) -> int | None:
        """Tokens of a text by the server's own `/tokenize`; None where it has none."""
        for body in ({"model": self.endpoint.model, "prompt": text, "add_special_tokens": False}, {"content": text}):
            answer = self.endpoint.post("/tokenize", body, root=True)
            if answer.status == 200 and isinstance(answer.body, dict):
                tokens = answer.body.get("tokens")
                found = answer.body.get("count", len(tokens) if isinstance(tokens, list) else None)
                if isinstance(found, int):
                    return found
        return None

    def thought_tokens(self, answer: Answer) -> int | None:
        """Of an answer's thought: as its usage says, else as the server counts the text."""
        details = answer.usage.get("completion_tokens_details")
        told = details.get("reasoning_tokens") if isinstance(details, dict) else None
        if isinstance(told, int) and (told or not answer.reasoning):
            return told
        return self.count(answer.reasoning.strip()) if answer.reasoning else 0
