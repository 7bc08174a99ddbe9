"""Log-probabilities in OpenAI's two shapes: that of chat completions, and the older one of completions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sansi.chat import ChatModel, ChatResult, TextResult, Tokens
from sansi.chat.token_events import Offsets

LEAST = -9999.0  # JSON has no infinity; OpenAI says it so


def chat_logprobs(tokens: Sequence[Tokens], chat: ChatModel, most: int | None = None) -> dict[str, Any]:
    """One entry for each token of the answer under "content", and of the thought under "reasoning_content".

    Tags, tool calls and the end of the turn are in neither; line breaks around the answer are in it. most: of the
    likely tokens of each; None: all that were made.
    """
    found: dict[str, list[dict[str, Any]]] = {"content": [], "reasoning_content": []}
    lists = {"content": found["content"], "reasoning": found["reasoning_content"]}
    for id_, kind, logprob, top in _each(tokens):
        if kind in lists:
            best = [_entry(other, value, chat) for other, value in top[:most]]
            lists[kind].append(_entry(id_, logprob, chat) | {"top_logprobs": best})
    return {**found, "refusal": None}


class TextScores:
    """The older shape's parallel lists, for the tokens of one text as they come; `offset`: where the first begins."""

    def __init__(self, chat: ChatModel, offset: int = 0):
        self._chat, self._offsets = chat, Offsets(offset)

    def add(self, tokens: Sequence[Tokens]) -> dict[str, list[Any]]:
        """The lists of these tokens, but for one that ended the turn and those that were cut off."""
        texts = [one for one in _each(tokens) if one[1] != "dropped" and not self._chat.ends_turn(one[0])]
        return self._lists((id_, logprob, top) for id_, _, logprob, top in texts)

    def add_prompt(self, result: TextResult) -> dict[str, list[Any]]:
        """The lists of the prompt; nothing comes before its first token, which has nulls."""
        tops = result.prompt_top_logprobs or [()] * len(result.prompt_ids)
        best = [[(one.id, one.logprob) for one in top] for top in tops]
        return self._lists(zip(result.prompt_ids, result.prompt_logprobs or (), best, strict=True))

    def _lists(self, scored: Iterable[tuple[int, float | None, list[tuple[int, float]]]]) -> dict[str, list[Any]]:
        told: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for id_, logprob, top in scored:
            value = None if logprob is None else _finite(logprob)
            best = {_text(other, self._chat): _finite(other_value) for other, other_value in top}
            told["tokens"].append(_text(id_, self._chat))
            told["token_logprobs"].append(value)
            told["top_logprobs"].append(None if value is None else best | {_text(id_, self._chat): value})
            told["text_offset"].append(self._offsets.add(self._chat.token_bytes(id_))[0])
        return told


def prompt_logprobs(result: ChatResult | TextResult, chat: ChatModel, most: int) -> list[dict[str, Any] | None]:
    """For each token of the prompt the likely ones in its place and itself, by id, as vLLM has it; null for the first.

    `rank`: its place among the likely ones; null where it is not among them.
    """
    told: list[dict[str, Any] | None] = []
    tops = result.prompt_top_logprobs or [()] * len(result.prompt_ids)
    for id_, logprob, top in zip(result.prompt_ids, result.prompt_logprobs or (), tops, strict=True):
        if logprob is None:
            told.append(None)
            continue
        found: dict[int, tuple[float, int | None]] = {
            one.id: (one.logprob, rank) for rank, one in enumerate(top[:most], 1)
        }
        found.setdefault(id_, (logprob, None))
        told.append(
            {
                str(other): {"logprob": _finite(value), "rank": rank, "decoded_token": _text(other, chat)}
                for other, (value, rank) in found.items()
            }
        )
    return told


def _each(tokens: Sequence[Tokens]) -> Iterator[tuple[int, str, float, list[tuple[int, float]]]]:
    """(id, kind, log-probability, the most likely ones) of each token."""
    for some in tokens:
        tops = some.top_logprobs or [()] * len(some.ids)
        for id_, kind, logprob, top in zip(some.ids, some.kinds, some.logprobs or (), tops, strict=False):
            yield id_, kind, logprob, [(one.id, one.logprob) for one in top]


def _entry(id_: int, logprob: float, chat: ChatModel) -> dict[str, Any]:
    raw = chat.token_bytes(id_)
    return {"token": raw.decode("utf-8", "replace"), "logprob": _finite(logprob), "bytes": list(raw)}


def _text(id_: int, chat: ChatModel) -> str:
    return chat.token_bytes(id_).decode("utf-8", "replace")


def _finite(logprob: float) -> float:
    return max(logprob, LEAST)
