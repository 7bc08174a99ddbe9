"""Log-probabilities in OpenAI's two shapes: that of chat completions, and the older one of completions."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sansi.chat import ChatModel, TextResult, Tokens

LEAST = -9999.0  # JSON has no infinity; OpenAI says it so


def chat_logprobs(tokens: Sequence[Tokens], chat: ChatModel) -> dict[str, Any]:
    """One entry for each token of the answer under "content", and of the thought under "reasoning_content".

    Tags, tool calls and the end of the turn are in neither; line breaks around the answer are in it.
    """
    found: dict[str, list[dict[str, Any]]] = {"content": [], "reasoning_content": []}
    lists = {"content": found["content"], "reasoning": found["reasoning_content"]}
    for id_, kind, logprob, top in _each(tokens):
        if kind in lists:
            best = [_entry(other, value, chat) for other, value in top]
            lists[kind].append(_entry(id_, logprob, chat) | {"top_logprobs": best})
    return {**found, "refusal": None}


def text_logprobs(tokens: Sequence[Tokens], chat: ChatModel, offset: int) -> dict[str, Any]:
    """Parallel lists for each token but the one that ended the turn; `offset` is where the first one's text begins."""
    scored = [(id_, logprob, top) for id_, _, logprob, top in _each(tokens) if not chat.ends_turn(id_)]
    return _lists(scored, chat, offset)


def prompt_logprobs(result: TextResult, chat: ChatModel) -> dict[str, list[Any]]:
    """The same of the prompt; nothing comes before its first token, which has nulls."""
    tops = result.prompt_top_logprobs or [()] * len(result.prompt_ids)
    best = [[(one.id, one.logprob) for one in top] for top in tops]
    scored = zip(result.prompt_ids, result.prompt_logprobs or (), best, strict=True)
    return _lists(scored, chat, 0)


def _lists(
    scored: Iterable[tuple[int, float | None, list[tuple[int, float]]]], chat: ChatModel, offset: int
) -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for id_, logprob, top in scored:
        best = {_text(other, chat): _finite(value) for other, value in top}
        told["tokens"].append(_text(id_, chat))
        told["token_logprobs"].append(None if logprob is None else _finite(logprob))
        told["top_logprobs"].append(None if logprob is None else best)
        told["text_offset"].append(offset)
        offset += len(decoder.decode(chat.token_bytes(id_)))
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
