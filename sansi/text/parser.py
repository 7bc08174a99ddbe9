"""Generated ids to reasoning, content and tool calls, the same however the ids are split.

    before --<think>--> thought --</think>--> closed          a thought opens at most once and closes at most once

Only ids are markup: "</think>" spelled in ordinary tokens is text. What the model does wrong has one outcome each, and
is named in `StreamParser.problems`:

| what came                                           | what it becomes                                                |
|-----------------------------------------------------|----------------------------------------------------------------|
| </think> without an open thought, a second <think>  | text, where it stood                                           |
| a thought that never closes                         | reasoning; the content is empty                                |
| a whole call in a thought that closes later         | text of the thought: the model was planning                    |
| a whole call in a thought that never closes         | a call: the model forgot to close the thought                  |
| </tool_call> inside a string of the arguments       | part of the string                                             |
| a call that is not {"name", "arguments": {...}}     | text, tags included, where the call stood                      |
| a call cut off before its </tool_call>              | text, tags included; never a call                              |
| a control id with no meaning there                  | text                                                           |
| bytes that are not UTF-8                            | U+FFFD                                                         |
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

from sansi.text.messages import AssistantMessage, Message, ToolCall
from sansi.text.tokenizer import Tokenizer
from sansi.text.tool_calls import StringScanner, read_call


@dataclass(frozen=True)
class Reasoning:
    """More text of the thought."""

    text: str


@dataclass(frozen=True)
class Content:
    """More text of the answer."""

    text: str


@dataclass(frozen=True)
class ToolCallDelta:
    """A tool call, sent once it is whole and known to be well-formed: a client never holds half a call."""

    index: int
    id: str
    name: str | None
    arguments: str


Event: TypeAlias = Reasoning | Content | ToolCallDelta
Problem = Literal["stray_tag", "call_in_thought", "malformed_call", "truncated_call", "unclosed_thought"]


class StreamParser:
    """Feed it ids as they come; each call returns what they add. After `finish`, `message` is the whole turn."""

    def __init__(self, tokenizer: Tokenizer, prompt_ids: Sequence[int]):
        self.problems: list[Problem] = []
        self._tokenizer = tokenizer
        self._control = tokenizer.control
        self._markup = frozenset(vars(tokenizer.control).values())
        self._stops = (self._control.im_end, self._control.endoftext)
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._seed = hashlib.blake2b(repr(list(prompt_ids)).encode(), digest_size=9).hexdigest()
        self._state = _state_after(prompt_ids, self._control.im_start, self._control.think, self._control.think_end)
        self._had_thought = self._state == "thought"
        self._thought = _Lines(strip_start=True, hold_all=True)
        self._answer = _Lines(strip_start=self._state == "closed")
        self._call: _OpenCall | None = None
        self._in_doubt: list[str | _OpenCall] = []  # a call in a thought, and all after it
        self._calls: list[ToolCall] = []
        self._events: list[Event] = []
        self._texts: dict[type, list[str]] = {Reasoning: [], Content: []}
        self._finished = False

    def feed(self, ids: Iterable[int]) -> list[Event]:
        """The events that `ids` complete. The turn ends at the first stop id; what follows is not part of it."""
        for token in ids:
            if self._finished:
                break
            if token in self._markup:
                self._text(self._utf8.decode(b"", final=True))
                self._tag(token)
            else:
                self._text(self._utf8.decode(self._tokenizer.token_bytes(token)))
        return self._take()

    def finish(self) -> list[Event]:
        """The events that were held back because more ids could have changed them."""
        if not self._finished:
            self._text(self._utf8.decode(b"", final=True))
            self._end_turn()
        return self._take()

    @property
    def message(self) -> AssistantMessage:
        """The turn so far; whole after `finish`."""
        thought = "".join(self._texts[Reasoning])
        return Message(
            role="assistant",
            content="".join(self._texts[Content]),
            reasoning_content=thought if self._had_thought else None,
            tool_calls=tuple(self._calls),
        )

    def _take(self) -> list[Event]:
        events, self._events = self._events, []
        merged: list[Event] = []
        for kind, group in groupby(events, type):
            same = list(group)
            merged += same if kind is ToolCallDelta else [kind("".join(event.text for event in same))]  # type: ignore
        return merged

    def _text(self, text: str) -> None:
        if not text:
            return
        if self._call is not None:
            self._call.add(text)
        elif self._in_doubt:
            self._in_doubt.append(text)
        elif self._state == "thought":
            self._emit(Reasoning, self._thought.push(text))
        else:
            self._emit(Content, self._answer.push(text))

    def _tag(self, token: int) -> None:
        control = self._control
        if token in self._stops:
            self._end_turn()
        elif token == control.think_end and self._state == "thought":
            self._close_thought()
        elif self._call is not None and (self._call.in_string or token != control.tool_call_end):
            self._tag_in_call(token)
        elif token == control.tool_call_end and self._call is not None:
            self._close_call(self._call)
        elif token == control.tool_call:
            self._open_call()
        elif token == control.think and self._state == "before":
            self._open_thought()
        else:
            self._stray(token)

    def _stray(self, token: int) -> None:
        self.problems.append("stray_tag")
        self._text(self._tokenizer.decode([token]))

    def _open_thought(self) -> None:
        self._answer.drop_blank()
        self._state, self._had_thought = "thought", True

    def _close_thought(self) -> None:
        self._settle(as_calls=False)
        self._thought.take_held()  # line breaks before the closing tag frame the thought, they are no part of it
        self._state = "closed"
        self._answer.strip_next()

    def _open_call(self) -> None:
        held = "" if self._state == "thought" else self._answer.take_held()
        self._call = _OpenCall(held)

    def _tag_in_call(self, token: int) -> None:
        assert self._call is not None
        if token == self._control.tool_call and not self._call.in_string:  # the call before was never closed
            self._abandon(self._call, "malformed_call")
            self._open_call()
        else:
            self._call.add(self._tokenizer.decode([token]))

    def _close_call(self, call: _OpenCall) -> None:
        call.closed = True
        self._call = None
        if self._state == "thought":
            self._in_doubt.append(call)
        else:
            self._settle_call(call)

    def _settle_call(self, call: _OpenCall) -> None:
        """A closed call is either well-formed, and a call, or text."""
        found = read_call(call.text)
        if found is None:
            self._abandon(call, "malformed_call")
            return
        index = len(self._calls)
        self._calls.append(ToolCall(f"call_{self._seed}{index:02d}", *found))
        self._events.append(ToolCallDelta(index, self._calls[-1].id, *found))
        self._answer.after_call()

    def _abandon(self, call: _OpenCall, problem: Problem) -> None:
        self._call = None
        self.problems.append(problem)
        self._text(call.before + call.source())

    def _settle(self, as_calls: bool) -> None:
        """Decide what was in doubt: calls if the thought never closes, else the thought's own text."""
        doubtful, self._in_doubt = self._in_doubt, []
        if self._call is not None:
            doubtful.append(self._call)
            self._call = None
        for item in doubtful:
            if isinstance(item, str):
                self._text(item)
                continue
            self.problems.append("call_in_thought")
            if as_calls and item.closed:
                self._settle_call(item)
            else:
                self._text(item.source())

    def _end_turn(self) -> None:
        self._finished = True
        if self._call is not None:
            self.problems.append("truncated_call")
        if self._state == "thought":
            self.problems.append("unclosed_thought")
            self._settle(as_calls=True)
        elif self._call is not None:
            call, self._call = self._call, None
            self._text(call.before + call.source())
        self._emit(Content, self._answer.finish())

    def _emit(self, kind: type[Reasoning] | type[Content], text: str) -> None:
        if text:
            self._texts[kind].append(text)
            self._events.append(kind(text))


class _OpenCall:
    """The text between a <tool_call> and its end."""

    def __init__(self, before: str):
        self.before = before  # line breaks that separate the call from the text before it; text if it is no call
        self.closed = False
        self._parts: list[str] = []
        self._scanner = StringScanner()

    @property
    def in_string(self) -> bool:
        return self._scanner.in_string

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add(self, text: str) -> None:
        self._parts.append(text)
        self._scanner.feed(text)

    def source(self) -> str:
        """The call as the model wrote it."""
        return f"<tool_call>{self.text}{'</tool_call>' if self.closed else ''}"


class _Lines:
    """Passes text on, less the line breaks that belong to the framing and not to the text.

    strip_start: drop line breaks before the first other character.
    hold_all: hold all trailing line breaks back until text follows; else the last one only, which is the separator
        if a tool call follows.
    """

    def __init__(self, strip_start: bool = False, hold_all: bool = False):
        self._strip = strip_start
        self._hold_all = hold_all
        self._blank = True  # nothing but line breaks since the start, or since the last call
        self._called = False
        self._held = ""

    def push(self, text: str) -> str:
        text, self._held = self._held + text, ""
        if self._strip:
            text = text.lstrip("\n")
            self._strip = not text
        body = text.rstrip("\n")
        breaks = text[len(body) :]
        if not body and self._blank:
            self._held = breaks
            return ""
        self._blank = False
        self._held = breaks if self._hold_all else breaks[-1:]
        return text[: len(text) - len(self._held)]

    def take_held(self) -> str:
        held, self._held = self._held, ""
        return held

    def drop_blank(self) -> None:
        """Forget line breaks that came before a thought."""
        if self._blank:
            self._held = ""

    def strip_next(self) -> None:
        """Line breaks that come next frame the answer."""
        self._strip = self._blank

    def after_call(self) -> None:
        self._blank = self._called = True
        self._strip = False

    def finish(self) -> str:
        return "" if self._blank and self._called else self.take_held()


def _state_after(ids: Sequence[int], turn: int, think: int, think_end: int) -> Literal["before", "thought", "closed"]:
    """Where the last turn of a prompt stands: read from its ids alone."""
    for token in reversed(ids):
        if token == turn:
            break
        if token in (think, think_end):
            return "thought" if token == think else "closed"
    return "before"
