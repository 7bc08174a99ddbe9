"""Reading what the engine writes: events up to the first stop string, and what each id is part of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sansi.chat.stop import StopStrings
from sansi.engine.results import FinishReason
from sansi.text import ChatCodec, Codec, Content, Event, Message, Reasoning, StreamParser
from sansi.text.parser import Problem, TraceKind


class TextSource:
    """All ids are text, control tokens spelled out, but for the one that ends it."""

    def __init__(self, codec: ChatCodec):
        self._decoder, self._stops = codec.tokenizer.stream_decoder(), codec.stop_ids
        self._trace: list[tuple[TraceKind, str]] = []

    def feed(self, ids: Iterable[int]) -> list[Content]:
        return self._told(self._decoder.feed(id_ for id_ in ids if id_ not in self._stops))

    def cut(self) -> None:
        """A limit closes the thought: all the same is text."""

    def finish(self) -> list[Content]:
        return self._told(self._decoder.finish())

    def pieces(self, start: int) -> Sequence[tuple[TraceKind, str]]:
        """As `StreamParser.pieces`."""
        return self._trace[start:]

    def _told(self, text: str) -> list[Content]:
        self._trace.append(("content", text))
        return _content(text)


class StreamReader:
    """Feed it ids as they come; the same comes out however they are split.

    stops: strings that end the text, unless they are complete within the first `min_tokens` ids. stop_ids: ids that may
    end the completion, and are no text if they do.
    """

    def __init__(
        self,
        source: StreamParser | TextSource,
        stops: Sequence[str] = (),
        stop_ids: Sequence[int] = (),
        min_tokens: int = 0,
    ):
        self._source, self._stops, self._stop_ids = source, StopStrings(stops), frozenset(stop_ids)
        self._waiting: tuple[int, ...] = ()  # a stop id, unless more comes after it: the engine forced it, then
        self._looks_for_text = bool(stops)
        self._ahead: list[int] = []  # what came and is not read yet, of a reader that is asked for the end alone
        self._content: list[str] = []
        self._phrase: list[str] = []
        self._fed = 0  # ids that the source has
        self._min_tokens = min_tokens
        self._is_cut = False

    @property
    def closing_phrase(self) -> str:
        """The end of the thought that is not the model's own."""
        return "".join(self._phrase)

    @property
    def stop(self) -> str | None:
        """The stop string that was found."""
        return self._stops.found

    @property
    def content(self) -> str:
        return "".join(self._content)

    @property
    def message(self) -> Message:
        """The turn. One that a stop string cut holds no ids: they say more than its text."""
        assert isinstance(self._source, StreamParser), "plain text is no turn"
        message = self._source.message
        return message if self.stop is None else replace(message, content=self.content, ids=None, prefill=None)

    def pieces(self, start: int) -> Sequence[tuple[TraceKind, str]]:
        """What the characters so far have become, from piece `start` on; what a stop string cuts off is among them."""
        return self._source.pieces(start)

    @property
    def problems(self) -> list[Problem]:
        return self._source.problems if isinstance(self._source, StreamParser) else []

    def ends(self, token: int) -> bool:
        """Whether the answer ends with this token, which comes next: with a stop string, or as its calls repeat."""
        self._ahead.append(token)
        if not (self._looks_for_text or self._may_repeat(token)):
            return False  # and many tokens are read at once later, which costs less
        ahead, self._ahead = self._ahead, []
        self.feed(ahead)
        return self.stop is not None or (isinstance(self._source, StreamParser) and self._source.repeats)

    def _may_repeat(self, token: int) -> bool:
        return isinstance(self._source, StreamParser) and self._source.may_end_a_call(token)

    def feed(self, ids: Sequence[int], forced_at: int | None = None) -> list[Event]:
        """The events that `ids` complete. forced_at: as `Delta.forced_at`."""
        if self._stop_ids and ids:
            ids, self._waiting = (*self._waiting, *ids), ()
            if ids[-1] in self._stop_ids:
                ids, self._waiting = ids[:-1], ids[-1:]
        if 0 < self._min_tokens - self._fed < len(ids):
            early = self._min_tokens - self._fed
            return self._told(self._read(ids[:early], forced_at)) + self._told(self._read(ids[early:], forced_at))
        return self._told(self._read(ids, forced_at))

    def _read(self, ids: Sequence[int], forced_at: int | None) -> list[Event]:
        """Tell the source where a limit closes the thought, and all ids."""
        events: list[Event] = []
        if forced_at is not None and not self._is_cut and forced_at < self._fed + len(ids):
            own = forced_at - self._fed
            events += self._source.feed(ids[:own])
            self._source.cut()
            ids, self._fed, self._is_cut = ids[own:], forced_at, True
        self._fed += len(ids)
        return events + self._source.feed(ids)

    def finish(self, reason: FinishReason) -> list[Event]:
        """The events that were held back because more could have changed them."""
        wanted = reason != "stop" or self._closes(self._waiting)
        events = self._told(self._source.feed(self._waiting)) if wanted else []
        events += self._told(self._source.finish())
        rest = self._stops.finish()
        self._content.append(rest)
        return events + _content(rest)

    def _closes(self, ids: Sequence[int]) -> bool:
        """Whether a stop id is the tag that ends the thought or the call: it is no text, but what was open is over."""
        return bool(ids) and isinstance(self._source, StreamParser) and self._source.is_closing(ids[0])

    def _told(self, events: Sequence[Event]) -> list[Event]:
        told: list[Event] = []
        for event in events:
            if isinstance(event, Content):
                early = self._fed <= self._min_tokens > 0
                text = self._stops.pass_over(event.text) if early else self._stops.feed(event.text)
                self._content.append(text)
                told += _content(text)
            elif self.stop is None:
                told.append(event)
                if isinstance(event, Reasoning) and event.closing:
                    self._phrase.append(event.text)
        return told


def thought_is_open(ids: Sequence[int], codec: ChatCodec) -> bool:
    """Whether ids end inside a thought: the last think tag of their last turn opens one."""
    tags = codec.thinking_ids
    if tags is None:
        return False
    turn = codec.control.im_start if isinstance(codec, Codec) else None
    for id_ in reversed(ids):
        if id_ in (tags.start, tags.end, turn):
            return id_ == tags.start
    return False


def _content(text: str) -> list[Any]:
    return [Content(text)] if text else []
