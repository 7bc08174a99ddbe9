"""Generated ids to reasoning, content and tool calls, the same however the ids are split.

    before --<think>--> thought --</think>--> closed          a thought opens at most once and closes at most once
    before --<tool_call>--------------------> closed          and it opens before the first call, or never

Only ids are markup: "</think>" spelled in ordinary tokens is text. (`feed_text` is for engines that give text only.
There a spelled tag cannot be told from a tag, so each is one.) The turn ends at the first <|im_end|> or <|endoftext|>.

What the model does wrong has one outcome each, and a name in `StreamParser.problems`:

| what came                                        | what it becomes                               | problem           |
|--------------------------------------------------|-----------------------------------------------|-------------------|
| </think> outside a thought (no opening tag came);| text, where it stood                          | stray_tag         |
| a second <think>, or one after the first call;   |                                               |                   |
| </tool_call> without a call; other control ids   |                                               |                   |
| a thought that never closes                      | reasoning; the content is empty               | unclosed_thought  |
| a call in a thought that closes later            | text of the thought: the model was planning   | call_in_thought   |
| a call in a thought that never closes            | a call: the model forgot to close the thought | call_in_thought   |
| a tag in a string of a call (but a </think> in a | part of the string                            |                   |
| thought closes the thought wherever it stands)   |                                               |                   |
| no JSON call: it shows before the name is known  | text, tags included, where it stood           | malformed_call    |
| no JSON call: it shows later                     | a call with an `error`; the rest of it goes   | malformed_call    |
|                                                  | into its arguments, as it is written          |                   |
| <tool_call> in a call, outside its strings       | the first call is malformed; a second begins  | malformed_call    |
| the turn ends in a call, the name is not known   | text, tags included                           | truncated_call    |
| the turn ends in a call, the name is known       | a call with an `error`, arguments as far as   | truncated_call    |
|                                                  | they came                                     |                   |
| a call of a tool that was not offered            | a call with an `error`                        | unknown_tool      |
| arguments that do not fit the schema of the tool | a call with an `error` that lists the misfits | invalid_arguments |
| a call that is equal to MAX_EQUAL_CALLS - 1      | a call like any other; who generates the turn | repeated_calls    |
| before it                                        | ends it there                                 |                   |
| bytes that are not UTF-8                         | U+FFFD                                        |                   |

A call with an `error` must not be executed. Events are never taken back, and nothing is lost: every character is in
the reasoning, in the content, in the name or the arguments of a call, or is framing: tags that did their work, line
breaks around thoughts and calls, the JSON of a call outside its name and arguments. `StreamParser.trace` says which.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar, Literal, TypeAlias

from sansi.text.markup import Markup
from sansi.text.messages import AssistantMessage, Message, ToolCall
from sansi.text.tokenizer import CONTROL_TEXT, Tokenizer
from sansi.text.tool_calls import CallProblem, CallReader, End, Piece, tool_schemas


@dataclass(frozen=True, slots=True)
class Reasoning:
    """More text of the thought."""

    text: str
    closing: ClassVar[bool] = False
    """It is not the model's own, but the phrase with which a limit closes the thought: a `ClosingPhrase`."""


@dataclass(frozen=True, slots=True)
class ClosingPhrase(Reasoning):
    """More of the phrase with which a limit closes the thought. A class, so that other thoughts do not pay for it."""

    closing: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Content:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a tool call. The first delta has the name and no arguments; later ones have arguments and no name."""

    index: int
    id: str
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Traced:
    """What became of some characters of the turn, as they were written."""

    kind: TraceKind
    text: str


Event: TypeAlias = Reasoning | Content | ToolCallDelta
TraceKind = Literal["reasoning", "content", "framing", "name", "arguments"]
Problem = Literal["stray_tag", "call_in_thought", "unclosed_thought", "repeated_calls", "call_limit"] | CallProblem
State = Literal["before", "thought", "closed"]
Say = Callable[[Literal["reasoning", "content", "framing"], str], None]

MAX_EQUAL_CALLS = 3  # in one turn

_TAG = re.compile("(" + "|".join(map(re.escape, CONTROL_TEXT.values())) + ")")
_TAG_STARTS = frozenset(tag[:end] for tag in CONTROL_TEXT.values() for end in range(1, len(tag)))
_HALF_PAIR = re.compile("[\ud800-\udfff]")


class StreamParser:
    """Feed it ids, or text, as they come; each call returns what they add. After `finish`, `message` is the whole turn.

    tools: the tools that were offered; arguments are checked and typed by their schemas. None: calls are not checked.
    calls: whether calls are read; where no tool was offered, who writes one speaks to a program that reads the text.
    call_seed: what the ids of calls begin with after "call_"; None: it is made from the prompt.
    markup: which ids are more than text; None: Qwen3's.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt_ids: Sequence[int],
        tools: Sequence[Mapping[str, Any]] | None = None,
        calls: bool = True,
        call_seed: str | None = None,
        markup: Markup | None = None,
    ):
        self.problems: list[Problem] = []
        self.reasoning_tokens = 0
        """Ids of the thought that are the model's own, as an engine counts them: not the tags, nor a line break right
        after the first, nor the closing phrase. Text is not counted."""
        self._tokenizer, self._prompt_ids = tokenizer, prompt_ids
        self.repeats = False
        """The same call came so often that no more of this turn can be of use."""
        self._seed = call_seed
        self._equal: Counter[tuple[str, str]] = Counter()
        self._control = markup or Markup.of(tokenizer)
        self._tags = self._control.tags
        self._as_text = () if calls else (self._control.tool_call, self._control.tool_call_end)
        self._stops = self._control.stops
        self._bare = calls and self._control.bare_calls  # and nothing has been said yet
        self._schemas = tool_schemas(tools or ())
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._half_character = False  # bytes of it wait in `_utf8`
        self._ids: list[int] | None = []
        self._partial = ""  # the end of a fed text that may be the start of a tag
        self._state: State = _state_after(prompt_ids, self._control)
        self._had_thought = self._state == "thought"
        self._framing_due = self._had_thought and prompt_ids[-1] == self._control.think  # a line break would be framing
        self._closing = False  # what comes in the thought is its closing phrase
        begun = self._begun()
        self._thought = _Lines(self._say, "reasoning", strip_start=not (begun and self._had_thought), hold_all=True)
        self._answer = _Lines(self._say, "content", strip_start=self._state == "closed" and not begun, hold_all=False)
        self._lines = self._thought if self._had_thought else self._answer
        self._lines.blank = not begun
        self._doubt: list[str | int] | None = None  # text and tags since a call began in a thought
        self._doubt_own = 0  # how much of it came before the closing phrase
        self._calls: list[ToolCall] = []
        self._call: CallReader | None = None
        self._call_start = ""  # what goes with the open call if it turns out to be text
        self._named = False  # the open call has been told
        self._replaying = False  # the turn is over and its thought still open: now its calls are calls
        self._text_call = False  # a call became text, so its </tool_call> is text too
        self._events: list[Event] = []
        self._trace: list[tuple[TraceKind, str]] = []
        self._finished = False
        self._stopped = False  # by an id that ends the turn

    def feed(self, ids: Iterable[int]) -> list[Event]:
        """The events that `ids` complete. What follows the end of the turn is not part of it."""
        ids = list(ids)
        if self._finished or not ids:
            return []
        if self._partial:  # ids after text: what would have begun a spelled tag is text
            text, self._partial = self._partial, ""
            self._text(text)
        if self._tags.keys().isdisjoint(ids):
            self._feed_run(ids)
            return self._take()
        for is_tag, run in groupby(ids, self._tags.__contains__):
            if not is_tag:
                self._feed_run(list(run))
                continue
            for token in run:
                self._feed_tag(token)
                if self._finished:
                    return self._take()
        return self._take()

    def feed_text(self, text: str) -> list[Event]:
        """The same for an engine that gives text: tags that are spelled in it are markup."""
        self._flush_bytes()
        self._ids = None
        parts = _TAG.split(self._partial + _HALF_PAIR.sub("\ufffd", text))
        parts[-1], self._partial = _without_tag_start(parts[-1])
        for part, is_tag in zip(parts, [False, True] * len(parts), strict=False):
            if self._finished:
                break
            if is_tag and self._tokenizer.added.get(part) in self._tags:
                self._tag(self._tokenizer.added[part])
            elif part:
                self._text(part)
        return self._take()

    def cut(self) -> None:
        """A limit closes the open thought: what follows in it is the closing phrase. It says no more than `feed` would
        have, and what was held back before it is told with it."""
        assert self._state == "thought", "there is no open thought to cut"
        self._flush_bytes()
        self._closing, self._doubt_own = True, len(self._doubt or ())

    def is_closing(self, token: int) -> bool:
        """Whether the token would be the tag that closes the open thought, or the open call."""
        if self._state == "thought":
            return token == self._control.think_end
        return token == self._control.tool_call_end and self._call is not None and not self._call.in_string

    def may_end_a_call(self, token: int) -> bool:
        """Whether the token is one after which `repeats` can be different."""
        return token == self._control.tool_call_end and token not in self._as_text

    def finish(self) -> list[Event]:
        """The events that were held back because more could have changed them."""
        if not self._finished:
            self._flush_bytes()
            if self._partial:
                self._text(self._partial)
            self._end_turn()
        return self._take()

    @property
    def message(self) -> AssistantMessage:
        """The turn so far; whole after `finish`."""
        # An id beyond the vocabulary (a model may have more rows) has no text, so the turn can be kept as text only.
        known = self._ids is not None and max(self._ids, default=0) < self._tokenizer.vocab_size
        return Message(
            role="assistant",
            content=self._joined("content"),
            reasoning_content=self._joined("reasoning") if self._had_thought else None,
            tool_calls=tuple(self._calls),
            ids=tuple(self._ids) if known and self._ids is not None else None,
            prefill=self._prefill() if known else None,
        )

    @property
    def trace(self) -> list[Traced]:
        """What became of each character so far, in order: the texts join to what the model wrote, up to its stop."""
        runs = groupby(self._trace, lambda piece: piece[0])
        return [Traced(kind, "".join(text for _, text in run)) for kind, run in runs]

    def pieces(self, start: int) -> Sequence[tuple[TraceKind, str]]:
        """The trace as it grew, from its piece `start` on: what has become of each character that is decided on."""
        return self._trace[start:]

    def _prefill(self) -> tuple[int, ...] | None:
        """What the prompt had written of this turn after "assistant"; None if it is no prompt of a chat of Qwen3's."""
        ids, head = self._prompt_ids, self._tokenizer.encode("assistant\n")
        for at in range(len(ids) - 1, -1, -1):
            if ids[at] == self._control.turn:
                turn = list(ids[at + 1 :])
                return tuple(turn[len(head) :]) if turn[: len(head)] == head else None
        return None

    def _begun(self) -> bool:
        """Whether the prompt holds text of the thought or the answer that the model goes on with."""
        if self._state == "before":
            return False
        starts = (self._control.think, self._control.think_end, self._control.turn)
        for token in reversed(self._prompt_ids):
            if token in starts:
                return False
            if self._tokenizer.token_bytes(token).strip(b"\n"):
                return True
        return False

    # --- from ids to text and tags -----------------------------------------------------------------------------------

    def _feed_run(self, ids: list[int]) -> None:
        """Ids that are no markup."""
        if self._ids is not None:
            self._ids += ids
        if self._state == "thought":
            if self._closing or self._framing_due:
                self._count(ids)
            else:
                self.reasoning_tokens += len(ids)
        raw = self._tokenizer.token_bytes(ids[0]) if len(ids) == 1 else self._tokenizer.decode_bytes(ids)
        if raw.isascii() and not self._half_character:  # the usual case, and many times as fast
            text = raw.decode("ascii")
        else:
            text = self._utf8.decode(raw)
            self._half_character = bool(self._utf8.getstate()[0])
        if text:
            self._text(text)

    def _count(self, ids: Sequence[int]) -> None:
        if not self._closing:
            self.reasoning_tokens += len(ids) - (self._framing_due and ids[0] in self._tokenizer.line_breaks)
        self._framing_due = False

    def _feed_tag(self, token: int) -> None:
        self._flush_bytes()
        inside = self._state == "thought"
        self._tag(token)
        if inside and self._state == "thought" and not self._finished:
            self._count((token,))
        if self._ids is not None and not self._finished:
            self._ids.append(token)

    def _flush_bytes(self) -> None:
        text = self._utf8.decode(b"", final=True)
        self._half_character = False
        if text:
            self._text(text)

    # --- the automaton -----------------------------------------------------------------------------------------------

    def _text(self, text: str) -> None:
        if self._call is not None:
            self._read_call(self._call, text)
        elif self._doubt is not None:
            self._doubt.append(text)
        elif self._bare and self._state != "thought" and (body := text.lstrip()):
            self._bare = False
            if body[0] == "{":
                self._open_call()
                self._call_start += text[: len(text) - len(body)]
                self._text(body)
            else:
                self._lines.push(text)
        else:
            self._lines.push(text)

    def _tag(self, token: int) -> None:
        control, call = self._control, self._call
        if token in self._stops:
            self._stopped = True
            self._end_turn()
        elif token in self._as_text:
            self._text(self._tags[token])
        elif token == control.think_end and self._state == "thought":
            self._close_thought()
        elif self._doubt is not None:
            self._doubt.append(token)
        elif call is not None and (call.in_string or token not in (control.tool_call, control.tool_call_end)):
            self._read_call(call, self._tags[token])
        elif token == control.tool_call:
            self._open_call(token)
        elif token == control.tool_call_end and (call is not None or self._text_call):
            self._close_call()
        elif token == control.think and self._state == "before":
            self._open_thought()
        else:
            self.problems.append("stray_tag")
            self._lines.push(self._tags[token])

    def _open_thought(self) -> None:
        self._answer.end(as_framing=self._answer.blank)
        self._frame("<think>")
        self._state, self._had_thought, self._lines = "thought", True, self._thought
        self._framing_due = True

    def _close_thought(self) -> None:
        doubt, self._doubt = self._doubt, None
        if doubt is not None:
            self.problems.append("call_in_thought")
        closing = self._closing
        for index, item in enumerate(doubt or ()):
            if item not in (self._control.tool_call, self._control.tool_call_end) and not isinstance(item, str):
                self.problems.append("stray_tag")
            self._closing = closing and index >= self._doubt_own
            self._thought.push(item if isinstance(item, str) else self._tags[item])
        self._thought.end(as_framing=True)
        self._frame("</think>")
        self._state, self._lines, self._closing = "closed", self._answer, False
        self._answer.strip_next()

    def _end_turn(self) -> None:
        self._finished = True
        if self._state == "thought":
            self.problems.append("unclosed_thought")
            self._replay()
        if self._call is not None:
            ends_itself = self._control.tool_call_end is None and self._stopped
            self._end_call(self._call, "tag" if ends_itself else "turn")
        self._thought.end(as_framing=True)
        self._answer.end(as_framing=self._answer.blank and bool(self._calls))

    def _replay(self) -> None:
        """The thought never closed, so the calls in it were meant."""
        doubt, self._doubt, self._replaying = self._doubt, None, True
        if doubt is not None:
            self.problems.append("call_in_thought")
        closing = self._closing
        for index, item in enumerate(doubt or ()):
            self._closing = closing and index >= self._doubt_own
            if isinstance(item, str):
                self._text(item)
            else:
                self._tag(item)

    # --- calls -------------------------------------------------------------------------------------------------------

    def _open_call(self, tag: int | None = None) -> None:
        """tag: what opened it; None: it is bare."""
        self._bare = False
        if self._call is not None:
            self._end_call(self._call, "call")
        if self._state == "thought" and not self._replaying:
            assert tag is not None, "a bare call begins no thought's"
            self._doubt = [tag]
            return
        if self._state == "before":
            self._state = "closed"
        if self._state == "thought":
            self._thought.end(as_framing=False)
        self._call = CallReader(self._schemas, self._control.arguments_key)
        self._named, self._text_call = False, False
        self._call_start = self._answer.take_held() + (self._tags[tag] if tag is not None else "")

    def _read_call(self, call: CallReader, text: str) -> None:
        if call.grows(text):
            self._trace.append(("arguments", text))
            self._events.append(ToolCallDelta(len(self._calls), self._call_id(), None, text))
            return
        pieces = call.feed(text)
        if call.malformed and call.name is None:
            self._call, self._text_call = None, True
            self._make_text(call, "malformed_call")
        elif pieces:
            self._tell_call(call, pieces)

    def _close_call(self) -> None:
        if self._call is not None:
            self._end_call(self._call, "tag")
        else:
            self._text_call = False
            self._lines.push(self._closing_tag)

    def _end_call(self, call: CallReader, end: End) -> None:
        self._call = None
        if call.name is None:
            self._make_text(call, "truncated_call" if end == "turn" else "malformed_call")
            if end == "tag" and self._closing_tag:
                self._lines.push(self._closing_tag)
            return
        self._tell_call(call, call.close(end))
        if end == "tag" and self._closing_tag:
            self._frame(self._closing_tag)
        if call.problem:
            self.problems.append(call.problem)
        self._calls.append(ToolCall(self._call_id(), call.name, call.arguments, call.error))
        if end == "tag":
            self._tally(call.name, call.arguments)
        self._answer.after_call()

    @property
    def _closing_tag(self) -> str:
        """What closes a call; "" where the end of the turn does."""
        return "" if self._control.tool_call_end is None else self._tags[self._control.tool_call_end]

    def _tally(self, name: str, arguments: str) -> None:
        key = name, _canonical(arguments)
        self._equal[key] += 1
        if self._equal[key] == MAX_EQUAL_CALLS:
            self.problems.append("repeated_calls")
            self.repeats = True

    def _make_text(self, call: CallReader, problem: CallProblem) -> None:
        self.problems.append(problem)
        self._lines.push(self._call_start + call.undecided)

    def _tell_call(self, call: CallReader, pieces: Iterable[Piece]) -> None:
        index, id_ = len(self._calls), self._call_id()
        if not self._named:
            self._named = True
            self._frame(self._call_start)
            self._events.append(ToolCallDelta(index, id_, call.name, ""))
        for piece in pieces:
            if piece.written:
                self._trace.append((piece.kind, piece.written))
            if piece.kind == "arguments" and piece.told:
                self._events.append(ToolCallDelta(index, id_, None, piece.told))

    def _call_id(self) -> str:
        """Different for each call and each seed; without a seed, the same whenever the same turn is read."""
        if self._seed is None:
            self._seed = hashlib.blake2b(repr(list(self._prompt_ids)).encode(), digest_size=9).hexdigest()
        return f"call_{self._seed}{len(self._calls):02d}"

    # --- what is said ------------------------------------------------------------------------------------------------

    def _say(self, kind: Literal["reasoning", "content", "framing"], text: str) -> None:
        self._trace.append((kind, text))
        if kind == "reasoning":
            self._events.append((ClosingPhrase if self._closing else Reasoning)(text))
        elif kind == "content":
            self._events.append(Content(text))

    def _frame(self, text: str) -> None:
        self._trace.append(("framing", text))

    def _joined(self, kind: TraceKind) -> str:
        return "".join(text for other, text in self._trace if other == kind)

    def _take(self) -> list[Event]:
        """The new events; neighbours of one kind are one event."""
        events, self._events = self._events, []
        return joined(events) if len(events) > 1 else events


class _Lines:
    """Passes text on as `kind`, less the line breaks that belong to the framing and not to the text.

    strip_start: line breaks before the first other character are framing.
    hold_all: hold all trailing line breaks back until text follows; else the last one only, which is the separator
        if a tool call follows.
    """

    def __init__(self, say: Say, kind: Literal["reasoning", "content"], strip_start: bool, hold_all: bool):
        self.blank = True
        """Nothing but line breaks came since the start, or since the last call."""
        self._say, self._kind = say, kind
        self._strip, self._hold_all = strip_start, hold_all
        self._held: list[str] = []  # line breaks, as they came: joined once, however many they are

    def push(self, text: str) -> None:
        if not (self._held or self._strip) and text[-1] != "\n":  # the usual case
            self.blank = False
            self._say(self._kind, text)
            return
        if self._strip and not (text := self._stripped(text)):
            return
        breaks = len(text) - len(text.rstrip("\n"))
        if breaks == len(text) and (self.blank or self._hold_all):
            self._held.append(text)
            return
        self.blank = False
        text = self.take_held() + text
        at = len(text) - (breaks if self._hold_all else min(breaks, 1))
        if at < len(text):
            self._held.append(text[at:])
        if at:
            self._say(self._kind, text[:at])

    def _stripped(self, text: str) -> str:
        body = text.lstrip("\n")
        self._strip = not body
        if len(body) < len(text):
            self._say("framing", text[: len(text) - len(body)])
        return body

    def take_held(self) -> str:
        held, self._held = "".join(self._held), []
        return held

    def end(self, as_framing: bool) -> None:
        """What was held is decided on, because the text is over."""
        held = self.take_held()
        if held:
            self._say("framing" if as_framing else self._kind, held)

    def strip_next(self) -> None:
        """Line breaks that come next frame the answer."""
        self._strip = self.blank

    def after_call(self) -> None:
        self.blank, self._strip = True, False


def joined(events: Iterable[Event]) -> list[Event]:
    """Neighbours of one kind as one event."""
    return [_join(list(run)) for _, run in groupby(events, _kind)]


def _kind(event: Event) -> object:
    """The first delta of a call, which has its name, stays apart, and so does a closing phrase."""
    return (event.index, event.name) if isinstance(event, ToolCallDelta) else type(event)


def _join(run: list[Event]) -> Event:
    first = run[0]
    if len(run) == 1:
        return first
    if isinstance(first, ToolCallDelta):
        arguments = "".join([event.arguments for event in run])  # type: ignore[union-attr]
        return ToolCallDelta(first.index, first.id, None, arguments)
    return type(first)("".join([event.text for event in run]))  # type: ignore[union-attr]


def _canonical(arguments: str) -> str:
    """The same for equal arguments, however they are spelled."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments


def _without_tag_start(text: str) -> tuple[str, str]:
    """`text` less its end, and that end, if it may be the start of a tag."""
    at = text.rfind("<")
    return (text[:at], text[at:]) if at >= 0 and text[at:] in _TAG_STARTS else (text, "")


def _state_after(ids: Sequence[int], control: Markup) -> State:
    """Where the last turn of a prompt stands: read from its ids alone."""
    state: State = "before"
    for token in reversed(ids):
        if token == control.turn:
            break
        if token in (control.think, control.think_end):
            return "thought" if token == control.think else "closed"
        if token == control.tool_call:
            state = "closed"
    return state
