"""The chat codec: one walk over a conversation writes its text, its ids and its loss mask.

The rendering equals the published Qwen3 template's, with one difference by design: text that a user, a tool or an
assistant wrote is encoded as plain text, so that "<|im_end|>" in it ends nothing.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from sansi.base.errors import SansiError, did_you_mean
from sansi.text.messages import AssistantMessage, Message, read_messages, read_tools
from sansi.text.parser import StreamParser
from sansi.text.template import BUDGET_PHRASE, CHAT_TEMPLATE, TOOLS_HEAD, TOOLS_TAIL
from sansi.text.tokenizer import CONTROL_TEXT, Tokenizer

Messages = Sequence[Message | Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any]] | None
History = Literal["official", "keep"]
SoftSwitch = Literal["prefill", "model"]

# A flag stands alone: "4?/no_think" and "你好/no_think" hold one, the paths "src/think" and "/think.py" do not.
FLAG = re.compile(r"(?<![\w/\\.~-])/(no_)?think(?![\w/\\-]|\.\w)", re.ASCII)


@dataclass(frozen=True)
class Mode:
    """Whether the assistant thinks before it answers, and who decided: `select_mode` has the precedence."""

    thinking: bool
    source: Literal["default", "request", "soft_switch", "model"]


SpanKind = Literal["role", "content", "tools", "thought", "answer", "tool_call", "tool_response", "end"]


@dataclass(frozen=True)
class Span:
    """What the ids from `start` up to `end` (not included) are, and the index of their message.

    The message is -1 where no message stands behind the ids: tools without a system message, and the generation prompt.
    """

    kind: SpanKind
    start: int
    end: int
    message: int


@dataclass(frozen=True)
class Prompt:
    """A rendered conversation. `loss_mask[i]` is 1 where `ids[i]` is the assistant's own."""

    ids: list[int]
    text: str
    loss_mask: list[int]
    mode: Mode
    thought_open: bool
    """The ids end inside a thought that is still open."""
    continues: bool
    """The ids end inside an assistant turn, so a completion can follow."""
    spans: tuple[Span, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    """The tools that the model may call; the parser knows them from here."""


@dataclass(frozen=True)
class TrainingSample:
    """`loss_mask[i]` is 1 where the model is to learn to write `ids[i]`; both have the same length."""

    ids: list[int]
    loss_mask: list[int]
    mode: Mode


@dataclass(frozen=True)
class ThinkingIds:
    """What an engine needs to know of thoughts: the tags, and what it writes when the budget is spent."""

    start: int
    end: int
    end_sequence: tuple[int, ...]


def select_mode(
    messages: Iterable[Message], enable_thinking: bool | None = None, soft_switch: SoftSwitch = "prefill"
) -> Mode:
    """The one place that decides the mode.

    1. `enable_thinking=False`: non-thinking, whatever the messages say (source "request").
    2. The last /think or /no_think in a user or system message (source "soft_switch", or "model" if
       `soft_switch="model"` leaves obeying it to the model).
    3. Thinking (source "request" if `enable_thinking=True`, else "default").
    """
    if enable_thinking is False:
        return Mode(False, "request")
    asked = [m.content for m in messages if m.role == "system" or is_query(m)]
    flags = [flag for text in asked for flag in FLAG.finditer(text)]
    if flags:
        return Mode(thinking=flags[-1][1] is None, source="model" if soft_switch == "model" else "soft_switch")
    return Mode(True, "default" if enable_thinking is None else "request")


def is_query(message: Message) -> bool:
    """A user's turn that is not a tool's result in disguise; it starts the exchange whose thoughts are kept."""
    start, end = CONTROL_TEXT["tool_response"], CONTROL_TEXT["tool_response_end"]
    return message.role == "user" and not (message.content.startswith(start) and message.content.endswith(end))


class Codec:
    """Messages to ids, ids to messages, and the masks between."""

    chat_template: str = CHAT_TEMPLATE

    def __init__(self, tokenizer: Tokenizer):
        if not tokenizer.byte_level:
            raise SansiError("a codec needs a byte-level tokenizer; this one decodes in another way")
        self.tokenizer = tokenizer
        self.control = tokenizer.control

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Codec:
        """Load from a checkpoint folder. Raises SansiError if its tokenizer is missing, damaged or not for chats."""
        return cls(Tokenizer.from_pretrained(folder))

    def save(self, folder: str | Path) -> None:
        """Write the tokenizer's files, chat template included, into `folder`."""
        self.tokenizer.save(folder)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an assistant's turn."""
        return (self.control.im_end, self.control.endoftext)

    @cached_property
    def thinking_ids(self) -> ThinkingIds:
        encode, end = self.tokenizer.encode, self.control.think_end
        return ThinkingIds(self.control.think, end, (*encode(BUDGET_PHRASE), end, *encode("\n\n")))

    def render(
        self,
        messages: Messages,
        tools: Tools = None,
        enable_thinking: bool | None = None,
        add_generation_prompt: bool = True,
        history: History = "official",
        soft_switch: SoftSwitch = "prefill",
        open_thought: bool = False,
    ) -> Prompt:
        """Render a conversation.

        history: "official" drops the thoughts before the last query; "keep" is append-only, so that the ids of one
            turn's prompt start those of the next.
        soft_switch: "prefill" writes the empty thought for the model under /no_think; "model" leaves it to the model.
        open_thought: in thinking mode, end the generation prompt with "<think>\\n", so that the model must think.
        """
        chat, tool_list = read_messages(messages), read_tools(tools)
        _check_choice("history", history, ("official", "keep"))
        mode = self._mode(chat, enable_thinking, soft_switch)
        walk = _Walk(self.tokenizer, seams=history == "keep")
        plan = _Plan(chat, enable_thinking, soft_switch, history)
        self._turns(walk, plan, tool_list)
        if add_generation_prompt:
            self._generation_prompt(walk, mode, open_thought)
        walk.flush()
        opened = add_generation_prompt and open_thought and mode.thinking
        return Prompt(walk.ids, "".join(walk.texts), walk.mask, mode, opened, add_generation_prompt, (), tool_list)

    def training_sample(
        self,
        messages: Messages,
        tools: Tools = None,
        enable_thinking: bool | None = None,
        soft_switch: SoftSwitch = "prefill",
    ) -> TrainingSample:
        """One conversation to learn from, tokenised where the prompts of its turns end, as it is when it is served.

        Loss is on the assistant's turns that stand as the model has to write them, that is with their think block
        (the last one, and the thinking ones of the same tool exchange), up to their <|im_end|>. Not on an empty
        think block, which is prefilled, unless `soft_switch="model"` and a /no_think asked for it.
        """
        chat, tool_list = read_messages(messages), read_tools(tools)
        mode = self._mode(chat, enable_thinking, soft_switch)
        self._check_last(chat, mode)
        walk = _Walk(self.tokenizer, seams=True)
        plan = _Plan(chat, enable_thinking, soft_switch, "official", bare_loss=False)
        self._turns(walk, plan, tool_list)
        walk.flush()
        return TrainingSample(walk.ids, walk.mask, mode)

    def cut_sample(self, messages: Messages, budget: int, tools: Tools = None) -> TrainingSample:
        """The last answer as it has to be given when its thought is cut after `budget` tokens (those after <think>).

        Loss is on the answer and its <|im_end|> alone. A thought of fewer than `budget` tokens stays whole.
        """
        if budget < 1:
            raise SansiError(f"budget is {budget}; a cut thought has at least 1 token", param="budget")
        chat, tool_list = read_messages(messages), read_tools(tools)
        mode = self._mode(chat, None, "prefill")
        self._check_last(chat, mode)
        thought, answer = split_thought(chat[-1])
        if not mode.thinking or not thought:
            raise SansiError(f"messages[{len(chat) - 1}] has no thought to cut", param="reasoning_content")
        walk = _Walk(self.tokenizer, seams=True)
        self._turns(walk, _Plan(chat, None, "prefill", "official", bare_loss=None), tool_list, stop=len(chat) - 1)
        self._generation_prompt(walk, mode, open_thought=False)
        walk.control(self.control.think)
        own = self.tokenizer.encode("\n") + self.tokenizer.encode(thought + "\n")
        if len(own) >= budget:  # an engine closes the thought as soon as the budget is spent
            walk.raw([*own[:budget], *self.thinking_ids.end_sequence])
        else:
            walk.raw([*own, self.control.think_end, *self.tokenizer.encode("\n\n")])
        self._answer(walk, answer, chat[-1], loss=True)
        walk.flush()
        return TrainingSample(walk.ids, walk.mask, mode)

    def parser(self, prompt: Prompt, tools: Tools = None) -> StreamParser:
        """A parser for what follows `prompt`, whose ids decide its first state. `tools` default to the prompt's."""
        if not prompt.continues:
            raise SansiError("the prompt ends with a finished turn; render it with add_generation_prompt=True")
        known = prompt.tools if tools is None else read_tools(tools)
        if "tools" in inspect.signature(StreamParser).parameters:  # until the parser takes them
            return StreamParser(self.tokenizer, prompt.ids, tools=known)  # type: ignore[call-arg,unused-ignore]
        return StreamParser(self.tokenizer, prompt.ids)

    def parse(self, prompt: Prompt, ids: Sequence[int], tools: Tools = None) -> AssistantMessage:
        """The message that `ids`, generated after `prompt`, spell."""
        parser = self.parser(prompt, tools)
        parser.feed(ids)
        parser.finish()
        return parser.message

    def _mode(self, chat: Sequence[Message], enable_thinking: bool | None, soft_switch: SoftSwitch) -> Mode:
        if enable_thinking is not None and not isinstance(enable_thinking, bool):
            raise SansiError(f"enable_thinking is {enable_thinking!r}; true or false", param="enable_thinking")
        _check_choice("soft_switch", soft_switch, ("prefill", "model"))
        return select_mode(chat, enable_thinking, soft_switch)

    def _check_last(self, chat: Sequence[Message], mode: Mode) -> None:
        last, where = chat[-1], f"messages[{len(chat) - 1}]"
        if last.role != "assistant":
            raise SansiError(f"{where} is of the {last.role}; a training sample ends with the assistant", param=where)
        if not mode.thinking and split_thought(last)[0]:
            raise SansiError(
                f"{where} holds a thought, but the sample is non-thinking ({mode.source}); remove one of the two",
                param=f"{where}.reasoning_content",
            )

    def _turns(self, walk: _Walk, plan: _Plan, tools: Sequence[Mapping[str, Any]], stop: int | None = None) -> None:
        self._system(walk, plan.chat[0], tools)
        for index, message in enumerate(plan.chat[:stop]):
            if message.role == "assistant":
                self._assistant(walk, plan, index)
            elif message.role == "tool":
                self._tool_result(walk, plan.chat, index)
            elif message.role == "user" or index > 0:
                walk.control(self.control.im_start)
                walk.text(f"{message.role}\n{message.content}")
                self._end_turn(walk)

    def _system(self, walk: _Walk, first: Message, tools: Sequence[Mapping[str, Any]]) -> None:
        if first.role != "system" and not tools:
            return
        walk.control(self.control.im_start)
        walk.text("system\n" + (first.content if first.role == "system" else ""))
        if tools:
            walk.text(("\n\n" if first.role == "system" else "") + TOOLS_HEAD)
            walk.text("".join("\n" + json.dumps(tool, ensure_ascii=False) for tool in tools))
            walk.markup(TOOLS_TAIL)
        self._end_turn(walk)

    def _tool_result(self, walk: _Walk, chat: Sequence[Message], index: int) -> None:
        """Results that follow each other share one user turn."""
        if index == 0 or chat[index - 1].role != "tool":
            walk.control(self.control.im_start)
            walk.text("user")
        walk.text("\n")
        walk.control(self.control.tool_response)
        walk.text(f"\n{chat[index].content}\n")
        walk.control(self.control.tool_response_end)
        if index + 1 == len(chat) or chat[index + 1].role != "tool":
            self._end_turn(walk)

    def _assistant(self, walk: _Walk, plan: _Plan, index: int) -> None:
        message = plan.chat[index]
        thought, answer = split_thought(message)
        walk.control(self.control.im_start)
        walk.text("assistant\n")
        walk.seam()
        if not plan.shows_block(index, message):
            self._answer(walk, answer, message, loss=plan.bare_loss is True)
            return
        self._think_block(walk, thought, plan.empty_block(index, message), loss=plan.bare_loss is not None)
        self._answer(walk, answer.lstrip("\n"), message, loss=plan.bare_loss is not None)

    def _think_block(self, walk: _Walk, thought: str, empty: Literal["prefilled", "own", "opened"], loss: bool) -> None:
        own = loss and (bool(thought) or empty == "own")
        walk.control(self.control.think, own)
        walk.text("\n", own)
        if thought or empty == "opened":
            walk.seam()
        walk.text(thought + "\n", own)
        walk.control(self.control.think_end, own)
        walk.text("\n\n", own)
        if not thought:
            walk.seam()

    def _answer(self, walk: _Walk, answer: str, message: Message, loss: bool) -> None:
        walk.text(answer, loss)
        # The published template looks at the content before it drops the leading line breaks.
        content = split_thought(message)[1]
        for i, call in enumerate(message.tool_calls):
            walk.text("\n" if content or i else "", loss)
            walk.control(self.control.tool_call, loss)
            walk.text(f'\n{{"name": "{call.name}", "arguments": {call.arguments}}}\n', loss)
            walk.control(self.control.tool_call_end, loss)
        self._end_turn(walk, loss)

    def _end_turn(self, walk: _Walk, loss: bool = False) -> None:
        walk.control(self.control.im_end, loss)
        walk.text("\n")

    def _generation_prompt(self, walk: _Walk, mode: Mode, open_thought: bool) -> None:
        walk.control(self.control.im_start)
        walk.text("assistant\n")
        if not mode.thinking and mode.source != "model":
            walk.markup("<think>\n\n</think>\n\n")
        elif mode.thinking and open_thought:
            walk.markup("<think>\n")


def split_thought(message: Message) -> tuple[str, str]:
    """(thought, answer) of an assistant's message. Content that carries its thought inside is taken apart."""
    if message.reasoning_content is not None:
        return message.reasoning_content.strip("\n"), message.content
    if "</think>" not in message.content:
        return "", message.content
    before, answer = message.content.split("</think>")[0], message.content.split("</think>")[-1]
    return before.rstrip("\n").split("<think>")[-1].strip("\n"), answer.lstrip("\n")


@dataclass(frozen=True)
class _Plan:
    """What a walk needs to decide how each assistant turn stands."""

    chat: tuple[Message, ...]
    enable_thinking: bool | None
    soft_switch: SoftSwitch
    history: History
    bare_loss: bool | None = True
    """Loss on turns without their block; None: no loss at all."""

    @cached_property
    def last_query(self) -> int:
        return max((i for i, m in enumerate(self.chat) if is_query(m)), default=len(self.chat) - 1)

    def shows_block(self, index: int, message: Message) -> bool:
        if self.history == "keep":
            return True
        thinks = bool(message.reasoning_content or split_thought(message)[0])
        return index > self.last_query and (index == len(self.chat) - 1 or thinks)

    def empty_block(self, index: int, message: Message) -> Literal["prefilled", "own", "opened"]:
        """Who wrote an empty think block: the prompt, the model, or the prompt its start and the model its end."""
        mode = select_mode(self.chat[:index], self.enable_thinking, self.soft_switch)
        if mode.thinking:
            return "opened" if message.reasoning_content is not None else "prefilled"
        return "own" if mode.source == "model" else "prefilled"


class _Walk:
    """Collects text, ids and loss mask. Text between two control tokens is encoded together, as the published
    tokenizer does, except across a seam: a place where a prompt may have ended and generation begun."""

    def __init__(self, tokenizer: Tokenizer, seams: bool):
        self.ids: list[int] = []
        self.mask: list[int] = []
        self.texts: list[str] = []
        self._tokenizer = tokenizer
        self._seams = seams
        self._pending: list[tuple[str, bool]] = []

    def text(self, text: str, loss: bool = False) -> None:
        if text:
            self._pending.append((text, loss))

    def control(self, token: int, loss: bool = False) -> None:
        self.flush()
        self.raw([token], loss)

    def markup(self, text: str, loss: bool = False) -> None:
        """Our own words, whose control strings are control tokens."""
        for part in _CONTROL_SPLIT.split(text):
            if part in _CONTROL_NAME:
                self.control(getattr(self._tokenizer.control, _CONTROL_NAME[part]), loss)
            else:
                self.text(part, loss)

    def raw(self, ids: Sequence[int], loss: bool = False) -> None:
        self.flush()
        self.ids += ids
        self.mask += [int(loss)] * len(ids)
        self.texts.append(self._tokenizer.decode(ids))

    def seam(self) -> None:
        if self._seams:
            self.flush()

    def flush(self) -> None:
        if not self._pending:
            return
        text = "".join(part for part, _ in self._pending)
        ids = self._tokenizer.encode(text)
        self.ids += ids
        self.mask += self._chunk_mask(ids)
        self.texts.append(text)
        self._pending = []

    def _chunk_mask(self, ids: Sequence[int]) -> list[int]:
        """In a chunk the part without loss comes first and is ASCII, so no normalisation moves its end.

        A token across that end is partly the prompt's, so the model never has to write it: no loss.
        """
        silent = sum(len(part) for part, loss in self._pending if not loss)
        if all(not loss for _, loss in self._pending):
            return [0] * len(ids)
        assert [loss for _, loss in self._pending] == sorted(loss for _, loss in self._pending)
        mask, at = [], 0
        for token in ids:
            mask.append(int(at >= silent))
            at += len(self._tokenizer.token_bytes(token))
        return mask


_CONTROL_NAME = {text: name for name, text in CONTROL_TEXT.items()}
_CONTROL_SPLIT = re.compile("(" + "|".join(map(re.escape, _CONTROL_NAME)) + ")")


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise SansiError(f"{name} is {value!r}{did_you_mean(str(value), known)}", param=name)
