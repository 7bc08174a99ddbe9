import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.agents.schema import schema_of
from sansi.base import SansiError
from sansi.text.schema import check_tool_schema, conform, parse_arguments


class Place(TypedDict):
    city: str
    days: NotRequired[Annotated[int, "How many."]]


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (Any, {}),
        (list, {"type": "array"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (Literal["a", 2, None], {"enum": ["a", 2, None]}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Annotated[int, "How many."], {"type": "integer", "description": "How many."}),
        (Sequence[str], {"type": "array", "items": {"type": "string"}}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Literal[True, "no"], {"enum": [True, "no"]}),
        (
            Place,
            {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer", "description": "How many."}},
                "required": ["city"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_schema_of_annotation(hint, schema):
    assert schema_of(hint, "here") == schema
    check_tool_schema({"type": "object", "properties": {"x": schema}}, "here")


def typed_as(hint, value):
    """`value` as the argument of a tool whose parameter is annotated with `hint`."""
    return conform({"type": "object", "properties": {"x": schema_of(hint, "x")}}, {"x": value})["x"]


@pytest.mark.parametrize("hint", [bytes, tuple[int, str], set[object], dict[int, str], object, Literal[b"x"]])
def test_annotation_without_json_form_is_refused(hint):
    with pytest.raises(SansiError, match='tool "f", parameter "x"'):
        schema_of(hint, 'tool "f", parameter "x"')


@pytest.mark.parametrize(
    ("hint", "value", "typed"),
    [
        (int, "3", 3),
        (int, 3.0, 3),
        (int, "3.0", 3),
        (float, "2.5", 2.5),
        (float, 3, 3),  # a whole number is a number
        (float, "1e5", 1e5),
        (str, 1e5, "100000.0"),
        (None, "null", None),
        (int | bool, "true", True),
        (int | bool, "True", True),
        (bool, "True", True),
        (str, 12, "12"),
        (str, True, "true"),
        (str, "3", "3"),
        (list[int], "[1, 2]", [1, 2]),
        (list[int], ["1", 2.0], [1, 2]),
        (dict[str, int], '{"a": "1"}', {"a": 1}),
        (int | str, "3", "3"),  # fits as written, so it is left alone
        (int | None, "3", 3),
        (Literal[1, 2], "2", 2),
        (Literal["1", "2"], 2, "2"),
        (Any, {"x": [1]}, {"x": [1]}),
    ],
)
def test_values_are_typed_by_the_schema(hint, value, typed):
    result = typed_as(hint, value)
    assert result == typed
    assert type(result) is type(typed)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, "three"),
        (int, 3.5),
        (int, True),
        (int, None),
        (float, "NaN"),
        (float, float("inf")),
        (str, {"a": 1}),
        (Literal["1", 1], True),
        (bool, 1),
        (bool, "yes"),
        (str, None),
        (str, ["a"]),
        (list[int], "1, 2"),
        (list[int], [1, "x"]),
        (Literal[1], True),
        (int | None, "many"),
    ],
)
def test_values_with_no_reading_are_refused(hint, value):
    with pytest.raises(SansiError):
        typed_as(hint, value)


OBJECT = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["C", "F"]}},
    "required": ["city"],
    "additionalProperties": False,
}


def test_all_problems_of_a_call_are_reported_together():
    with pytest.raises(SansiError) as caught:
        conform(OBJECT, {"days": "many", "unit": "K", "town": "Oslo"})
    message = str(caught.value)
    assert '"days" must be an integer, not "many"' in message
    assert '"unit" is "K"; known: C, F' in message
    assert 'unknown argument "town"' in message
    assert '"city" is missing' in message


def test_nearest_argument_is_named():
    with pytest.raises(SansiError, match='unknown argument "citi"; did you mean "city"'):
        conform(OBJECT, {"citi": "Oslo"})


@pytest.mark.parametrize("text", ["{", '{"a": 1}}', "[1]", "3", '{"a": NaN}', "[" * 100_000, '{"a": 1,}'])
def test_malformed_arguments_are_refused(text):
    with pytest.raises(SansiError, match="JSON"):
        parse_arguments(text)


def test_no_arguments_may_be_written_as_nothing():
    assert parse_arguments("") == {} == parse_arguments("{}")


def _laughs(levels):
    """A small schema that refers to 2**levels parts."""
    double = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": double | {f"d{levels}": {"type": "string"}}}


def _nested(depth):
    schema = {}
    for _ in range(depth):
        schema = {"properties": {"x": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("string", "must be an object"),
        ({"type": "string"}, 'must be "object"'),
        ({"properties": {"x": {"type": "strin"}}}, "properties.x.type"),
        ({"properties": []}, "properties"),
        ({"properties": {"x": {"type": set()}}}, "written as JSON"),
        ({"properties": {"x": {"pattern": "("}}}, "regular expression"),
        ({"properties": {"x": {"pattern": "(?=a"}}}, "regular expression"),
        ({"properties": {"x": {"pattern": "(a{1000}){1000}"}}}, "regular expression"),
        ({"properties": {"x": {"$ref": "https://example.org/schema"}}}, "leads out of the schema"),
        ({"properties": {"x": {"$ref": "file:///etc/passwd"}}}, "leads out of the schema"),
        ({"properties": {"x": {"$ref": "#/$defs/none"}}}, "leads nowhere"),
        ({"properties": {"x": {"$ref": "#lost"}}}, "leads nowhere"),
        ({"properties": {"x": {"$ref": "#/properties/x"}}}, "refers to itself"),
        ({"allOf": [{"$ref": "#"}]}, "refers to itself"),
        ({"properties": {"x": {"type": ["string", "nul"]}}}, "names no type"),
        ({"properties": {"x": {"minimum": "1"}}}, "at properties.x.minimum: must be a number"),
        (_laughs(20), "more than 5000 parts"),
        (_nested(70), "nested more than"),
        ({"description": "x" * 100_000}, "characters long"),
    ],
)
def test_a_schema_that_can_not_be_used_is_refused_by_name(schema, words):
    with pytest.raises(SansiError, match="here") as caught:
        check_tool_schema(schema, "here")
    assert words in str(caught.value) and caught.value.param == "here"


def test_a_pattern_costs_linear_time():
    schema = {"properties": {"x": {"pattern": "^(a+)+$"}}}
    with pytest.raises(SansiError):
        conform(schema, {"x": "a" * 10_000 + "b"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
HINTS = [int, float, bool, str, list[int], dict[str, float], int | None, Literal["a", 1, True], list[int | str], Any]


@given(st.sampled_from(HINTS), JSON)
def test_conform_raises_or_returns_what_conforms(hint, value):
    """Typing is idempotent, and nothing but SansiError comes out of any JSON value."""
    try:
        typed = typed_as(hint, value)
    except SansiError:
        return
    again = typed_as(hint, typed)
    assert json.dumps(again) == json.dumps(typed)
    assert type(again) is type(typed)


@given(JSON, st.text(max_size=20))
def test_parse_arguments_never_crashes(value, text):
    for candidate in (text, json.dumps(value)):
        with contextlib.suppress(SansiError):
            assert isinstance(parse_arguments(candidate), dict)


INT = {"type": "integer"}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"anyOf": [INT, {"type": "null"}]}, "x": {"$ref": "#/properties/a/anyOf/0"}}},
        {"properties": {"a b": INT, "x": {"$ref": "#/properties/a%20b"}}},
        {"properties": {"x": {"$ref": "#/$defs/a~1b~0c%25"}}, "$defs": {"a/b~c%": INT}},
        {"$id": "https://e.org/s", "properties": {"x": {"$ref": "https://e.org/s#/$defs/i"}}, "$defs": {"i": INT}},
        {"$id": "https://example.org/s", "properties": {"x": {"$ref": "/s#/$defs/i"}}, "$defs": {"i": INT}},
        {"$id": "urn:example:s", "properties": {"x": {"$ref": "#/$defs/i"}}, "$defs": {"i": INT}},
        {"properties": {"x": {"$ref": "#whole"}}, "$defs": {"i": {"$anchor": "whole", **INT}}},
        {"$id": "https://example.org/s", "properties": {"x": {"$ref": "i"}}, "$defs": {"i": {"$id": "i", **INT}}},
        {
            "properties": {"x": {"$ref": "https://example.org/i#/$defs/j"}},
            "$defs": {"i": {"$id": "https://example.org/i", "$ref": "#/$defs/j", "$defs": {"j": INT}}},
        },
        {
            "properties": {"x": {"$ref": "https://example.org/i"}},
            "$defs": {"i": {"$id": "https://example.org/i", "$ref": "#j", "$defs": {"j": {"$anchor": "j", **INT}}}},
        },
    ],
)  # fmt: skip
def test_references_are_followed_wherever_they_may_lead_inside_the_schema(schema):
    assert conform({"type": "object", **schema}, {"x": "3"}) == {"x": 3}
    with pytest.raises(SansiError, match=r'"x" must be an integer'):
        conform({"type": "object", **schema}, {"x": "three"})


TREE = {
    "type": "object",
    "properties": {"n": INT, "next": {"$ref": "#"}, "more": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["n"],
}


def test_a_schema_that_refers_to_itself_is_checked_some_levels_deep():
    assert conform(TREE, {"n": "1", "next": {"n": "2", "more": [{"n": 3.0}]}}) == {
        "n": 1, "next": {"n": 2, "more": [{"n": 3}]}
    }  # fmt: skip
    with pytest.raises(SansiError, match=r'"next.more\[0\].n" is missing'):
        conform(TREE, {"n": 1, "next": {"n": 2, "more": [{}]}})
    deep: dict = {"n": 1}
    for _ in range(200):
        deep = {"n": 1, "next": deep}
    assert conform(TREE, deep) == deep


def test_many_types_that_refer_to_each_other_are_not_refused():
    kinds = {
        f"k{i}": {"type": "object", "properties": {f"p{j}": {"$ref": f"#/$defs/k{j}"} for j in range(9)}}
        for i in range(9)
    }
    schema = {"type": "object", "properties": {"root": {"$ref": "#/$defs/k0"}, "n": INT}, "$defs": kinds}
    assert conform(schema, {"root": {"p1": {"p2": {}}}, "n": "1"})["n"] == 1
    with pytest.raises(SansiError, match='"root" must be an object'):
        conform(schema, {"root": 1})


def test_expressions_that_look_around_or_back_are_not_checked_and_all_else_is():
    text = {"type": "string", "pattern": r"(?=a)b", "maxLength": 2}
    schema = {
        "type": "object",
        "properties": {"x": text, "y": {"pattern": r"(a)\1"}},
        "patternProperties": {"(?!z)": INT},
    }
    assert conform(schema, {"x": "ab", "y": 1}) == {"x": "ab", "y": 1}
    with pytest.raises(SansiError, match="longer than 2"):
        conform(schema, {"x": "abc"})


def test_a_draft_that_nobody_knows_is_read_as_the_latest():
    schema = {"$schema": "https://example.org/schema", "type": "object", "properties": {"x": INT}}
    assert conform(schema, {"x": "3"}) == {"x": 3}


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"anyOf": [{"minLength": 3}, INT]}, "a", 'is "a", which fits no option'),
        ({"oneOf": [{}, INT]}, 1, "which fits more than one option"),
        ({"not": INT}, 1, "which is what it must not be"),
        ({"enum": [1234567890123456789]}, 1234567890123456788, "1234567890123456789"),
    ],
)
def test_misfits_are_told_in_words_of_the_arguments(schema, value, words):
    with pytest.raises(SansiError, match="x") as error:
        conform({"type": "object", "properties": {"x": schema}}, {"x": value})
    assert words in str(error.value) and "keyword" not in str(error.value)


def test_arguments_that_are_null_are_none():
    assert parse_arguments("null") == {} == parse_arguments('""')
