"""The codec of a model that is not ours: prompts as its own chat template writes them, turns as its tokens end.

What a model can do is read from what its template does with a few short conversations, never from its name: which token
ends a turn, whether tools are told to it, and in which form its calls stand. See docs/codec.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sansi.base.codec_file import GENERATION_CONFIG
from sansi.base.errors import SansiError
from sansi.base.files import read_json
from sansi.text.codec import Messages, Rendered, ThinkingIds, Tools
from sansi.text.foreign import ForeignPrompt, ForeignTemplate
from sansi.text.markup import Markup
from sansi.text.messages import Message, message_to_dict, read_messages, read_tools
from sansi.text.mode import Mode, SoftSwitch, check_choice, check_flag, check_mode_options
from sansi.text.parser import StreamParser
from sansi.text.render import History, Unfinished
from sansi.text.template import BUDGET_PHRASE
from sansi.text.tokenizer import CONTROL_TEXT, Tokenizer

NO_THOUGHTS = "this model has no thinking mode, so it answers at once"
NO_TOOLS = "the chat template of this model knows no tools; leave them out, or take a model whose template does"
NO_CHATS = "this model has no chat template, so it can complete text, but not chat; take an instruction-tuned one"
NO_END = (
    "nothing names the token with which this model ends its text: write its id as eos_token_id into "
    f"{GENERATION_CONFIG} beside its tokenizer"
)
_WORD, _TOOL = "Sansi", "probe_tool"  # of the conversations that are rendered to see what a template does
_ASKED = {"role": "user", "content": _WORD}
_PROBE: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": _TOOL,
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string", "description": "What."}}},
    },
}
_CALL = {"id": "probe0000", "type": "function", "function": {"name": _TOOL, "arguments": '{"at": "it"}'}}
_WRITTEN = re.compile(rf'\{{\s*"name":\s*"{_TOOL}",\s*"(arguments|parameters)":\s*\{{\s*"at":\s*"it"\s*\}}\s*\}}')


@dataclass(frozen=True)
class ForeignChatPrompt:
    """A conversation as a foreign template writes it, with what a chat needs to know of it."""

    text: str
    ids: list[int]
    mode: Mode
    thought_open: bool
    """The ids end inside a thought that is still open."""
    continues: bool
    """The ids end inside an assistant turn, so a completion can follow."""
    tools: tuple[Mapping[str, Any], ...]
    tags_read: int = 0
    """Tags that messages spell are characters here, always."""

    @property
    def tags_spelled(self) -> list[str]:
        """Qwen3's tags that messages spell: they mean nothing to this model, so there is nothing to tell."""
        return []

    def fewest_ids(self, enough: int) -> int:
        """A lower bound on the number of ids."""
        return len(self.ids)


class ForeignCodec:
    """As `sansi.text.Codec` for chats; it makes no samples to learn from. `template`: None where there is none."""

    def __init__(self, tokenizer: Tokenizer, template: ForeignTemplate | None, stop_ids: Sequence[int] = ()):
        """stop_ids: what the model's files say ends a turn; what the template ends one with is found out."""
        if not tokenizer.byte_level:
            raise SansiError(
                "a codec needs a byte-level tokenizer; this one decodes in another way", code="not_byte_level"
            )
        self.tokenizer, self._template, self._said_stops = tokenizer, template, tuple(stop_ids)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> ForeignCodec:
        """Load from a model folder. Raises SansiError if its tokenizer is missing, damaged, or names no end."""
        return cls.of_folder(Path(folder), Tokenizer.from_pretrained(folder))

    @classmethod
    def of_folder(cls, folder: Path, tokenizer: Tokenizer) -> ForeignCodec:
        """As `from_pretrained`, of a folder whose tokenizer is loaded."""
        codec = cls(tokenizer, _template_in(folder, tokenizer), _stops_in(folder, tokenizer))
        if not codec.stop_ids:
            raise SansiError(f"{folder}: {NO_END}", param="eos_token_id", code="no_end_of_turn")
        return codec

    @property
    def chat_template(self) -> str:
        return "" if self._template is None else self._template.templates.get("default", "")

    @cached_property
    def hash(self) -> str:
        """sha256 of vocabulary and templates."""
        templates = {} if self._template is None else self._template.templates
        return hashlib.sha256(json.dumps([self.tokenizer.hash, templates], sort_keys=True).encode()).hexdigest()

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size

    @property
    def special_tokens(self) -> list[str]:
        """The texts of the tokens that no text encodes to."""
        return list(self.tokenizer.added)

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an assistant's turn: the one that the template writes after it, then those that files name."""
        written = self._end_of_turn()
        return tuple(dict.fromkeys([*(() if written is None else (written,)), *self._said_stops]))

    @cached_property
    def thinking_ids(self) -> ThinkingIds | None:
        """The tags of thoughts and what closes one that is cut; None for a model that does not think."""
        start, end = self.markup.think, self.markup.think_end
        if start is None or end is None or CONTROL_TEXT["think"] not in self.chat_template:
            return None
        encode = self.tokenizer.encode
        sequence = (*encode(BUDGET_PHRASE), end, *encode("\n\n"))
        return ThinkingIds(start, end, sequence, self.tokenizer.line_breaks)

    @property
    def thinks(self) -> bool:
        return self.thinking_ids is not None

    @property
    def knows_tools(self) -> bool:
        """Whether the template tells the model of tools, and its calls stand in a form that is read here."""
        return self._tells_tools and self._calls is not None

    @cached_property
    def markup(self) -> Markup:
        """What is more than text in the model's turns."""
        added, calls = self.tokenizer.added, self._calls
        tags = {name: added.get(CONTROL_TEXT[name]) for name in ("think", "think_end")}
        if None in tags.values():
            tags = {}
        if calls is not None and not calls.bare:
            tags |= {name: added[CONTROL_TEXT[name]] for name in ("tool_call", "tool_call_end")}
        elif calls is not None:
            tags |= {"tool_call": added.get("<|python_tag|>")}
        names = {id_: text for text, id_ in added.items()}
        ids = {*self.stop_ids, *(id_ for id_ in tags.values() if id_ is not None)}
        key = "arguments" if calls is None else calls.key
        return Markup(
            {id_: names[id_] for id_ in ids if id_ in names} | {id_: "" for id_ in ids if id_ not in names},
            self.stop_ids,
            **tags,
            bare_calls=calls is not None and calls.bare,
            arguments_key=key,
        )

    @property
    def call_tags(self) -> tuple[int, int] | None:
        """The ids around a call; None where calls have no tags of their own."""
        start, end = self.markup.tool_call, self.markup.tool_call_end
        return None if start is None or end is None else (start, end)

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
    ) -> ForeignChatPrompt:
        """Render a conversation as the model's own template does; the options are those of `Codec.render`.

        A model without a thinking mode answers at once, whatever `enable_thinking` says, and flags in messages switch
        nothing. Where a template opens a thought in any case and `enable_thinking` is false, it is closed, empty.
        Raises SansiError for tools that the template does not know, for what only Qwen3's codec can do, and for what
        the template refuses.
        """
        chat, offered = read_messages(messages), _as_openai(read_tools(tools))
        check_choice("history", history, ("official", "keep"))
        check_mode_options(enable_thinking, soft_switch)
        check_flag("add_generation_prompt", add_generation_prompt)
        self._check(offered, history, continue_final, read_tags)
        begun = _unfinished(chat) if continue_final is not None else None
        given: dict[str, Any] = {} if enable_thinking is None else {"enable_thinking": enable_thinking}
        told = [message_to_dict(message) for message in (chat if begun is None else chat[:-1])]
        prompt = self._render(told, offered or None, begun is not None or add_generation_prompt, **given)
        closes = enable_thinking is False or begun is not None
        text, ids = self._closed(prompt) if prompt.thought_open and closes else (prompt.text, prompt.ids)
        if begun:
            text, ids = text + begun.content, [*ids, *self.tokenizer.encode(begun.content)]
        opened = prompt.thought_open and not closes
        mode = Mode(self.thinks and not closes, "default" if enable_thinking is None else "request")
        return ForeignChatPrompt(text, ids, mode, opened, begun is not None or add_generation_prompt, offered)

    def parser(
        self, prompt: Rendered, tools: Tools = None, calls: bool = True, call_seed: str | None = None
    ) -> StreamParser:
        """A parser for what follows `prompt`; see `Codec.parser`."""
        if not prompt.continues:
            raise SansiError("the prompt ends with a finished turn; render it with add_generation_prompt=True")
        known = prompt.tools if tools is None else read_tools(tools)
        # Earlier turns may spell tags as well; only whether this one's thought is open counts.
        before = prompt.ids if prompt.thought_open else ()
        seed = call_seed or hashlib.blake2b(repr(prompt.ids).encode(), digest_size=9).hexdigest()
        return StreamParser(self.tokenizer, before, known, calls, seed, self.markup)

    def close(self) -> None:
        """End the process of the template, if one runs."""
        if self._template is not None:
            self._template.close()

    # --- what a template does -----------------------------------------------------------------------------------------

    def _render(self, chat: Any, tools: Any = None, opens: bool = True, **given: Any) -> ForeignPrompt:
        if self._template is None:
            raise SansiError(NO_CHATS, param="messages")
        return self._template.render(chat, tools, add_generation_prompt=opens, **given)

    def _probed(self, chat: Sequence[Mapping[str, Any]], tools: Any = None) -> str | None:
        """What the template writes for a conversation; None where it refuses it, or there is none."""
        try:
            return self._render(chat, tools, opens=False).text
        except SansiError:
            return None

    def _end_of_turn(self) -> int | None:
        """The token that the template writes after an answer."""
        text = self._probed([{"role": "user", "content": "Who?"}, {"role": "assistant", "content": _WORD}])
        after = "" if text is None else text.rpartition(_WORD)[2].lstrip()
        ends = sorted(filter(after.startswith, self.tokenizer.added), key=len)
        return self.tokenizer.added[ends[-1]] if ends else None

    @cached_property
    def _tells_tools(self) -> bool:
        with_tools = self._probed([_ASKED], [_PROBE])
        return with_tools is not None and _TOOL in with_tools and with_tools != self._probed([_ASKED])

    @cached_property
    def _calls(self) -> _Calls | None:
        """How the template writes a call of an assistant; None for a form that is not read here."""
        if not self._tells_tools:
            return None
        text = self._probed([_ASKED, {"role": "assistant", "content": "", "tool_calls": [_CALL]}])
        found = None if text is None else _WRITTEN.search(text)
        if text is None or found is None:
            return None
        opening, added = CONTROL_TEXT["tool_call"], self.tokenizer.added
        if text[: found.start()].rstrip().endswith(opening):
            known = opening in added and CONTROL_TEXT["tool_call_end"] in added
            return _Calls(False, found[1]) if known else None
        before = text[: found.start()].rstrip()
        bare = before.endswith(tuple(added)) and text[found.end() :].lstrip().startswith(tuple(added))
        return _Calls(True, found[1]) if bare else None

    def _closed(self, prompt: ForeignPrompt) -> tuple[str, list[int]]:
        """The prompt with its open thought closed, empty: as Qwen3's non-thinking mode has it."""
        end = self.tokenizer.added[CONTROL_TEXT["think_end"]]
        text = prompt.text.rstrip("\n") + f"\n\n{CONTROL_TEXT['think_end']}\n\n"
        last = max(i for i, id_ in enumerate(prompt.ids) if id_ == self.markup.think)
        blank = self.tokenizer.encode("\n\n")
        return text, [*prompt.ids[: last + 1], *blank, end, *blank]

    def _check(
        self, tools: Sequence[Any], history: History, part: Unfinished | None, read_tags: Collection[str]
    ) -> None:
        if tools and not self._tells_tools:
            raise SansiError(f"tools: {NO_TOOLS}", param="tools")
        if tools and not self.knows_tools:
            reason = "the chat template of this model has its calls in a form that is not read here; leave tools out"
            raise SansiError(f"tools: {reason}", param="tools")
        if history == "keep" and self.thinks:
            reason = "this model's own template says what becomes of earlier thoughts"
            raise SansiError(f'history "keep" is not for this model: {reason}; leave it out', param="history")
        if read_tags:
            reason = "read_tags is for Qwen3's tags, which this model does not use; leave it out"
            raise SansiError(reason, param="read_tags")
        if part is not None:
            check_choice("continue_final", part, ("answer", "thought"))
        if part == "thought":
            reason = 'continue_final "thought" is not for this model; go on with its answer'
            raise SansiError(reason, param="continue_final")


@dataclass(frozen=True)
class _Calls:
    """How a model writes its calls: as JSON between tags of the vocabulary, or as a bare turn of JSON."""

    bare: bool
    key: str
    """What it names the arguments."""


def _unfinished(chat: Sequence[Message]) -> Message:
    where, last = f"messages[{len(chat) - 1}]", chat[-1]
    if last.role != "assistant" or len(chat) == 1:
        reason = f"{where} is of the {last.role}; continue_final goes on with an assistant's message after a question"
        raise SansiError(reason, param="continue_final")
    if last.tool_calls:
        raise SansiError(f"{where} has called tools; give their results instead", param=f"{where}.tool_calls")
    return last


def _as_openai(tools: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Tools as templates expect them: bare functions in OpenAI's wrapping."""
    return tuple(tool if "function" in tool else {"type": "function", "function": tool} for tool in tools)


def _template_in(folder: Path, tokenizer: Tokenizer) -> ForeignTemplate | None:
    try:
        return ForeignTemplate.from_pretrained(folder, tokenizer=tokenizer)
    except SansiError as error:
        if error.code == "no_chat_template":
            return None
        raise


def _stops_in(folder: Path, tokenizer: Tokenizer) -> list[int]:
    """What generation_config.json, config.json and tokenizer_config.json say ends the text, the first that says it."""
    for name in (GENERATION_CONFIG, "config.json"):
        said = _values(folder / name).get("eos_token_id")
        ids = said if isinstance(said, list) else [said]
        found = [id_ for id_ in ids if type(id_) is int and 0 <= id_ < tokenizer.vocab_size]
        if found:
            return found
    said = _values(folder / "tokenizer_config.json").get("eos_token")
    text = said.get("content") if isinstance(said, Mapping) else said
    return [tokenizer.added[text]] if text in tokenizer.added else []


def _values(file: Path) -> Mapping[str, Any]:
    found = read_json(file) if file.is_file() else {}
    return found if isinstance(found, Mapping) else {}
