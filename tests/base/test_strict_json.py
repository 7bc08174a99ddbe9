import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.base.strict_json import parse_json


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[" + "9" * 5000 + "]", "a number of 5000 digits"),
        ("", "a value is missing at character 1"),
        ("{", "a key in double quotation marks is missing at character 2"),
        ("{'a': 1}", "a key in double quotation marks is missing at character 2"),
        ('{"a" 1}', "a colon is missing at character 6"),
        ('{"a": 1,\n "b": 2 "c": 3}', "a comma or a closing bracket is missing at line 2, character 9"),
        ("[1,]", "is missing at character 4|a comma stands before a closing bracket at character"),
        ("1 2", "the value has ended, but text follows at character 3"),
        ('"a', "a string has no end that begins at character 1"),
        ('"a\n"', "a line break or another control character at line 1, character 3"),
        ('"\\x"', "a backslash that begins no escape at character 2"),
        ('"\\u12"', "a backslash that begins no escape at character 3"),
        (b"\xff", "byte 0 begins no character of UTF-8"),
    ],
)
def test_what_is_not_json_is_refused_with_its_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_json(text)


def test_json_is_read():
    assert parse_json(b'{"a": [1, -2.5e3, null, true, "\\u4e09"]}') == {"a": [1, -2500.0, None, True, "三"]}


@given(st.binary(max_size=20) | st.text(max_size=20))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ValueError):
        parse_json(text)
