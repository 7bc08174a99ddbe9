"""OpenAI's responses: the fields of a body, and the body as a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sansi.base.errors import SansiError
from sansi.chat import ChatOptions
from sansi.serve.api.fields import (
    Field,
    Kind,
    Reading,
    array,
    by_type,
    choice,
    integer,
    note_unread,
    of_type,
    read_fields,
    record,
)
from sansi.serve.api.openai_fields import (
    BOOLEAN,
    BUDGET,
    COMMON,
    EFFORT,
    LABELS,
    MAX_TOKENS,
    MAX_TOP,
    OF_MESSAGES,
    SAMPLING,
    STRING,
    THINKING,
    hint,
    refused,
    resolve,
    shared,
)
from sansi.serve.api.other_servers import BUDGET_NAMES, HINTS, REFUSED, SILENT, SPELLINGS, THINKING_NAMES
from sansi.serve.api.placed_messages import CHOICES
from sansi.serve.api.requests import LAX, ChatRequest, Policy
from sansi.serve.api.responses.items import Recall, read_input
from sansi.serve.api.responses.tools import Toolbox, read_choice, read_tools

ENCRYPTED, LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"
# They ask for more of tools and parts that there are none of here.
OTHER_INCLUDES = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
)
HISTORIES: dict[str, Literal["official", "keep"] | None] = {
    "auto": None,
    "current_turn": "official",
    "all_turns": "keep",
}

# --- kinds of values -------------------------------------------------------------------------------------------------


def _input() -> Kind:
    def check(value: Any, name: str, reading: Reading) -> Any:
        if not value:
            raise SansiError(f'"{name}" is empty; give a text, or one item at least', param=name)
        return value

    words = Kind(check, {"type": "string", "minLength": 1})
    items = Kind(check, {"type": "array", "items": {"type": "object"}, "minItems": 1})
    return by_type("a string or an array of items", {str: words, list: items})


def _format() -> Kind:
    """The form of the answer's text, as `response_format` has it."""
    kinds = choice("text", "json_object", "json_schema")
    schema = record("name", "schema", name=STRING, schema=of_type(dict), strict=BOOLEAN, description=STRING)

    def check(value: Any, name: str, reading: Reading) -> dict[str, Any]:
        given = of_type(dict).check(value, name, reading)
        kind = kinds.check(given.get("type"), f"{name}.type", reading)
        if kind != "json_schema":
            note_unread(given, ("type",), name, name, reading)
            return {"type": kind}
        rest = {key: inner for key, inner in given.items() if key != "type"}
        return {"type": kind, "json_schema": schema.check(rest, name, reading)}

    return Kind(check, {"type": "object", "properties": {"type": kinds.schema}, "required": ["type"]})


_CHOICE = by_type(f"{', '.join(CHOICES)}, or an object that names a function", {str: STRING, dict: of_type(dict)})
_SUMMARY = choice("auto", "concise", "detailed", "none")
_REASONING = record(
    open_=True,
    effort=EFFORT,
    summary=_SUMMARY,
    generate_summary=_SUMMARY,
    context=choice(*HISTORIES),
    max_tokens=BUDGET,
    enabled=BOOLEAN,
)

# --- the table -------------------------------------------------------------------------------------------------------

_WHOLE = "nothing is stored; send the whole conversation in input"
_LEAVE = "it is for a service that this server is not"
REQUIRED = ("model", "input")
FIELDS: dict[str, Field] = {
    **HINTS,
    **SILENT,
    **REFUSED,
    **{name: COMMON[name] for name in ("model", "stop", "stop_token_ids", "stream", "stream_options", "speculation")},
    **SAMPLING,
    **THINKING,
    **THINKING_NAMES,
    **BUDGET_NAMES,
    **LABELS,
    "input": Field(_input(), "The conversation: a text, or items (message, reasoning, function_call and its output)."),
    "instructions": Field(STRING, "What the system says before it."),
    "max_output_tokens": Field(MAX_TOKENS, "Most tokens of thought and answer together."),
    "reasoning": Field(_REASONING, "effort is a thinking budget by name; summary: tell the thought as the summary."),
    "enable_thinking": Field(BOOLEAN, "false: do not think, whatever the messages say."),
    "reasoning_effort": Field(EFFORT, "As reasoning.effort."),
    **OF_MESSAGES,
    "text": Field(record(open_=True, format=_format()), "format: bind the answer to JSON, or to a JSON schema."),
    "tools": Field(of_type(list, items={"type": "object"}), "Functions that the model may call."),
    "tool_choice": Field(_CHOICE, "Whether it may, may not or must call one, or which one it must call."),
    "parallel_tool_calls": Field(BOOLEAN, "false: one call at most."),
    "top_logprobs": Field(integer(0, MAX_TOP), f"So many of the most likely tokens; {LOGPROBS} in include tells them."),
    "include": Field(array(choice(ENCRYPTED, LOGPROBS, *OTHER_INCLUDES)), "What else to tell."),
    "store": hint("output items are kept for a while, for item_reference; no response can be fetched", False),
    "truncation": hint("a conversation that does not fit is refused", "disabled"),
    "max_tool_calls": hint("it counts calls that the provider executes"),
    "context_management": hint("a conversation that does not fit is refused"),
    "client_metadata": Field(of_type(dict), "Changes nothing.", "silent"),
    "background_options": hint(_LEAVE),
    "access_programs": hint(_LEAVE),
    "image": hint("only text can be read"),
    "background": refused("wait for the answer, or stream it", False),
    "previous_response_id": refused(_WHOLE),
    "conversation": refused(_WHOLE),
    "prompt": refused("write instructions and input"),
    "moderation": refused("ask a model of your own to judge"),
    "messages": refused("write them as items of input"),
    "max_tokens": refused("use max_output_tokens"),
    "max_completion_tokens": refused("use max_output_tokens"),
    "response_format": refused("use text.format"),
    "logprobs": refused(f"use top_logprobs and {LOGPROBS} in include", False),
    "n": refused("send several requests", 1),
}
OPTIONS = ("loop_breaker", "answer_reserve", "soft_switch", "stop", "speculation")
_SPELLINGS = {**SPELLINGS, "max_output_tokens": "max_tokens"}
_NAMES = {
    "messages": "input",
    "response_format": "text.format",
    "response_format.json_schema": "text.format",
    "max_tokens": "max_output_tokens",
    "stop_ids": "stop_token_ids",
}

# --- a body as a request ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResponsesRequest(ChatRequest):
    """A request, and what its responses say of it."""

    echo: Mapping[str, Any] = field(default_factory=dict)
    """What a response repeats of the request."""
    toolbox: Toolbox = field(default_factory=Toolbox)
    summary: bool = False
    """Tell the thought as the summary of itself: most clients show nothing else."""
    encrypted: bool = False
    """Tell it sealed too, so that clients send it back."""
    remember: bool = True
    """Keep the output items for a while."""


def parse_responses_request(body: Mapping[str, Any], policy: Policy = LAX, *, recall: Recall) -> ResponsesRequest:
    """Check every field of a body for /v1/responses. Raises SansiError with `param`. recall: finds earlier items."""
    reading = Reading(policy.strict)
    values = read_fields(body, FIELDS, REQUIRED, reading)
    chosen, names = resolve(values, _SPELLINGS)
    box = read_tools(values.get("tools", []), reading)
    wanted = read_choice(values.get("tool_choice", "auto"), box)
    conversation = read_input(values["input"], values.get("instructions"), recall, reading)
    includes = _includes(values, reading)
    reasoning = values.get("reasoning", {})
    told = LOGPROBS in includes
    options = ChatOptions(
        tools=box.functions or None,
        tool_choice=wanted,
        parallel_tool_calls=values.get("parallel_tool_calls", True) or not box.functions,
        response_format=values.get("text", {}).get("format"),
        history=_history(values),
        logprobs=told,
        top_logprobs=values.get("top_logprobs", 0) if told else 0,
        stream_tokens=told,
        stop_ids=values.get("stop_token_ids", ()),
        **chosen,
        **{name: values[name] for name in OPTIONS if name in values},
    )
    summary = reasoning.get("summary") or reasoning.get("generate_summary")
    return ResponsesRequest(
        messages=conversation.messages,
        options=options,
        names={**_NAMES, **names},
        places={**box.places, **conversation.places},
        toolbox=box,
        summary=summary not in (None, "none"),
        encrypted=ENCRYPTED in includes,
        remember=body.get("store") is not False,
        echo=_echo(values),
        **shared(values, reading),
        ignored=tuple(reading.ignored),
    )


def _history(values: Mapping[str, Any]) -> Literal["official", "keep"]:
    context = values.get("reasoning", {}).get("context", "auto")
    return values.get("history") or HISTORIES[context] or "official"


def _includes(values: Mapping[str, Any], reading: Reading) -> list[str]:
    includes = values.get("include", [])
    for i, name in enumerate(includes):
        if name in OTHER_INCLUDES:
            reading.ignore_or_refuse(f"include[{i}]", f"include {name}")
    if values.get("top_logprobs") and LOGPROBS not in includes:
        reading.ignore_or_refuse("top_logprobs")
    return includes


def _echo(values: Mapping[str, Any]) -> dict[str, Any]:
    """What OpenAI's responses repeat of the request, with what holds where it is silent."""
    reasoning = values.get("reasoning", {})
    text = values.get("text", {}).get("format") or {"type": "text"}
    form = {"type": text["type"], **text.get("json_schema", {})}
    return {
        "background": False,
        "instructions": values.get("instructions"),
        "max_output_tokens": values.get("max_output_tokens"),
        "metadata": values.get("metadata", {}),
        "parallel_tool_calls": values.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "prompt_cache_key": values.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": values.get("safety_identifier"),
        "service_tier": "default",
        "store": False,
        "temperature": values.get("temperature"),
        "text": {"format": form},
        "tool_choice": values.get("tool_choice", "auto"),
        "tools": values.get("tools", []),
        "top_logprobs": values.get("top_logprobs", 0),
        "top_p": values.get("top_p"),
        "truncation": "disabled",
        "user": values.get("user"),
    }
