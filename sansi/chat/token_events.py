"""Telling the tokens of a stream: each with what it is part of, and none as text that a stop string then cuts off."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sansi.chat.options import ChatOptions, Tokens
from sansi.chat.stream_reader import StreamReader, TokenKinds
from sansi.engine.results import Delta
from sansi.text import Codec, Content


class Offsets:
    """Where the text of each token begins among the characters of all, of which a token may hold but a part."""

    def __init__(self, start: int = 0):
        self.length = start
        """Characters that are whole."""
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, raw: bytes) -> tuple[int, str]:
        """Where the token's text begins, and the text that it completes."""
        half = self._utf8.getstate()[0]
        # What does not go on with the half of a character leaves it alone, as U+FFFD.
        begin = self.length + bool(half and raw and raw[0] & 0xC0 != 0x80)
        text = self._utf8.decode(raw)
        self.length += len(text)
        return begin, text

    def finish(self) -> str:
        """U+FFFD if the last token ended inside a character, else ""."""
        return self._utf8.decode(b"", final=True)


@dataclass(frozen=True)
class _Waiting:
    """A token that may yet be cut off."""

    tokens: Tokens
    begin: int | None
    """Where its text begins among the characters that stop strings are looked for in; None: its text is not there."""
    solid: int
    """The same, line breaks not counted: around an answer they are framing, and are not told."""


class TokenEvents:
    """Feed it deltas and the events that they brought; it gives back the tokens of which all is known.

    A token waits until text after its beginning was told. What a stop string or a stop id cut off is "dropped".
    """

    def __init__(self, codec: Codec, prompt: Sequence[int], options: ChatOptions, is_text: bool):
        self._codec, self._options, self._is_text = codec, options, is_text
        self._kinds = TokenKinds(prompt, codec.control, calls=bool(options.tools))
        self._offsets = Offsets()
        self._pieces: list[str] = []
        self._solid = self._told = 0
        self._waiting: deque[_Waiting] = deque()

    def feed(self, delta: Delta, events: Sequence[Any], reader: StreamReader) -> list[Tokens]:
        """reader: what the events came from; it has finished if the delta holds the completion."""
        done = delta.completion
        tokens = Tokens(delta.ids, self._kinds.of(delta.ids), delta.logprobs, delta.top_logprobs)
        if not self._options.stop and not self._options.stop_ids:
            return [tokens] if delta.ids else []
        for single in _singly(tokens):
            self._add(single)
        self._told += sum(_solid(event.text) for event in events if isinstance(event, Content))
        return self._certain() if done is None else self._rest(reader, done.finish_reason == "stop")

    def _add(self, tokens: Tokens) -> None:
        (id_,), (kind,) = tokens.ids, tokens.kinds
        if (kind != "content" and not self._is_text) or id_ in self._codec.stop_ids:
            self._waiting.append(_Waiting(tokens, None, 0))
            return
        whole = self._offsets.length
        begin, text = self._offsets.add(self._codec.tokenizer.token_bytes(id_))
        self._waiting.append(_Waiting(tokens, begin, self._solid + begin - whole))
        self._pieces.append(text)
        self._solid += _solid(text)

    def _certain(self) -> list[Tokens]:
        found: list[Tokens] = []
        while self._waiting and (self._waiting[0].begin is None or self._waiting[0].solid < self._told):
            if len(self._waiting) == 1 and self._ends(self._waiting[0]):
                break
            found.append(self._waiting.popleft().tokens)
        return found

    def _ends(self, one: _Waiting) -> bool:
        """Whether it may be the stop id that ends the completion; if more follows, it is not."""
        return one.tokens.ids[0] in self._options.stop_ids

    def _rest(self, reader: StreamReader, stopped: bool) -> list[Tokens]:
        self._pieces.append(self._offsets.finish())
        cut = self._cut(reader.content, reader.stop) if reader.stop is not None else self._offsets.length + 2
        rest = [
            replace(one.tokens, kinds=("dropped",)) if one.begin is not None and one.begin >= cut else one.tokens
            for one in self._waiting
        ]
        if stopped and rest and self._ends(self._waiting[-1]):
            rest[-1] = replace(rest[-1], kinds=("dropped",))
        self._waiting.clear()
        return rest

    def _cut(self, told: str, stop: str) -> int:
        """Where the stop string begins: behind what was told, which line breaks may stand before."""
        text = "".join(self._pieces)
        at = text.find(told + stop)
        cut = text.rfind(stop) if at < 0 else at + len(told)
        return len(text) if cut < 0 else cut


def _singly(tokens: Tokens) -> list[Tokens]:
    """The tokens one by one."""
    return [
        replace(
            tokens,
            ids=(id_,),
            kinds=(tokens.kinds[i],),
            logprobs=None if tokens.logprobs is None else (tokens.logprobs[i],),
            top_logprobs=None if tokens.top_logprobs is None else (tokens.top_logprobs[i],),
        )
        for i, id_ in enumerate(tokens.ids)
    ]


def _solid(text: str) -> int:
    """Characters that are no line breaks."""
    return len(text) - text.count("\n")
