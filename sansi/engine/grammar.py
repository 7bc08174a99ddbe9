"""Grammars: what an answer must match, compiled by llguidance to a mask of allowed ids for each next token.

A mask is one bit per id: id i is bit i % 32 of word i // 32.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import llguidance
import numpy as np

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.engine.json_schema import Rules, Style, schema_rules
from sansi.engine.rehearsal import LIMITS, ends_in_time, is_doubtful
from sansi.engine.thinking import ThinkingState

MAX_CHARACTERS = 1 << 18  # of a schema or an expression
MAX_GRAMMAR = 1 << 21  # of the rules that a schema becomes
COMPILE_SECONDS = 5.0
COMPILING_AT_ONCE = 2  # a compilation that overran its time cannot be killed, only kept from piling up
MAX_CACHED = 64
MAX_BEGINNINGS = 64  # more ids than this are never all beginnings of one
MAX_CALLS = 16  # of one turn that must match a grammar: a weak model would go on calling for ever

_TOO_LARGE = re.compile(r"too (big|large|many|deep|complex)|limit|fuel|exceed")
_OF_EXPRESSION = re.compile(r".*\berror: (.+?)(?= \d+ \| |$)")

ToolChoice = Literal["auto", "required"]
log = logging.getLogger("sansi.engine")


class Grammar:
    """A compiled grammar over one vocabulary; requests share it, each with its own copy of the matcher.

    source: what was compiled, in llguidance's terms. token_bytes: by id; a model may have more ids (padding rows), and
    they are never allowed. eos_id: shown by the masks where the text may end. build: makes a matcher.
    """

    def __init__(
        self, source: str, token_bytes: Sequence[bytes], eos_id: int, build: Callable[[], llguidance.LLMatcher]
    ):
        self.source, self.token_bytes, self.eos_id = source, token_bytes, eos_id
        self._build = build
        self._pristine = build()

    @property
    def vocab_size(self) -> int:
        return len(self.token_bytes)

    @property
    def words(self) -> int:
        """uint32 words of a mask."""
        return -(-self.vocab_size // 32)

    def matcher(self) -> llguidance.LLMatcher:
        """A matcher at the start. Copies share what their lexer has learnt, hence also the bound on it."""
        return self._pristine.deep_copy()

    def renew(self) -> None:
        """Forget what the lexer has learnt: copies made from now on have the whole bound again."""
        self._pristine = self._build()


class GrammarCompiler:
    """Makes grammars for one vocabulary and keeps the latest `MAX_CACHED`. Safe to call from any thread.

    token_bytes: what each id stands for. special_ids: control ids, which no text ever matches. eos_id: one of them.
    """

    def __init__(self, token_bytes: Sequence[bytes], eos_id: int, special_ids: Sequence[int] = ()):
        if not 0 <= eos_id < len(token_bytes):
            raise SansiError(f"eos_id is {eos_id}; ids are 0 to {len(token_bytes) - 1}", param="eos_id")
        empty = [i for i, piece in enumerate(token_bytes) if not piece]  # holes in the vocabulary: in no text either
        self._vocabulary = _Vocabulary(token_bytes, eos_id, sorted({eos_id, *special_ids, *empty}))
        self._tokenizer: llguidance.LLTokenizer | None = None
        self._cache: OrderedDict[Hashable, Grammar] = OrderedDict()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(COMPILING_AT_ONCE)

    def json_schema(self, schema: Mapping[str, Any], lenient: bool = False) -> Grammar:
        """A JSON text that fits `schema`; properties in the schema's order, and none that it does not list.

        lenient: ignore what a grammar cannot hold a model to (`uniqueItems`, `not`, an overlapping `oneOf`, a pattern
        that looks ahead), so that the text may violate that alone; else Unsupported names it. Raises SansiError for a
        schema that is wrong, impossible or beyond the bounds of this module.
        """
        text = _json_text(schema, "json_schema")
        source = _Source("json_schema", text, lenient)
        return self._cached(source, lambda: _schema_lark(source, Style.free()), "json_schema", [source])

    def check(self, schema: Mapping[str, Any], of_type: str, lenient: bool = False) -> None:
        """Raise as `json_schema` does, unless there can be rules for the values of this type that fit `schema`."""
        _check(_Source("json_schema", _json_text(schema, "json_schema"), lenient), of_type)

    def regex(self, pattern: str) -> Grammar:
        r"""A text that `pattern` matches from start to end. Rust syntax: no look-around, no back-references."""
        if not isinstance(pattern, str):
            raise SansiError(f"regex must be a string, not {show(pattern)}", param="regex")
        _check_text(pattern, "regex")
        return self._cached(pattern, lambda: f"start: /{llguidance.regex_to_lark(pattern)}/", "regex")

    def tool_calls(
        self,
        tools: Mapping[str, Mapping[str, Any]],
        start_id: int,
        end_id: int,
        choice: ToolChoice = "auto",
        parallel: bool = True,
        text_schema: Mapping[str, Any] | None = None,
        lenient: bool = False,
    ) -> Grammar:
        r"""Tool calls as the chat template writes them: `start_id \n{"name": …, "arguments": …}\n end_id`.

        tools: name -> JSON schema of the arguments, which are an object whatever it says; read leniently, as whoever
        runs a call checks it again. They are written on one line, with a space after each comma and colon, as models
        are trained to. choice: "auto" lets text come before the calls, or instead of them; "required" wants a call at
        once. parallel: up to MAX_CALLS calls, a line break between them. To force one tool, give that one alone and
        "required". text_schema: under "auto" the answer is calls, or a JSON text that fits this; `lenient` as for
        `json_schema`.
        """
        if not tools:
            raise SansiError("tool_calls needs at least one tool", param="tools")
        if choice not in ("auto", "required"):
            raise SansiError(f'tool choice must be "auto" or "required", not {show(choice)}', param="tool_choice")
        for name in tools:
            _check_text(name, "tools")
        arguments = {name: _Source(f"tools.{name}", _json_text(tools[name], f"tools.{name}"), True) for name in tools}
        text = None if text_schema is None else _Source("json_schema", _json_text(text_schema, "json_schema"), lenient)
        key = (start_id, end_id, choice, parallel, text, *arguments.items())
        schemas = [*arguments.values(), *([] if text is None else [text])]

        def lark() -> str:
            return _tool_lark(arguments, start_id, end_id, choice, parallel, text)

        return self._cached(key, lark, "tools", schemas)

    def _cached(self, key: Hashable, lark: Callable[[], str], param: str, schemas: Sequence[_Source] = ()) -> Grammar:
        """The grammar of this key, or a new one; `schemas` are those that `lark` was made from."""
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        text = lark()
        if len(text) > MAX_GRAMMAR:
            raise SansiError(f"{param}: its grammar is too large; make it simpler", param=param)
        doubtful = [_schema_lark(schema, Style.line()) for schema in schemas if is_doubtful(schema.text)]
        grammar = self._compile_in_time(_source(text), param, doubtful)
        with self._lock:
            self._cache[key] = grammar
            while len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return grammar

    def _compile_in_time(self, source: str, param: str, doubtful: Sequence[str]) -> Grammar:
        """llguidance bounds its own work; the clock is there for what those bounds do not see, and a rehearsal for the
        schemas that are known to need one."""
        result: list[Grammar | SansiError] = []

        def work() -> None:
            try:
                result.append(self._compile(source, param))
            except SansiError as error:
                result.append(error)
            except BaseException as error:  # a panic of llguidance's is not even an Exception
                log.error("the grammar compiler broke", exc_info=error)
                result.append(SansiError(f"{param}: it cannot be compiled", param=param))
            finally:
                self._slots.release()

        bounds = f"longer than {COMPILE_SECONDS:g} s, or too much memory"
        late = SansiError(f"{param}: compiling the grammar takes {bounds}; make it simpler", param=param)
        if not self._slots.acquire(timeout=COMPILE_SECONDS):
            others = f"{COMPILING_AT_ONCE} other grammars have been compiling for longer than {COMPILE_SECONDS:g} s"
            raise SansiError(f"{param}: {others}; try again later", param=param)
        if doubtful and not self._rehearse(doubtful):
            raise late
        thread = threading.Thread(target=work, name="sansi-grammar", daemon=True)
        thread.start()
        thread.join(COMPILE_SECONDS)
        if not result:
            raise late
        if isinstance(result[0], SansiError):
            raise result[0]
        return result[0]

    def _rehearse(self, schemas: Sequence[str]) -> bool:
        """Whether they compile in time, or fail; the slot is given back where they do not."""
        in_time = False
        try:
            in_time = ends_in_time([_source(schema) for schema in schemas], LIMITS, COMPILE_SECONDS)
        finally:
            if not in_time:
                self._slots.release()
        return in_time

    def _compile(self, source: str, param: str) -> Grammar:
        tokenizer, limits = self._ll_tokenizer(), llguidance.LLParserLimits(verbose_errors=False, **LIMITS)

        def build() -> llguidance.LLMatcher:
            return llguidance.LLMatcher(tokenizer, source, limits=limits, log_level=0)

        grammar = Grammar(source, self._vocabulary.tokens, self._vocabulary.eos_token_id, build)
        for _ in range(2):  # lazy parts are built by the first mask; what is wrong with them may show in the second
            matcher = grammar.matcher()
            if not matcher.is_error():
                matcher.compute_bitmask()
            if failure := _failure(matcher):
                raise SansiError(f"{param}: {_reason(failure)}", param=param)
        return grammar

    def _ll_tokenizer(self) -> llguidance.LLTokenizer:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(self._vocabulary))
            return self._tokenizer


class GrammarState:
    """Follows one request's answer: `mask` says what may come next, `push` takes what came.

    The grammar is armed while no thought is open, so thinking is free and the answer never lands in the thought. Where
    a thought may still open, its opening id is allowed beside the grammar until the answer has begun; after a thought
    that the model closed itself, so is what the end sequence holds after the closing id (line breaks that models are
    trained to write there). A stop id is allowed wherever the answer may end, and alone once it must.

    thinking: the request's own state, which is told of each token before this one is.
    """

    def __init__(self, grammar: Grammar, stop_ids: Sequence[int] = (), thinking: ThinkingState | None = None):
        self._grammar, self._stops, self._thinking = grammar, tuple(stop_ids), thinking
        self._matcher = grammar.matcher()
        self._state = self._thinking_state()
        self._answer: list[int] = []  # what the matcher has consumed
        self._mask: np.ndarray | None = None  # of the next token, once it is known
        self._gap: tuple[int, ...] = ()  # what may come between a closed thought and the answer

    @property
    def armed(self) -> bool:
        return self._state in ("before", "closed")

    @property
    def finished(self) -> bool:
        """The answer is complete: nothing but a stop id may follow."""
        return self._matcher.is_stopped()

    @property
    def accepting(self) -> bool:
        """The answer could end here."""
        return self._matcher.is_accepting()

    def mask(self) -> np.ndarray | None:
        """uint32 [words]: which ids may come next; None: any.

        Raises SansiError when a step goes beyond the bounds of this module; the request cannot go on.
        """
        if not self.armed:
            return None
        if self._mask is None:
            self._mask = self._compute()
        return self._mask

    def push(self, token: int) -> None:
        """The token that came, unless it was a stop id."""
        self._mask = None
        before, self._state = self._state, self._thinking_state()
        if before == "open" and self._state == "closed" and self._thinking is not None:
            limits = self._thinking.limits
            self._gap = after_last(limits.end_ids, limits.end_sequence)
        if before in ("open", "forcing") or self._state == "open":
            return
        if not self._answer and self._gap[:1] == (token,):
            self._gap = self._gap[1:]
            return
        if not self._matcher.consume_token(token):
            self._start_afresh()
            if not self._matcher.consume_token(token):
                reason = _reason(self._matcher.get_error())
                raise SansiError(f"grammar: token {token} cannot follow: {reason}", param="grammar")
        self._answer.append(token)

    def forced(self, most: int) -> list[int]:
        """Up to `most` ids of the text that the grammar leaves no choice about, in the longest pieces."""
        if not self.armed or self.finished or (not self._answer and self._beside()):
            return []
        ids: list[int] = []
        mask, ahead = self.mask(), self._matcher
        while mask is not None and len(ids) < most:
            only = self._only_text(mask)
            if only is None:
                break
            ids.append(only)
            ahead = ahead.deep_copy()
            ahead.consume_token(only)
            if _failure(ahead) or ahead.is_stopped():
                break
            mask = np.frombuffer(ahead.compute_bitmask(), dtype=np.uint32)
        return ids

    def _only_text(self, mask: np.ndarray) -> int | None:
        """The longest id of `mask` if all others are beginnings of it."""
        if np.bitwise_count(mask).sum() > MAX_BEGINNINGS:
            return None
        bits = np.unpackbits(mask.view(np.uint8), count=self._grammar.vocab_size, bitorder="little")
        ids, pieces = np.flatnonzero(bits).tolist(), self._grammar.token_bytes
        longest = max(ids, key=lambda id_: len(pieces[id_]), default=None)
        if longest is None or not all(pieces[longest].startswith(pieces[id_]) for id_ in ids):
            return None
        return longest

    def possible(self, drafts: Sequence[int]) -> int:
        """How many of `drafts` could come one after the other, as far as the grammar goes."""
        if not self.armed or (not self._answer and self._beside()):
            return len(drafts)
        return 0 if self.finished else self._matcher.validate_tokens(list(drafts))

    def _thinking_state(self) -> str:
        return "closed" if self._thinking is None else self._thinking.state

    def _beside(self) -> tuple[int, ...]:
        """Ids that are no part of the grammar's text, and allowed here."""
        stops = self._stops if self.accepting else ()
        if self._answer or self._thinking is None:
            return stops
        if self._state == "before":
            return (*stops, self._thinking.limits.start_id)
        return (*stops, *self._gap[:1])

    def _compute(self) -> np.ndarray:
        mask = np.zeros(self._grammar.words, dtype=np.uint32)
        if not self.finished:
            self._ask(mask)
        eos = self._grammar.eos_id
        mask[eos // 32] &= ~np.uint32(1 << eos % 32)
        for id_ in self._beside():
            if id_ < self._grammar.vocab_size:
                mask[id_ // 32] |= np.uint32(1 << id_ % 32)
        if not mask.any():
            raise SansiError("grammar: no token of this vocabulary can go on with it", param="grammar")
        return mask

    def _ask(self, mask: np.ndarray) -> None:
        self._matcher.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
        if _failure(self._matcher):  # perhaps other requests used up the bound that all copies share
            self._start_afresh()
            self._matcher.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
        if failure := _failure(self._matcher):
            raise SansiError(f"grammar: {_reason(failure)}", param="grammar")

    def _start_afresh(self) -> None:
        self._grammar.renew()
        self._matcher = self._grammar.matcher()
        self._matcher.consume_tokens(self._answer)


class _Vocabulary:
    """The shape that llguidance wants a tokenizer in."""

    bos_token_id = None

    def __init__(self, token_bytes: Sequence[bytes], eos_id: int, special_ids: Sequence[int]):
        self.tokens = [piece or b"<empty>" for piece in token_bytes]
        self.eos_token_id, self.special_token_ids = eos_id, list(special_ids)

    def __call__(self, text: bytes | str) -> list[int]:
        """No grammar here asks for the ids of a text."""
        return []


def after_last(wanted: Sequence[int], ids: tuple[int, ...]) -> tuple[int, ...]:
    """The part of `ids` after the last of `wanted` in it; all of it when none is."""
    return ids[max((i + 1 for i, id_ in enumerate(ids) if id_ in wanted), default=0) :]


def _source(lark: str) -> str:
    """Forced text may be cut into tokens in any way: how is the model's choice."""
    return '%llguidance {"no_forcing": true}\n' + lark


@dataclass(frozen=True)
class _Source:
    """A schema, as JSON text. name: what errors call it."""

    name: str
    text: str
    lenient: bool

    def rules(self, rules: Rules, style: Style, of_type: str | None = None) -> str:
        """Adds its rules; returns the name of the first. Raises SansiError that says which schema is wrong."""
        try:
            return schema_rules(json.loads(self.text), rules, style, self.lenient, of_type)
        except SansiError as error:
            raise type(error)(f"{self.name}: {error}", param=self.name) from error
        except RecursionError as error:
            raise SansiError(f"{self.name}: it is nested too deeply", param=self.name) from error


@functools.lru_cache(maxsize=1024)
def _check(source: _Source, of_type: str) -> None:
    source.rules(Rules(), Style.line(), of_type)


def _schema_lark(source: _Source, style: Style) -> str:
    rules = Rules()
    start = source.rules(rules, style)
    return "\n".join([f"start: {start}", *rules.lines])


def _json_text(schema: Mapping[str, Any], param: str) -> str:
    if not isinstance(schema, Mapping):
        raise SansiError(f"{param}: a schema must be an object, not {show(schema, 80)}", param=param)
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SansiError(f"{param}: not JSON ({error})", param=param) from error
    except RecursionError as error:
        raise SansiError(f"{param}: it is nested too deeply", param=param) from error
    _check_text(text, param)
    return text


def _tool_lark(
    tools: Mapping[str, _Source], start_id: int, end_id: int, choice: str, parallel: bool, text: _Source | None
) -> str:
    """tools: name -> schema of the arguments. text: the schema of an answer without calls."""
    rules = Rules()
    calls = rf'call ("\n" call){{0,{MAX_CALLS - 1}}}' if parallel else "call"
    free = f"TEXT? | TEXT? {calls}" if text is None else f"{text.rules(rules, Style.free())} | {calls}"
    each = [f"{_call_head(name)} {tool.rules(rules, Style.line(), 'object')}" for name, tool in tools.items()]
    return "\n".join(
        [
            f"start: {free if choice == 'auto' else calls}",
            rf'call: <[{start_id}]> "\n" tool "}}\n" <[{end_id}]>',
            f"tool: {' | '.join(f'({one})' for one in each)}",
            r"TEXT: /(.|\n)+/",
            *rules.lines,
        ]
    )


def _call_head(name: str) -> str:
    return json.dumps(f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": ', ensure_ascii=False)


def _check_text(text: str, param: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SansiError(f"{param} is no text: it holds half a surrogate pair", param=param) from error
    if len(text) > MAX_CHARACTERS:
        raise SansiError(f"{param} has {len(text)} characters; at most {MAX_CHARACTERS} are compiled", param=param)


def _failure(matcher: llguidance.LLMatcher) -> str:
    """What went wrong in a matcher; empty if nothing did."""
    if matcher.is_error():
        return matcher.get_error()
    reason = matcher.stop_reason()
    return "" if reason in ("NotStopped", "NoExtension", "NoExtensionBias", "EndOfSentence") else reason


def _reason(message: str) -> str:
    """What the compiler says, without its own terms: its source, places in it, and options that no user has."""
    message = " ".join(message.replace("<non-verbose/>", "").split())
    if message.startswith("NoExtension") or "Unsatisfiable" in message:
        return "nothing can match it"
    if _TOO_LARGE.search(message):
        return "it takes too much time or memory; make it simpler"
    if "lookarounds not supported" in message:
        return "it has an anchor (^, $ or \\b) inside, which is not supported"
    if found := _OF_EXPRESSION.search(message):
        return f"as an expression it has a fault: {found[1][:200]}"
    log.warning("the grammar compiler says: %s", message[:2000])
    return "it cannot be compiled"
