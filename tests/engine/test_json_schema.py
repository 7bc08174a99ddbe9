"""Grammars of JSON schemas: what they let a model write fits, can be read, is spelled well, and comes to an end."""

from __future__ import annotations

import json
import random
import re

import jsonschema_rs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.engine.grammar import MAX_CALLS, Grammar, GrammarCompiler
from sansi.engine.json_schema import Unsupported
from sansi.engine.json_schema.alternatives import Alternatives
from sansi.engine.json_schema.numbers import Multiples, NotHeld, Range, range_of, written

END, CALL, CALL_END = 256, 257, 258
BYTES = [bytes([i]) for i in range(256)] + [b"<end>", b"<call>", b"</call>"]
INT, STR = {"type": "integer"}, {"type": "string"}


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    return GrammarCompiler(BYTES, END, (CALL, CALL_END))


def allows(grammar: Grammar, text: str) -> bool:
    return allows_ids(grammar, list(text.encode()))


def allows_ids(grammar: Grammar, ids: list[int]) -> bool:
    matcher = grammar.matcher()
    return matcher.validate_tokens(ids) == len(ids) and matcher.consume_tokens(ids) and matcher.is_accepting()


def call(arguments: str, name: str = "f") -> list[int]:
    return [CALL, *f'\n{{"name": "{name}", "arguments": {arguments}}}\n'.encode(), CALL_END]


def drawn(grammar: Grammar, draw: random.Random, most: int = 200) -> str | None:
    """A random text; None where it did not end in time. Brackets are closed more often than not."""
    matcher, out = grammar.matcher(), bytearray()
    while len(out) < most:
        mask = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint32)
        ids = np.flatnonzero(np.unpackbits(mask.view(np.uint8), count=len(BYTES), bitorder="little")).tolist()
        if END in ids and (len(ids) == 1 or draw.random() < 0.6):
            return out.decode()
        ids = [i for i in ids if i < 128] or ids  # characters of several bytes are as good as any other
        closing = [i for i in ids if i in b'"]}']
        id_ = draw.choice(closing if closing and draw.random() < 0.4 else ids)
        out.append(id_)
        matcher.consume_token(id_)
        if matcher.is_stopped():
            return out.decode()
    return None


# ---- closed objects -----------------------------------------------------------------------------------------------

A = {"type": "object", "properties": {"a": INT}, "required": ["a"]}
B = {"type": "object", "properties": {"b": INT}, "required": ["b"]}

CLOSED = [
    (A, ['{"a": 1}'], ['{"a": 1, "b": 2}']),
    ({"properties": {"a": INT}}, ['{"a": 1}', "{}", "7"], ['{"b": 1}']),
    ({"type": "object", "properties": {}}, ["{}"], ['{"b": 1}']),
    ({"type": "object", "properties": {"o": A}}, ['{"o": {"a": 1}}'], ['{"o": {"a": 1, "b": 2}}']),
    ({"type": "array", "items": A}, ['[{"a": 1}]'], ['[{"a": 1, "b": 2}]']),
    ({"type": "array", "prefixItems": [A]}, ['[{"a": 1}]'], ['[{"a": 1, "b": 2}]']),
    ({"anyOf": [A, B]}, ['{"a": 1}', '{"b": 1}'], ['{"a": 1, "b": 2}']),
    ({"$ref": "#/$defs/A", "$defs": {"A": A}}, ['{"a": 1}'], ['{"a": 1, "b": 2}']),
    ({"type": "object", "$ref": "#/$defs/A", "$defs": {"A": A}}, ['{"a": 1}'], ['{"a": 1, "b": 2}']),
    ({"allOf": [{"$ref": "#/$defs/A"}], "description": "", "$defs": {"A": A}}, ['{"a": 1}'], ['{"a": 1, "b": 2}']),
    ({"type": "object", "additionalProperties": A}, ['{"x": {"a": 1}}'], ['{"x": {"a": 1, "b": 2}}']),
    ({**A, "not": False, "title": "t"}, ['{"a": 1}'], ['{"a": 1, "b": 2}']),
    # a name that is required is one of the object's, though nothing describes it
    (
        {"properties": {"a": INT}, "required": ["z"]},
        ['{"z": [1]}', '{"a": 1, "z": 2}'],
        ['{"a": 1}', '{"z": 1, "b": 1}'],
    ),
]
OPEN = [
    ({"type": "object"}, ["{}", '{"b": [1, {"c": null}]}']),
    ({**A, "additionalProperties": True}, ['{"a": 1, "b": 2}']),
    ({**A, "additionalProperties": INT}, ['{"a": 1, "b": 2}']),
    ({**A, "patternProperties": {"^x": INT}}, ['{"a": 1, "x1": 2}', '{"a": 1, "b": "any"}']),
    ({**A, "unevaluatedProperties": INT}, ['{"a": 1, "b": 2}']),
    ({**A, "unevaluatedProperties": True}, ['{"a": 1, "b": "any"}']),
    # parts that must hold together
    ({"allOf": [A, B]}, ['{"a": 1, "b": 2}', '{"a": 1, "b": 2, "c": 3}']),
    ({**A, "allOf": [B]}, ['{"a": 1, "b": 2}']),
    ({**A, "$ref": "#/$defs/B", "$defs": {"B": B}}, ['{"a": 1, "b": 2}']),
    ({**A, "anyOf": [B, {"type": "object"}]}, ['{"a": 1, "b": 2}']),
    ({**A, "oneOf": [B]}, ['{"a": 1, "b": 2}']),
    ({"allOf": [{"properties": {"o": A}}, {"properties": {"o": B}}]}, ['{"o": {"a": 1, "b": 2}}']),
    ({"type": "object", "allOf": [A, {"required": ["c"]}]}, ['{"a": 1, "c": 2}']),
    # closed, too few properties would be left
    ({"type": "object", "properties": {"a": INT}, "minProperties": 2}, ['{"a": 1, "b": 2}']),
]


@pytest.mark.parametrize(("schema", "good", "bad"), CLOSED)
def test_an_object_gets_the_properties_that_it_lists(compiler, schema, good, bad):
    for strict in (True, False):
        grammar = compiler.json_schema(schema, lenient=not strict)
        assert all(allows(grammar, text) for text in good) and not any(allows(grammar, text) for text in bad)


@pytest.mark.parametrize(("schema", "texts"), OPEN)
def test_an_object_that_says_more_of_others_stays_open(compiler, schema, texts):
    grammar = compiler.json_schema(schema)
    for text in texts:
        assert allows(grammar, text) and jsonschema_rs.is_valid(schema, json.loads(text)), text


def test_properties_that_nothing_evaluated_are_those_of_no_part(compiler):
    schema = {"allOf": [A, {"anyOf": [B, {"required": ["a"]}]}], "unevaluatedProperties": False}
    grammar = compiler.json_schema(schema)
    assert allows(grammar, '{"a": 1}') and allows(grammar, '{"a": 1, "b": 2}')
    assert not allows(grammar, '{"a": 1, "b": 2, "c": 3}')


def test_a_key_has_one_spelling_and_a_declared_one_comes_once(compiler):
    schema = {"type": "object", "properties": {"x": STR}, "required": ["x"], "additionalProperties": INT}
    grammar = compiler.json_schema(schema)
    assert allows(grammar, '{"x": "a", "y": 1}') and allows(grammar, r'{"x": "a", "C:\\d\n": 1}')
    assert not allows(grammar, r'{"x": "a", "\u0078": 1}') and not allows(grammar, '{"x": "a", "x": 1}')
    patterned = {"type": "object", "properties": {"x": STR}, "patternProperties": {"^[xy]": INT}}
    grammar = compiler.json_schema({**patterned, "properties": {"x": INT}})
    assert allows(grammar, '{"x": 1, "y": 2}') and not allows(grammar, r'{"x": 1, "\u0078": 2}')
    with pytest.raises(SansiError, match="nothing"):
        compiler.json_schema({**patterned, "required": ["x"]})


@pytest.mark.parametrize(
    ("keywords", "good", "bad"),
    [
        ({"minProperties": 2}, ['{"a": 1, "c": 1}', '{"a": 1, "b": 1, "c": 1}'], ["{}", '{"b": 1}']),
        ({"maxProperties": 1}, ["{}", '{"c": 1}'], ['{"a": 1, "c": 1}']),
        ({"minProperties": 1, "maxProperties": 2, "required": ["b"]}, ['{"b": 1}', '{"a": 1, "b": 1}'], ['{"a": 1}']),
        ({"additionalProperties": INT, "minProperties": 4}, ['{"a": 1, "b": 1, "c": 1, "d": 1}'], ['{"a": 1, "d": 1}']),
        ({"additionalProperties": INT, "maxProperties": 1}, ['{"d": 1}', '{"a": 1}'], ['{"a": 1, "d": 1}']),
    ],
)
def test_properties_are_counted(compiler, keywords, good, bad):
    grammar = compiler.json_schema({"type": "object", "properties": dict.fromkeys("abc", INT), **keywords})
    assert all(allows(grammar, text) for text in good) and not any(allows(grammar, text) for text in bad)


EMPTY = {"type": "object"}


@pytest.mark.parametrize(
    ("keywords", "good", "bad"),
    [
        (
            {"propertyNames": {"enum": ["a", "b"]}, "additionalProperties": INT},
            ["{}", '{"a": 1, "b": 2}'],
            ['{"c": 1}'],
        ),
        ({"propertyNames": {"$ref": "#/$defs/C"}, "$defs": {"C": {"const": "r"}}}, ['{"r": "x"}'], ['{"x": 1}']),
        ({"propertyNames": {"pattern": "^x"}}, ['{"x1": null}'], ['{"y": 1}']),
        ({"propertyNames": {"minLength": 1, "maxLength": 2}}, ['{"xy": 1}'], ['{"xyz": 1}', '{"": 1}']),
        ({"propertyNames": {"maxLength": 2}, "properties": {"abc": INT, "a": INT}}, ['{"a": 1}'], ['{"abc": 1}']),
        ({"propertyNames": False}, ["{}"], ['{"q": 1}']),
        ({"propertyNames": {"enum": ["a"]}, "required": ["a"]}, ['{"a": 1}'], ["{}"]),
        (
            {"propertyNames": {"pattern": "^x"}, "patternProperties": {"y$": INT}},
            ['{"xy": 1, "xz": "any"}'],
            ['{"xy": "any"}', '{"ay": 1}'],
        ),
    ],
)
def test_names_of_properties_are_held(compiler, keywords, good, bad):
    grammar = compiler.json_schema({**EMPTY, **keywords})
    assert all(allows(grammar, text) for text in good) and not any(allows(grammar, text) for text in bad)


# ---- spelling -----------------------------------------------------------------------------------------------------

PAIR = {"type": "object", "properties": {"a": INT, "l": {"type": "array", "items": INT}}}


def test_calls_are_written_as_models_are_trained_to_write_them(compiler):
    grammar = compiler.tool_calls({"f": PAIR}, CALL, CALL_END, "required")
    value = {"a": 1, "l": [2, 3]}
    assert allows_ids(grammar, call(json.dumps(value))) and allows_ids(grammar, call("{}"))
    for text in (
        '{"a":1}',
        '{"a" : 1}',
        '{ "a": 1}',
        '{"a": 1 }',
        '{"a": 1,"l": []}',
        '{"a":  1}',
        '{\n"a": 1}',
        "{ }",
    ):
        assert not allows_ids(grammar, call(text)), text


def test_strings_in_calls_have_the_escapes_that_they_need(compiler):
    grammar = compiler.tool_calls({"f": {"properties": {"s": STR}}}, CALL, CALL_END, "required")
    for value in ("é 中 🙂 /", 'a"\\\n\t', "\x00\x1f\x7f"):
        assert allows_ids(grammar, call(json.dumps({"s": value}, ensure_ascii=False))), value
    assert allows_ids(grammar, call(r'{"s": "\n\u0301"}')), "as the template has a mark that would join the n"
    for text in (r'"\u00e9"', r'"\u0041"', r'"\/"', r'"\ud83d"', '"\n"'):
        assert not allows_ids(grammar, call(f'{{"s": {text}}}')), text
    assert allows(compiler.json_schema(STR), r'"\u00e9\ud83d\ude42"') and not allows(
        compiler.json_schema(STR), r'"\ud83d"'
    )


def test_constants_in_calls_are_written_so_too(compiler):
    value = {"k": [1, {"é": "x"}]}
    grammar = compiler.tool_calls({"f": {"properties": {"c": {"const": value}}}}, CALL, CALL_END, "required")
    assert allows_ids(grammar, call(json.dumps({"c": value}, ensure_ascii=False)))


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('{"a": 1, "l": [2, 3]}', True),
        ('{"a":1,"l":[2,3]}', True),
        (json.dumps({"a": 1, "l": [2, 3]}, indent=2), True),
        (json.dumps({"a": 1, "l": [2, 3]}, indent="\t"), True),
        ('{ "a": 1, "l": [ 2, 3 ] }', True),
        ('{"a" : 1}', False),
        ('{"a": 1 , "l": []}', False),
        ('{"a":  1}', False),
        ('{"a":\n1}', False),
        ('{\n\n"a": 1}', False),
        ('{  "a": 1}', False),
        ('{"a": 1,\n' + " " * 25 + '"l": []}', False),
        (' {"a": 1}', False),
        ('{"a": 1}\n', False),
    ],
)
def test_formats_may_be_pretty_and_not_wild(compiler, text, good):
    assert allows(compiler.json_schema(PAIR), text) is good


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"description": "d"},
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"properties": {"a": INT}, "required": ["a"]},
        {"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": INT}, "required": ["a"]}}},
        {"anyOf": [{"properties": {"a": INT}, "required": ["a"]}, {"type": "null"}]},
        {"oneOf": [A]},
        {"allOf": [{"required": ["a"]}, {"properties": {"a": INT}}]},
        {"type": ["object", "null"], "properties": {"a": INT}},
    ],
)
def test_the_arguments_of_a_call_are_an_object_whatever_the_schema_says(compiler, schema):
    grammar = compiler.tool_calls({"f": schema}, CALL, CALL_END, "required")
    assert allows_ids(grammar, call('{"a": 1}'))
    assert not any(allows_ids(grammar, call(text)) for text in ("5", '"x"', "null", "[]", "true"))


def test_no_object_can_be_written_where_none_fits(compiler):
    with pytest.raises(SansiError, match="no object can fit") as error:
        compiler.tool_calls({"f": {"$ref": "#/$defs/n", "$defs": {"n": INT}}}, CALL, CALL_END)
    assert error.value.param == "tools.f"


def test_calls_of_one_turn_are_bounded(compiler):
    grammar = compiler.tool_calls({"f": PAIR}, CALL, CALL_END, "required")
    one = call("{}")
    many = [id_ for _ in range(MAX_CALLS) for id_ in (*one, 10)][:-1]
    assert allows_ids(grammar, many) and not allows_ids(grammar, [*many, 10, *one])


# ---- numbers ------------------------------------------------------------------------------------------------------

BIG = 1234567890123456789


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"enum": [BIG]}, [str(BIG)], ["1234567890123456768", "1234567890123456788"]),
        ({"const": 2**53 + 1}, ["9007199254740993"], ["9007199254740992"]),
        ({"const": 10**40 + 1}, [str(10**40 + 1)], [str(10**40)]),
        ({"enum": [[BIG], {"id": BIG}]}, [f"[{BIG}]", f'{{"id": {BIG}}}'], ["[1234567890123456768]"]),
        ({"type": "array", "items": {"enum": [2**63]}}, [f"[{2**63}]"], [f"[{2**63 + 1}]"]),
        ({**INT, "minimum": BIG, "maximum": BIG}, [str(BIG)], [str(BIG - 1), str(BIG + 1)]),
        ({**INT, "minimum": -(2**63), "maximum": 2**63 - 1}, [str(-(2**63)), "0", str(2**63 - 1)], [str(2**63)]),
        ({**INT, "exclusiveMinimum": 2**53, "exclusiveMaximum": 2**53 + 2}, [str(2**53 + 1)], [str(2**53)]),
        ({**INT, "minimum": 10**19}, [str(10**19), str(10**25)], [str(10**19 - 1), "5"]),
        ({**INT, "maximum": 1e308}, ["5", "-5"], ["5.5"]),
        ({**INT, "minimum": 2.5, "maximum": 3.5}, ["3"], ["2", "4"]),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, ["0.5", "0.001"], ["0", "0.0", "-0", "0.51"]),
        ({"type": "number", "minimum": -0.5, "exclusiveMaximum": 0}, ["-0.5", "-0.25"], ["0", "-0", "-0.0", "-0.6"]),
        ({"type": "number", "exclusiveMinimum": 0.1}, ["0.2", "7"], ["0.1", "0.10", "0.1000000000000000001"]),
        ({"type": "number", "minimum": -1.7976931348623157e308}, ["-1e300", "2"], ["1e309"]),
        ({"type": "number", "minimum": 0}, ["0", "1e5", "2.5E-7"], ["-1", "-0.1"]),
        ({"type": "number", "multipleOf": 0.01}, ["4.35", "-1"], ["0.001"]),
        ({"type": "number", "multipleOf": 0.25, "maximum": 1}, ["0.75", "-12.25"], ["0.3", "1.25"]),
        ({**INT, "multipleOf": 7, "minimum": 10**14}, [str(10**14 + 5)], [str(10**14 + 6), "7"]),
        ({**INT, "multipleOf": 7, "minimum": 0, "maximum": 50}, ["0", "49"], ["50", "56", "-7"]),
        ({**INT, "allOf": [{"multipleOf": 4}, {"multipleOf": 6}], "maximum": 40, "minimum": 1}, ["12", "36"], ["4"]),
        ({"type": "number", "minimum": 3, "exclusiveMinimum": True}, ["3.5"], ["3"]),  # as draft 4 has it
    ],
)  # fmt: skip
def test_numbers_are_exact(compiler, schema, good, bad):
    grammar = compiler.json_schema(schema)
    assert [text for text in good if not allows(grammar, text)] == []
    assert [text for text in bad if allows(grammar, text)] == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "number", "multipleOf": 0.07},
        {**INT, "multipleOf": 2**33 + 1},
        {**INT, "multipleOf": 7, "minimum": 10**20},
        {**INT, "minimum": 10**500},
    ],
)
def test_bounds_that_cannot_be_held_are_refused_or_left_out(compiler, schema):
    with pytest.raises(Unsupported, match="cannot be enforced"):
        compiler.json_schema(schema)
    assert allows(compiler.json_schema(schema, lenient=True), str(10**21))


def test_every_number_that_is_written_can_be_read(compiler):
    for grammar in (compiler.json_schema({}), compiler.json_schema({"type": "number"})):
        for text in ("1e999", "-57211E4300", "5E+666", "9" * 4001, "0." + "1" * 99, "1e308", "12e305"):
            assert not allows(grammar, text), text
        for text in ("6.02214076e23", "1e-9", "1E+307", "-1.5e-300", "25", "0.1", "1e05", "1" * 60):
            assert allows(grammar, text), text


bounds = st.one_of(st.integers(-30, 30), st.integers(-(10**25), 10**25), st.floats(-50, 50).map(lambda x: round(x, 3)))
ranges = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), bounds),
        "multipleOf": st.sampled_from([1, 2, 5, 7, 100, 0.5, 0.1, 0.25, 1.5]),
    },
)


@settings(max_examples=150)
@given(ranges, st.data())
def test_what_matches_a_range_is_in_it(schema, data):
    try:
        expression = written(range_of(schema).within(Range(whole=schema["type"] == "integer")))
    except NotHeld:
        return
    if isinstance(expression, Multiples):
        return  # the compiler's own; see the test above
    near = [value for key, value in schema.items() if key != "type"]
    value = data.draw(st.sampled_from(near or [0])) + data.draw(st.sampled_from([0, 1, -1, 0.1, -0.1, 0.001, 1e-9]))
    texts = [str(value), f"{value:.3f}", f"{value:.0f}", "0", "-0", "-0.0", "1e1"]
    for text in texts:
        if expression is not None and re.fullmatch(expression, text, re.ASCII):
            assert jsonschema_rs.is_valid(schema, json.loads(text)), (schema, text)


# ---- references, and what cannot be held ---------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "most", "text"), [("string", "maxLength", '"a"'), ("array", "maxItems", "[1, 2]")])
def test_bounds_that_no_text_comes_to_bind_nothing(compiler, kind, most, text):
    for bound in (10**7, 2**31, 2**63, 10**30):
        assert allows(compiler.json_schema({"type": kind, most: bound}), text)


def test_a_schema_may_refer_to_itself(compiler):
    node = {"type": "object", "properties": {"v": INT, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}
    grammar = compiler.json_schema({**node, "required": ["v", "next"]})
    assert allows(grammar, '{"v": 1, "next": {"v": 2, "next": null}}') and not allows(grammar, '{"v": 1, "next": {}}')


def test_what_would_have_no_end_is_never_begun(compiler):
    endless = {"type": "object", "properties": {"n": {"$ref": "#/$defs/e"}}, "required": ["n"]}
    with pytest.raises(SansiError, match="nothing can fit"):
        compiler.json_schema({"$ref": "#/$defs/e", "$defs": {"e": endless}})
    grammar = compiler.json_schema({"anyOf": [{"$ref": "#/$defs/e"}, INT], "$defs": {"e": endless}})
    assert allows(grammar, "1") and not grammar.matcher().consume_tokens(list(b"{"))
    a = {"anyOf": [{"properties": {"b": {"$ref": "#/$defs/b"}}, "required": ["b"], "type": "object"}, {"type": "null"}]}
    b = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}
    grammar = compiler.json_schema({"$ref": "#/$defs/a", "$defs": {"a": a, "b": b}})
    assert allows(grammar, '{"b": {"a": {"b": {"a": null}}}}') and not allows(grammar, '{"b": null}')


def test_constants_are_those_that_fit_their_expression(compiler):
    grammar = compiler.json_schema({"enum": ["ab", "cd", 1], "pattern": "^a"})
    assert allows(grammar, '"ab"') and allows(grammar, "1") and not allows(grammar, '"cd"')
    looking = {"enum": ["ab", "cd"], "pattern": "(?=a)ab"}
    with pytest.raises(Unsupported, match="pattern"):
        compiler.json_schema(looking)
    assert allows(compiler.json_schema(looking, lenient=True), '"ab"')
    named = {"type": "object", "properties": {"a": INT}, "patternProperties": {"(?!a)b": STR}, "required": ["a"]}
    assert allows(compiler.json_schema(named, lenient=True), '{"a": 1}')


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"properties": {"p": {"oneOf": [INT, {"type": "number"}]}}}, "properties.p"),
        ({"properties": {"p": {"type": "array", "items": {"uniqueItems": True}}}}, "properties.p.items"),
        ({"anyOf": [INT, {"type": "string", "pattern": "(?=a)b"}]}, r"anyOf\[1\]"),
        ({"$defs": {"x": {"type": "string", "format": "odd"}}, "$ref": "#/$defs/x"}, "defs.x"),
        ({"properties": {"p": {"patternProperties": {r"(a)\1": {}}}}}, "properties.p"),
        ({"properties": {"p": {"if": {}, "then": {}}}}, "properties.p"),
        ({"properties": {"p": {"type": "string", "minLength": 10**12}}}, "properties.p"),
        ({"properties": {"p": {"type": "array", "minItems": 10**30}}}, "properties.p"),
        ({"properties": {"p": {"propertyNames": {"format": "uuid"}}}}, "properties.p"),
        ({"properties": {"p": {"propertyNames": {"pattern": "(?=a)"}}}}, "properties.p.propertyNames"),
        ({"properties": {"p": {"type": "string", "pattern": "a^b|(?!c)"}}}, "properties.p"),
    ],
)
def test_what_cannot_be_held_is_named_where_it_stands_or_left_out(compiler, schema, where):
    with pytest.raises(Unsupported, match=f"at .*{where}: .* cannot be enforced") as error:
        compiler.json_schema(schema)
    assert not re.search(r"llguidance|x-guidance|lenient|coerce|start:", str(error.value))
    assert compiler.json_schema(schema, lenient=True)


def test_options_of_a_oneof_that_exclude_each_other_are_held(compiler):
    kinds = [{"properties": {"kind": {"const": kind}, kind: INT}, "required": ["kind"]} for kind in ("a", "b")]
    grammar = compiler.json_schema({"type": "object", "oneOf": kinds})
    assert allows(grammar, '{"kind": "a", "a": 1}') and not allows(grammar, '{"kind": "a", "b": 1}')
    assert allows(compiler.json_schema({"oneOf": [{**INT, "maximum": 3}, {**INT, "minimum": 4}]}), "4")


# ---- anything -----------------------------------------------------------------------------------------------------

NAMES = ["a", "b", "x-c", 'q"', "é"]
leaves = st.one_of(
    ranges,
    st.sampled_from([True, {}, {"description": "x"}, {"maxLength": 2}, {"minimum": 3}, {"$ref": "#/$defs/P"}]),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.integers(0, 2),
            "maxLength": st.integers(0, 4),
            "pattern": st.sampled_from(["^a", "b$"]),
        },
    ),
    st.lists(st.sampled_from([1, "a", None, True, [1], {"a": 1}, 2**60, 0.5]), min_size=1, max_size=3).map(
        lambda values: {"enum": values}
    ),
)
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)},
            optional={
                "type": st.just("object"),
                "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
                "additionalProperties": st.sampled_from([False, True, INT]),
                "patternProperties": st.dictionaries(st.sampled_from(["^x-", "a"]), inner, max_size=1),
                "minProperties": st.integers(0, 2),
                "maxProperties": st.integers(1, 3),
                "unevaluatedProperties": st.sampled_from([False, INT]),
                "propertyNames": st.sampled_from([{"enum": ["a", "é"]}, {"pattern": "^a|c"}, {"maxLength": 1}]),
                "allOf": st.lists(inner, min_size=1, max_size=2),
                "anyOf": st.lists(inner, min_size=1, max_size=2),
            },
        ),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner, "maxItems": st.integers(0, 3)},
            optional={"minItems": st.integers(0, 2), "prefixItems": st.lists(inner, min_size=1, max_size=2)},
        ),
        st.sampled_from(["anyOf", "oneOf", "allOf"]).flatmap(
            lambda key: st.lists(inner, min_size=1, max_size=3).map(lambda parts: {key: parts})
        ),
    ),
    max_leaves=8,
)
values = st.recursive(
    st.sampled_from([0, 1, 5, 0.5, "", "a", "ab", None, True, 2**60]),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)),
    max_leaves=4,
)


@settings(max_examples=80)
@given(schemas, leaves, st.integers(0, 10**6), st.lists(values, min_size=5, max_size=5))
def test_whatever_is_written_fits_and_what_can_be_fitted_can_be_written(compiler, schema, part, seed, some):
    whole = {
        **(schema if isinstance(schema, dict) else {}),
        "$defs": {"P": part if part != {"$ref": "#/$defs/P"} else {}},
    }
    validator = jsonschema_rs.validator_for(whole)
    try:
        grammar = compiler.json_schema(whole)
    except Unsupported:
        return
    except SansiError as error:
        assert "nothing can" in str(error) and not any(map(validator.is_valid, some)), whole
        return
    for number in range(3):
        text = drawn(grammar, random.Random(seed + number))
        if text is not None:
            assert validator.is_valid(json.loads(text)), (whole, text)


def test_long_lists_are_no_combinations(compiler):
    names = [f"item number {i}" for i in range(8000)]
    grammar = compiler.json_schema({"properties": {"n": {"enum": names, "type": "string", "minLength": 3}}})
    assert allows(grammar, '{"n": "item number 7999"}') and not allows(grammar, '{"n": "item number 8000"}')
    kinds = [{"properties": {"kind": {"const": name}, "n": INT}, "required": ["kind"]} for name in names[:60]]
    assert allows(compiler.json_schema({"type": "object", "oneOf": kinds}), '{"kind": "item number 7", "n": 1}')


def test_combinations_that_grow_without_end_are_refused(compiler):
    both = {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    with pytest.raises(SansiError, match="make it simpler"):
        compiler.json_schema({"type": "object", "allOf": [both] * 40})


KEYWORDS = (
    *("type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties", "items"),
    *("prefixItems", "additionalItems", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format"),
    *("minimum", "exclusiveMaximum", "multipleOf", "allOf", "anyOf", "oneOf", "not", "if", "then", "$ref", "$id"),
    *("$defs", "$anchor", "unevaluatedProperties", "unevaluatedItems", "uniqueItems", "contains", "minProperties"),
    *("propertyNames", "dependentRequired", "dependentSchemas", "$dynamicRef", "definitions", "nullable", "title"),
)
junk = st.recursive(
    st.sampled_from(
        [None, True, False, 0, 1, -1, 2.5, 10**30, "", "a", "object", "integer", "string", "#", "#/a", "(a"]
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4)),
    max_leaves=10,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(KEYWORDS), junk, min_size=1, max_size=5), st.booleans())
def test_what_is_no_schema_is_an_error_that_can_be_read(compiler, schema, lenient):
    for ask in (
        lambda: compiler.json_schema(schema, lenient),
        lambda: compiler.tool_calls({"f": schema}, CALL, CALL_END, "required"),
    ):
        try:
            ask()
        except SansiError as error:
            assert not re.search(r"llguidance|%json|cannot be compiled|start:|T\d", str(error)), schema


def test_long_lists_of_values_are_not_compared_each_with_each():
    """JSON's equality, at a number of values where a comparison of all pairs would never end."""
    some, others = [*range(20_000), True, "x", [1, {"a": None}]], [*range(19_998, 40_000), 1.0, "x", [1.0, {"a": None}]]
    schema = {"allOf": [{"enum": some}, {"enum": others}]}
    taken = Alternatives(schema)
    (alternative,) = taken.of((schema,))
    assert taken.members(alternative) == [1, 19_998, 19_999, "x", [1, {"a": None}]]


def test_a_long_list_of_listed_items_is_read_once():
    """Of items that are looked up in a list, which was made anew for each; and a list that its own items may be."""
    names = [f"v{i}" for i in range(10_000)]
    for schema, members in (
        ({"const": names, "items": {"enum": names}}, [names]),
        ({"const": names, "items": {"enum": names[1:]}}, []),
        ({"enum": [[1], [[1], 1], [2], 1], "items": {"$ref": "#"}}, [[1], [[1], 1], 1]),
    ):
        taken = Alternatives(schema)
        (alternative,) = taken.of((schema,))
        assert taken.members(alternative) == members
