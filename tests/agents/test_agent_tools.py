import asyncio
import contextlib
import contextvars
import json
import sys
import threading
import time
from typing import Literal

import pytest
from sansi.agents import Attachment, Result, Tool, ToolContext, calculator, running, tool, tools_of
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


def _bytes(x: bytes) -> None:
    """Doc."""


def _misdocumented(x: int) -> None:
    """Doc.

    Args:
        y: Not there.
    """


def _unresolved(x: "Nowhere") -> None:  # noqa: F821
    """Doc."""


@pytest.mark.parametrize(
    "function",
    [_undocumented, _unannotated, _variadic, _positional, _bytes, _misdocumented, _unresolved],
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
    assert done.text == "x" * 28 + "\n[60 characters left out]\n" + "x" * 12


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


def test_an_async_function_is_a_tool_too():
    async def wait(seconds: float) -> str:
        """Wait."""
        await asyncio.sleep(seconds)
        return "waited"

    tool = Tool.from_function(wait, timeout=0.2)
    assert tool.call('{"seconds": 0}').text == "waited"
    assert tool.call('{"seconds": 60}').status == "timeout"
    assert asyncio.run(tool.acall('{"seconds": 0}')).text == "waited"


def test_a_tool_is_called_from_within_a_running_loop():
    async def main():
        return Tool.from_function(calculator).call('{"expression": "1+1"}').text

    assert asyncio.run(main()) == "2"


def test_an_error_reaches_who_asks_with_and_without_a_running_loop():
    async def wrong():
        raise SansiError("no way")

    async def main():
        return running.run_sync(wrong())

    with pytest.raises(SansiError, match="no way"):
        running.run_sync(wrong())
    with pytest.raises(SansiError, match="no way"):
        asyncio.run(main())


def test_an_async_tool_that_can_not_be_cancelled_holds_nobody_up():
    async def stubborn() -> str:
        """Wait."""
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3)

    start = time.perf_counter()
    assert Tool.from_function(stubborn, timeout=0.05).call("{}").status == "timeout"
    assert time.perf_counter() - start < 30


def test_a_late_tool_is_told_by_its_context():
    told = threading.Event()

    def slow(context: ToolContext) -> str:
        """Wait."""
        if context.cancelled.wait(60):
            told.set()
        return "late"

    assert Tool.from_function(slow, timeout=0.05).call("{}").status == "timeout"
    assert told.wait(30)


def test_the_context_is_no_argument_of_the_model(tmp_path):
    said = []

    def keep(text: str, context: ToolContext) -> str:
        """Keep a text.

        Args:
            text: The text.
        """
        (context.folder / "kept.txt").write_text(text)
        context.progress("kept")
        return f"{context.conversation} {context.room}"

    made = Tool.from_function(keep)
    assert list(made.parameters["properties"]) == ["text"]
    context = ToolContext("talk", room=99, folder=tmp_path / "new", progress=said.append)
    assert made.call('{"text": "x"}', context).text == "talk 99"
    assert (tmp_path / "new" / "kept.txt").read_text() == "x" and said == ["kept"]
    assert made.call('{"text": "x", "context": 1}').status == "invalid_arguments"


def test_progress_begins_the_time_anew():
    def slow(context: ToolContext) -> str:
        """Wait."""
        for _ in range(4):
            time.sleep(0.3)
            context.progress("still here")
        return "done"

    assert Tool.from_function(slow, timeout=1.0).call("{}").text == "done"


def test_endless_progress_ends_all_the_same(monkeypatch):
    monkeypatch.setattr(running, "EXTENSIONS", 2)

    def endless(context: ToolContext) -> str:
        """Wait."""
        while not context.cancelled.wait(0.005):
            context.progress("more")
        return "never"

    done = Tool.from_function(endless, timeout=0.5).call("{}")
    assert done.status == "timeout" and "1 s, for all its progress" in done.text


def test_a_result_may_have_files_and_an_origin():
    plot = Attachment("plot.png", "image/png", b"png")

    def draw() -> Result:
        """Draw."""
        return Result("drawn", (plot,), origin="http://a.example", tainted=True)

    done = Tool.from_function(draw, origin="built-in").call("{}")
    assert (done.text, done.attachments, done.origin, done.tainted) == (
        "drawn",
        (plot,),
        "built-in http://a.example",
        True,
    )
    failed = Tool.from_function(lambda: Result("no ink", is_error=True), name="draw", description="Draw.")
    assert (failed.call("{}").status, failed.call("{}").text) == ("error", "error: no ink")


def test_a_tainted_tool_taints_its_results_and_its_errors():
    made = Tool.from_function(forecast, tainted=True)
    assert made.call('{"city": "Oslo"}').tainted
    assert Tool.from_function(lambda: 1 / 0, name="f", description="F.", tainted=True).call("{}").tainted


def test_groups_of_errors_are_told_by_their_cause():
    def fail() -> str:
        """Fail."""
        raise BaseExceptionGroup("group", [ExceptionGroup("inner", [KeyError("cause")])])

    assert Tool.from_function(fail).call("{}").text == "error: KeyError: 'cause'"


def test_the_decorator_makes_a_tool():
    @tool
    def double(x: int) -> int:
        """Double a number."""
        return 2 * x

    @tool(name="thrice", timeout=5, effects={"execute"})
    def triple(x: int) -> int:
        """Triple a number."""
        return 3 * x

    assert double.call('{"x": 2}').text == "4" and double.name == "double"
    assert (triple.name, triple.timeout, triple.effects) == ("thrice", 5, frozenset({"execute"}))


class Notes:
    def __init__(self):
        self.kept = []

    @tool(effects={"write"})
    def note(self, text: str) -> int:
        """Keep a note."""
        self.kept.append(text)
        return len(self.kept)

    @tool
    def notes(self) -> list[str]:
        """All notes."""
        return self.kept


def test_methods_share_the_state_of_their_object():
    one, other = Notes(), Notes()
    note, notes = tools_of(one)
    assert (note.name, note.effects, notes.effects) == ("note", frozenset({"write"}), frozenset({"read"}))
    note.call('{"text": "a"}')
    assert notes.call("{}").text == '["a"]' and other.kept == [] and one.note("b") == 2
    with pytest.raises(SansiError, match="int has no method with @tool"):
        tools_of(3)


def test_unknown_effects_are_named():
    with pytest.raises(SansiError, match='unknown effect "burn"'):
        Tool.from_function(forecast, effects={"burn"})
