"""Counts in words."""

import pytest
from sansi.base.words import count


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 lines"), (1, "1 line"), (2, "2 lines"), (-1, "-1 lines"), (12345, "12,345 lines")]
)
def test_one_is_told_as_one(number, told):
    assert count(number, "line") == told


def test_another_plural():
    assert count(1, "entry", "entries") == "1 entry" and count(3, "entry", "entries") == "3 entries"
