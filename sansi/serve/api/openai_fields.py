"""The fields that OpenAI's chat and completions have in common here, in the tables that check them.

Other servers' names for the same things are in `other_servers.py`. docs/api.md says what each field means, and names
its test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.chat.presets import EFFORTS
from sansi.chat.stop import MAX_STOP_CHARACTERS, MAX_STOPS
from sansi.serve.api.fields import (
    Field,
    Kind,
    Reading,
    array,
    by_type,
    choice,
    integer,
    number,
    of_type,
    only,
    record,
    text,
)

MAX_CHOICES = 128  # answers of one request
MAX_TOP = 20  # most likely tokens that are told
MAX_BIAS, MAX_BIASES = 100, 1024
UNLIMITED = -1
# Labels are written to the log, so they are as short as OpenAI has them.
MAX_USER, MAX_SAFETY_IDENTIFIER = 512, 64
MAX_PAIRS, MAX_PAIR_KEY, MAX_PAIR_VALUE = 16, 64, 512
BOOLEAN, STRING = of_type(bool), of_type(str)

# --- kinds of this API -----------------------------------------------------------------------------------------------


def refused(instead: str, *unless: Any) -> Field:
    """A field that would change the answer and cannot be applied, but for values that say what happens anyway."""
    about = f"Not supported: {instead}." + (f" {_listed(unless)} is accepted." if unless else "")
    return Field(only(*unless, instead=instead), about, "refused")


def hint(why: str, *obeyed: Any) -> Field:
    """A field that changes no answer; `obeyed`: values that say what happens anyway, so that nothing is ignored."""
    about = f"Ignored: {why}." + (f" {_listed(obeyed)} is what happens." if obeyed else "")
    return Field(only(*obeyed, instead=why), about, "ignored")


def _listed(values: tuple[Any, ...]) -> str:
    return " or ".join(map(json.dumps, values))


def or_unlimited(kind: Kind) -> Kind:
    """A bound, or -1 for none."""

    def check(value: Any, name: str, reading: Reading) -> int:
        unlimited = value == UNLIMITED and not isinstance(value, bool)
        return UNLIMITED if unlimited else kind.check(value, name, reading)

    return Kind(check, {"anyOf": [kind.schema, {"const": UNLIMITED}]})


def _stop() -> Kind:
    one = text(MAX_STOP_CHARACTERS, 1)
    alone = Kind(lambda value, name, reading: [one.check(value, name, reading)], one.schema)
    return by_type("a string or an array of strings", {str: alone, list: array(one, 0, MAX_STOPS)})


def _top_k() -> Kind:
    kind = integer(-1, 2**31 - 1)
    return Kind(lambda value, name, reading: max(0, kind.check(value, name, reading)), kind.schema)


def _logit_bias() -> Kind:
    """OpenAI's object, whose keys are ids, or llama-server's list of pairs, in which false forbids an id."""
    bias = number(-MAX_BIAS, MAX_BIAS)

    def check(value: Any, name: str, reading: Reading) -> dict[int, float]:
        if not isinstance(value, dict | list):
            reason = f'"{name}" must be an object such as {{"42": -100}}, of token ids and biases, not {show(value)}'
            raise SansiError(reason, param=name)
        if len(value) > MAX_BIASES:
            raise SansiError(f'"{name}" must have at most {MAX_BIASES} ids, not {len(value)}', param=name)
        found = {}
        for key, said in value.items() if isinstance(value, dict) else _pairs(value, name):
            digits = str(key) if isinstance(key, str | int) and not isinstance(key, bool) else ""
            if not (digits.isascii() and digits.isdecimal()) or len(digits) > 10:
                reason = f'a key of "{name}" is {show(key)}; token ids are whole numbers of at most 10 digits'
                raise SansiError(reason, param=name)
            found[int(digits)] = bias.check(-MAX_BIAS if said is False else said, f"{name}.{digits}", reading)
        return found

    keys = {"propertyNames": {"pattern": "^[0-9]{1,10}$"}, "maxProperties": MAX_BIASES}
    pair = {"type": "array", "minItems": 2, "maxItems": 2}
    pairs = {"type": "array", "items": pair, "maxItems": MAX_BIASES}
    return Kind(check, {"anyOf": [{"type": "object", "additionalProperties": bias.schema, **keys}, pairs]})


def _pairs(values: list[Any], name: str) -> Iterator[list[Any]]:
    for i, value in enumerate(values):
        if not isinstance(value, list) or len(value) != 2:
            where = f"{name}[{i}]"
            raise SansiError(f'"{where}" must be a pair of a token id and a bias, not {show(value)}', param=where)
        yield value


def _metadata() -> Kind:
    said = text(MAX_PAIR_VALUE)

    def check(value: Any, name: str, reading: Reading) -> dict[str, str]:
        pairs = of_type(dict).check(value, name, reading)
        if len(pairs) > MAX_PAIRS:
            raise SansiError(f'"{name}" must have at most {MAX_PAIRS} keys, not {len(pairs)}', param=name)
        for key in pairs:
            if len(key) > MAX_PAIR_KEY:
                reason = f'a key of "{name}" has {len(key)} characters; at most {MAX_PAIR_KEY} are allowed'
                raise SansiError(reason, param=name)
        return {key: said.check(label, f"{name}.{key}", reading) for key, label in pairs.items()}

    names = {"maxLength": MAX_PAIR_KEY}
    schema = {"type": "object", "additionalProperties": said.schema, "maxProperties": MAX_PAIRS, "propertyNames": names}
    return Kind(check, schema)


EFFORT = choice(*EFFORTS, "default")
BUDGET = or_unlimited(integer(0))
MAX_TOKENS = or_unlimited(integer(1))

# --- the tables ------------------------------------------------------------------------------------------------------

SAMPLING: dict[str, Field] = {
    "temperature": Field(number(0, 2), "Divides the logits; 0 is greedy."),
    "top_p": Field(number(0, 1, above=True), "Smallest set of tokens whose probability reaches this; 1 is off."),
    "top_k": Field(_top_k(), "Most likely tokens to keep; 0 and -1 are off."),
    "min_p": Field(number(0, 1), "Drop tokens below this share of the most likely one's probability; 0 is off."),
    "presence_penalty": Field(number(-2, 2), "Subtracted from the logits of tokens that came before."),
    "frequency_penalty": Field(number(-2, 2), "The same, once for each time a token came."),
    "repetition_penalty": Field(number(0.01, 10), "Above 1: tokens of prompt and answer get less likely; 1 is off."),
    "seed": Field(
        or_unlimited(integer(0, 2**63 - 1)),
        "Same seed, same tokens; the i-th of n answers has seed + i; -1: as without it.",
    ),
}
LABELS: dict[str, Field] = {
    "user": Field(text(MAX_USER), "A label for the server's log; changes nothing.", "ignored"),
    "safety_identifier": Field(
        text(MAX_SAFETY_IDENTIFIER), "A label for the server's log; changes nothing.", "ignored"
    ),
    "metadata": Field(_metadata(), "As `user`.", "ignored"),
}
THINKING: dict[str, Field] = {
    "thinking_budget": Field(BUDGET, "Most tokens of the thought; 0: do not think; -1: no bound."),
    "loop_breaker": Field(BOOLEAN, "Whether a thought that repeats itself is closed; true by default."),
    "answer_reserve": Field(integer(0), "Tokens of max_tokens that the thought may not use."),
}
OF_MESSAGES: dict[str, Field] = {
    "history": Field(choice("official", "keep"), "Whether the thoughts of earlier turns are dropped or kept."),
    "soft_switch": Field(choice("prefill", "model"), "Whether the server or the model obeys the switches in messages."),
}
STREAM_OPTIONS = record(open_=True, include_usage=BOOLEAN, include_obfuscation=BOOLEAN, continuous_usage_stats=BOOLEAN)
COMMON: dict[str, Field] = {
    "model": Field(STRING, "The name of a served model."),
    "n": Field(integer(1, MAX_CHOICES), "How many answers; the prompt is read, and counted, once."),
    "stop": Field(_stop(), f"Up to {MAX_STOPS} strings that end the answer; they are not part of it."),
    "stop_token_ids": Field(array(integer(0), 0, 64), "Token ids that end the completion; they are not part of it."),
    "ignore_eos": Field(BOOLEAN, "Never end the turn: go on to max_tokens, or to a stop string or id."),
    "min_tokens": Field(integer(0), "Before so many tokens nothing ends the completion."),
    "logit_bias": Field(_logit_bias(), "Added to the logits of token ids: from -100, which forbids one, to 100."),
    "stream": Field(BOOLEAN, "Answer piece by piece, as server-sent events."),
    "stream_options": Field(
        STREAM_OPTIONS, "include_usage: one more chunk, with the usage, at the end; continuous_usage_stats: in each."
    ),
    "response_format": Field(of_type(dict), "Bind the answer to JSON, or to a JSON schema."),
    "prompt_logprobs": Field(
        integer(0, MAX_TOP), "Tell the prompt's log-probabilities, with so many of the most likely tokens."
    ),
    "return_token_ids": Field(BOOLEAN, "Tell prompt_token_ids, and the token_ids of each answer or chunk."),
    "speculation": Field(integer(0, 64), "Most draft tokens that a step may check; changes the speed and no token."),
    **SAMPLING,
    **THINKING,
}

# --- what the fields come to -----------------------------------------------------------------------------------------


def resolve(values: Mapping[str, Any], spellings: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Options by their own names, and the name that the request gave each; `spellings`: name of a field -> option.

    "a.b" is the key b of the field a. Raises SansiError that names both when two spellings of an option differ.
    """
    found: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name, value in values.items():
        nested = isinstance(value, dict)
        for path, said in [(f"{name}.{key}", inner) for key, inner in value.items()] if nested else ((name, value),):
            option = spellings.get(path)
            if option is None:
                continue
            if said is None:  # "adaptive": as the model does by default, unless something else is said
                names.setdefault(option, path)
                continue
            if isinstance(said, str) and option == "enable_thinking":  # a switch that takes an effort too
                option = "reasoning_effort"
            if option in found and found[option] != said:
                other = names[option]
                reason = f'"{other}" is {show(found[option])} but "{path}" is {show(said)}; give one of them'
                raise SansiError(reason, param=path)
            if option not in found:
                found[option], names[option] = said, path
    return _bounded(found), names


def _bounded(found: dict[str, Any]) -> dict[str, Any]:
    """An explicit budget, and be it none, wins over an effort; -1 is none; so is the effort "default"."""
    if found.get("thinking_budget") == UNLIMITED:
        found.pop("reasoning_effort", None)
    if found.get("reasoning_effort") == "default":
        del found["reasoning_effort"]
    for option in BOUNDS:
        if found.get(option) == UNLIMITED:
            del found[option]
    return found


BOUNDS = ("thinking_budget", "max_tokens", "seed")


def running_usage(values: Mapping[str, Any]) -> bool:
    return values.get("stream", False) and values.get("stream_options", {}).get("continuous_usage_stats", False)


def tokens_told(values: Mapping[str, Any], echoed: bool = False) -> dict[str, Any]:
    """Options of log-probabilities and tokens. echoed: the prompt's are told like the answer's."""
    own, prompt = values.get("top_logprobs", 0), values.get("prompt_logprobs")
    return {
        "top_logprobs": own,
        "prompt_logprobs": echoed or prompt is not None,
        "prompt_top_logprobs": max(own if echoed else 0, prompt or 0),
        "stream_tokens": (values.get("logprobs") is not None and values["logprobs"] is not False)
        or values.get("return_token_ids", False)
        or running_usage(values),
    }


def shared(values: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """What both kinds of requests have."""
    stream, options = values.get("stream", False), values.get("stream_options", {})
    if options and not stream:
        if reading.strict:
            raise SansiError('"stream_options" needs "stream": true', param="stream_options")
        reading.ignore("stream_options")
    running = running_usage(values)
    if stream and "prompt_logprobs" in values:
        reason = '"prompt_logprobs" is not supported in a stream; leave out "stream"'
        raise SansiError(reason, param="prompt_logprobs")
    return {
        "model": values["model"],
        "stream": stream,
        "include_usage": options.get("include_usage", False),
        "running_usage": running,
        "prompt_logprobs": values.get("prompt_logprobs"),
        "prompt_first": values.get("return_token_ids", False) or running,
        "return_token_ids": values.get("return_token_ids", False),
        "labels": {name: values[name] for name in LABELS if name in values},
    }
