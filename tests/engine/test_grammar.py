"""Grammars: exactly what matches may come, only in the answer, and nothing hostile takes long."""

from __future__ import annotations

import json
import random
import re
import threading
import time

import jsonschema_rs
import numpy as np
import pytest
from engine_models import RandomModel
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.engine import Completion, Engine, SamplingParams, ThinkingLimits, ThinkingState
from sansi.engine import grammar as module
from sansi.engine.grammar import Grammar, GrammarCompiler, GrammarState
from sansi.engine.rehearsal import is_doubtful

PIECES = ['{"', '": ', '", "', "true", "null", "12", "name", "\n\n", '"}', "arguments"]
EOS, STOP, THINK, CLOSE, CALL, CALL_END = range(256 + len(PIECES), 262 + len(PIECES))
SPECIAL = (EOS, STOP, THINK, CLOSE, CALL, CALL_END)
BYTES = [bytes([i]) for i in range(256)] + [p.encode() for p in PIECES] + [b"<%d>" % i for i in SPECIAL]
BREAKS = 256 + PIECES.index("\n\n")

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    return GrammarCompiler(BYTES, EOS, SPECIAL)


def ids_of(text: str) -> list[int]:
    return list(text.encode())


def allowed(state: GrammarState) -> set[int]:
    mask = state.mask()
    assert mask is not None
    return set(np.flatnonzero(np.unpackbits(mask.view(np.uint8), count=len(BYTES), bitorder="little")).tolist())


def accepts(grammar: Grammar, ids: list[int]) -> bool:
    state = GrammarState(grammar, [STOP])
    for id_ in ids:
        if id_ not in allowed(state):
            return False
        state.push(id_)
    return STOP in allowed(state)


def drawn(grammar: Grammar, seed: int, most: int = 400) -> list[int] | None:
    """A random text of the grammar; None when it did not end in time."""
    draw, state, ids = random.Random(seed), GrammarState(grammar, [STOP]), []
    while len(ids) < most:
        choice = allowed(state)
        id_ = STOP if STOP in choice and draw.random() < 0.5 else draw.choice(sorted(choice))
        if id_ == STOP:
            return ids
        ids.append(id_)
        state.push(id_)
    return None


def text_of(ids: list[int]) -> str:
    return b"".join(BYTES[id_] for id_ in ids).decode()


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('{"name": "Ada", "age": 36}', True),
        ('{"name":"Ada","age":36}', True),
        ('{\n  "name": "Ada",\n  "age": 36\n}', True),
        ('{"name": "Ada", "age": 151}', False),
        ('{"name": "Ada"}', False),
        ('{"name": "Ada", "age": 36', False),
        ('{"name": "Ada", "age": 36} ', False),
        ('{"age": 36, "name": "Ada"}', False),  # properties keep the schema's order
        ('{"name": "Ada", "age": 36, "x": 1}', False),
        ('{  "name": "Ada", "age": 36}', False),  # white space is bounded
        ('{\n\n"name": "Ada", "age": 36}', False),
        ("Ada", False),
    ],
)
def test_json_schema(compiler, text, fits):
    assert accepts(compiler.json_schema(PERSON), ids_of(text)) == fits


def test_pieces_are_read_by_their_bytes(compiler):
    ids = [256, 262, *ids_of('": "A"'), *ids_of(', "age": '), 261, ord("}")]
    assert text_of(ids) == '{"name": "A", "age": 12}'
    assert accepts(compiler.json_schema(PERSON), ids)


schemas = st.recursive(
    st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"type": "integer", "minimum": -5, "maximum": 5},
            {"enum": ["red", "green", 7]},
            {"type": "string", "maxLength": 3},
            {"type": "string", "pattern": "^[a-c]{2}$"},
        ]
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner, "maxItems": st.integers(1, 3)}),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2).map(
            lambda p: {"type": "object", "properties": p, "required": sorted(p)[:1], "additionalProperties": False}
        ),
        st.lists(inner, min_size=1, max_size=2).map(lambda s: {"anyOf": s}),
    ),
    max_leaves=5,
)


@settings(max_examples=40)
@given(schemas, st.integers(0, 10**6))
def test_whatever_is_drawn_fits_the_schema(schema, seed):
    grammar = GrammarCompiler(BYTES, EOS, SPECIAL).json_schema(schema)
    ids = drawn(grammar, seed)
    if ids is not None:
        assert jsonschema_rs.is_valid(schema, json.loads(text_of(ids)))


@given(st.text(alphabet="ab", max_size=8))
def test_regex_matches_from_start_to_end(text):
    grammar = GrammarCompiler(BYTES, EOS, SPECIAL).regex("a+b?a")
    assert accepts(grammar, ids_of(text)) == bool(re.fullmatch("a+b?a", text))


def test_control_ids_are_in_no_text(compiler):
    assert not allowed(GrammarState(compiler.regex(r"(?s:.*)"), [])) & set(SPECIAL)


def test_a_stop_id_may_come_where_the_text_may_end_and_alone_where_it_must(compiler):
    state = GrammarState(compiler.regex("ab*c?"), [STOP])
    assert allowed(state) == {ord("a")}
    state.push(ord("a"))
    assert allowed(state) == {ord("b"), ord("c"), STOP} and not state.finished
    state.push(ord("c"))
    assert allowed(state) == {STOP} and state.finished


TOOLS = {
    "add": {
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/n"}},
        "required": ["x"],
        "additionalProperties": False,
        "$defs": {"n": {"type": "integer"}},
    },
    'odd "name" é': {"type": "object", "properties": {}, "additionalProperties": False, "not": {"required": ["z"]}},
}


def call(name: str, arguments: str) -> list[int]:
    return [
        CALL,
        *ids_of(f'\n{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": {arguments}}}\n'),
        CALL_END,
    ]


@pytest.mark.parametrize(
    ("ids", "auto", "required", "single"),
    [
        (call("add", '{"x": 3}'), True, True, True),
        (call('odd "name" é', "{}"), True, True, True),
        ([*call("add", '{"x": 3}'), 10, *call("add", '{"x": 4}')], True, True, False),
        ([*ids_of("I add.\n"), *call("add", '{"x": -3}')], True, False, False),
        (ids_of("No call."), True, False, False),
        ([], True, False, False),
        (call("add", '{"x": "3"}'), False, False, False),
        (call("subtract", '{"x": 3}'), False, False, False),
        (call("add", '{"x": 3}')[:-1], False, False, False),
        ([*call("add", '{"x": 3}'), *ids_of("text")], False, False, False),
        ([CALL, *ids_of("{}"), CALL_END], False, False, False),
    ],
)
def test_tool_calls(compiler, ids, auto, required, single):
    assert accepts(compiler.tool_calls(TOOLS, CALL, CALL_END), ids) == auto
    assert accepts(compiler.tool_calls(TOOLS, CALL, CALL_END, "required"), ids) == required
    assert accepts(compiler.tool_calls(TOOLS, CALL, CALL_END, "required", parallel=False), ids) == single


# ---- beside a thought ---------------------------------------------------------------------------------------------


def thinking(max_tokens: int = 50, **changes) -> ThinkingState:
    base = {"start_id": THINK, "end_ids": (CLOSE,), "end_sequence": (ord("."), CLOSE, BREAKS), "open": True}
    return ThinkingState(ThinkingLimits(**(base | changes)), [THINK], max_tokens)


def feed(state: GrammarState, thought: ThinkingState, sampled: list[int]) -> list[int]:
    """What comes out, as the engine tells the two of it."""
    out = []
    for token in sampled:
        token = thought.resolve(token)
        out.append(token)
        thought.push(token)
        state.push(token)
    return out


def test_thinking_is_free_and_the_answer_is_not(compiler):
    thought = thinking()
    state = GrammarState(compiler.regex("yes|no"), [STOP], thought)
    assert state.mask() is None
    feed(state, thought, ids_of("yes {"))
    assert state.mask() is None, "what the thought holds is not the grammar's"
    feed(state, thought, [CLOSE])
    assert allowed(state) == {ord("y"), ord("n"), BREAKS}, "the line breaks after a thought may come, once"
    feed(state, thought, [BREAKS])
    assert allowed(state) == {ord("y"), ord("n")}
    feed(state, thought, ids_of("no"))
    assert state.finished and allowed(state) == {STOP}


def test_a_forced_end_arms_the_grammar_after_its_line_breaks(compiler):
    thought = thinking(budget=2)
    state = GrammarState(compiler.regex("yes|no"), [STOP], thought)
    assert feed(state, thought, ids_of("abcde")) == [*ids_of("ab."), CLOSE, BREAKS]
    assert allowed(state) == {ord("y"), ord("n")}


def test_a_forced_closing_id_alone_arms_it_too(compiler):
    thought = thinking(budget=0, end_sequence=(CLOSE,))
    state = GrammarState(compiler.regex("yes|no"), [STOP], thought)
    assert feed(state, thought, ids_of("a")) == [CLOSE]
    assert allowed(state) == {ord("y"), ord("n")}


def test_a_thought_may_open_before_the_answer_and_not_inside_it(compiler):
    thought = thinking(open=False)
    state = GrammarState(compiler.regex("yes|no"), [STOP], thought)
    assert allowed(state) == {ord("y"), ord("n"), THINK}
    feed(state, thought, [THINK, *ids_of("hm"), CLOSE])
    assert allowed(state) == {ord("y"), ord("n"), BREAKS}
    thought = thinking(open=False)
    state = GrammarState(compiler.regex("yes|no"), [STOP], thought)
    feed(state, thought, ids_of("y"))
    assert allowed(state) == {ord("e")}


def test_where_thinking_is_forbidden_the_grammar_is_armed_at_once(compiler):
    state = GrammarState(compiler.regex("yes|no"), [STOP], thinking(open=False, budget=0))
    assert allowed(state) == {ord("y"), ord("n")}


# ---- drafts -------------------------------------------------------------------------------------------------------


def test_what_the_grammar_leaves_no_choice_about_is_known(compiler):
    state = GrammarState(compiler.regex("answer: [0-9]+!"), [STOP])
    assert text_of(state.forced(99)) == "answer: " and text_of(state.forced(3)) == "ans"
    assert state.possible(ids_of("answer: 12!?")) == len("answer: 12!")
    assert state.possible(ids_of("x")) == 0
    assert allowed(state) == {ord("a")}, "asking changes nothing"


def test_nothing_is_forced_inside_a_thought_or_where_one_may_open(compiler):
    grammar = compiler.regex("yes")
    assert GrammarState(grammar, [STOP], thinking()).forced(9) == []
    assert GrammarState(grammar, [STOP], thinking()).possible(ids_of("abc")) == 3
    assert GrammarState(grammar, [STOP], thinking(open=False)).forced(9) == []


# ---- in the engine ------------------------------------------------------------------------------------------------


class ByteModel(RandomModel):
    """Random logits over the vocabulary above."""

    def __init__(self, seed: int = 0):
        super().__init__(vocab_size=len(BYTES) + 20, context=64, seed=seed)  # 20 rows of padding, as many models have


def answer_of(completion: Completion) -> str:
    ids = [id_ for id_ in completion.ids if id_ != STOP]
    return text_of(ids[ids.index(CLOSE) + 1 :] if CLOSE in ids else ids).lstrip("\n")


@pytest.mark.parametrize("speculation", [0, 4])
def test_answers_of_a_whole_batch_fit_their_grammars(compiler, speculation):
    limits = ThinkingLimits(THINK, (CLOSE,), (ord("."), CLOSE, BREAKS), open=True, budget=6, answer_reserve=20)
    colours = compiler.json_schema({"enum": ["red", "green", "blue"]})
    cases = [
        (colours, None, lambda text: json.loads(text) in ("red", "green", "blue")),
        (colours, limits, lambda text: json.loads(text) in ("red", "green", "blue")),
        (compiler.regex("[0-9]{3}-[0-9]{2}"), limits, lambda text: re.fullmatch("[0-9]{3}-[0-9]{2}", text)),
        (None, limits, lambda text: True),
    ]
    params = [
        SamplingParams(
            temperature=1.0, seed=seed, max_tokens=40, stop_ids=(STOP,), grammar=grammar, thinking=thinking,
            speculation=speculation, presence_penalty=0.5,
        )
        for grammar, thinking, _ in cases
        for seed in range(6)
    ]  # fmt: skip
    with Engine(ByteModel(), max_batch=5) as engine:
        found = engine.generate([[THINK]] * len(params), params)
    for completion, p, (_, _, fits) in zip(found, params, [case for case in cases for _ in range(6)], strict=True):
        if p.grammar is not None and completion.thinking.end_reason != "stop":  # a model may stop inside its thought
            assert completion.finish_reason == "stop" and completion.ids[-1] == STOP
            assert fits(answer_of(completion)), text_of(list(completion.ids))


def test_tokens_that_run_out_inside_the_grammar_are_a_length(compiler):
    params = SamplingParams(temperature=0, max_tokens=5, stop_ids=(STOP,), grammar=compiler.regex("[a-z]{20}"))
    with Engine(ByteModel()) as engine:
        found = engine.generate([[1]], params)[0]
    assert (found.finish_reason, len(found.ids)) == ("length", 5) and answer_of(found).isalpha()


def test_without_stop_ids_a_complete_answer_ends_by_itself(compiler):
    params = SamplingParams(temperature=0, max_tokens=30, grammar=compiler.regex("yes|no"), speculation=4)
    with Engine(ByteModel()) as engine:
        found = engine.generate([[1]], params)[0]
    assert found.finish_reason == "stop" and answer_of(found) in ("yes", "no")


def test_a_grammar_that_fails_harms_only_its_request(compiler, monkeypatch):
    bad, good = compiler.regex("[a-z]{9}"), compiler.regex("[a-z]{8}")
    monkeypatch.setattr(bad, "matcher", lambda: Broken(good.matcher()))
    params = [SamplingParams(temperature=0, max_tokens=30, grammar=g, stop_ids=(STOP,)) for g in (bad, good, None)]
    with Engine(ByteModel()) as engine:
        results = [[], [], []]
        threads = [threading.Thread(target=lambda i=i: results[i].append(outcome(engine, params[i]))) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert isinstance(results[0][0], SansiError) and "time or memory" in str(results[0][0])
        assert len(answer_of(results[1][0])) == 8 and len(results[2][0].ids) > 0
        assert engine.metrics().failed == 1


def outcome(engine: Engine, params: SamplingParams) -> Completion | Exception:
    try:
        return engine.generate([[1]], params)[0]
    except Exception as error:
        return error


class Broken:
    """A matcher whose third token goes beyond its bounds."""

    def __init__(self, matcher):
        self._matcher, self._left = matcher, 2

    def __getattr__(self, name: str):
        return getattr(self._matcher, name)

    def consume_token(self, token: int) -> bool:
        return self.consume_tokens([token])

    def consume_tokens(self, tokens: list[int]) -> bool:
        self._left -= len(tokens)
        return self._left >= 0 and self._matcher.consume_tokens(tokens)

    def get_error(self) -> str:
        return "out of fuel"


def test_a_grammar_for_another_vocabulary_is_refused(compiler):
    with Engine(RandomModel(vocab_size=24)) as engine:
        for grammar in (compiler.regex("a"), "a"):
            with pytest.raises(SansiError, match="grammar") as error:
                engine.generate([[1]], SamplingParams(grammar=grammar))
            assert error.value.param == "grammar"


# ---- wrong and hostile input --------------------------------------------------------------------------------------


def deep(levels: int) -> dict:
    schema: dict = {"type": "null"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


CYCLE: dict = {"type": "array"}
CYCLE["items"] = CYCLE

WRONG = {
    "not a schema": (lambda c: c.json_schema("object"), "json_schema"),
    "unknown type": (lambda c: c.json_schema({"type": "strin"}), 'did you mean "string"'),
    "unsupported": (lambda c: c.json_schema({"type": "array", "uniqueItems": True}), "uniqueItems"),
    "impossible": (lambda c: c.json_schema({"type": "integer", "minimum": 5, "maximum": 3}), "nothing can fit"),
    "endless": (lambda c: c.json_schema({"$ref": "#"}), "nothing can fit"),
    "elsewhere": (lambda c: c.json_schema({"$ref": "http://nowhere.invalid/x"}), "nowhere"),
    "NaN": (lambda c: c.json_schema({"const": float("nan")}), "not JSON"),
    "cycle": (lambda c: c.json_schema(CYCLE), "not JSON"),
    "deep": (lambda c: c.json_schema(deep(5000)), "nested"),
    "wide": (lambda c: c.json_schema({"enum": [f"x{i}" for i in range(200_000)]}), "characters; at most 262144"),
    "large": (lambda c: c.regex("(abc|def)" * 25_000), "make it simpler"),
    "bad regex": (lambda c: c.regex("(a"), "unclosed group"),
    "look-around": (lambda c: c.regex("(?=a)b"), "look-around"),
    "no string": (lambda c: c.regex(None), "must be a string"),
    "no tools": (lambda c: c.tool_calls({}, CALL, CALL_END), "at least one tool"),
    "bad tool": (lambda c: c.tool_calls({"f": {"type": "strin"}}, CALL, CALL_END), 'did you mean "string"'),
    "bad choice": (lambda c: c.tool_calls(TOOLS, CALL, CALL_END, "maybe"), "tool choice"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_grammars_are_refused_with_a_reason_and_in_time(compiler, name):
    ask, reason = WRONG[name]
    start = time.perf_counter()
    with pytest.raises(SansiError, match=reason) as error:
        ask(compiler)
    assert error.value.param and time.perf_counter() - start < 2 * module.COMPILE_SECONDS


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("((a{1000}){1000}){1000}", "a" * 300),
        ("(a|b)*a(a|b){200}", "ab" * 150),
        (".*(a|b).{300}(c|d).{300}e.*", "abcde" * 60),
        ("(.*a.{100}){50}b", "ab" * 150),
        (r"(\p{L}{1,500}\p{N}{1,500}){1,300}", "a1" * 150),
    ],
)
def test_no_step_of_a_hostile_expression_takes_long(compiler, pattern, text):
    """It may end in an error, but soon."""
    start, longest = time.perf_counter(), 0.0
    try:
        state = GrammarState(compiler.regex(pattern), [STOP])
        for id_ in ids_of(text):
            assert id_ in allowed(state)
            state.forced(8)
            state.push(id_)
            now = time.perf_counter()
            start, longest = now, max(longest, now - start)
    except SansiError:
        pass
    assert max(longest, time.perf_counter() - start) < 1


def test_the_clock_ends_what_the_bounds_do_not(compiler, monkeypatch):
    monkeypatch.setattr(module, "COMPILE_SECONDS", 0.05)
    monkeypatch.setattr(GrammarCompiler, "_compile", lambda *_: time.sleep(0.5))
    with pytest.raises(SansiError, match="longer than"):
        compiler.regex("slow")


def expressions(count: int) -> dict:
    """A string that matches `count` expressions at once; eight take llguidance 10 ms, sixteen minutes and gigabytes."""
    return {"type": "string", "allOf": [{"pattern": f".*a.{{{n}}}b.*"} for n in range(1, count + 1)]}


def test_what_no_bound_of_llguidance_sees_is_ended_and_takes_nobodys_place(monkeypatch):
    compiler = GrammarCompiler(BYTES, EOS, SPECIAL)
    hostile = {"type": "object", "properties": {"name": expressions(16)}}
    monkeypatch.setattr(module, "COMPILE_SECONDS", 0.4)
    for _ in range(module.COMPILING_AT_ONCE + 1):
        with pytest.raises(SansiError, match="longer than") as error:
            compiler.json_schema(hostile)
        assert error.value.param == "json_schema"
    with pytest.raises(SansiError, match="longer than") as error:
        compiler.tool_calls({"good": {"type": "object"}, "bad": hostile}, CALL, CALL_END)
    assert error.value.param == "tools"
    monkeypatch.undo()
    assert not [thread for thread in threading.enumerate() if thread.name == "sansi-grammar"], "a compilation goes on"
    state = GrammarState(compiler.regex("yes"))
    assert allowed(state)


def test_what_had_a_rehearsal_compiles_as_what_had_none(compiler, monkeypatch):
    text = {"type": "string", "anyOf": [{"pattern": "^[ab]+$"}, {"pattern": "^c$"}]}
    schema = {"type": "object", "properties": dict.fromkeys("xy", text)}
    schema = {**schema, "required": ["x", "y"], "additionalProperties": False}
    first = compiler.json_schema(schema)
    monkeypatch.setattr("sansi.engine.rehearsal.sys.executable", "/no/such/program")
    second = GrammarCompiler(BYTES, EOS, SPECIAL).json_schema(schema)
    for grammar in (first, second):
        state = GrammarState(grammar, [STOP])
        for id_ in ids_of('{"x": "ab", "y": "b"}'):
            assert id_ in allowed(state)
            state.push(id_)
        assert state.accepting
    with pytest.raises(SansiError, match="nothing can"):  # a rehearsal leaves errors to what follows
        compiler.json_schema({"type": "string", "allOf": [{"pattern": "^a$"}, {"pattern": "^b$"}]})


@pytest.mark.parametrize(
    ("schema", "doubtful"),
    [
        (PERSON, False),
        ({"properties": {"day": {"format": "date"}, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}}}, False),
        ({"properties": {"day": {"format": "date"}, "zip": {"allOf": [{"pattern": "^[0-9]{5}$"}]}}}, True),
        ({"allOf": [{"pattern": "a"}, {"pattern": "b"}]}, True),
        ({"patternProperties": {"^a": {"type": "integer"}}}, True),
        ({"propertyNames": {"pattern": "^a"}}, True),
    ],
)
def test_few_schemas_need_a_rehearsal(schema, doubtful):
    assert is_doubtful(json.dumps(schema)) is doubtful


def test_who_waits_too_long_for_others_is_told_so(monkeypatch):
    compiler = GrammarCompiler(BYTES, EOS, SPECIAL)
    monkeypatch.setattr(module, "COMPILE_SECONDS", 0.05)
    for _ in range(module.COMPILING_AT_ONCE):
        compiler._slots.acquire()
    with pytest.raises(SansiError, match="other grammars"):
        compiler.regex("yes")


def test_what_is_no_text_is_refused(compiler):
    half = "\ud800"
    tools = {half: {"type": "object"}}
    for ask in (
        lambda: compiler.regex(half),
        lambda: compiler.json_schema({"const": half}),
        lambda: compiler.tool_calls(tools, CALL, CALL_END),
    ):
        with pytest.raises(SansiError, match="surrogate"):
            ask()


def test_a_compilation_that_breaks_is_not_called_slow(monkeypatch):
    class Panic(BaseException):
        pass

    def panics(*_):
        raise Panic("at the parser")

    compiler = GrammarCompiler(BYTES, EOS, SPECIAL)
    monkeypatch.setattr(compiler, "_compile", panics)
    with pytest.raises(SansiError, match="cannot be compiled"):
        compiler.regex("a")


def test_the_latest_grammars_are_kept(compiler, monkeypatch):
    monkeypatch.setattr(module, "MAX_CACHED", 2)
    compiler = GrammarCompiler(BYTES, EOS, SPECIAL)
    first, second = compiler.regex("a"), compiler.regex("b")
    assert compiler.regex("a") is first
    compiler.regex("c")  # b was used longest ago
    assert compiler.regex("a") is first and compiler.regex("b") is not second


def test_requests_that_share_a_grammar_do_not_use_up_its_bounds(monkeypatch):
    """llguidance counts lexer states over all copies of a matcher; a long-lived grammar must not die of that."""
    monkeypatch.setitem(module.LIMITS, "max_lexer_states", 600)
    grammar = GrammarCompiler(BYTES, EOS, SPECIAL).regex("(a|b)*a(a|b){12}c")
    draw = random.Random(0)
    for _ in range(60):
        state = GrammarState(grammar, [STOP])
        for _ in range(20):
            assert allowed(state) >= set(b"ab")
            state.push(draw.choice(b"ab"))
