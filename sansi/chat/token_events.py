"""Telling the tokens of a stream: each with what it is part of, and none as text that a stop string then cuts off."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sansi.chat.options import ChatOptions, TokenKind, Tokens
from sansi.chat.stream_reader import StreamReader
from sansi.engine.results import Delta
from sansi.text import ChatCodec, Content

_CODES = {"content": b"c", "reasoning": b"r"}  # a byte for each character
_CONTENT, _OTHER = _CODES["content"], b"o"


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
    """A token of which not all is known yet, and where its text lies among the characters of all: [begin, end)."""

    tokens: Tokens
    begin: int
    end: int
    """Beyond `begin` even for a token that completes no character: it is part of the one at `begin`."""


class TokenEvents:
    """Feed it deltas and the events that they brought; it gives back the tokens of which all is known.

    A token is what its characters became: part of the answer as soon as one of them is. It waits until that is decided,
    and, in the answer, until text from its beginning on was told. What a stop string or a stop id cut off is "dropped".
    """

    def __init__(self, codec: ChatCodec, options: ChatOptions):
        self._codec, self._options = codec, options
        self._offsets = Offsets()
        self._waiting: deque[_Waiting] = deque()
        self._kinds = bytearray()  # of each character that is decided on
        self._pieces = 0  # of the reader's, that are in it
        self._told = 0  # characters of the answer
        self._passed = self._answer = 0  # characters before the next token, and how many of them are the answer's

    def feed(self, delta: Delta, events: Sequence[Any], reader: StreamReader) -> list[Tokens]:
        """reader: what the events came from; it has finished if the delta holds the completion."""
        for single in _singly(delta):
            self._add(single)
        for kind, text in reader.pieces(self._pieces):
            self._pieces += 1
            self._kinds += _CODES.get(kind, _OTHER) * len(text)
        self._told += sum(len(event.text) for event in events if isinstance(event, Content))
        done = delta.completion
        return self._certain() if done is None else self._rest(reader, done.finish_reason == "stop")

    def _add(self, tokens: Tokens) -> None:
        begin = self._offsets.length
        if tokens.ids[0] in self._codec.stop_ids:  # it is no text
            self._waiting.append(_Waiting(tokens, begin, begin))
            return
        begin, _ = self._offsets.add(self._codec.tokenizer.token_bytes(tokens.ids[0]))
        self._waiting.append(_Waiting(tokens, begin, max(self._offsets.length, begin + 1)))

    def _certain(self) -> list[Tokens]:
        found: list[Tokens] = []
        while self._waiting and self._waiting[0].end <= len(self._kinds):
            one = self._waiting[0]
            if len(self._waiting) == 1 and self._ends(one):
                break
            kind, at = self._kind_of(one)
            if kind == "content" and at >= self._told:
                break
            found.append(replace(self._waiting.popleft().tokens, kinds=(kind,)))
        return found

    def _kind_of(self, one: _Waiting) -> tuple[TokenKind, int]:
        """What it is part of, and how much of the answer comes before it. Asked of each in turn."""
        self._answer += self._kinds.count(_CONTENT, self._passed, one.begin)
        self._passed = max(self._passed, one.begin)
        own = self._kinds[one.begin : one.end]
        if _CONTENT in own:
            return "content", self._answer
        return "reasoning" if _CODES["reasoning"] in own else "other", self._answer

    def _ends(self, one: _Waiting) -> bool:
        """Whether it may be the stop id that ends the completion; if more follows, it is not."""
        return one.tokens.ids[0] in self._options.stop_ids

    def _rest(self, reader: StreamReader, stopped: bool) -> list[Tokens]:
        cut = len(reader.content) if reader.stop is not None else self._offsets.length + 1
        rest: list[Tokens] = []
        for one in self._waiting:
            kind, at = self._kind_of(one)
            rest.append(replace(one.tokens, kinds=("dropped" if kind == "content" and at >= cut else kind,)))
        if stopped and rest and self._ends(self._waiting[-1]):
            rest[-1] = replace(rest[-1], kinds=("dropped",))
        self._waiting.clear()
        return rest


def _singly(delta: Delta) -> list[Tokens]:
    """The tokens one by one; what they are part of is to be found out."""
    return [
        Tokens(
            ids=(id_,),
            kinds=("other",),
            logprobs=None if delta.logprobs is None else (delta.logprobs[i],),
            top_logprobs=None if delta.top_logprobs is None else (delta.top_logprobs[i],),
        )
        for i, id_ in enumerate(delta.ids)
    ]
