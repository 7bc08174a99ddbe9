"""OpenAI's completions: the fields of a body, the body as a request, and a result as a body or as chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.chat import ChatModel, ChatOptions, TextResult, Tokens
from sansi.serve.api.dialect import Dialect
from sansi.serve.api.fields import Field, Kind, Reading, array, by_type, integer, read_fields
from sansi.serve.api.formats import FORMATS, format_of
from sansi.serve.api.logprobs import TextScores, prompt_logprobs
from sansi.serve.api.openai_fields import (
    BOOLEAN,
    COMMON,
    LABELS,
    MAX_CHOICES,
    MAX_TOP,
    STRING,
    or_unlimited,
    resolve,
    shared,
    tokens_told,
)
from sansi.serve.api.other_servers import (
    BUDGET_NAMES,
    HINTS,
    OTHER_NAMES,
    REFUSED,
    SILENT,
    SPELLINGS,
    TEXT_HINTS,
    TEXT_REFUSED,
)
from sansi.serve.api.requests import LAX, Policy, TextRequest
from sansi.serve.api.response_bodies import Chunk, Done, Reply
from sansi.serve.api.schemas import TEXT_COMPLETION

MAX_PROMPT_IDS = 2**21  # more than any model's context; the model's own is looked at when it is known which
DEFAULT_MAX_TOKENS = 16  # where the request is silent: OpenAI's


def _prompt() -> Kind:
    ids, texts = array(integer(0), 1, MAX_PROMPT_IDS), array(STRING, 1, MAX_CHOICES)
    lists = array(ids, 1, MAX_CHOICES)
    alone = Kind(lambda value, name, reading: [STRING.check(value, name, reading)], STRING.schema)

    def several(value: list[Any], name: str, reading: Reading) -> list[str | list[int]]:
        """What the first is, all must be."""
        if not value:
            raise SansiError(f'"{name}" is empty; give {_PROMPTS}', param=name)
        if isinstance(value[0], dict | None):
            raise SansiError(f'"{name}[0]" is {show(value[0])}; "{name}" is {_PROMPTS}', param=f"{name}[0]")
        if isinstance(value[0], str):
            return texts.check(value, name, reading)
        return lists.check(value, name, reading) if isinstance(value[0], list) else [ids.check(value, name, reading)]

    arrays = Kind(several, {"anyOf": [texts.schema, ids.schema, lists.schema]})
    return by_type(_PROMPTS, {str: alone, list: arrays})


_PROMPTS = "a text, token ids, or an array of either"
_MAX_TOKENS = or_unlimited(integer(0))
REQUIRED = ("model", "prompt")
FIELDS: dict[str, Field] = {
    **REFUSED,  # first: what this dialect has is not refused
    **TEXT_REFUSED,
    **COMMON,
    **LABELS,
    "prompt": Field(_prompt(), "A text, ids, or a list of either; control tokens that a text spells are read as such."),
    **OTHER_NAMES,
    **{name: Field(_MAX_TOKENS, OTHER_NAMES[name].about) for name in ("max_new_tokens", "n_predict")},
    "max_tokens": Field(
        _MAX_TOKENS,
        f"Most tokens of the completion; {DEFAULT_MAX_TOKENS} by default; 0: read the prompt alone; -1: no bound.",
    ),
    "parse_special": Field(BOOLEAN, "false: control tokens that a text spells are characters."),
    "echo": Field(BOOLEAN, "Begin the text with the prompt."),
    "logprobs": Field(integer(0, MAX_TOP), "Tell log-probabilities, with so many of the most likely tokens."),
    "best_of": Field(integer(1, MAX_CHOICES), "Supported only as the value of n."),
    **BUDGET_NAMES,
    **HINTS,
    **TEXT_HINTS,
    **SILENT,
    **FORMATS,
}
OPTIONS = ("loop_breaker", "answer_reserve", "logit_bias", "stop", "speculation")


def parse_text_request(body: Mapping[str, Any], policy: Policy = LAX) -> TextRequest:
    """Check every field of a body for /v1/completions. Raises SansiError with `param`."""
    reading = Reading(policy.strict)
    values = read_fields(body, FIELDS, REQUIRED, reading)
    chosen, names = resolve(values, SPELLINGS)
    if not any(name in values for name in ("max_tokens", "max_new_tokens", "n_predict")):
        chosen["max_tokens"] = DEFAULT_MAX_TOKENS
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
    form, places = format_of(values)
    told = tokens_told({**values, "top_logprobs": logprobs or 0}, scored)
    common = shared(values, reading)
    if values.get("echo") and values.get("stream"):  # what is echoed is read off the prompt's ids
        told["stream_tokens"] = common["prompt_first"] = True
    options = ChatOptions(
        response_format=form,
        logprobs=logprobs is not None,
        **told,
        parse_special=values.get("parse_special", True),
        stop_ids=values.get("stop_token_ids", ()),
        **chosen,
        **{name: values[name] for name in OPTIONS if name in values},
    )
    return TextRequest(
        prompts=prompts,
        options=options,
        choices=n,
        echo=values.get("echo", False),
        logprobs=logprobs,
        names={**names, **places, "stop_ids": "stop_token_ids", **({"prompt_logprobs": "logprobs"} if scored else {})},
        **common,
        ignored=tuple(reading.ignored),
    )


class TextReply(Reply):
    """Replies of /v1/completions."""

    kind, prefix, chunk_kind = "text_completion", "cmpl", "text_completion"

    def __init__(self, chat: ChatModel, asked: TextRequest):
        super().__init__(chat, asked)
        self._asked: TextRequest = asked
        self._scores = [self._scores_from(0) for _ in range(asked.n)]

    def first_chunks(self, index: int, prompt_ids: Sequence[int] | None) -> list[Chunk]:
        if not self._asked.echo:
            return []
        choice = self._text_choice(index, self._echo(prompt_ids or ()), None, ())
        if prompt_ids is not None and self._asked.return_token_ids:
            choice["prompt_token_ids"] = list(prompt_ids)
        return [self._counted(self._piece([choice]), index, (), prompt_ids)]

    def _scores_from(self, offset: int) -> TextScores:
        return TextScores(self._chat, offset, self._asked.options.stop_ids)

    def prompt_of(self, index: int) -> int:
        return index // self._asked.choices

    def chunk(self, index: int, event: Any, tokens: Sequence[Tokens], finish_reason: str | None = None) -> Chunk:
        text = "" if event is None else event.text
        choice = self._text_choice(index, text, finish_reason, tokens)
        prompts = [some.prompt_ids for some in tokens if some.prompt_ids is not None]
        if prompts and self._asked.return_token_ids and not self._asked.echo:  # an echo has told them already
            choice["prompt_token_ids"] = list(prompts[0])
        return self._piece([choice])

    def _choice(self, done: Done, tokens: Sequence[Tokens]) -> dict[str, Any]:
        assert isinstance(done.result, TextResult)
        result = done.result
        echo = self._echo(result.prompt_ids)
        self._scores[done.index] = self._scores_from(len(echo))
        choice = self._text_choice(done.index, echo + result.text, result.finish_reason, tokens)
        if self._asked.prompt_logprobs is not None:
            choice["prompt_logprobs"] = prompt_logprobs(done.result, self._chat, self._asked.prompt_logprobs)
        if self._asked.echo and self._asked.logprobs is not None:
            before = TextScores(self._chat).add_prompt(done.result)
            own = choice["logprobs"] or {key: [] for key in before}
            choice["logprobs"] = {key: before[key] + own[key] for key in before}
        if self._asked.return_token_ids:
            choice["prompt_token_ids"] = list(done.result.prompt_ids)
        return choice

    def _text_choice(
        self, index: int, text: str, finish_reason: str | None, tokens: Sequence[Tokens]
    ) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
        if self._asked.logprobs is not None and tokens:
            choice["logprobs"] = self._scores[index].add(tokens)
        if self._asked.return_token_ids:
            choice["token_ids"] = [id_ for some in tokens for id_ in some.ids]
        return choice

    def _echo(self, prompt_ids: Sequence[int]) -> str:
        """The prompt as the model read it (in NFC), so that the offsets of its tokens are right."""
        return self._chat.text_of(prompt_ids) if self._asked.echo else ""


OPENAI_COMPLETIONS = Dialect(
    "completions", "/v1/completions", FIELDS, REQUIRED, parse_text_request, TextReply, TEXT_COMPLETION
)
