"""Log-probabilities in OpenAI's two shapes: that of chat completions, and the older one of completions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sansi.chat import ChatModel, ChatResult, TextResult, Tokens
from sansi.chat.token_events import Offsets

LEAST = -9999.0  # JSON has no infinity; OpenAI says it so


def chat_logprobs(tokens: Sequence[Tokens], chat: ChatModel, most: int | None = None) -> dict[str, Any]:
    """One entry for each token of the answer under "content", and of the thought under "reasoning_content".

    Their texts are those of the answer and the thought: tags, line breaks around them, tool calls and the end of the
    turn are in neither. most: of the likely tokens of each; None: all that were made.
    """
    found: dict[str, list[dict[str, Any]]] = {"content": [], "reasoning_content": []}
    lists = {"content": found["content"], "reasoning": found["reasoning_content"]}
    for id_, kind, logprob, top in _each(tokens):
        if kind in lists:
            best = [_entry(other, value, chat) for other, value in top[:most]]
            lists[kind].append(_entry(id_, logprob, chat) | {"top_logprobs": best})
    return {**found, "refusal": None}


class TextScores:
    """The older shape's parallel lists, for the tokens of one text as they come.

    offset: where the first begins. stop_ids: those of the request, which may end the text.
    """

    def __init__(self, chat: ChatModel, offset: int = 0, stop_ids: Collection[int] = ()):
        self._chat, self._offsets, self._stop_ids = chat, Offsets(offset), frozenset(stop_ids)

    def add(self, tokens: Sequence[Tokens]) -> dict[str, list[Any]]:
        """The lists of these tokens, but for those that a stop string cut off. One that ended the completion is there,
        and adds no text: who counts entries counts the tokens that were generated."""
        return self._lists(
            (id_, logprob, top, not self._is_end(id_, kind))
            for id_, kind, logprob, top in _each(tokens)
            if kind != "dropped" or id_ in self._stop_ids
        )

    def add_prompt(self, result: TextResult) -> dict[str, list[Any]]:
        """The lists of the prompt; nothing comes before its first token, which has nulls."""
        tops = result.prompt_top_logprobs or [()] * len(result.prompt_ids)
        best = [[(one.id, one.logprob) for one in top] for top in tops]
        scores = zip(result.prompt_ids, result.prompt_logprobs or (), best, strict=True)
        return self._lists((*score, True) for score in scores)

    def _is_end(self, id_: int, kind: str) -> bool:
        return kind == "dropped" or self._chat.ends_turn(id_)

    def _lists(self, scored: Iterable[tuple[int, float | None, list[tuple[int, float]], bool]]) -> dict[str, list[Any]]:
        """Of (id, log-probability, likely ones, whether it is text)."""
        told: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for id_, logprob, top, is_text in scored:
            value = None if logprob is None else _finite(logprob)
            offsets, raw = self._offsets, self._chat.token_bytes(id_)
            told["tokens"].append(_key(id_, self._chat))
            told["token_logprobs"].append(value)
            told["top_logprobs"].append(None if value is None else self._by_text(id_, value, top))
            told["text_offset"].append(offsets.add(raw)[0] if is_text else offsets.length)
        return told

    def _by_text(self, own: int, logprob: float, top: list[tuple[int, float]]) -> dict[str, float]:
        """The likely tokens and the one that came, by text. Of tokens with one text, all but the likeliest are told by
        their ids, so that none hides another."""
        told: dict[str, float] = {}
        for id_, value in [*top, *([] if any(id_ == own for id_, _ in top) else [(own, logprob)])]:
            text = _key(id_, self._chat)
            told[f"token_id:{id_}" if text in told else text] = _finite(value)
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
                str(other): {"logprob": _finite(value), "rank": rank, "decoded_token": _key(other, chat)}
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


def _key(id_: int, chat: ChatModel) -> str:
    r"""A token's text, or what OpenAI has for one that is part of a character: its bytes, as in `bytes:\xe6\x97`."""
    raw = chat.token_bytes(id_)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def _finite(logprob: float) -> float:
    return max(logprob, LEAST)
