import contextlib
import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.agents.schema import check_schema, conform, parse_arguments, schema_of
from sansi.base import SansiError


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
    ],
)
def test_schema_of_annotation(hint, schema):
    assert schema_of(hint, "here") == schema
    check_schema(schema, "here")


@pytest.mark.parametrize("hint", [set, tuple[int, int], dict[int, str], object, Literal[b"x"]])
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
        (float, 3, 3.0),
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
    result = conform(schema_of(hint, "x"), value)
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
        (float, 10**400),
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
        conform(schema_of(hint, "x"), value)


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


@pytest.mark.parametrize("text", ["{", '{"a": 1}}', "[1]", "3", "null", '{"a": NaN}', "[" * 100_000, '{"a": 1,}'])
def test_malformed_arguments_are_refused(text):
    with pytest.raises(SansiError, match="JSON"):
        parse_arguments(text)


def test_no_arguments_may_be_written_as_nothing():
    assert parse_arguments("") == {} == parse_arguments("{}")


@pytest.mark.parametrize("schema", [{"type": "strin"}, {"pattern": "a*"}, {"items": {"$ref": "#"}}, "string"])
def test_unsupported_schema_is_refused_by_name(schema):
    with pytest.raises(SansiError, match="here"):
        check_schema(schema, "here")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
HINTS = [int, float, bool, str, list[int], dict[str, float], int | None, Literal["a", 1, True], list[int | str], Any]


@given(st.sampled_from(HINTS), JSON)
def test_conform_raises_or_returns_what_conforms(hint, value):
    """Typing is idempotent, and nothing but SansiError comes out of any JSON value."""
    schema = schema_of(hint, "x")
    try:
        typed = conform(schema, value)
    except SansiError:
        return
    again = conform(schema, typed)
    assert json.dumps(again) == json.dumps(typed)
    assert type(again) is type(typed)


@given(JSON, st.text(max_size=20))
def test_parse_arguments_never_crashes(value, text):
    for candidate in (text, json.dumps(value)):
        with contextlib.suppress(SansiError):
            assert isinstance(parse_arguments(candidate), dict)
