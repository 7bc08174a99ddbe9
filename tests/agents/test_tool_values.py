"""Annotations whose values JSON spells otherwise, and docstrings as NumPy and Sphinx have them."""

import enum
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, TypedDict

import pytest
from sansi.agents import Tool
from sansi.base import SansiError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Place:
    city: str
    since: date
    tags: list[Colour] = field(default_factory=list)


class Trip(TypedDict):
    to: Place


@dataclass
class Endless:
    inner: "Endless"


VALUES = [
    (Colour, "red", Colour.RED),
    (Place, {"city": "Ulm", "since": "2026-01-02"}, Place("Ulm", date(2026, 1, 2))),
    (
        list[Place],
        [{"city": "U", "since": "2026-01-02", "tags": ["blue"]}],
        [Place("U", date(2026, 1, 2), [Colour.BLUE])],
    ),
    (Trip, {"to": {"city": "U", "since": "2026-01-02"}}, {"to": Place("U", date(2026, 1, 2))}),
    (tuple[int, int], [1, 2], (1, 2)),
    (tuple[str, ...], ["a"], ("a",)),
    (set[int], [1, 1], {1}),
    (date, "2026-01-02", date(2026, 1, 2)),
    (datetime | None, "2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5)),
    (datetime | None, None, None),
    (int | Colour, "blue", Colour.BLUE),
    (Annotated[Path, "Where."], "a/b", Path("a/b")),
    (dict[str, date], {"a": "2026-01-02"}, {"a": date(2026, 1, 2)}),
]


def taking(hint, got, later=False):
    def take(x):
        got.append(x)
        return "taken"

    async def take_later(x):
        return take(x)

    function = take_later if later else take
    function.__annotations__ = {"x": hint}
    return Tool.from_function(function, name="take", description="Take.")


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(("hint", "given", "value"), VALUES, ids=lambda value: str(value)[:40])
def test_a_function_gets_values_of_its_annotations(hint, given, value, later):
    got = []
    seen = taking(hint, got, later).call(json.dumps({"x": given}))
    assert (seen.text, got) == ("taken", [value]) and type(got[0]) is type(value)


def test_what_is_no_value_is_told_to_the_model():
    got = []
    assert "2026-13-01" in taking(date, got).call('{"x": "2026-13-01"}').text
    assert taking(Colour, got).call('{"x": "green"}').status == "invalid_arguments"
    assert taking(tuple[int, int], got).call('{"x": [1]}').status == "invalid_arguments"
    assert taking(Place, got).call('{"x": {"city": "U"}}').status == "invalid_arguments" and not got


def test_a_class_that_holds_itself_is_refused():
    with pytest.raises(SansiError, match="Endless holds itself"):
        taking(Endless, [])


NUMPY = """Add up.

Parameters
----------
a : int
    The first,
    of two.
b
    The second.

Returns
-------
int
    The sum."""
SPHINX = """Add up.

:param a: The first,
    of two.
:type a: int
:param int b: The second.
:returns: The sum."""
GOOGLE = """Add up.

Arguments:
    a (int): The first,
        of two.
    b: The second.

Returns:
    The sum."""


@pytest.mark.parametrize("docstring", [NUMPY, SPHINX, GOOGLE], ids=["numpy", "sphinx", "google"])
def test_docstrings_of_each_style_describe_parameters(docstring):
    def add(a: int, b: int) -> int:
        return a + b

    add.__doc__ = docstring
    made = Tool.from_function(add)
    said = {name: each["description"] for name, each in made.parameters["properties"].items()}
    assert (made.description, said) == ("Add up.", {"a": "The first, of two.", "b": "The second."})
