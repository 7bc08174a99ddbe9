"""The chat codec: one walk over a conversation writes its text, its ids, its loss mask and its spans.

The rendering equals the published Qwen3 template's, with one difference by design: text that a user, a tool or an
assistant wrote is encoded as plain text, so that "<|im_end|>" in it ends nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from sansi.base.codec_file import CODEC_FILE, GENERATION_CONFIG, write_codec_file
from sansi.base.errors import SansiError, did_you_mean
from sansi.base.files import WRITTEN, as_path, json_text, mark, read_json, write_json
from sansi.base.shown import show
from sansi.text.chunks import ChunkEncoder
from sansi.text.messages import ROLES, AssistantMessage, Message, read_messages, read_tools, tool_lines
from sansi.text.mode import Mode, SoftSwitch, check_choice, check_flag, check_mode_options, is_query, select_mode
from sansi.text.parser import StreamParser
from sansi.text.render import Encoded, History, Layout, Policy, Renderer, Span, Unfinished, learned_turns, split_thought
from sansi.text.schema import ToolSchema
from sansi.text.template import BUDGET_PHRASE, CHAT_TEMPLATE
from sansi.text.tokenizer import ControlTokens, Tokenizer
from sansi.text.tool_calls import tool_schemas

Messages = Sequence[Message | Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True)
class Prompt:
    """A rendered conversation. Its text is ready; `ids`, `loss_mask` and `spans` are made when first asked for."""

    text: str
    mode: Mode
    thought_open: bool
    """The ids end inside a thought that is still open."""
    continues: bool
    """The ids end inside an assistant turn, so a completion can follow."""
    tools: tuple[Mapping[str, Any], ...]
    """The tools that the model may call; the parser knows them from here."""
    _layout: Layout = field(repr=False, compare=False)
    _encoder: ChunkEncoder = field(repr=False, compare=False)

    @property
    def ids(self) -> list[int]:
        return self._encoded.ids

    def fewest_ids(self, enough: int) -> int:
        """A lower bound on the number of ids, for texts that are too long to be encoded in vain."""
        known = sum(len(piece[1]) for piece in self._layout.pieces if piece[1] is not None)
        if known >= enough:
            return known
        plain = "".join([piece[0] for piece in self._layout.pieces if piece[1] is None])
        return known + self._encoder.tokenizer.fewest_ids(plain, enough - known)

    @property
    def tags_read(self) -> int:
        """Tags that messages spell and that were read as such, as `read_tags` wants it."""
        return self._layout.tags_read

    @property
    def tags_spelled(self) -> list[str]:
        """Tags that messages spell and that were read as characters."""
        return self._layout.tags_spelled()

    @property
    def loss_mask(self) -> list[int]:
        """1 where the id is the assistant's own."""
        return self._encoded.loss_mask

    @property
    def spans(self) -> tuple[Span, ...]:
        """What the ids are: disjoint, in order, and covering all of them."""
        return self._encoded.spans

    @cached_property
    def _encoded(self) -> Encoded:
        return self._layout.encode(self._encoder)


class Rendered(Protocol):
    """What a parser needs to know of a prompt, whoever rendered it."""

    @property
    def ids(self) -> list[int]: ...
    @property
    def thought_open(self) -> bool: ...
    @property
    def continues(self) -> bool: ...
    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]: ...


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
    framing: frozenset[int]
    """Line breaks, of which one that directly follows `start` is no part of the thought."""


class Codec:
    """Messages to ids, ids to messages, and the masks between."""

    chat_template: str = CHAT_TEMPLATE

    def __init__(self, tokenizer: Tokenizer):
        if not tokenizer.byte_level:
            raise SansiError("a codec needs a byte-level tokenizer; this one decodes in another way")
        self.tokenizer = tokenizer
        self.control = tokenizer.control
        self._renderer = Renderer(tokenizer)
        self._encoder = ChunkEncoder(tokenizer)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Codec:
        """Load from a checkpoint folder. Raises SansiError if its tokenizer is missing, damaged or not for chats."""
        return cls(Tokenizer.from_pretrained(folder))

    def save(self, folder: str | Path) -> None:
        """Write all that the text side of a model folder needs: tokenizer, chat template, stop ids, and `codec.json`.

        The stop ids go into generation_config.json, whose other values stay. Raises SansiError if that is no JSON.
        """
        folder = as_path(folder)
        self.tokenizer.save(folder)
        file = folder / GENERATION_CONFIG
        known = read_json(file, WRITTEN) if file.exists() else {}
        if not isinstance(known, dict):
            raise SansiError(f"{file}: not a JSON object; correct it there")
        write_json(file, {**known, **self.generation_config})
        write_codec_file(folder, self.hash)
        mark(folder, [GENERATION_CONFIG, CODEC_FILE])

    def files(self) -> dict[str, bytes]:
        """What `save` writes into a new folder, by name, less `codec.json`: the files of a bundle."""
        return {**self.tokenizer.files(), GENERATION_CONFIG: json_text(self.generation_config).encode()}

    @property
    def generation_config(self) -> dict[str, Any]:
        """The ids that end a turn and fill a row, under the names of generation_config.json."""
        return {"eos_token_id": list(self.stop_ids), "pad_token_id": self.control.endoftext}

    @cached_property
    def hash(self) -> str:
        """sha256 of vocabulary and template: data, checkpoints and runs of one hash fit together."""
        words = json.dumps([self.tokenizer.hash, CHAT_TEMPLATE, BUDGET_PHRASE])
        return hashlib.sha256(words.encode()).hexdigest()

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size

    @property
    def special_tokens(self) -> list[str]:
        """The texts of the tokens that no text encodes to, control tokens among them."""
        return list(self.tokenizer.added)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an assistant's turn."""
        return (self.control.im_end, self.control.endoftext)

    thinks = True
    """Whether the model has a thinking mode."""
    knows_tools = True
    """Whether tools can be offered to the model."""

    @property
    def call_tags(self) -> tuple[int, int]:
        """The ids around a call."""
        return self.control.tool_call, self.control.tool_call_end

    def close(self) -> None:
        """There is nothing to end; other codecs have a process."""

    @cached_property
    def thinking_ids(self) -> ThinkingIds:
        encode, end = self.tokenizer.encode, self.control.think_end
        sequence = (*encode(BUDGET_PHRASE), end, *encode("\n\n"))
        return ThinkingIds(self.control.think, end, sequence, self.tokenizer.line_breaks)

    def render(
        self,
        messages: Messages,
        tools: Tools = None,
        enable_thinking: bool | None = None,
        add_generation_prompt: bool = True,
        history: History = "official",
        soft_switch: SoftSwitch = "prefill",
        open_thought: bool = False,
        continue_final: Unfinished | None = None,
        read_tags: Collection[str] = (),
    ) -> Prompt:
        """Render a conversation.

        history: "official" drops the thoughts before the last query; "keep" is append-only, so that the ids of one
            turn's prompt start those of the next.
        soft_switch: "prefill" writes the empty thought for the model under /no_think; "model" leaves it to the model.
        open_thought: in thinking mode, end the generation prompt with "<think>\\n", so that the model must think.
        continue_final: the last message is an assistant's turn that is not finished: the model goes on with its
            "answer" (which follows its whole thought, or an empty one), or with its open "thought".
        read_tags: roles whose text may spell tags of calls, results and thoughts; elsewhere they are characters.

        Raises SansiError that names the message, the tool or the option that is wrong.
        """
        chat, (tool_list, lines) = read_messages(messages), tool_lines(tools)
        check_choice("history", history, ("official", "keep"))
        check_mode_options(enable_thinking, soft_switch)
        check_flag("add_generation_prompt", add_generation_prompt)
        check_flag("open_thought", open_thought)
        mode = select_mode(chat, enable_thinking, soft_switch)
        policy = Policy(enable_thinking, soft_switch, history, open_thought)
        if read_tags:
            for role in read_tags:
                check_choice("read_tags", role, ROLES)
            policy = policy._replace(read_tags=frozenset(read_tags))
        if continue_final is not None:
            return self._unfinished(chat, tool_list, lines, policy, mode, continue_final)
        layout = self._renderer.turns(chat, lines, policy)
        if add_generation_prompt:
            self._renderer.generation_prompt(layout, len(chat), mode, open_thought)
        opened = add_generation_prompt and open_thought and mode.thinking
        return Prompt(layout.text, mode, opened, add_generation_prompt, tool_list, layout, self._encoder)

    def _unfinished(
        self,
        chat: tuple[Message, ...],
        tools: tuple[Mapping[str, Any], ...],
        lines: str,
        policy: Policy,
        mode: Mode,
        part: Unfinished,
    ) -> Prompt:
        """The prompt of a turn that is to be finished; what is before stands as when it was asked for."""
        check_choice("continue_final", part, ("answer", "thought"))
        last = len(chat) - 1
        _check_unfinished(chat, mode, part, self.control)
        if part == "answer" and not _is_written(chat[last]) and not split_thought(chat[last])[0]:
            mode = Mode(False, "request" if mode.thinking else mode.source)  # the turn was given without a thought
        layout = self._renderer.turns(chat[:last], lines, policy)
        self._renderer.unfinished_turn(layout, last, chat[last], part, "assistant" in policy.read_tags)
        return Prompt(layout.text, mode, part == "thought", True, tools, layout, self._encoder)

    def training_sample(
        self,
        messages: Messages,
        tools: Tools = None,
        enable_thinking: bool | None = None,
        soft_switch: SoftSwitch = "prefill",
        history: History = "official",
    ) -> TrainingSample:
        """One conversation to learn from, tokenised where the prompts of its turns end, as it is when it is served.

        history="official": loss on the assistant's turns that stand as the model has to write them, that is with their
        think block (the last one, and the thinking ones of the same tool exchange), up to their <|im_end|>.
        history="keep": loss on every assistant's turn. Never on an empty think block, which is prefilled, unless
        `soft_switch="model"` and a /no_think asked for it. Turns that carry their `ids` are learned by them.

        Raises SansiError for what must not be learned: a thought in a non-thinking turn, a thought that was cut off,
        a call with an error or of a tool that is not among `tools`.
        """
        check_choice("history", history, ("official", "keep"))
        chat, tool_list = self._conversation(messages, tools, enable_thinking, soft_switch)
        return self._sample(chat, tool_list, Policy(enable_thinking, soft_switch, history, training=True))

    def training_samples(
        self,
        messages: Messages,
        tools: Tools = None,
        enable_thinking: bool | None = None,
        soft_switch: SoftSwitch = "prefill",
    ) -> list[TrainingSample]:
        """Samples from which each answer to a question is learned once, after the very prompt that it is served with.

        One sample for each exchange under history="official": a question, its tool calls and the answer. A turn that
        stands otherwise in the sample of its exchange than it was served (it has no thought, or its text has another
        tokenisation) gets a sample of its own. Raises SansiError as `training_sample` does.
        """
        chat, tool_list = self._conversation(messages, tools, enable_thinking, soft_switch)
        first = next((i for i, message in enumerate(chat) if is_query(message)), len(chat))
        turns = [i for i in range(first, len(chat)) if chat[i].role == "assistant"]
        samples: list[TrainingSample] = []
        for exchange in _exchanges(chat, turns):
            samples += self._exchange(chat, tool_list, exchange, enable_thinking, soft_switch)
        return samples

    def cut_sample(self, messages: Messages, budget: int, tools: Tools = None) -> TrainingSample:
        """The last answer as it has to be given when its thought is cut after `budget` tokens of its own, as an engine
        counts them: without the line break after <think>.

        Loss is on the answer and its <|im_end|> alone. A thought of at most `budget` tokens stays whole.
        """
        if not isinstance(budget, int) or isinstance(budget, bool):
            raise SansiError(f"budget is {show(budget)}; a number of tokens is whole", param="budget")
        if budget < 1:
            raise SansiError(f"budget is {budget}; a cut thought has at least 1 token", param="budget")
        chat, tool_list = self._conversation(messages, tools, None, "prefill")
        mode, last = select_mode(chat), len(chat) - 1
        _check_thought(chat, last, mode)
        thought, answer = split_thought(chat[-1])
        if not mode.thinking or not thought:
            raise SansiError(f"messages[{last}] has no thought to cut", param=f"messages[{last}].reasoning_content")
        policy = Policy(training=True, learned=frozenset())
        layout = self._renderer.turns(chat, tool_lines(tool_list)[1], policy, stop=last)
        self._renderer.generation_prompt(layout, last, mode, open_thought=False)
        layout.pieces.append(self._renderer.think[0])
        encode, own = self.tokenizer.encode, self.tokenizer.encode(thought + "\n")
        if len(own) > budget:
            written = [*encode("\n"), *own[:budget], *self.thinking_ids.end_sequence]
        else:  # at its budget a thought may still close by itself
            written = [*encode("\n"), *own, self.control.think_end, *encode("\n\n")]
        layout.pieces.append((self.tokenizer.decode(written), tuple(written), "thought", 0))
        self._renderer.answer(layout, answer, chat[-1], loss=1)
        return self._encode(layout, mode)

    def parser(
        self, prompt: Rendered, tools: Tools = None, calls: bool = True, call_seed: str | None = None
    ) -> StreamParser:
        """A parser for what follows `prompt`, whose ids decide its first state. `tools` default to the prompt's.

        calls: False leaves calls in the text, tags included. call_seed: for the ids of calls; None: the prompt's own,
        so that the same turn is read the same each time.
        """
        if not prompt.continues:
            raise SansiError("the prompt ends with a finished turn; render it with add_generation_prompt=True")
        known = prompt.tools if tools is None else read_tools(tools)
        return StreamParser(self.tokenizer, prompt.ids, known, calls, call_seed)

    def parse(self, prompt: Prompt, ids: Sequence[int], tools: Tools = None) -> AssistantMessage:
        """The message that `ids`, generated after `prompt`, spell."""
        parser = self.parser(prompt, tools)
        parser.feed(ids)
        parser.finish()
        return parser.message

    def _conversation(
        self, messages: Messages, tools: Tools, enable_thinking: bool | None, soft_switch: SoftSwitch
    ) -> tuple[tuple[Message, ...], tuple[Mapping[str, Any], ...]]:
        """Read a conversation to learn from."""
        chat, tool_list = read_messages(messages), read_tools(tools)
        check_mode_options(enable_thinking, soft_switch)
        where = f"messages[{len(chat) - 1}]"
        if chat[-1].role != "assistant":
            raise SansiError(f"{where} is of the {chat[-1].role}; a sample ends with the assistant", param=where)
        if not any(map(is_query, chat)):
            raise SansiError("messages hold no user's question, so there is no answer to learn", param="messages")
        known = tool_schemas(tool_list)
        for index, message in enumerate(chat):
            _check_calls(message, f"messages[{index}]", known)
            _check_whole(message, f"messages[{index}]", self.control.think, self.control.think_end)
        return chat, tool_list

    def _sample(
        self, chat: tuple[Message, ...], tools: tuple[Mapping[str, Any], ...], policy: Policy
    ) -> TrainingSample:
        mode = select_mode(chat, policy.enable_thinking, policy.soft_switch)
        for index, asked in learned_turns(chat, policy):
            _check_thought(chat, index, asked)
        return self._encode(self._renderer.turns(chat, tool_lines(tools)[1], policy), mode)

    def _encode(self, layout: Layout, mode: Mode) -> TrainingSample:
        done = layout.encode(self._encoder)
        return TrainingSample(done.ids, done.loss_mask, mode)

    def _exchange(
        self,
        chat: tuple[Message, ...],
        tools: tuple[Mapping[str, Any], ...],
        turns: Sequence[int],
        enable_thinking: bool | None,
        soft_switch: SoftSwitch,
    ) -> list[TrainingSample]:
        """From the last turn back: each either stands as served in the sample of a later one, or gets its own."""
        samples: list[tuple[int, list[int], set[int]]] = []
        for turn in reversed(turns):
            policy = Policy(enable_thinking, soft_switch, training=True, learned=frozenset([turn]))
            alone = self._sample(chat[: turn + 1], tools, policy)
            written = alone.ids[:-1]  # less the line break after <|im_end|>, which is the next prompt's
            whole = next((s for s in samples if s[1][: len(written)] == written), None)
            if whole is None:
                samples.append((turn, alone.ids, {turn}))
            else:
                whole[2].add(turn)
        found = []
        for last, _, learned in reversed(samples):
            policy = Policy(enable_thinking, soft_switch, training=True, learned=frozenset(learned))
            found.append(self._sample(chat[: last + 1], tools, policy))
        return found


def _exchanges(chat: Sequence[Message], turns: Sequence[int]) -> list[list[int]]:
    """The assistant's turns, grouped by the question that they follow."""
    groups: dict[int, list[int]] = {}
    question = 0
    for index, message in enumerate(chat):
        if is_query(message):
            question = index
        elif index in turns:
            groups.setdefault(question, []).append(index)
    return list(groups.values())


def _check_unfinished(chat: Sequence[Message], mode: Mode, part: Unfinished, control: ControlTokens) -> None:
    """Raise SansiError unless the model can go on with this part of the last message."""
    where, message = f"messages[{len(chat) - 1}]", chat[-1]
    if message.role != "assistant":
        reason = f"{where} is of the {message.role}; continue_final goes on with an assistant's message"
        raise SansiError(reason, param="continue_final")
    if len(chat) == 1:
        raise SansiError("messages hold nothing but the turn to go on with; give its question", param="messages")
    if message.tool_calls:
        reason = f"{where} has called tools; a turn ends with its calls, so give their results instead"
        raise SansiError(reason, param=f"{where}.tool_calls")
    if _is_written(message):
        written = (*(message.prefill or ()), *(message.ids or ()))
        tags = [token for token in written if token in (control.think, control.think_end)]
        if (tags[-1:] == [control.think]) != (part == "thought"):
            reason = f"{where}.ids end {'outside any' if part == 'thought' else 'inside an open'} thought"
            raise SansiError(reason, param="continue_final")
        return
    if part == "thought" and message.content:
        reason = f"{where} has an answer already, so its thought is over; go on with the answer"
        raise SansiError(reason, param=f"{where}.content")
    if not mode.thinking and mode.source != "model" and (part == "thought" or split_thought(message)[0]):
        reason = f"{where} holds a thought, but its turn is non-thinking ({mode.source}); remove one of the two"
        raise SansiError(reason, param=f"{where}.reasoning_content")


def _is_written(message: Message) -> bool:
    """The message holds the whole turn so far in ids."""
    return message.ids is not None and message.prefill is not None


def _check_thought(chat: Sequence[Message], index: int, mode: Mode) -> None:
    message = chat[index]
    if mode.thinking or not split_thought(message)[0] or message.prefill is not None:
        return
    where = f"messages[{index}]"
    reason = f"{where} holds a thought, but its turn is non-thinking ({mode.source}); remove one of the two"
    raise SansiError(reason, param=f"{where}.reasoning_content")


def _check_calls(message: Message, where: str, known: Mapping[str, ToolSchema]) -> None:
    for i, call in enumerate(message.tool_calls):
        place = f"{where}.tool_calls[{i}]"
        if call.error is not None:
            raise SansiError(f"{place} must not be learned: {call.error}", param=place)
        if call.name not in known:
            raise SansiError(
                f'{place} calls "{call.name}", which is not in tools{did_you_mean(call.name, known)}', param=place
            )
        try:  # as the parser reads it, which refuses more than the reader of messages
            misfits = known[call.name].misfits(call.arguments)
        except ValueError as error:
            misfits = [str(error)]
        if misfits:
            raise SansiError(f"{place} could not be executed: {'; '.join(misfits)}", param=place)


def _check_whole(message: Message, where: str, think: int, think_end: int) -> None:
    """A thought that was cut off would be learned as one that ends the turn."""
    written = [token for token in (*(message.prefill or ()), *(message.ids or ())) if token in (think, think_end)]
    if written and written[-1] == think:
        raise SansiError(f"{where} was cut off inside its thought; leave it out", param=f"{where}.ids")
