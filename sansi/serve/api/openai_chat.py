"""OpenAI's chat completions: the fields of a body, the body as a request, and a result as a body or as chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import show
from sansi.chat import ChatModel, ChatOptions, ChatResult, Tokens
from sansi.serve.api.dialect import Dialect
from sansi.serve.api.fields import (
    Field,
    Kind,
    Reading,
    array,
    by_type,
    choice,
    integer,
    of_type,
    read_fields,
    record,
    text,
)
from sansi.serve.api.formats import FORMATS, format_of
from sansi.serve.api.logprobs import chat_logprobs, prompt_logprobs
from sansi.serve.api.openai_fields import (
    BOOLEAN,
    COMMON,
    EFFORT,
    LABELS,
    MAX_TOKENS,
    MAX_TOP,
    OF_MESSAGES,
    resolve,
    shared,
    tokens_told,
)
from sansi.serve.api.openai_messages import Conversation, read_conversation
from sansi.serve.api.other_servers import (
    BUDGET_NAMES,
    CHAT_HINTS,
    CHAT_REFUSED,
    HINTS,
    OTHER_NAMES,
    REFUSED,
    SILENT,
    SPELLINGS,
    THINKING_NAMES,
)
from sansi.serve.api.requests import LAX, ChatRequest, Policy
from sansi.serve.api.response_bodies import Chunk, Done, Reply
from sansi.serve.api.schemas import CHAT_COMPLETION
from sansi.text import Content, Reasoning, ToolCallDelta, message_to_dict
from sansi.text.messages import ROLES

TOOL_CHOICES = ("auto", "none", "required")
MAX_TOOL_NAME = 1000


@dataclass(frozen=True)
class Named:
    """The one tool that must be called."""

    name: str


@dataclass(frozen=True)
class Allowed:
    """The tools that may be called; of others the model is not told."""

    names: tuple[str, ...]
    mode: str


# --- kinds of values -------------------------------------------------------------------------------------------------


def _choice_of_tool() -> Kind:
    """OpenAI's words (Mistral's "any" is "required") and objects: one function, or those that are allowed."""
    word, name = choice(*TOOL_CHOICES, "any"), text(MAX_TOOL_NAME, 1)
    named = record("type", "function", type=choice("function"), function=record("name", name=name))
    flat = record("type", "name", type=choice("function"), name=name)
    one = _either_of("function", named, flat)
    allowed = record("tools", mode=choice("auto", "required"), tools=array(one, 1))
    some = record("type", "allowed_tools", type=choice("allowed_tools"), allowed_tools=allowed)
    kinds = choice("function", "allowed_tools")

    def said(value: Any, name: str, reading: Reading) -> str:
        return "required" if word.check(value, name, reading) == "any" else value

    def chosen(given: Any, name: str, reading: Reading) -> Named | Allowed:
        if "type" in given:
            kinds.check(given["type"], f"{name}.type", reading)
        if given.get("type") != "allowed_tools":
            return Named(one.check(given, name, reading))
        found = some.check(given, name, reading)["allowed_tools"]
        return Allowed(tuple(found["tools"]), found.get("mode", "auto"))

    objects = Kind(chosen, {"anyOf": [named.schema, flat.schema, some.schema]})
    what = f"one of {', '.join(TOOL_CHOICES)}, or an object that names a function"
    return by_type(what, {str: Kind(said, word.schema), dict: objects})


def _either_of(key: str, nested: Kind, flat: Kind) -> Kind:
    """A function's name in an object of its own, or beside the type, as in OpenAI's responses: the name."""

    def check(value: Any, name: str, reading: Reading) -> str:
        given = of_type(dict).check(value, name, reading)
        if "name" in given and key not in given:
            return flat.check(given, name, reading)["name"]
        return nested.check(given, name, reading)[key]["name"]

    return Kind(check, {"anyOf": [nested.schema, flat.schema]})


def _tools() -> Kind:
    """What a function's description must be is checked where it is read; other kinds of tools are refused here."""

    def one(value: Any, name: str, reading: Reading) -> dict[str, Any]:
        tool = of_type(dict).check(value, name, reading)
        if "cache_control" in tool and not reading.strict:  # it is not for the model
            tool = {key: inner for key, inner in tool.items() if key != "cache_control"}
        if "type" in tool:
            choice("function").check(tool["type"], f"{name}.type", reading)
        if "function" in tool:
            of_type(dict).check(tool["function"], f"{name}.function", reading)
        return tool

    properties = {"type": {"enum": ["function"]}, "function": {"type": "object"}}
    return array(Kind(one, {"type": "object", "properties": properties}))


def _read_tags() -> Kind:
    roles = array(choice(*ROLES), 0, len(ROLES))
    return by_type(f"true, false or an array of roles ({', '.join(ROLES)})", {bool: BOOLEAN, list: roles})


_MESSAGE = {
    "type": "object",
    "properties": {"role": {"enum": ["system", "developer", "user", "assistant", "tool"]}},
    "required": ["role"],
}

# --- the table -------------------------------------------------------------------------------------------------------

REQUIRED = ("model", "messages")
FIELDS: dict[str, Field] = {
    **REFUSED,  # first: what this dialect has is not refused
    **CHAT_REFUSED,
    **COMMON,
    **LABELS,
    "messages": Field(of_type(list, items=_MESSAGE, minItems=1), "The conversation."),
    "max_tokens": Field(MAX_TOKENS, "Most tokens of thought and answer together; -1: as many as there is room for."),
    "max_completion_tokens": Field(MAX_TOKENS, "As max_tokens, which it may not contradict."),
    "enable_thinking": Field(BOOLEAN, "false: do not think, whatever the messages say."),
    "reasoning_effort": Field(EFFORT, "A thinking budget by name; thinking_budget wins over it."),
    **THINKING_NAMES,
    **BUDGET_NAMES,
    **OTHER_NAMES,
    **OF_MESSAGES,
    "read_tags": Field(_read_tags(), "Roles whose messages may spell tags of calls, results and thoughts; true: all."),
    "tools": Field(_tools(), "Functions that the model may call."),
    "tool_choice": Field(_choice_of_tool(), "Whether it may, may not or must call one, or which one it must call."),
    "parallel_tool_calls": Field(BOOLEAN, "false: one call at most."),
    "logprobs": Field(BOOLEAN, "Tell the log-probability of each token of the thought and the answer."),
    "top_logprobs": Field(integer(0, MAX_TOP), "And so many of the most likely tokens in its place."),
    "continue_final": Field(choice("answer", "thought"), "Go on with the last message's answer, or with its thought."),
    "continue_final_message": Field(BOOLEAN, "vLLM's name for continue_final."),
    "add_generation_prompt": Field(BOOLEAN, "false only with continue_final_message, as vLLM has it."),
    **HINTS,
    **CHAT_HINTS,
    **SILENT,
    **FORMATS,
}
OPTIONS = (
    *("loop_breaker", "answer_reserve", "history", "soft_switch", "parallel_tool_calls", "logprobs"),
    *("logit_bias", "stop", "speculation"),
)

# --- a body as a request ---------------------------------------------------------------------------------------------


def parse_chat_request(body: Mapping[str, Any], policy: Policy = LAX) -> ChatRequest:
    """Check every field of a body for /v1/chat/completions. Raises SansiError with `param`."""
    reading = Reading(policy.strict)
    values = read_fields(body, FIELDS, REQUIRED, reading)
    chosen, names = resolve(values, SPELLINGS)
    conversation = read_conversation(values["messages"], reading)
    if values.get("top_logprobs") and not values.get("logprobs"):
        raise SansiError('"top_logprobs" needs "logprobs": true', param="top_logprobs")
    form, places = format_of(values)
    tools = _tools_of(values)
    options = ChatOptions(
        tools=list(tools.values()) or None,
        response_format=form,
        tool_choice=_tool_choice(values, reading),
        continue_final=_continue_final(values, conversation),
        read_tags=_tags_of(values.get("read_tags", False), policy),
        **tokens_told(values),
        stop_ids=values.get("stop_token_ids", ()),
        **chosen,
        **{name: values[name] for name in OPTIONS if name in values},
    )
    return ChatRequest(
        messages=conversation.messages,
        options=options,
        n=values.get("n", 1),
        told={"top_logprobs": values.get("top_logprobs", 0)},
        names={
            **names,
            **places,
            **{f"tools[{i}]": place for i, place in enumerate(tools) if place != f"tools[{i}]"},
            "stop_ids": "stop_token_ids",
            "continue_final": _continued_by(values, conversation),
        },
        **shared(values, reading),
        ignored=tuple(reading.ignored),
    )


def _tags_of(wanted: bool | list[str], policy: Policy) -> tuple[str, ...]:
    """The roles whose messages may spell tags: what users and tools write is trusted where the operator does."""
    allowed = {"system", "assistant", *policy.read_tags}
    if isinstance(wanted, bool):
        return tuple(sorted(allowed)) if wanted else ()
    for role in wanted:
        if role not in allowed:
            reason = f'"read_tags" may not hold "{role}" on this server; start it with --read-tags {role}'
            raise SansiError(reason, param="read_tags")
    return tuple(sorted(set(wanted)))


def _tool_choice(values: Mapping[str, Any], reading: Reading) -> str:
    """OpenAI's word, or the name of the tool to call. What asks for calls, or bounds them, needs tools."""
    wanted = values.get("tool_choice", "auto")
    if not values.get("tools"):
        if wanted not in ("auto", "none"):
            shown = wanted if isinstance(wanted, str) else "function"
            raise SansiError(f'"tool_choice" is {show(shown)}, but there are no "tools"', param="tool_choice")
        if "parallel_tool_calls" in values and reading.strict:
            raise SansiError('"parallel_tool_calls" needs "tools"', param="parallel_tool_calls")
        if "parallel_tool_calls" in values:
            reading.ignore("parallel_tool_calls")
    if isinstance(wanted, str):
        return wanted
    if isinstance(wanted, Allowed):
        return wanted.mode
    if wanted.name in TOOL_CHOICES:  # it would be read as the word
        raise SansiError(f'a tool named "{wanted.name}" can not be chosen by its name; rename it', param="tool_choice")
    return wanted.name


def _tools_of(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The tools that may be called, by where they stand in the request."""
    tools, wanted = values.get("tools") or [], values.get("tool_choice")
    offered = {f"tools[{i}]": tool for i, tool in enumerate(tools)}
    if not isinstance(wanted, Allowed):
        return offered
    names = {place: (tool.get("function") or tool).get("name") for place, tool in offered.items()}
    for name in wanted.names:
        if name not in names.values():
            known = did_you_mean(name, [one for one in names.values() if isinstance(one, str)])
            raise SansiError(
                f'"tool_choice" allows {show(name)}, which is not among "tools"{known}', param="tool_choice"
            )
    return {place: tool for place, tool in offered.items() if names[place] in wanted.names}


def _continue_final(values: Mapping[str, Any], conversation: Conversation) -> Literal["answer", "thought"] | None:
    """Sansi's word, or vLLM's pair of flags, which mean the thought where the last message has nothing else."""
    part, marked = values.get("continue_final"), conversation.continued_by is not None
    go_on = marked or values.get("continue_final_message", False)
    if values.get("add_generation_prompt", True) is (go_on or part is not None) and "add_generation_prompt" in values:
        reason = '"add_generation_prompt" must be the opposite of "continue_final_message"; leave it out'
        raise SansiError(reason, param="add_generation_prompt")
    if not go_on or part is not None:
        return part
    last = conversation.messages[-1] if conversation.messages else None
    thought = isinstance(last, Mapping) and (last.get("reasoning_content") or last.get("reasoning"))
    return "thought" if thought and not (isinstance(last, Mapping) and last.get("content")) else "answer"


def _continued_by(values: Mapping[str, Any], conversation: Conversation) -> str:
    """What asks for it, in the request's words."""
    if "continue_final" in values or "continue_final_message" in values:
        return "continue_final" if "continue_final" in values else "continue_final_message"
    return conversation.continued_by or "continue_final"


# --- a result as a body, or as chunks --------------------------------------------------------------------------------


class ChatReply(Reply):
    """Replies of /v1/chat/completions."""

    kind, prefix, chunk_kind = "chat.completion", "chatcmpl", "chat.completion.chunk"

    def __init__(self, chat: ChatModel, asked: ChatRequest):
        super().__init__(chat, asked)
        self._asked: ChatRequest = asked

    def whole(self, answers: Sequence[Done], tokens: Sequence[Sequence[Tokens]]) -> dict[str, Any]:
        body = super().whole(answers, tokens)
        if self._asked.return_token_ids:
            body["prompt_token_ids"] = list(answers[0].result.prompt_ids)
        if self._asked.prompt_logprobs is not None:
            body["prompt_logprobs"] = prompt_logprobs(answers[0].result, self._chat, self._asked.prompt_logprobs)
        return body

    def first_chunks(self, index: int, prompt_ids: Sequence[int] | None) -> list[Chunk]:
        chunk = self._chunk(index, {"role": "assistant", "content": ""}, (), None)
        if self._asked.return_token_ids and prompt_ids is not None:
            chunk["prompt_token_ids"] = list(prompt_ids)
        return [self._counted(chunk, index, (), prompt_ids)]

    def chunk(self, index: int, event: Any, tokens: Sequence[Tokens], finish_reason: str | None = None) -> Chunk:
        return self._chunk(index, {} if event is None else _delta(event), tokens, finish_reason)

    def _chunk(
        self, index: int, delta: dict[str, Any], tokens: Sequence[Tokens], finish_reason: str | None
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._piece([choice | self._told(tokens)])

    def _choice(self, done: Done, tokens: Sequence[Tokens]) -> dict[str, Any]:
        assert isinstance(done.result, ChatResult)
        message = message_to_dict(done.result.message)
        # A turn of tool calls alone has null content, as OpenAI's clients expect; "" would read as an empty answer.
        message["content"] = message.get("content") or (None if message.get("tool_calls") else "")
        message["refusal"] = None  # OpenAI's models refuse in a field of their own, and its types require the field
        choice = {"index": done.index, "message": message, "logprobs": None, "finish_reason": done.result.finish_reason}
        return choice | self._told(tokens)

    def _told(self, tokens: Sequence[Tokens]) -> dict[str, Any]:
        """What a choice says of its tokens."""
        told: dict[str, Any] = {}
        if self._asked.options.logprobs and tokens:
            told["logprobs"] = chat_logprobs(tokens, self._chat, self._asked.told.get("top_logprobs"))
        if self._asked.return_token_ids:
            told["token_ids"] = [id_ for some in tokens for id_ in some.ids]
        return told


def _delta(event: Any) -> dict[str, Any]:
    if isinstance(event, Reasoning):
        told: dict[str, Any] = {"reasoning_content": event.text}
        return told | {"closing_phrase": True} if event.closing else told
    if isinstance(event, Content):
        return {"content": event.text}
    assert isinstance(event, ToolCallDelta), event
    call: dict[str, Any] = {"index": event.index, "function": {"arguments": event.arguments}}
    if event.name is not None:  # only the first delta of a call names it
        call |= {"id": event.id, "type": "function"}
        call["function"] = {"name": event.name, "arguments": event.arguments}
    return {"tool_calls": [call]}


OPENAI_CHAT = Dialect(
    "chat_completions", "/v1/chat/completions", FIELDS, REQUIRED, parse_chat_request, ChatReply, CHAT_COMPLETION
)
