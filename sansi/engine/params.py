"""What a caller asks of the engine, checked before any work is done."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.engine.grammar import Grammar
from sansi.engine.thinking import ThinkingLimits

MAX_SEED = 2**63 - 1
MAX_TOP_K = 2**31 - 1
MAX_TOP_LOGPROBS = 20
MAX_SPECULATION = 64
MAX_BIAS = 100.0


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. The filters apply in the order: penalties, temperature, top-k, top-p, min-p."""

    temperature: float = 1.0
    """Divides the logits; 0 (and anything below 0.00001) is greedy."""
    top_p: float = 1.0
    """Smallest set of tokens whose probability reaches this; 1 is off."""
    top_k: int = 0
    """Most likely tokens to keep; 0 is off."""
    min_p: float = 0.0
    """Drop tokens below this share of the most likely token's probability; 0 is off."""
    presence_penalty: float = 0.0
    """Subtracted from the logits of tokens that the completion already holds."""
    frequency_penalty: float = 0.0
    """Subtracted once per occurrence in the completion."""
    repetition_penalty: float = 1.0
    """Positive logits of tokens in the prompt or completion are divided, negative ones multiplied by it; 1 is off."""


@dataclass(frozen=True)
class SamplingParams(Sampling):
    """How to sample one completion."""

    seed: int | None = None
    """Same seed, same tokens, whatever else is in the batch; None draws one."""
    stop_ids: tuple[int, ...] = ()
    """Ids that end the completion; the one that did is its last id. Forced ids end nothing, save a closing id of the
    thought that stands here too: it ends the completion however it comes."""
    stop_when: Callable[[int], bool] | None = None
    """Called with each id that came, on the stepping thread; true ends the completion with that id. It may keep a
    state, so each request needs its own."""
    banned_ids: tuple[int, ...] = ()
    """Ids that are never sampled."""
    unwanted_ids: tuple[int, ...] = ()
    """Ids that are sampled only where a grammar leaves no other: the end of the turn, for who ignores it."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(id, what is added to its logit) before all else; also as a mapping. What is banned or masked stays so."""
    max_tokens: int = 256
    """Most tokens to generate; what the context leaves is the other bound. 0: the prompt is read, and that is all."""
    min_tokens: int = 0
    """Before so many tokens no stop id is sampled and `stop_when` is not heeded. Where a grammar's text is complete the
    completion ends all the same."""
    logprobs: bool = False
    """Return each token's log-probability under the unmodified model (before penalties, temperature and filters)."""
    top_logprobs: int = 0
    """Also return so many of the most likely tokens, with their log-probabilities, at each position; 0 is off."""
    prompt_logprobs: bool = False
    """Also return the log-probability of every prompt token (None for the first). Such a prompt is read whole: no part
    of it comes from the prefix cache."""
    prompt_top_logprobs: int = 0
    """With `prompt_logprobs`: also so many of the most likely tokens in the place of each; 0 is off."""
    thinking: ThinkingLimits | None = None
    """Limits on the thought; None leaves thoughts alone and counts none."""
    grammar: Grammar | None = None
    """What the answer must match; it begins once the thought is closed. None leaves the answer free."""
    adapter: str | None = None
    """The name of an adapter of the engine's; None: the model itself."""
    speculation: int = 0
    """Most draft tokens that one step may check; the tokens that come out are the same for any value. 0 is off. It pays
    for few requests at once whose text repeats the prompt or itself: edits, extraction, JSON."""


_RANGES: dict[str, tuple[float, float, str]] = {
    # The upper bounds are far beyond any use, and far below what float32 turns into an infinity, hence a NaN.
    "temperature": (0.0, 1e4, "between 0 and 10000"),
    "top_p": (math.ulp(0.0), 1.0, "above 0 and at most 1"),
    "top_k": (0, MAX_TOP_K, f"between 0 (off) and {MAX_TOP_K}"),
    "min_p": (0.0, 1.0, "between 0 and 1"),
    "presence_penalty": (-1e4, 1e4, "between -10000 and 10000"),
    "frequency_penalty": (-1e4, 1e4, "between -10000 and 10000"),
    "repetition_penalty": (1e-4, 1e4, "between 0.0001 and 10000"),
    "seed": (0, MAX_SEED, f"between 0 and {MAX_SEED}"),
    "max_tokens": (0, math.inf, "0 or more"),
    "min_tokens": (0, math.inf, "0 or more"),
    "top_logprobs": (0, MAX_TOP_LOGPROBS, f"between 0 (off) and {MAX_TOP_LOGPROBS}"),
    "prompt_top_logprobs": (0, MAX_TOP_LOGPROBS, f"between 0 (off) and {MAX_TOP_LOGPROBS}"),
    "speculation": (0, MAX_SPECULATION, f"between 0 (off) and {MAX_SPECULATION}"),
}
_WHOLE = {"top_k", "seed", "max_tokens", "min_tokens", "top_logprobs", "prompt_top_logprobs", "speculation"}


def check_params(params: SamplingParams, vocab_size: int) -> SamplingParams:
    """The params, their ids as tuples of Python's own numbers, whatever held them before.

    Raises SansiError, with `param` the field, for the first value that cannot be honoured.
    """
    if not isinstance(params, SamplingParams):
        raise SansiError(f"params must be SamplingParams, not {show(params)}", param="params")
    for field in fields(params):
        value = getattr(params, field.name)
        if field.name in _RANGES and not (field.name == "seed" and value is None):
            _check_number(field.name, value)
    for name in ("logprobs", "prompt_logprobs"):
        if not _is_bool(params, name):
            raise SansiError(f"{name} must be true or false, not {show(getattr(params, name))}", param=name)
    if params.adapter is not None and not isinstance(params.adapter, str):
        raise SansiError(f"adapter must be a name, not {show(params.adapter)}", param="adapter")
    if params.stop_when is not None and not callable(params.stop_when):
        raise SansiError(f"stop_when must be a function of an id, not {show(params.stop_when)}", param="stop_when")
    if params.min_tokens > params.max_tokens:
        reason = f"min_tokens is {params.min_tokens}, but max_tokens allows {params.max_tokens}; lower the one"
        raise SansiError(f"{reason}, or raise the other", param="min_tokens")
    if params.prompt_top_logprobs and not params.prompt_logprobs:
        raise SansiError("prompt_top_logprobs needs prompt_logprobs=True", param="prompt_top_logprobs")
    stops = tuple(checked_ids("stop_ids", params.stop_ids, vocab_size))
    banned = tuple(checked_ids("banned_ids", params.banned_ids, vocab_size))
    unwanted = tuple(checked_ids("unwanted_ids", params.unwanted_ids, vocab_size))
    if len(set(banned)) == vocab_size:
        raise SansiError(f"banned_ids names all {vocab_size} ids, so that none can come", param="banned_ids")
    bias = checked_bias(params.logit_bias, vocab_size)
    if params.grammar is not None:
        _check_grammar(params.grammar, vocab_size)
    thinking = None if params.thinking is None else _checked_limits(params.thinking, vocab_size)
    return replace(params, stop_ids=stops, banned_ids=banned, unwanted_ids=unwanted, logit_bias=bias, thinking=thinking)


def check_prompt(ids: Any, vocab_size: int, context_length: int, max_tokens: int | None = None) -> list[int]:
    """The ids as Python's own. Raises SansiError unless this model can read them, and continue them by at least one
    token where `max_tokens` is not 0."""
    ids = checked_ids("prompt", ids, vocab_size)
    if len(ids) == 0:
        raise SansiError("the prompt is empty; give at least one token id", param="prompt")
    if len(ids) >= context_length + (max_tokens == 0):
        raise SansiError(
            f"the prompt has {len(ids)} tokens, but the context holds {context_length}, the answer included; "
            "shorten the prompt",
            param="prompt",
        )
    return ids


def checked_bias(bias: Any, vocab_size: int) -> tuple[tuple[int, float], ...]:
    """A mapping, or pairs, of ids and numbers from -MAX_BIAS to MAX_BIAS, as pairs; zeros are left out."""
    pairs = bias.items() if isinstance(bias, Mapping) else bias
    found: dict[int, float] = {}
    for pair in _listed("logit_bias", pairs):
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise SansiError(f"logit_bias must be pairs of an id and a number, not {show(pair)}", param="logit_bias")
        id_, value = _checked_id("logit_bias", pair[0], vocab_size), pair[1]
        if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_BIAS <= value <= MAX_BIAS:
            reason = f"logit_bias of {id_} must be between -{MAX_BIAS:g} and {MAX_BIAS:g}, not {show(value)}"
            raise SansiError(reason, param="logit_bias")
        if id_ in found:
            raise SansiError(f"logit_bias names {id_} twice", param="logit_bias")
        found[id_] = float(value)
    return tuple((id_, value) for id_, value in found.items() if value)


def _listed(name: str, items: Any) -> Iterable[Any]:
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise SansiError(f"{name} must be a mapping of ids to numbers, not {show(items)}", param=name)
    return items


def checked_ids(name: str, ids: Any, vocab_size: int) -> list[int]:
    """Whatever holds whole numbers (a tuple, numpy's or torch's array) as token ids; SansiError for anything else."""
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise SansiError(f"{name} must be token ids, not {show(ids)}", param=name)
    return [_checked_id(name, id_, vocab_size) for id_ in ids]


def _checked_id(name: str, value: Any, vocab_size: int) -> int:
    try:
        id_ = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        id_ = -1
    if not 0 <= id_ < vocab_size:
        raise SansiError(f"{name}: {show(value)} is not a token id; ids are 0 to {vocab_size - 1}", param=name)
    return id_


def _checked_limits(limits: Any, vocab_size: int) -> ThinkingLimits:
    if not isinstance(limits, ThinkingLimits):
        raise SansiError(f"thinking must be ThinkingLimits, not {show(limits)}", param="thinking")
    limits = replace(
        limits,
        start_id=_checked_id("thinking", limits.start_id, vocab_size),
        end_ids=tuple(checked_ids("thinking", limits.end_ids, vocab_size)),
        end_sequence=tuple(checked_ids("thinking", limits.end_sequence, vocab_size)),
        framing_ids=tuple(checked_ids("thinking", limits.framing_ids, vocab_size)),
        turn_ids=tuple(checked_ids("thinking", limits.turn_ids, vocab_size)),
        closing_ids=tuple(checked_ids("thinking", limits.closing_ids, vocab_size)),
    )
    for problem in limits.problems():
        raise SansiError(f"thinking: {problem}", param="thinking_budget" if "budget" in problem else "thinking")
    return limits


def _is_bool(holder: Any, name: str) -> bool:
    return isinstance(getattr(holder, name), bool)


def _check_number(name: str, value: Any) -> None:
    low, high, text = _RANGES[name]
    kinds = (int,) if name in _WHOLE else (int, float)
    # `not (low <= value)` also catches NaN.
    if isinstance(value, bool) or not isinstance(value, kinds) or not (low <= value <= high):
        whole = " and whole" if name in _WHOLE else ""
        raise SansiError(f"{name} must be {text}{whole}, not {show(value)}", param=name)


def _check_grammar(grammar: Any, vocab_size: int) -> None:
    if not isinstance(grammar, Grammar):
        raise SansiError(f"grammar must be made by a GrammarCompiler, not {show(grammar)}", param="grammar")
    if grammar.vocab_size > vocab_size:
        raise SansiError(
            f"the grammar was compiled for {grammar.vocab_size} token ids, but the model has {vocab_size}; "
            "compile it for this model's vocabulary",
            param="grammar",
        )
