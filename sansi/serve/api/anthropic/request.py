"""Anthropic's messages: the fields of a body, and the body as a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError
from sansi.chat import ChatOptions
from sansi.serve.api.anthropic.blocks import read_messages
from sansi.serve.api.anthropic.tools import read_choice, read_tools
from sansi.serve.api.fields import Field, Kind, Reading, by_type, choice, integer, of_type, read_fields, record
from sansi.serve.api.openai_fields import (
    BOOLEAN,
    BUDGET,
    COMMON,
    EFFORT,
    MAX_USER,
    OF_MESSAGES,
    SAMPLING,
    STRING,
    THINKING,
    hint,
    refused,
    resolve,
)
from sansi.serve.api.other_servers import BUDGET_NAMES, HINTS, REFUSED, SILENT, SPELLINGS, THINKING_NAMES
from sansi.serve.api.requests import LAX, ChatRequest, Policy

DISPLAYS = ("summarized", "omitted")

# --- kinds of values -------------------------------------------------------------------------------------------------


def _text_or_blocks() -> Kind:
    return by_type("a string or an array of blocks", {str: STRING, list: of_type(list, items={"type": "object"})})


def _thinking() -> Kind:
    words = {"enabled": True, "disabled": False, "adaptive": None}
    kind = choice(*words)
    switch = Kind(lambda value, name, reading: words[kind.check(value, name, reading)], kind.schema)
    return record("type", open_=True, type=switch, budget_tokens=BUDGET, display=choice(*DISPLAYS))


def _format() -> Kind:
    """The form of the answer, as `response_format` has it."""
    form = record("type", "schema", type=choice("json_schema"), schema=of_type(dict))

    def check(value: Any, name: str, reading: Reading) -> dict[str, Any]:
        found = form.check(value, name, reading)
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": found["schema"], "strict": True}}

    return Kind(check, form.schema)


def _user_id() -> Kind:
    return Kind(lambda value, name, reading: STRING.check(value, name, reading)[:MAX_USER], STRING.schema)


_CHOICE = record("type", type=choice("auto", "any", "none", "tool"), name=STRING, disable_parallel_tool_use=BOOLEAN)
_MESSAGE = {"type": "object", "properties": {"role": {"enum": ["user", "assistant", "system"]}}, "required": ["role"]}

# --- the table -------------------------------------------------------------------------------------------------------

_SERVICE = "it is for a service that this server is not"
REQUIRED, COUNT_REQUIRED = ("model", "messages", "max_tokens"), ("model", "messages")
FIELDS: dict[str, Field] = {
    **HINTS,
    **SILENT,
    **REFUSED,
    **THINKING_NAMES,
    **BUDGET_NAMES,
    **SAMPLING,
    **THINKING,
    **{name: COMMON[name] for name in ("model", "stop_token_ids", "stream", "speculation")},
    "messages": Field(of_type(list, items=_MESSAGE, minItems=1), "The conversation, of texts and blocks."),
    "system": Field(_text_or_blocks(), "What the system says before it."),
    "max_tokens": Field(integer(1), "Most tokens of thought and answer together."),
    "stop_sequences": Field(COMMON["stop"].kind, "Strings that end the answer; they are not part of it."),
    "thinking": Field(
        _thinking(),
        "enabled, with budget_tokens or without; adaptive: as the model does by default; disabled, as without it.",
    ),
    "output_config": Field(
        record(open_=True, effort=EFFORT, format=_format()),
        "effort: a thinking budget by name; format: bind the answer to a JSON schema.",
    ),
    "output_format": Field(_format(), "As output_config.format."),
    "tools": Field(of_type(list, items={"type": "object"}), "Functions that the model may call."),
    "tool_choice": Field(_CHOICE, "auto, any, none, or the tool that it must call; disable_parallel_tool_use."),
    "enable_thinking": Field(BOOLEAN, "As thinking.type."),
    "reasoning_effort": Field(EFFORT, "As output_config.effort."),
    **OF_MESSAGES,
    "metadata": Field(record(open_=True, user_id=_user_id()), "user_id: a label for the server's log.", "ignored"),
    "service_tier": hint("there is one tier", "auto", "standard_only"),
    "speed": hint("there is one speed", "standard"),
    "inference_geo": hint(_SERVICE),
    "diagnostics": hint(_SERVICE),
    "user_profile_id": hint(_SERVICE),
    "workspace_id": hint(_SERVICE),
    "context_management": hint("a conversation that does not fit is refused"),
    "container": refused("nothing is executed here"),
    "mcp_servers": refused("give their tools in tools", []),
    "stop": refused("use stop_sequences"),
    "max_completion_tokens": refused("use max_tokens"),
    "response_format": refused("use output_config.format"),
    "n": refused("send several requests", 1),
}
OPTIONS = ("loop_breaker", "answer_reserve", "history", "soft_switch", "speculation")
_SPELLINGS = {**SPELLINGS, "output_config.effort": "reasoning_effort"}
_NAMES = {
    "response_format": "output_config.format",
    "response_format.json_schema": "output_config.format",
    "stop": "stop_sequences",
    "stop_ids": "stop_token_ids",
}

# --- a body as a request ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MessagesRequest(ChatRequest):
    """A request, and what its answer has to know of it."""

    omit_thought: bool = False
    """Tell that there was a thought, and its text only sealed."""


def parse_messages_request(
    body: Mapping[str, Any], policy: Policy = LAX, required: Sequence[str] = REQUIRED
) -> MessagesRequest:
    """Check every field of a body for /v1/messages. Raises SansiError with `param`."""
    reading = Reading(policy.strict)
    values = read_fields(body, FIELDS, required, reading)
    chosen, names = resolve(values, _SPELLINGS)
    tools = read_tools(values.get("tools", []), reading)
    wanted = read_choice(values.get("tool_choice", {"type": "auto"}), tools)
    conversation = read_messages(values["messages"], values.get("system"), reading)
    if not _SWITCHES & set(names):
        chosen["enable_thinking"] = False  # in this API who says nothing gets no thought
    options = ChatOptions(
        tools=tools.functions or None,
        tool_choice=wanted,
        parallel_tool_calls=not values.get("tool_choice", {}).get("disable_parallel_tool_use", False),
        response_format=_form(values),
        continue_final=conversation.continued,
        stop=values.get("stop_sequences", ()),
        stop_ids=values.get("stop_token_ids", ()),
        stream_prompt=True,
        **chosen,
        **{name: values[name] for name in OPTIONS if name in values},
    )
    return MessagesRequest(
        model=values["model"],
        messages=conversation.messages,
        options=options,
        stream=values.get("stream", False),
        prompt_first=True,
        names={**_NAMES, **names},
        places={**conversation.places, **tools.places},
        omit_thought=values.get("thinking", {}).get("display") == "omitted",
        labels={"user": user} if (user := values.get("metadata", {}).get("user_id")) else {},
        ignored=tuple(reading.ignored),
    )


_SWITCHES = {"enable_thinking", "thinking_budget", "reasoning_effort"}


def _form(values: Mapping[str, Any]) -> dict[str, Any] | None:
    one, other = values.get("output_config", {}).get("format"), values.get("output_format")
    if one and other and one != other:
        reason = '"output_format" and "output_config.format" differ; give one of them'
        raise SansiError(reason, param="output_format")
    return one or other
