"""What a request may say. Each field is declared here, and checked or refused by name: none is accepted and ignored.

docs/api.md says what each means, and names its test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sansi.base.errors import SansiError
from sansi.base.strict_json import parse_json
from sansi.chat import ChatOptions
from sansi.chat.presets import EFFORTS
from sansi.chat.stop import MAX_STOP_CHARACTERS, MAX_STOPS
from sansi.serve.api.fields import (
    Field,
    Kind,
    array,
    choice,
    integer,
    number,
    of_type,
    only,
    read_fields,
    record,
    show,
    text,
)

MAX_CHOICES = 128  # answers of one request
MAX_TOP = 20  # most likely tokens that are told
MAX_PROMPT_IDS = 2**21  # more than any model's context; the model's own is looked at when it is known which
# Labels are written to the log, so they are as short as OpenAI has them.
MAX_USER, MAX_SAFETY_IDENTIFIER = 512, 64
MAX_PAIRS, MAX_PAIR_KEY, MAX_PAIR_VALUE = 16, 64, 512
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
TEXT_MAX_TOKENS = 16  # of /v1/completions, where the request is silent: OpenAI's


@dataclass(frozen=True)
class ChatRequest:
    """A checked request body. `options.*` is None where the request is silent, so that presets apply."""

    model: str
    messages: list[dict[str, Any]]
    options: ChatOptions
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    """Answers; the i-th has the seed + i."""
    return_token_ids: bool = False
    labels: dict[str, Any] = field(default_factory=dict)
    """What the request says of itself, for the log alone."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What options are called in the request, where that is otherwise."""

    def named(self, error: SansiError) -> SansiError:
        """An error of the chat's, by the names of the request."""
        return _renamed(error, self.names)


@dataclass(frozen=True)
class TextRequest:
    """A checked body of /v1/completions."""

    model: str
    prompts: list[str | list[int]]
    options: ChatOptions
    stream: bool = False
    include_usage: bool = False
    choices: int = 1
    """Completions of each prompt."""
    echo: bool = False
    logprobs: int | None = None
    return_token_ids: bool = False
    labels: dict[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def named(self, error: SansiError, prompt: int) -> SansiError:
        """An error about one of the prompts, by the names of the request."""
        several = {"prompt": f"prompt[{prompt}]"} if len(self.prompts) > 1 else {}
        return _renamed(error, {**self.names, **several})

    @property
    def n(self) -> int:
        """Completions in all."""
        return self.choices * len(self.prompts)


def parse_body(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises SansiError for anything that is not one, NaN and lone surrogates included."""
    try:
        body = parse_json(raw.decode(), unique_keys=True)  # UTF-8, as the standard has it
        if SURROGATE.search(raw) is not None:  # half a pair of them is parsed, but no tokenizer can take it
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise SansiError(f"the request body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise SansiError(f"the request body must be a JSON object, not {show(body)}")
    return body


def parse_chat_request(body: Mapping[str, Any]) -> ChatRequest:
    """Check every field of a body for /v1/chat/completions. Raises SansiError with `param`."""
    values = read_fields(body, CHAT_FIELDS, CHAT_REQUIRED)
    kwargs = values.get("chat_template_kwargs", {})
    thinking = _agree(values, "enable_thinking", "chat_template_kwargs.enable_thinking", kwargs.get("enable_thinking"))
    max_tokens = _agree(values, "max_tokens", "max_completion_tokens", values.get("max_completion_tokens"))
    if values.get("top_logprobs") and not values.get("logprobs"):
        raise SansiError('"top_logprobs" needs "logprobs": true', param="top_logprobs")
    options = ChatOptions(
        enable_thinking=thinking,
        max_tokens=max_tokens,
        tools=values.get("tools") or None,
        tool_choice=_tool_choice(values),
        continue_final=_continue_final(values),
        stream_tokens=bool(values.get("logprobs") or values.get("return_token_ids")),
        stop_ids=values.get("stop_token_ids", ()),
        **{name: values[name] for name in CHAT_OPTIONS if name in values},
    )
    return ChatRequest(
        messages=[_read(message, f"messages[{i}]") for i, message in enumerate(values["messages"])],
        options=options,
        n=values.get("n", 1),
        names=_names(values),
        **_shared(values),
    )


def parse_text_request(body: Mapping[str, Any]) -> TextRequest:
    """Check every field of a body for /v1/completions. Raises SansiError with `param`."""
    values = read_fields(body, TEXT_FIELDS, TEXT_REQUIRED)
    prompts, n, logprobs = values["prompt"], values.get("n", 1), values.get("logprobs")
    if len(prompts) * n > MAX_CHOICES:
        reason = f"{len(prompts)} prompts with {n} completions each are more than {MAX_CHOICES}; send several requests"
        raise SansiError(reason, param="prompt")
    if values.get("best_of", n) != n:
        raise SansiError(f'"best_of" is supported only as the value of "n", which is {n}', param="best_of")
    scored = values.get("echo", False) and logprobs is not None
    if scored and values.get("stream"):
        reason = '"logprobs" with "echo" is not supported in a stream; leave out "stream"'
        raise SansiError(reason, param="logprobs")
    options = ChatOptions(
        max_tokens=values.get("max_tokens", TEXT_MAX_TOKENS),
        logprobs=logprobs is not None,
        top_logprobs=logprobs or 0,
        prompt_logprobs=scored,
        stream_tokens=logprobs is not None or values.get("return_token_ids", False),
        stop_ids=values.get("stop_token_ids", ()),
        **{name: values[name] for name in TEXT_OPTIONS if name in values},
    )
    return TextRequest(
        prompts=prompts,
        options=options,
        choices=n,
        echo=values.get("echo", False),
        logprobs=logprobs,
        names={**_names(values), "prompt_logprobs": "logprobs"},
        **_shared(values),
    )


def _shared(values: Mapping[str, Any]) -> dict[str, Any]:
    """What both kinds of requests have."""
    stream = values.get("stream", False)
    if "stream_options" in values and not stream:
        raise SansiError('"stream_options" needs "stream": true', param="stream_options")
    return {
        "model": values["model"],
        "stream": stream,
        "include_usage": values.get("stream_options", {}).get("include_usage", False),
        "return_token_ids": values.get("return_token_ids", False),
        "labels": {name: values[name] for name in LABELS if name in values},
    }


def _tool_choice(values: Mapping[str, Any]) -> str:
    """OpenAI's word, or the name in OpenAI's object. What asks for calls, or bounds them, needs tools."""
    wanted = values.get("tool_choice", "auto")
    if not values.get("tools"):
        if wanted not in ("auto", "none"):
            raise SansiError(f'"tool_choice" is {show(wanted)}, but there are no "tools"', param="tool_choice")
        if "parallel_tool_calls" in values:
            raise SansiError('"parallel_tool_calls" needs "tools"', param="parallel_tool_calls")
    if isinstance(wanted, str):
        return wanted
    name = wanted["function"]["name"]
    if name in TOOL_CHOICES:  # it would be read as the word
        raise SansiError(f'a tool named "{name}" can not be chosen by its name; rename it', param="tool_choice")
    return name


def _read(message: Any, where: str) -> Any:
    """OpenAI's newer name for the system is read as the older one, which the models know. They are told no names."""
    if not isinstance(message, dict):
        return message
    if message.get("name") is not None and message.get("role") != "tool":
        reason = f"{where}.name is not supported: the models are told no names; write it into the content"
        raise SansiError(reason, param=f"{where}.name")
    return {**message, "role": "system"} if message.get("role") == "developer" else message


def _names(values: Mapping[str, Any]) -> dict[str, str]:
    """What this request calls options that have another name, or several."""
    names = {"stop_ids": "stop_token_ids"}
    if "continue_final" not in values:
        names["continue_final"] = "continue_final_message"
    if "max_tokens" not in values and "max_completion_tokens" in values:
        names["max_tokens"] = "max_completion_tokens"
    if "enable_thinking" not in values and "chat_template_kwargs" in values:
        names["enable_thinking"] = "chat_template_kwargs.enable_thinking"
    return names


def _renamed(error: SansiError, names: Mapping[str, str]) -> SansiError:
    found = re.match(r"\w+", error.param or "")
    if found is None or found[0] not in names:
        return error
    option, rest = found[0], (error.param or "")[found.end() :]
    message = re.sub(rf"\b{option}\b", lambda _: names[option], str(error))
    return SansiError(message, param=names[option] + rest, code=error.code)


def _continue_final(values: Mapping[str, Any]) -> Literal["answer", "thought"] | None:
    """Sansi's word, or vLLM's pair of flags, which mean the thought where the last message has nothing else."""
    part, go_on = values.get("continue_final"), values.get("continue_final_message", False)
    if values.get("add_generation_prompt", True) is (go_on or part is not None) and "add_generation_prompt" in values:
        reason = '"add_generation_prompt" must be the opposite of "continue_final_message"; leave it out'
        raise SansiError(reason, param="add_generation_prompt")
    if not go_on or part is not None:
        return part
    last = values["messages"][-1] if values["messages"] else None
    thought = isinstance(last, Mapping) and (last.get("reasoning_content") or last.get("reasoning"))
    return "thought" if thought and not (isinstance(last, Mapping) and last.get("content")) else "answer"


def _agree(values: Mapping[str, Any], name: str, other_name: str, other_value: Any) -> Any:
    """The value of a field that has two spellings. Raises SansiError when both are given and differ."""
    value = values.get(name)
    if value is not None and other_value is not None and value != other_value:
        message = f'"{name}" is {show(value)} but "{other_name}" is {show(other_value)}; give one of them'
        raise SansiError(message, param=name)
    return other_value if value is None else value


# --- kinds of this API -----------------------------------------------------------------------------------------------

BOOLEAN, STRING = of_type(bool), of_type(str)
TOOL_CHOICES = ("auto", "none", "required")
MAX_TOOL_NAME = 1000


def _stop() -> Kind:
    one = text(MAX_STOP_CHARACTERS, 1)
    several = array(one, 0, MAX_STOPS)

    def check(value: Any, name: str) -> list[str]:
        return [one.check(value, name)] if isinstance(value, str) else several.check(value, name)

    return Kind(check, {"anyOf": [one.schema, several.schema]})


def _choice_of_tool() -> Kind:
    word, function = choice(*TOOL_CHOICES), record("name", name=text(MAX_TOOL_NAME, 1))
    named = record("type", "function", type=choice("function"), function=function)

    def check(value: Any, name: str) -> Any:
        return word.check(value, name) if isinstance(value, str) else named.check(value, name)

    return Kind(check, {"anyOf": [word.schema, named.schema]})


def _tools() -> Kind:
    """What a function's description must be is checked where it is read; other kinds of tools are refused here."""

    def one(value: Any, name: str) -> dict[str, Any]:
        tool = of_type(dict).check(value, name)
        if "type" in tool:
            choice("function").check(tool["type"], f"{name}.type")
        if "function" in tool:
            of_type(dict).check(tool["function"], f"{name}.function")
        return tool

    properties = {"type": {"enum": ["function"]}, "function": {"type": "object"}}
    return array(Kind(one, {"type": "object", "properties": properties}))


def _prompt() -> Kind:
    ids, texts = array(integer(0), 1, MAX_PROMPT_IDS), array(STRING, 1, MAX_CHOICES)
    lists = array(ids, 1, MAX_CHOICES)

    def check(value: Any, name: str) -> list[str | list[int]]:
        if isinstance(value, str):
            return [value]
        first = of_type(list).check(value, name)[:1]
        if first and isinstance(first[0], str):
            return texts.check(value, name)
        return lists.check(value, name) if first and isinstance(first[0], list) else [ids.check(value, name)]

    return Kind(check, {"anyOf": [STRING.schema, texts.schema, ids.schema, lists.schema]})


def _top_k() -> Kind:
    kind = integer(-1, 2**31 - 1)
    return Kind(lambda value, name: max(0, kind.check(value, name)), kind.schema)


def _metadata() -> Kind:
    said = text(MAX_PAIR_VALUE)

    def check(value: Any, name: str) -> dict[str, str]:
        pairs = of_type(dict).check(value, name)
        if len(pairs) > MAX_PAIRS:
            raise SansiError(f'"{name}" must have at most {MAX_PAIRS} keys, not {len(pairs)}', param=name)
        for key in pairs:
            if len(key) > MAX_PAIR_KEY:
                reason = f'a key of "{name}" has {len(key)} characters; at most {MAX_PAIR_KEY} are allowed'
                raise SansiError(reason, param=name)
        return {key: said.check(label, f"{name}.{key}") for key, label in pairs.items()}

    names = {"maxLength": MAX_PAIR_KEY}
    schema = {"type": "object", "additionalProperties": said.schema, "maxProperties": MAX_PAIRS, "propertyNames": names}
    return Kind(check, schema)


def _refused(instead: str, *unless: Any) -> Field:
    about = f"Not supported: {instead}." + (f" {' or '.join(map(json.dumps, unless))} is accepted." if unless else "")
    return Field(only(*unless, instead=instead), about)


_MESSAGE = {
    "type": "object",
    "properties": {"role": {"enum": ["system", "developer", "user", "assistant", "tool"]}},
    "required": ["role"],
}

# --- the tables ------------------------------------------------------------------------------------------------------

SAMPLING: dict[str, Field] = {
    "temperature": Field(number(0, 2), "Divides the logits; 0 is greedy."),
    "top_p": Field(number(0, 1, above=True), "Smallest set of tokens whose probability reaches this; 1 is off."),
    "top_k": Field(_top_k(), "Most likely tokens to keep; 0 and -1 are off."),
    "min_p": Field(number(0, 1), "Drop tokens below this share of the most likely one's probability; 0 is off."),
    "presence_penalty": Field(number(-2, 2), "Subtracted from the logits of tokens that came before."),
    "frequency_penalty": Field(number(-2, 2), "The same, once for each time a token came."),
    "repetition_penalty": Field(number(0.01, 10), "Above 1: tokens of prompt and answer get less likely; 1 is off."),
    "seed": Field(integer(0, 2**63 - 1), "Same seed, same tokens; the i-th of n answers has seed + i."),
}
LABELS: dict[str, Field] = {
    "user": Field(text(MAX_USER), "A label for the server's log; changes nothing."),
    "safety_identifier": Field(text(MAX_SAFETY_IDENTIFIER), "A label for the server's log; changes nothing."),
    "metadata": Field(_metadata(), "As `user`."),
}
THINKING: dict[str, Field] = {
    "thinking_budget": Field(integer(0), "Most tokens of the thought; 0: do not think."),
    "loop_breaker": Field(BOOLEAN, "Whether a thought that repeats itself is closed; true by default."),
    "answer_reserve": Field(integer(0), "Tokens of max_tokens that the thought may not use."),
}
COMMON: dict[str, Field] = {
    "model": Field(STRING, "The name of a served model."),
    "n": Field(integer(1, MAX_CHOICES), "How many answers; the prompt is read, and counted, once."),
    "stop": Field(_stop(), "Up to 4 strings that end the answer; they are not part of it."),
    "stop_token_ids": Field(array(integer(0), 0, 64), "Token ids that end the completion; they are not part of it."),
    "stream": Field(BOOLEAN, "Answer piece by piece, as server-sent events."),
    "stream_options": Field(
        record(include_usage=BOOLEAN, include_obfuscation=only(False), continuous_usage_stats=only(False)),
        "include_usage: one more chunk, with the usage, at the end.",
    ),
    "response_format": Field(of_type(dict), "Bind the answer to JSON, or to a JSON schema."),
    "return_token_ids": Field(BOOLEAN, "Tell prompt_token_ids, and the token_ids of each answer or chunk."),
    "speculation": Field(integer(0, 64), "Most draft tokens that a step may check; changes the speed and no token."),
    "ignore_eos": _refused("the end of a turn always ends it", False),
    "min_tokens": _refused("an answer may be as short as the model makes it", 0),
    "logit_bias": _refused("bind the answer with response_format instead", {}),
    "include_stop_str_in_output": _refused("a stop string is never part of the answer", False),
    "skip_special_tokens": _refused("tags are read, and are part of no text", True),
    "prompt_logprobs": _refused("the prompt's log-probabilities are not told"),
    "guided_json": _refused("use response_format of type json_schema"),
    "guided_regex": _refused("use response_format with a string schema that has a pattern"),
    "guided_choice": _refused("use response_format with an enum"),
    "guided_grammar": _refused("use response_format"),
    "structured_outputs": _refused("use response_format"),
    **SAMPLING,
    **THINKING,
}
CHAT_REQUIRED = ("model", "messages")
CHAT_FIELDS: dict[str, Field] = {
    **COMMON,
    **LABELS,
    "messages": Field(of_type(list, items=_MESSAGE, minItems=1), "The conversation."),
    "max_tokens": Field(integer(1), "Most tokens of thought and answer together."),
    "max_completion_tokens": Field(integer(1), "As max_tokens, which it may not contradict."),
    "enable_thinking": Field(BOOLEAN, "false: do not think, whatever the messages say."),
    "chat_template_kwargs": Field(record(enable_thinking=BOOLEAN), "enable_thinking in vLLM's place."),
    "reasoning_effort": Field(choice(*EFFORTS), "A thinking budget by name; thinking_budget wins over it."),
    "history": Field(choice("official", "keep"), "Whether the thoughts of earlier turns are dropped or kept."),
    "soft_switch": Field(choice("prefill", "model"), "Whether the server or the model obeys the switches in messages."),
    "tools": Field(_tools(), "Functions that the model may call."),
    "tool_choice": Field(_choice_of_tool(), "Whether it may, may not or must call one, or which one it must call."),
    "parallel_tool_calls": Field(BOOLEAN, "false: one call at most."),
    "logprobs": Field(BOOLEAN, "Tell the log-probability of each token of the thought and the answer."),
    "top_logprobs": Field(integer(0, MAX_TOP), "And so many of the most likely tokens in its place."),
    "continue_final": Field(choice("answer", "thought"), "Go on with the last message's answer, or with its thought."),
    "continue_final_message": Field(BOOLEAN, "vLLM's name for continue_final."),
    "add_generation_prompt": Field(BOOLEAN, "false only with continue_final_message, as vLLM has it."),
    "store": _refused("nothing is stored", False),
    "service_tier": _refused("there is one tier", "auto", "default"),
    "modalities": _refused("answers are text", ["text"]),
    "verbosity": _refused("ask for it in a message", "medium"),
    "echo": _refused("the answer alone is told", False),
    "prompt_cache_key": Field(STRING, "Changes nothing: prompts that begin alike are always read once."),
    "prompt_cache_retention": _refused("the cache keeps what fits", "in_memory", "in-memory"),
    "prompt_cache_options": _refused("prompts that begin alike are always read once"),
    "audio": _refused("answers are text"),
    "prediction": _refused("use speculation, which needs no prediction"),
    "moderation": _refused("ask a model of your own to judge"),
    "web_search_options": _refused("give a tool that searches"),
    "functions": _refused("use tools"),
    "function_call": _refused("use tool_choice"),
    "chat_template": _refused("a request's template is never executed"),
}
TEXT_REQUIRED = ("model", "prompt")
TEXT_FIELDS: dict[str, Field] = {
    **COMMON,
    "user": LABELS["user"],
    "prompt": Field(_prompt(), "A text, ids, or a list of either; text holds no control tokens, whatever it spells."),
    "max_tokens": Field(integer(1), f"Most tokens of the completion; {TEXT_MAX_TOKENS} by default."),
    "echo": Field(BOOLEAN, "Begin the text with the prompt."),
    "logprobs": Field(integer(0, MAX_TOP), "Tell log-probabilities, with so many of the most likely tokens."),
    "best_of": Field(integer(1, MAX_CHOICES), "Supported only as the value of n."),
    "suffix": _refused("text can only be added at the end"),
}
CHAT_OPTIONS = (
    *SAMPLING,
    *THINKING,
    "reasoning_effort",
    "history",
    "soft_switch",
    "parallel_tool_calls",
    "logprobs",
    "top_logprobs",
    "response_format",
    "stop",
    "speculation",
)
TEXT_OPTIONS = (*SAMPLING, *THINKING, "response_format", "stop", "speculation")
