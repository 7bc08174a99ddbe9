"""Ollama's chat and generate: the fields of a body, and the body as a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sansi.base.errors import SansiError
from sansi.chat import ChatOptions
from sansi.serve.api.dialect import Told
from sansi.serve.api.fields import Field, Kind, Reading, by_type, choice, integer, of_type, read_fields
from sansi.serve.api.ollama.messages import Conversation, read_messages
from sansi.serve.api.ollama.times import now
from sansi.serve.api.openai_fields import (
    BOOLEAN,
    COMMON,
    EFFORT,
    MAX_TOP,
    SAMPLING,
    STRING,
    THINKING,
    hint,
    or_unlimited,
    refused,
    resolve,
)
from sansi.serve.api.other_servers import BUDGET_NAMES, HINTS, LATEST, REFUSED, SILENT, SPELLINGS, THINKING_NAMES
from sansi.serve.api.requests import LAX, ChatRequest, Policy, TextRequest, renamed

FILL = -2  # of num_predict: what the context has room for, as -1 is here

# --- kinds of values -------------------------------------------------------------------------------------------------


def _num_predict() -> Kind:
    bound = or_unlimited(integer(1))
    return Kind(
        lambda value, name, reading: bound.check(-1 if value == FILL else value, name, reading),
        {"anyOf": [bound.schema, {"const": FILL}]},
    )


def _options() -> Kind:
    """Sampling and bounds, in an object of their own."""

    def check(value: Any, name: str, reading: Reading) -> dict[str, Any]:
        inner, given = Reading(reading.strict), of_type(dict).check(value, name, reading)
        try:
            values = read_fields(given, OPTIONS, (), inner, name)
        except SansiError as error:
            raise renamed(error, {key: f"{name}.{key}" for key in given}) from error
        for ignored in inner.ignored:
            reading.ignore(f"{name}.{ignored}")
        return values

    return Kind(check, {"type": "object"})


def _format() -> Kind:
    """The form of the answer, as `response_format` has it; "" is none."""

    words = choice("", "json")

    def said(value: Any, name: str, reading: Reading) -> dict[str, Any] | None:
        return {"": None, "json": {"type": "json_object"}}[words.check(value, name, reading)]

    def schema(value: Any, name: str, reading: Reading) -> dict[str, Any]:
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": value, "strict": True}}

    kinds: dict[type, Kind] = {str: Kind(said, words.schema), dict: Kind(schema, {"type": "object"})}
    return by_type('"json" or a JSON schema', kinds)


def _name() -> Kind:
    def check(value: Any, name: str, reading: Reading) -> str:
        return STRING.check(value, name, reading).removesuffix(LATEST)

    return Kind(check, STRING.schema)


# --- the tables ------------------------------------------------------------------------------------------------------

OPTIONS: dict[str, Field] = {
    **HINTS,
    **REFUSED,
    **SAMPLING,
    **THINKING,
    "num_predict": Field(_num_predict(), "Most tokens of thought and answer together; -1, -2: what there is room for."),
    "repeat_penalty": Field(SAMPLING["repetition_penalty"].kind, "Above 1: tokens that came get less likely."),
    "stop": COMMON["stop"],
    "num_ctx": hint("the context is the server's: see --context-length"),
    **{
        name: hint("it is for another server's memory or threads")
        for name in ("numa", "main_gpu", "low_vram", "f16_kv", "vocab_only", "use_mmap", "use_mlock", "embedding_only")
    },
    "logits_all": hint("use logprobs"),
    "penalize_newline": hint("line breaks are penalized as all tokens are", True),
}
_SHARED: dict[str, Field] = {
    "model": Field(_name(), "The name of a served model; :latest may stand behind it."),
    "stream": Field(BOOLEAN, "Answer piece by piece, a line of JSON each; true by default."),
    "format": Field(_format(), "json, or a JSON schema that the answer is bound to."),
    "options": Field(_options(), "Sampling and bounds."),
    "think": THINKING_NAMES["think"],
    "logprobs": Field(BOOLEAN, "Tell the log-probability of each token of the answer."),
    "top_logprobs": Field(integer(0, MAX_TOP), "And so many of the most likely tokens in its place."),
    "keep_alive": hint("the model is in memory as long as the server runs"),
    **BUDGET_NAMES,
    **THINKING,
    **SILENT,
    "enable_thinking": Field(BOOLEAN, "As think."),
    "reasoning_effort": Field(EFFORT, "As think, where it is a word."),
    "template": refused("a request's template is never executed", ""),
}
CHAT_REQUIRED = GENERATE_REQUIRED = ("model",)
CHAT_FIELDS: dict[str, Field] = {
    **_SHARED,
    "messages": Field(of_type(list, items={"type": "object"}), "The conversation; none: whether the model is there."),
    "tools": Field(of_type(list, items={"type": "object"}), "Functions that the model may call."),
    "prompt": refused("use messages, or post to /api/generate"),
}
GENERATE_FIELDS: dict[str, Field] = {
    **_SHARED,
    "prompt": Field(STRING, "A user's message, or with raw the text to go on with; none: whether the model is there."),
    "system": Field(STRING, "What the system says before it."),
    "raw": Field(BOOLEAN, "Go on with the prompt as it is, without a template."),
    "suffix": refused("text can only be added at the end", ""),
    "images": refused("only text can be read; describe them in the prompt", []),
    "context": refused("send the conversation to /api/chat", []),
    "messages": refused("use prompt, or post to /api/chat"),
    **{name: hint("no image is made") for name in ("width", "height", "steps")},
}
_SPELLINGS = {
    **SPELLINGS,
    **{f"options.{name}": option for name, option in SPELLINGS.items()},
    "options.num_predict": "max_tokens",
}
_NAMES = {
    "response_format": "format",
    "response_format.json_schema.schema": "format",
    "response_format.json_schema": "format",
    "stop": "options.stop",
}
_DIRECT = ("loop_breaker", "answer_reserve", "logprobs", "top_logprobs")

# --- a body as a request ---------------------------------------------------------------------------------------------


def parse_chat(body: Mapping[str, Any], policy: Policy = LAX) -> ChatRequest | Told:
    """Check every field of a body for /api/chat. Raises SansiError with `param`."""
    reading = Reading(policy.strict)
    values = read_fields(body, CHAT_FIELDS, CHAT_REQUIRED, reading)
    if not values.get("messages"):
        return _loaded(values, message={"role": "assistant", "content": ""})
    conversation = read_messages(values["messages"], reading)
    return _chat(values, conversation, reading, tools=values.get("tools") or None)


def parse_generate(body: Mapping[str, Any], policy: Policy = LAX) -> ChatRequest | TextRequest | Told:
    """The same for /api/generate."""
    reading = Reading(policy.strict)
    values = read_fields(body, GENERATE_FIELDS, GENERATE_REQUIRED, reading)
    if not values.get("prompt"):
        return _loaded(values, response="")
    if values.get("raw"):
        return _text(values, reading)
    system = values.get("system")
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": values["prompt"]})
    places = {f"messages[{i}]": "system" if i < len(messages) - 1 else "prompt" for i in range(len(messages))}
    return _chat(values, Conversation(messages, {**places, "messages": "prompt"}), reading)


def _loaded(values: Mapping[str, Any], **more: Any) -> Told:
    """Who asks nothing wants to know that the model is in memory, where it always is."""
    body = {"model": values["model"], "created_at": now(), **more, "done": True, "done_reason": "load"}
    return Told(values["model"], body)


def _chat(values: Mapping[str, Any], conversation: Conversation, reading: Reading, tools: Any = None) -> ChatRequest:
    shared, options = _read(values, reading)
    return ChatRequest(
        messages=conversation.messages,
        places=conversation.places,
        options=ChatOptions(tools=tools, continue_final=conversation.continued, **options),
        **shared,
    )


def _text(values: Mapping[str, Any], reading: Reading) -> TextRequest:
    """A prompt that is its own template: control tokens that it spells are read."""
    for name in ("system", "think"):
        if values.get(name):
            raise SansiError(
                f'"{name}" needs a template, which "raw" does without; write it into the prompt', param=name
            )
    shared, options = _read({name: value for name, value in values.items() if name != "think"}, reading)
    logprobs = options["top_logprobs"] if options["logprobs"] else None
    options = {"parse_special": True, **options}
    return TextRequest(prompts=[values["prompt"]], logprobs=logprobs, options=ChatOptions(**options), **shared)


def _read(values: Mapping[str, Any], reading: Reading) -> tuple[dict[str, Any], dict[str, Any]]:
    """What requests of both kinds have, and their options."""
    inner = values.get("options", {})
    chosen, names = resolve(values, _SPELLINGS)
    told = values.get("logprobs", False)
    if values.get("top_logprobs") and not told:
        raise SansiError('"top_logprobs" needs "logprobs": true', param="top_logprobs")
    direct = {name: source[name] for source in (inner, values) for name in _DIRECT if name in source}
    options = {
        "response_format": values.get("format"),
        "stop": inner.get("stop", ()),
        "stream_tokens": told,
        **{"logprobs": False, "top_logprobs": 0},
        **direct,
        **chosen,
    }
    shared = {
        "model": values["model"],
        "stream": values.get("stream", True),
        "names": {**_NAMES, **names},
        "ignored": tuple(reading.ignored),
    }
    return shared, options
