"""What differs between two records, field by field."""

from sansi.base.differences import changes, flat


def test_fields_are_named_in_order_with_both_values():
    there, here = {"b": 1, "a": "x", "same": [1]}, {"a": "y", "c": None, "same": [1]}
    assert changes(there, here) == [
        "a: 'x' there, 'y' here",
        "b: 1 there, (absent) here",
        "c: (absent) there, None here",
    ]
    assert changes({"a": 1}, {"a": 2}, lambda value: f"<{value}>") == ["a: <1> there, <2> here"]


def test_a_field_that_is_missing_is_not_one_that_says_so():
    assert changes({"a": "(absent)"}, {}) and not changes({}, {})


def test_nested_values_stand_under_their_path():
    assert flat({"a": {"b": {"c": 1}, "d": []}, "e": {}}) == {"a.b.c": 1, "a.d": [], "e": {}}
