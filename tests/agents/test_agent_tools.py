import contextvars
import json
import sys
import threading
import time
from typing import Literal

import pytest
from sansi.agents import Tool, calculator
from sansi.base import SansiError


def forecast(city: str, days: int = 1, unit: Literal["C", "F"] = "C") -> dict[str, object]:
    """The weather of a city.

    From yesterday's data.

    Args:
        city: Its English name,
            without the country.
        days: How many days ahead.

    Returns:
        What is known: or not.
    """
    return {"city": city, "days": days, "unit": unit}


def test_a_tool_is_made_from_annotations_and_docstring():
    assert Tool.from_function(forecast).spec == {
        "type": "function",
        "function": {
            "name": "forecast",
            "description": "The weather of a city.\n\nFrom yesterday's data.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Its English name, without the country."},
                    "days": {"type": "integer", "description": "How many days ahead.", "default": 1},
                    "unit": {"enum": ["C", "F"], "default": "C"},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }


def test_fields_given_win_over_the_function():
    tool = Tool.from_function(forecast, name="weather", description="Weather.", timeout=2)
    assert (tool.name, tool.description, tool.timeout) == ("weather", "Weather.", 2)


def test_a_call_gets_typed_arguments_and_gives_json():
    done = Tool.from_function(forecast).call('{"city": "Oslo", "days": "3"}')
    assert done.status == "ok"
    assert json.loads(done.text) == {"city": "Oslo", "days": 3, "unit": "C"}


def _undocumented(x: int) -> int:
    return x


def _unannotated(x):
    """Doc."""


def _variadic(*x: int) -> None:
    """Doc."""


def _positional(x: int, /) -> None:
    """Doc."""


def _set(x: set) -> None:
    """Doc."""


def _misdocumented(x: int) -> None:
    """Doc.

    Args:
        y: Not there.
    """


async def _async(x: int) -> None:
    """Doc."""


def _unresolved(x: "Nowhere") -> None:  # noqa: F821
    """Doc."""


@pytest.mark.parametrize(
    "function",
    [_undocumented, _unannotated, _variadic, _positional, _set, _misdocumented, _async, _unresolved],
)
def test_a_function_that_makes_no_tool_is_refused_by_name(function):
    with pytest.raises(SansiError, match=function.__name__):
        Tool.from_function(function)


@pytest.mark.parametrize(
    "fields",
    [
        {"timeout": 0},
        {"timeout": float("nan")},
        {"name": "a b"},
        {"name": ""},
        {"max_result_chars": 0},
        {"parameters": {"type": "string"}},
        {"parameters": {"type": "object", "oneOf": []}},
    ],
)
def test_impossible_fields_are_refused(fields):
    with pytest.raises(SansiError):
        Tool.from_function(forecast, **fields)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "one JSON object"),
        ("{}", '"city" is missing'),
        ('{"city": "Oslo", "unit": "K"}', "known: C, F"),
        ('{"city": "Oslo", "day": 1}', 'did you mean "days"'),
    ],
)
def test_wrong_arguments_become_an_observation(arguments, words):
    done = Tool.from_function(forecast).call(arguments)
    assert done.status == "invalid_arguments"
    assert words in done.text


def _raising(error: BaseException):
    def tool() -> str:
        """Fail."""
        raise error

    return Tool.from_function(tool)


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), KeyboardInterrupt(), RecursionError("deep")])
def test_an_error_in_a_tool_becomes_an_observation(error):
    done = _raising(error).call("{}")
    assert done.status == "error"
    assert type(error).__name__ in done.text


def test_a_user_error_in_a_tool_is_told_in_its_own_words():
    done = Tool.from_function(calculator).call('{"expression": "1/0"}')
    assert (done.status, done.text) == ("error", "error: division by zero")


def test_a_late_tool_is_given_up():
    release = threading.Event()

    def slow() -> str:
        """Wait."""
        release.wait(60)
        return "late"

    start = time.perf_counter()
    done = Tool.from_function(slow, timeout=0.05).call("{}")
    release.set()
    assert done.status == "timeout"
    assert "0.05 s" in done.text
    assert time.perf_counter() - start < 30


def test_a_tool_sees_the_callers_context():
    variable = contextvars.ContextVar("variable", default="unset")

    def read() -> str:
        """Read."""
        return variable.get()

    variable.set("set")
    assert Tool.from_function(read).call("{}").text == "set"


def test_long_results_are_cut_and_the_cut_is_stated():
    def long() -> str:
        """Long."""
        return "x" * 100

    done = Tool.from_function(long, max_result_chars=10).call("{}")
    assert done.text == "x" * 10 + "\n[cut: 90 more characters]"


@pytest.mark.parametrize(
    ("value", "text"),
    [("三思", "三思"), (None, "null"), ([1, "é"], '[1, "é"]'), ({"p": sys}, None), ("a\ud800b", "a?b")],
)
def test_results_are_text_that_can_be_sent(value, text):
    def give() -> object:
        """Give."""
        return value

    done = Tool.from_function(give).call("{}")
    assert done.status == "ok"
    assert text is None or done.text == text
    done.text.encode("utf-8")


def test_a_result_that_is_no_json_is_an_error_observation():
    loop: list = []
    loop.append(loop)

    def give() -> object:
        """Give."""
        return loop

    assert Tool.from_function(give).call("{}").status == "error"


def test_approval_sees_typed_arguments_and_decides():
    asked, ran = [], []

    def pay(amount: int) -> str:
        """Pay."""
        ran.append(amount)
        return "paid"

    def approve(name, arguments):
        asked.append((name, arguments))
        return arguments["amount"] < 10

    tool = Tool.from_function(pay, approve=approve)
    assert tool.call('{"amount": "5"}').status == "ok"
    assert tool.call('{"amount": 50}').status == "denied"
    assert tool.call('{"amount": "much"}').status == "invalid_arguments"
    assert asked == [("pay", {"amount": 5}), ("pay", {"amount": 50})]
    assert ran == [5]


@pytest.mark.parametrize("answer", [None, "yes", 1])
def test_only_true_is_an_approval(answer):
    assert Tool.from_function(forecast, approve=lambda *_: answer).call('{"city": "Oslo"}').status == "denied"


def test_a_failing_approval_is_none():
    def approve(name, arguments):
        raise EOFError

    done = Tool.from_function(forecast, approve=approve).call('{"city": "Oslo"}')
    assert done.status == "denied"
    assert "EOFError" in done.text
