"""Grammars: what an answer must match, compiled by llguidance to a mask of allowed ids for each next token.

A mask is one bit per id: id i is bit i % 32 of word i // 32.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import llguidance
import numpy as np

from sansi.base.errors import SansiError
from sansi.engine.rehearsal import ends_in_time, is_doubtful
from sansi.engine.thinking import ThinkingState

MAX_CHARACTERS = 1 << 18  # of a schema or an expression
COMPILE_SECONDS = 5.0
COMPILING_AT_ONCE = 2  # a compilation that overran its time cannot be killed, only kept from piling up
MAX_CACHED = 64
MAX_BEGINNINGS = 64  # more ids than this are never all beginnings of one
# Lexer fuel is llguidance's measure of work: about 50,000 a millisecond at the start, 14,000 a millisecond in a step.
LIMITS: dict[str, Any] = {"initial_lexer_fuel": 200_000, "step_lexer_fuel": 200_000, "max_lexer_states": 50_000}
# White space in a JSON text: none, a space, or a new line and its indentation; weak models would write it for ever.
JSON_OPTIONS = {"whitespace_flexible": True, "whitespace_pattern": r"( |\n[ \t]{0,24})?"}

ToolChoice = Literal["auto", "required"]


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
        self._cache: OrderedDict[str, Grammar] = OrderedDict()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(COMPILING_AT_ONCE)

    def json_schema(self, schema: Mapping[str, Any], lenient: bool = False) -> Grammar:
        """A JSON text that fits `schema`; properties in the schema's order.

        lenient: ignore keywords that llguidance does not know (`uniqueItems`, `not`, an overlapping `oneOf`), so that
        the text may violate those alone. Raises SansiError for a schema that is wrong, unsupported, impossible or
        beyond the bounds of this module.
        """
        text = _json(schema, lenient)
        return self._cached(_schema_lark(text), "json_schema", [text])

    def regex(self, pattern: str) -> Grammar:
        r"""A text that `pattern` matches from start to end. Rust syntax: no look-around, no back-references."""
        if not isinstance(pattern, str):
            raise SansiError(f"regex must be a string, not {pattern!r}", param="regex")
        _check_text(pattern, "regex")
        return self._cached(f"start: /{llguidance.regex_to_lark(pattern)}/", "regex")

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

        tools: name -> JSON schema of the arguments, read leniently, as whoever runs a call checks it again.
        choice: "auto" lets text come before the calls, or instead of them; "required" wants a call at once.
        parallel: several calls, a line break between them. To force one tool, give that one alone and "required".
        text_schema: under "auto" the answer is calls, or a JSON text that fits this; `lenient` as for `json_schema`.
        """
        if not tools:
            raise SansiError("tool_calls needs at least one tool", param="tools")
        text = None if text_schema is None else _json(text_schema, lenient)
        arguments = {name: _json(schema, lenient=True) for name, schema in tools.items()}
        schemas = [*arguments.values(), *([] if text is None else [text])]
        return self._cached(_tool_lark(arguments, start_id, end_id, choice, parallel, text), "tools", schemas)

    def _cached(self, lark: str, param: str, schemas: Sequence[str] = ()) -> Grammar:
        _check_text(lark, param)
        source = _source(lark)
        with self._lock:
            if source in self._cache:
                self._cache.move_to_end(source)
                return self._cache[source]
        grammar = self._compile_in_time(source, param, [schema for schema in schemas if is_doubtful(schema)])
        with self._lock:
            self._cache[source] = grammar
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
                result.append(SansiError(f"{param}: it can not be compiled ({error})", param=param))
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
            in_time = ends_in_time([_source(_schema_lark(schema)) for schema in schemas], LIMITS, COMPILE_SECONDS)
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
                raise SansiError(f"{param}: {_one_line(failure)}", param=param)
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
                reason = _one_line(self._matcher.get_error())
                raise SansiError(f"grammar: token {token} cannot follow ({reason})", param="grammar")
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
            raise SansiError(f"grammar: {_one_line(failure)}", param="grammar")

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


def _schema_lark(text: str) -> str:
    return f"start: %json {text}"


def _json(schema: Mapping[str, Any], lenient: bool) -> str:
    if not isinstance(schema, Mapping):
        raise SansiError(f"json_schema must be an object, not {schema!r:.80}", param="json_schema")
    options = {**JSON_OPTIONS, **({"lenient": True, "coerce_one_of": True} if lenient else {})}
    try:
        text = json.dumps({**schema, "x-guidance": options}, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SansiError(f"json_schema: not JSON ({error})", param="json_schema") from error
    _check_text(text, "json_schema")
    return text


def _tool_lark(
    tools: Mapping[str, str], start_id: int, end_id: int, choice: str, parallel: bool, text: str | None
) -> str:
    """tools: name -> schema of the arguments, as JSON text. text: the same of an answer without calls."""
    if choice not in ("auto", "required"):
        raise SansiError(f'tool choice must be "auto" or "required", not {choice!r}', param="tool_choice")
    calls = r'call ("\n" call)*' if parallel else "call"
    free = f"start: TEXT? | TEXT? {calls}" if text is None else f"start: text | {calls}\ntext: %json {text}"
    lines = [
        free if choice == "auto" else f"start: {calls}",
        rf'call: <[{start_id}]> "\n" ({" | ".join(f"tool_{i}" for i in range(len(tools)))}) "\n" <[{end_id}]>',
        r"TEXT: /(.|\n)+/",
    ]
    for i, (name, schema) in enumerate(tools.items()):
        head = json.dumps(f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": ', ensure_ascii=False)
        lines += [f'tool_{i}: {head} args_{i} "}}"', f"args_{i}: %json {schema}"]
    return "\n".join(lines)


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


def _one_line(message: str) -> str:
    message = " ".join(message.replace("<non-verbose/>", "").split())
    if message.startswith("NoExtension"):
        return "no text can match it"
    return message[:300] or "llguidance gives no reason"
