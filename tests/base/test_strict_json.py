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
        ("{", "Expecting"),
        (b"\xff", "decode"),
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
