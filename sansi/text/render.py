"""One walk over a conversation lays out its pieces, which give its text, its ids, its loss mask and its spans."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Literal, NamedTuple, TypeAlias

from sansi.base.errors import SansiError
from sansi.base.strict_json import parse_json
from sansi.text.chunks import Chunk, ChunkEncoder
from sansi.text.messages import Message, ToolCall
from sansi.text.mode import Mode, SoftSwitch, is_query, modes_of_turns
from sansi.text.template import TOOLS_HEAD, TOOLS_TAIL
from sansi.text.tokenizer import CONTROL_TEXT, Tokenizer

History = Literal["official", "keep"]
Unfinished = Literal["answer", "thought"]
SpanKind = Literal["role", "content", "tools", "thought", "answer", "tool_call", "tool_response", "end"]


@dataclass(frozen=True)
class Span:
    """What the ids from `start` up to `end` (not included) are, and the index of their message.

    role: what opens a turn. content: a system's or user's text. thought: a think block, tags included, empty or not.
    tool_call, tool_response: one each, tags included. end: <|im_end|> and its line break. The message is that of the
    turn to come in a generation prompt, and -1 for a system turn that only lists tools.
    """

    kind: SpanKind
    start: int
    end: int
    message: int


# A run of text of one kind: text, its ids (None: it is encoded as plain text, together with the plain texts beside
# it, as the published tokenizer does), kind, and 1 where the assistant wrote it.
Piece: TypeAlias = tuple[str, tuple[int, ...] | None, SpanKind, int]

# A place where a prompt may have ended and generation begun: what is before and after is not encoded together.
SEAM: Piece = ("", (), "role", 0)


class Policy(NamedTuple):
    """How the assistant's turns are to stand, and which of them are learned."""

    enable_thinking: bool | None = None
    soft_switch: SoftSwitch = "prefill"
    history: History = "official"
    open_thought: bool = False
    training: bool = False
    """No loss on turns that lost their block; what has loss stands as it was written."""
    learned: frozenset[int] | None = None
    """The messages that may have loss; None: all."""
    read_tags: frozenset[str] = frozenset()
    """Roles whose text may spell tags of calls, results and thoughts."""


class Layout:
    """Pieces, and where each message's begin."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.marks: list[tuple[int, int]] = []  # (first piece, message)
        self.tags_read = 0
        """Tags that messages spelled and that were read as such."""

    @property
    def text(self) -> str:
        return "".join([piece[0] for piece in self.pieces])

    def tags_spelled(self) -> list[str]:
        """Tags that messages spell and that were read as characters, each once."""
        found: dict[str, None] = {}
        for text, known, kind, _ in self.pieces:
            if known is None and kind in ("content", "answer", "tool_response") and "<" in text:
                found |= dict.fromkeys(_READABLE.findall(text))
        return list(found)

    def encode(self, encoder: ChunkEncoder) -> Encoded:
        """Encode the pieces chunk by chunk."""
        parts: list[tuple[int, ...] | None] = []  # None: the next chunk
        chunks: list[tuple[str, ...]] = []
        chunk: tuple[str, ...] = ()
        for text, known, _, _ in self.pieces:
            if known is None:
                chunk += (text,)
                continue
            if chunk:
                chunks.append(chunk)
                parts.append(None)
                chunk = ()
            parts.append(known)
        if chunk:
            chunks.append(chunk)
            parts.append(None)
        done = encoder.encode_all(chunks)
        following = iter(done)
        ids: list[int] = []
        for part in parts:
            ids += next(following)[0] if part is None else part
        return Encoded(ids, self, done)


class Encoded:
    """The ids of a layout, and what they are."""

    def __init__(self, ids: list[int], layout: Layout, chunks: Sequence[Chunk]):
        self.ids = ids
        self._layout, self._chunks = layout, chunks

    @cached_property
    def loss_mask(self) -> list[int]:
        """For each id whether it is the assistant's own."""
        mask: list[int] = []
        for piece, start, end in self._extents:
            mask += [piece[3]] * (end - start)
        return mask

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """They cover all ids, in order."""
        spans: list[Span] = []
        owners = iter([*self._layout.marks, (len(self._layout.pieces), -1)])
        (_, owner), (until, after) = next(owners), next(owners)
        for number, (piece, start, end) in enumerate(self._extents):
            if number == until:
                owner, (until, after) = after, next(owners)
            if start == end:
                continue
            last, kind = spans[-1] if spans else None, piece[2]
            if last is None or (last.kind, last.message) != (kind, owner) or _opens_call(piece):
                spans.append(Span(kind, start, end, owner))
            else:
                spans[-1] = Span(kind, last.start, end, owner)
        return tuple(spans)

    @cached_property
    def _extents(self) -> list[tuple[Piece, int, int]]:
        """Each piece with its first token and the one after its last."""
        starts: list[int] = []
        at, following, inside = 0, iter(self._chunks), False
        for _, known, _, _ in self._layout.pieces:
            if known is None and not inside:
                chunk = next(following)
                starts += [at + start for start in chunk.starts]
                at += len(chunk.ids)
            elif known is not None:
                starts.append(at)
                at += len(known)
            inside = known is None
        return list(zip(self._layout.pieces, starts, [*starts[1:], at], strict=True))


class Renderer:
    """Lays out conversations for one set of control tokens."""

    def __init__(self, tokenizer: Tokenizer):
        control = tokenizer.control
        self._tokenizer = tokenizer
        self._names = {getattr(control, name): text for name, text in CONTROL_TEXT.items()}

        def tag(name: str, kind: SpanKind) -> tuple[Piece, Piece]:
            """The control token without and with loss."""
            text, ids = CONTROL_TEXT[name], (getattr(control, name),)
            return (text, ids, kind, 0), (text, ids, kind, 1)

        self.think, self.think_end = tag("think", "thought"), tag("think_end", "thought")
        self._call, self._call_end = tag("tool_call", "tool_call"), tag("tool_call_end", "tool_call")
        start, end = tag("im_start", "role")[0], tag("im_end", "end")
        line: Piece = ("\n", tuple(tokenizer.encode("\n")), "end", 0)  # nothing but a tag or the end stands beside it
        self._end = ((end[0], line), (end[1], line))
        self._system: tuple[Piece, ...] = (start, ("system\n", None, "role", 0))
        self._user: tuple[Piece, ...] = (start, ("user\n", None, "role", 0))
        self._assistant: tuple[Piece, ...] = (start, ("assistant\n", None, "role", 0))
        self._results: tuple[Piece, ...] = (start, ("user", None, "role", 0))
        self._result: tuple[Piece, ...] = (("\n", None, "tool_response", 0), tag("tool_response", "tool_response")[0])
        self._result_end = tag("tool_response_end", "tool_response")[0]
        self._control = control
        tail = [self._markup(part, "tools") for part in _CONTROL_SPLIT.split(TOOLS_TAIL)]
        self._tools_tail = tuple(piece for piece in tail if piece[0])
        blank: Piece = ("\n\n", tuple(tokenizer.encode("\n\n")), "thought", 0)
        self.empty_block = (self.think[0], blank, self.think_end[0], blank)
        self.opened: tuple[Piece, ...] = (self.think[0], ("\n", None, "thought", 0))

    def turns(self, chat: Sequence[Message], tool_text: str, policy: Policy, stop: int | None = None) -> Layout:
        """The conversation up to messages[stop], without a generation prompt."""
        layout, plan = Layout(), None
        pieces, marks = layout.pieces, layout.marks
        self._system_turn(layout, chat[0], tool_text, policy)
        for index, message in enumerate(chat[:stop]):
            role = message.role
            if role == "system" and index == 0:
                continue
            marks.append((len(pieces), index))
            if role == "assistant":
                plan = plan or _Plan(chat, policy)
                self._assistant_turn(layout, plan, index)
            elif role == "tool":
                self._result_turn(layout, chat, index, policy)
            else:
                pieces += self._user if role == "user" else self._system
                if role in policy.read_tags:
                    self._said(layout, message.content, "content", 0, True)
                else:
                    pieces.append((message.content, None, "content", 0))
                pieces += self._end[0]
        return layout

    def generation_prompt(self, layout: Layout, index: int, mode: Mode, open_thought: bool) -> None:
        """What the prompt writes of the turn to come, which is messages[index]."""
        layout.marks.append((len(layout.pieces), index))
        layout.pieces += self._assistant
        layout.pieces += self._start_of(mode, open_thought)

    def unfinished_turn(
        self, layout: Layout, index: int, message: Message, part: Unfinished, read_tags: bool = False
    ) -> None:
        """messages[index] as far as it came, after the very prompt that it was asked with."""
        layout.marks.append((len(layout.pieces), index))
        pieces = layout.pieces
        pieces += self._assistant
        if message.ids is not None and message.prefill is not None:
            self._check_written(message, f"messages[{index}]")
            self._as_written(pieces, message, (), loss=0)
            return
        if part == "thought":
            pieces += self.opened
            pieces += (SEAM, ((message.reasoning_content or "").lstrip("\n"), None, "thought", 0))
            return
        thought, answer = split_thought(message)
        if thought:
            pieces += self.opened
            pieces += (SEAM, (thought + "\n", None, "thought", 0), self.think_end[0], ("\n\n", None, "thought", 0))
        else:
            pieces += self.empty_block
            pieces.append(SEAM)
        self._said(layout, answer.lstrip("\n"), "answer", 0, read_tags)

    def answer(self, layout: Layout, answer: str, message: Message, loss: int, read_tags: bool = False) -> None:
        """Answer, calls and end of an assistant's turn."""
        pieces = layout.pieces
        if answer and read_tags:
            self._said(layout, answer, "answer", loss, True)
        elif answer:
            pieces.append((answer, None, "answer", loss))
        if message.tool_calls:
            # The published template looks at the content before it drops the leading line breaks.
            content = split_thought(message)[1]
            for i, call in enumerate(message.tool_calls):
                if content or i:
                    pieces.append(("\n", None, "tool_call", loss))
                self._call_of(pieces, call, loss, last=i + 1 == len(message.tool_calls))
        pieces += self._end[loss]

    def _said(self, layout: Layout, text: str, kind: SpanKind, loss: int, read_tags: bool) -> None:
        """What somebody wrote: plain text, whatever tags it spells, unless they are to be read."""
        if not read_tags or "<" not in text:
            layout.pieces.append((text, None, kind, loss))
            return
        readable = _CALL_SPLIT if kind == "answer" else _READABLE_SPLIT  # a thought has been taken out of an answer
        for number, part in enumerate(readable.split(text)):
            if number % 2:
                layout.tags_read += 1
                layout.pieces.append((part, self._markup(part, kind)[1], kind, loss))
            elif part:
                layout.pieces.append((part, None, kind, loss))

    def _start_of(self, mode: Mode, open_thought: bool) -> tuple[Piece, ...]:
        if not mode.thinking:
            return self.empty_block if mode.source != "model" else ()
        return self.opened if open_thought else ()

    def _system_turn(self, layout: Layout, first: Message, tool_text: str, policy: Policy) -> None:
        has_system = first.role == "system"
        if not has_system and not tool_text:
            return
        layout.marks.append((0, 0 if has_system else -1))
        layout.pieces += self._system
        if has_system:
            self._said(layout, first.content, "content", 0, "system" in policy.read_tags)
        if tool_text:
            layout.pieces.append((("\n\n" if has_system else "") + TOOLS_HEAD + tool_text, None, "tools", 0))
            layout.pieces += self._tools_tail
        layout.pieces += self._end[0]

    def _result_turn(self, layout: Layout, chat: Sequence[Message], index: int, policy: Policy) -> None:
        """Results that follow each other share one user turn."""
        pieces = layout.pieces
        if index == 0 or chat[index - 1].role != "tool":
            pieces += self._results
        pieces += self._result
        self._said(layout, f"\n{chat[index].content}\n", "tool_response", 0, "tool" in policy.read_tags)
        pieces.append(self._result_end)
        if index + 1 == len(chat) or chat[index + 1].role != "tool":
            pieces += self._end[0]

    def _assistant_turn(self, layout: Layout, plan: _Plan, index: int) -> None:
        message, policy, pieces = plan.chat[index], plan.policy, layout.pieces
        read_tags = "assistant" in policy.read_tags
        shown = plan.shows_block(index)
        loss = int(plan.has_loss(index, shown))
        pieces += self._assistant
        if message.ids is not None and plan.exact(loss):
            self._check_written(message, f"messages[{index}]")
            self._as_written(pieces, message, self._start_of(plan.modes[index], policy.open_thought), loss)
            pieces += self._end[loss]
            return
        thought, answer = split_thought(message)
        if not shown:
            self.answer(layout, answer, message, loss, read_tags)
            return
        if policy.history == "keep" and plan.closed(index):
            pieces += self.empty_block
            pieces.append(SEAM)
        else:
            self._think_block(pieces, thought, plan, index, loss)
        self.answer(layout, answer.lstrip("\n"), message, loss, read_tags)

    def _think_block(self, pieces: list[Piece], thought: str, plan: _Plan, index: int, loss: int) -> None:
        own = loss if thought else loss and int(plan.writes_empty_block(index))
        exact = plan.exact(loss)
        pieces += (self.think[own], ("\n", None, "thought", own))
        if exact and (thought or plan.opened(index)):
            pieces.append(SEAM)
        pieces += (
            (thought + "\n", None, "thought", own),
            self.think_end[own],
            ("\n\n", None, "thought", own),
        )
        if exact and not thought:
            pieces.append(SEAM)

    def _check_written(self, message: Message, where: str) -> None:
        """Raise SansiError for ids that are not of one turn. A model may write <|im_start|>: it ends no turn."""
        control, size = self._control, self._tokenizer.vocab_size
        ends = {control.im_end: "im_end", control.endoftext: "endoftext"}
        for key, ids, foreign in (
            ("prefill", message.prefill, {**ends, control.im_start: "im_start"}),
            ("ids", message.ids, ends),
        ):
            if not ids:
                continue
            if max(ids) >= size:
                reason = f"{where}.{key} holds {max(ids)}; this vocabulary has {size} ids"
                raise SansiError(reason, param=f"{where}.{key}")
            found = next((name for token, name in foreign.items() if token in ids), None)
            if found is not None:
                reason = f"{where}.{key} holds the id of {found}, which is no part of a turn; leave it out"
                raise SansiError(reason, param=f"{where}.{key}")

    def _as_written(self, pieces: list[Piece], message: Message, start: tuple[Piece, ...], loss: int) -> None:
        """The turn by its ids: what its prompt began, and what the model wrote."""
        if message.prefill is None:
            pieces += start
            pieces.append(SEAM)
            before = tuple(piece[0] for piece in start)
        else:
            before = tuple(self._spelled(pieces, message.prefill, "answer", 0))
        kind: SpanKind = "thought" if before and CONTROL_TEXT["think_end"] not in before else "answer"
        assert message.ids is not None
        self._spelled(pieces, message.ids, kind, loss)

    def _spelled(self, pieces: list[Piece], ids: Sequence[int], kind: SpanKind, loss: int) -> list[str]:
        """Append ids as they are, a piece for each tag and each run between tags. Returns the tags."""
        tags: list[str] = []
        for name, run in groupby(ids, self._names.get):
            if name is None:
                kind = self._run(pieces, tuple(run), kind, loss)
                continue
            for token in run:
                tags.append(name)
                kind = _KIND_FROM.get(name, kind)
                pieces.append((name, (token,), kind, loss))
                kind = _KIND_AFTER.get(name, kind)
        return tags

    def _run(self, pieces: list[Piece], run: tuple[int, ...], kind: SpanKind, loss: int) -> SpanKind:
        """Line breaks after a closed thought belong to its block."""
        frame = 0
        if pieces[-1][1] == self.think_end[0][1]:
            while frame < len(run) and not self._tokenizer.token_bytes(run[frame]).strip(b"\n"):
                frame += 1
        for ids, own in ((run[:frame], "thought"), (run[frame:], kind)):
            if ids:
                pieces.append((self._tokenizer.decode(ids), ids, own, loss))  # type: ignore[arg-type]
        return kind

    def _call_of(self, pieces: list[Piece], call: ToolCall, loss: int, last: bool) -> None:
        """A call that the model broke stands as far as it came; what cut it off is not made up, unless calls follow."""
        body = f'\n{{"name": "{call.name}", "arguments": {keep_escapes(call.arguments)}'
        broken = call.error is not None and not _is_object(call.arguments)
        pieces.append(self._call[loss])
        pieces.append((body if broken else body + "}\n", None, "tool_call", loss))
        if not (broken and last):
            pieces.append(self._call_end[loss])

    def _markup(self, part: str, kind: SpanKind) -> Piece:
        """Our own words, whose control strings are control tokens."""
        name = _CONTROL_NAME.get(part)
        return part, (getattr(self._control, name),) if name else None, kind, 0


class _Plan:
    """What decides how each assistant turn of a conversation stands."""

    def __init__(self, chat: Sequence[Message], policy: Policy):
        self.chat, self.policy = chat, policy

    @cached_property
    def last_query(self) -> int:
        return next((i for i in range(len(self.chat) - 1, -1, -1) if is_query(self.chat[i])), len(self.chat) - 1)

    @cached_property
    def modes(self) -> list[Mode]:
        """The mode in which each turn was asked for."""
        return modes_of_turns(self.chat, self.policy.enable_thinking, self.policy.soft_switch)

    def shows_block(self, index: int) -> bool:
        if self.policy.history == "keep":
            return True
        if index <= self.last_query:
            return False
        message = self.chat[index]
        return index == len(self.chat) - 1 or bool(message.reasoning_content or split_thought(message)[0])

    def has_loss(self, index: int, shown: bool) -> bool:
        learned = self.policy.learned
        return (shown or not self.policy.training) and (learned is None or index in learned)

    def exact(self, loss: int) -> bool:
        """The turn stands as it was written: tokenised where its prompt ended, and by its ids if it has them.

        Under the official policy only a turn that is learned does: as history it is read again from its text.
        """
        return self.policy.history == "keep" or (self.policy.training and bool(loss))

    def closed(self, index: int) -> bool:
        """The prompt wrote the empty block, so that no thought can have followed."""
        mode = self.modes[index]
        return not mode.thinking and mode.source != "model"

    def opened(self, index: int) -> bool:
        """An empty thought that the prompt opened and the model closed, and not one that the prompt closed too."""
        asked = self.chat[index].reasoning_content is not None or self.policy.open_thought
        return asked and self.modes[index].thinking

    def writes_empty_block(self, index: int) -> bool:
        return self.modes[index] == Mode(False, "model")


def learned_turns(chat: Sequence[Message], policy: Policy) -> list[tuple[int, Mode]]:
    """The assistant's turns that have loss, and the mode in which each was asked for."""
    plan = _Plan(chat, policy)
    turns = [i for i, message in enumerate(chat) if message.role == "assistant"]
    return [(i, plan.modes[i]) for i in turns if plan.has_loss(i, plan.shows_block(i))]


def split_thought(message: Message) -> tuple[str, str]:
    """(thought, answer) of an assistant's message. Content that carries its thought inside is taken apart."""
    if message.reasoning_content is not None:
        return message.reasoning_content.strip("\n"), message.content
    if "</think>" not in message.content:
        return "", message.content
    before, answer = message.content.split("</think>")[0], message.content.split("</think>")[-1]
    return before.rstrip("\n").split("<think>")[-1].strip("\n"), answer.lstrip("\n")


def keep_escapes(text: str) -> str:
    """JSON in which no escape ends before an accent: normalisation would turn "\\n" and U+0301 into "\\ń", no JSON."""
    return text if text.isascii() else _ESCAPE.sub(_spell_accents, text)


def _spell_accents(escape: re.Match[str]) -> str:
    after = escape[2]
    marks = next((i for i, char in enumerate(after) if not unicodedata.combining(char)), len(after))
    return escape[1] + json.dumps(after[:marks])[1:-1] + after[marks:]


_ESCAPE = re.compile(r"(\\(?:u[0-9a-fA-F]{4}|.))([^\x00-\x7f]*)", re.DOTALL)
_CONTROL_NAME = {text: name for name, text in CONTROL_TEXT.items()}
_CONTROL_SPLIT = re.compile("(" + "|".join(map(re.escape, _CONTROL_NAME)) + ")")
# What the templates write into turns, and agents that prompt for calls themselves write into messages. What begins and
# ends turns is not among it: no message can end its own turn.
_READABLE = re.compile(r"</?(?:tool_call|tool_response|think)>")
_READABLE_SPLIT = re.compile(f"({_READABLE.pattern})")
_CALL_SPLIT = re.compile(r"(</?(?:tool_call|tool_response)>)")
_KIND_FROM: dict[str, SpanKind] = {"<think>": "thought", "<tool_call>": "tool_call"}
_KIND_AFTER: dict[str, SpanKind] = {"</think>": "answer", "</tool_call>": "answer"}


def _opens_call(piece: Piece) -> bool:
    return piece[2] == "tool_call" and piece[1] is not None and piece[0] == "<tool_call>"


def _is_object(text: str) -> bool:
    try:
        return isinstance(parse_json(text), dict)
    except ValueError:
        return False
