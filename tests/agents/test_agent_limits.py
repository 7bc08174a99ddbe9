"""The caps of a run and its one thinking budget: never over, and the answer has its reserve."""

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.agents import Agent, Limits, Tool, calculator, stopwatch, tool
from sansi.agents.approvals import Approvals
from sansi.base import SansiError
from sansi.client import AssistantReply, Usage
from sansi.text import Message, ToolCall
from scripted_client import QUESTION, Script, StreamedScript, calls, compute, says

CALCULATOR = Tool.from_function(calculator)
ANY = {"type": "object"}


class Thinker:
    """Thinks for as long as it wants, or may, then calls or answers; like Sansi, it keeps to a budget exactly."""

    def __init__(self, *wanted):
        self.wanted, self.steps, self.granted, self.last = list(wanted), 0, [], []

    def complete(self, messages, tools, **options):
        grant, last = options["thinking_budget"], options.get("tool_choice") == "none"
        wants, answers = self.wanted[min(self.steps, len(self.wanted) - 1)]
        self.steps += 1
        self.granted.append(grant)
        self.last.append(last)
        spent = min(wants, grant)
        usage, thought = Usage(10, spent + 5, spent), "t" * spent
        if answers or last:
            return AssistantReply(Message("assistant", "391", thought), "stop", usage, {"mode": "thinking"})
        call = ToolCall(f"c{self.steps}", "calculator", compute(f"{self.steps}+1"))
        return AssistantReply(Message("assistant", "", thought, (call,)), "tool_calls", usage, {"mode": "thinking"})


@given(
    st.integers(0, 300),
    st.none() | st.integers(0, 300),
    st.lists(st.tuples(st.integers(0, 200), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 8),
)
def test_the_budget_is_never_exceeded_and_the_answer_has_its_reserve(budget, reserve, wanted, max_calls):
    if reserve is not None:
        reserve = min(reserve, budget)
    client = Thinker(*wanted)
    run = Agent(client, [CALCULATOR], max_calls=max_calls, thinking_budget=budget, thinking_reserve=reserve).run(
        QUESTION
    )
    kept = -(-budget // 4) if reserve is None else reserve
    assert run.answer == "391"
    assert run.usage.reasoning_tokens == sum(run.report.thinking_by_step) <= budget
    assert run.report.granted_by_step == tuple(client.granted)
    assert client.granted[-1] >= kept or run.report.thinking_by_step[-1] < client.granted[-1]
    for i, (grant, last) in enumerate(zip(client.granted, client.last, strict=True)):
        left = budget - sum(run.report.thinking_by_step[:i])
        assert grant == left if last else grant <= left - kept
        assert not last or grant >= kept


def test_the_rule_by_figures():
    client = Thinker((1000, False), (10, False), (0, False), (1000, True))
    run = Agent(client, [CALCULATOR], thinking_budget=400).run(QUESTION)
    # the reserve is 100: 2/3 of 300; of 100; of 90, twice; too little for an answer, which gets all that is left
    assert run.report.granted_by_step == (200, 67, 60, 60, 130)
    assert run.report.thinking_by_step == (200, 10, 0, 60, 130) and run.usage.reasoning_tokens == 400


def test_an_answer_that_had_too_little_thought_is_shown_once():
    client = StreamedScript(
        calls(compute("1+1"), usage=Usage(1, 40, 40)),
        says("first try", usage=Usage(1, 20, 20)),
        says("second try", usage=Usage(1, 9, 9)),
    )
    events = list(Agent(client, [CALCULATOR], thinking_budget=80, thinking_reserve=20).stream(QUESTION))
    assert [options["thinking_budget"] for *_, options in client.seen] == [40, 14, 20]
    shown = "".join(event.text for event in events if event.kind == "content")
    assert (shown, events[-1].answer) == ("second try", "second try")
    assert [event.about for event in events if event.kind == "notice"] == ["answer_again"]
    assert [m.content for m in events[-1].run.messages if m.role == "assistant"] == ["", "second try"]


def test_a_server_that_ignores_the_budget_is_told_of_once_and_bounded_otherwise():
    client = Script(
        *[calls(compute(f"1+{i}"), usage=Usage(5, 900, 900)) for i in range(2)], says("2", usage=Usage(5, 9, 9))
    )
    events = list(Agent(client, [CALCULATOR], thinking_budget=200).stream(QUESTION))
    told = [event for event in events if event.kind == "notice" and event.about == "budget_exceeded"]
    assert len(told) == 1 and told[0].details == {"granted": 100, "spent": 900}
    assert events[-1].run.report.budget_exceeded >= 2
    assert "max_tokens" not in client.seen[0][2] and client.seen[1][2]["max_tokens"] <= 1024 + 200


def test_a_budget_that_holds_is_not_told_of():
    client = Script(calls(compute("1+1"), usage=Usage(5, 100, 100)), says("2", usage=Usage(5, 9, 9)))
    run = Agent(client, [CALCULATOR], thinking_budget=200).run(QUESTION)
    assert run.report.budget_exceeded == 0 and "max_tokens" not in client.seen[1][2]


def test_without_a_budget_nothing_is_asked_for():
    client = Script(says("391"))
    run = Agent(client).run(QUESTION)
    assert "thinking_budget" not in client.seen[0][2] and run.report.granted_by_step == (None,)


def test_a_server_that_does_not_count_is_counted_by_its_text():
    reply = AssistantReply(Message("assistant", "391", "x" * 300), "stop")
    run = Agent(Script(reply), thinking_budget=400).run(QUESTION)
    assert run.usage.reasoning_tokens > 90 and run.report.thoughts_estimated == 1


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ({"max_calls": -1}, "max_calls must be a number of 0 or more, not -1"),
        ({"max_seconds": float("nan")}, "max_seconds must be a number"),
        ({"max_calls": 1.5}, "max_calls must be"),
        ({"max_tokens": 3}, "at least 4"),
        ({"thinking_budget": 4, "thinking_reserve": 5}, "more than the thinking_budget 4"),
        ({"loop_breaker": 1}, "must be 2 or more, or None for none, not 1"),
        ({"loop_breaker": 0}, "must be 2 or more, or None for none, not 0"),
        ({"loop_breaker": True}, "loop_breaker must be a number"),
        ({"loop_breaker": -1}, "loop_breaker must be a number"),
        ({"ask_again": 1}, "ask_again must be True or False"),
        ({"thinking_budget": 4, "options": {"thinking_budget": 3}}, "give one"),
    ],
)
def test_wrong_caps_are_named(caps, words):
    with pytest.raises(SansiError, match=words):
        Agent(Script(), **caps)
    assert Agent(Script(), limits=Limits(max_calls=3), max_tokens=9).limits == Limits(max_calls=3, max_tokens=9)


def test_max_tokens_ends_in_an_answer_and_is_never_exceeded():
    asked = []

    def writes(messages, tools, options):
        asked.append((options["max_tokens"], options.get("tool_choice")))
        if options.get("tool_choice") == "none":
            return says("391", usage=Usage(10, min(20, options["max_tokens"]), 0))
        return calls(compute(f"{len(asked)}+1"), usage=Usage(10, min(30, options["max_tokens"]), 0))

    run = Agent(Script(*[writes] * 9), [CALCULATOR], max_tokens=100, max_calls=None).run(QUESTION)
    assert asked == [(75, None), (45, None), (15, None), (25, "none")]
    assert (run.answer, run.stopped_reason, run.usage.completion_tokens) == ("391", "max_tokens", 95)


def test_a_reply_that_the_run_s_cap_cuts_is_asked_for_again_as_the_answer():
    client = Script(says("a long sto", reason="length", usage=Usage(10, 75, 0)), says("short", usage=Usage(10, 20, 0)))
    run = Agent(client, [CALCULATOR], max_tokens=100).run(QUESTION)
    assert (run.answer, run.stopped_reason, len(run.messages)) == ("short", "max_tokens", 2)


def test_a_reply_that_the_option_s_cap_cuts_is_a_cut_reply():
    client = Script(says("a long sto", reason="length", usage=Usage(10, 8, 0)))
    run = Agent(client, [CALCULATOR], max_tokens=100, options={"max_tokens": 8}).run(QUESTION)
    assert (run.answer, run.stopped_reason) == ("a long sto", "length")
    assert client.seen[0][2]["max_tokens"] == 8


def test_max_seconds_gives_up_what_runs_and_ends_in_an_answer():
    release = threading.Event()

    @tool
    def wait() -> str:
        """Wait."""
        release.wait(30)
        return "late"

    client = Script(calls("{}", name="wait"), says("no news"))
    begun = time.monotonic()
    run = Agent(client, [wait], max_seconds=1.0).run(QUESTION)
    release.set()
    assert (run.answer, run.stopped_reason, run.calls[0].status) == ("no news", "max_seconds", "timeout")
    assert client.seen[1][2]["tool_choice"] == "none" and time.monotonic() - begun < 20


def test_the_time_in_which_the_user_is_asked_is_not_the_runs(monkeypatch):
    later = [0.0]
    monkeypatch.setattr(stopwatch, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + later[0]))

    @tool(effects={"write"})
    def put() -> str:
        """Put it."""
        return "put"

    def slow(question):
        later[0] += 1000.0
        return "once"

    client = Script(calls("{}", name="put"), says("done"))
    run = Agent(client, [put], max_seconds=400.0, gate=Approvals("ask", slow)).run(QUESTION)
    assert (run.answer, run.stopped_reason, run.calls[0].status) == ("done", "answer", "ok")
    assert run.report.seconds < 400


def test_an_asynchronous_tool_that_blocks_holds_up_neither_deadline_nor_stop():
    released = threading.Event()

    async def block() -> str:
        """Block."""
        released.wait(60)
        return "late"

    slow = Tool.from_function(block, timeout=0.05)
    try:
        run = Agent(Script(calls("{}", name="block"), says("well")), [slow]).run(QUESTION)
        assert [record.status for record in run.calls] == ["timeout"] and run.answer == "well"
    finally:
        released.set()


def test_asynchronous_tools_of_a_run_share_a_loop():
    import asyncio

    loops = []

    async def look(i: int) -> str:
        """Look.

        Args:
            i: Anything.
        """
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return str(i)

    both = [calls('{"i": 1}', name="look"), calls('{"i": 2}', name="look"), says("well")]
    run = Agent(Script(*both), [Tool.from_function(look)]).run(QUESTION)
    assert [record.observation for record in run.calls] == ["1", "2"] and len(set(map(id, loops))) == 1


def test_max_seconds_gives_up_a_reply_and_keeps_what_there_is_of_the_last():
    client = StreamedScript(says("x" * 4000, thought=""), says("y" * 40_000, thought=""), delay=0.01)
    run = Agent(client, max_seconds=0.4).run(QUESTION)
    assert run.stopped_reason == "max_seconds" and set(run.answer) == {"y"} and len(run.answer) < 40_000
    assert client.open == 0 and client.closed == 2


def test_a_call_that_is_demanded_is_demanded_once():
    client = Script(calls(compute("1+1")), says("2"))
    Agent(client, [CALCULATOR], options={"tool_choice": "required"}).run(QUESTION)
    assert [options["tool_choice"] for *_, options in client.seen] == ["required", "auto"]


def test_a_client_that_raises_anything_fails_the_run_alone():
    run = list(Agent(Script(ValueError("odd"))).stream(QUESTION))[-1].run
    assert (run.status, run.error) == ("failed", "the client failed: ValueError: odd")


# --- the loop breaker -------------------------------------------------------------------------------------------------


def repeated(times, made=CALCULATOR, reply=None, **fields):
    client = Script(*[reply or calls(compute("1+1"))] * times, says("so it is"), says("so it is"))
    events = list(Agent(client, [made], max_calls=50, **fields).stream(QUESTION))
    return events[-1].run, client, [event for event in events if event.kind == "notice"]


def test_the_third_time_is_told_and_the_fifth_is_the_last():
    run, client, notices = repeated(5)
    told = [next((word for word in ("third", "fourth", "fifth") if word in r.remark), "") for r in run.calls]
    assert told == ["", "", "third", "fourth", "fifth"]
    assert "third time" in client.seen[3][0][-1].content and client.seen[2][0][-1].content == "2"
    assert client.seen[5][2]["tool_choice"] == "none" and "say what you have found" in client.seen[5][0][-1].content
    assert (run.stopped_reason, run.report.loops_told) == ("loop", 2)
    assert [notice.about for notice in notices] == ["loop_told", "loop_told", "loop_stopped", "limit"]
    assert notices[2].details == {"name": "calculator", "arguments": compute("1+1"), "times": 5}


@pytest.mark.parametrize("effects", [{"read"}, {"network"}])
def test_long_results_repeat_themselves_too(effects):
    """What is cut from the same text stands in the same file, so that the model reads the same."""
    page = Tool.from_function(lambda: "x" * 50_000, name="page", description="A page.", effects=effects)
    run, _, _ = repeated(9, page, calls("{}", name="page"))
    assert (run.stopped_reason, run.report.loops_told) == ("loop", 2)
    assert {record.whole for record in run.calls if record.status == "ok"} == {"0001-page.txt"}


def test_other_results_are_no_repetition():
    count = iter(range(100))
    clock = Tool.from_function(lambda: next(count), name="clock", description="The time.")
    run, _, notices = repeated(9, clock, calls("{}", name="clock"))
    assert (run.stopped_reason, notices) == ("answer", [])


def test_other_spellings_of_the_arguments_are_the_same_call():
    look = Tool.from_function(lambda a, b: 1, name="look", description="Look.", parameters=ANY)
    replies = [calls('{"a": 1, "b": 2}', name="look"), calls('{"b": 2,"a": 1}', name="look")] * 3
    run = Agent(Script(*replies, says("x")), [look]).run(QUESTION)
    assert run.stopped_reason == "loop"


@pytest.mark.parametrize("reply", [calls("{", name="calculator"), calls("{}", name="nothing")])
def test_mistakes_repeat_themselves_too(reply):
    assert repeated(9, reply=reply)[0].stopped_reason == "loop"


def test_polling_is_exempt_and_the_breaker_can_be_switched_off():
    assert repeated(9, replace(CALCULATOR, polling=True))[0].stopped_reason == "answer"
    assert repeated(9, loop_breaker=None)[0].stopped_reason == "answer"


@pytest.mark.parametrize(
    ("at", "told"), [(2, ["2"]), (3, ["2", "3"]), (4, ["2", "3", "4"]), (8, ["4", "5", "6", "7", "8"])]
)
def test_the_breaker_may_break_earlier_and_later(at, told):
    run, _, notices = repeated(at, loop_breaker=at)
    assert run.stopped_reason == "loop" and len(run.calls) == at
    assert [str(notice.details["times"]) for notice in notices if notice.about.startswith("loop")] == told
    assert "No further call is made" in run.calls[-1].remark and "No further" not in run.calls[-2].remark


def test_changes_in_between_begin_anew():
    edit = Tool.from_function(lambda i: "ok", name="edit", description="Edit.", effects={"write"}, parameters=ANY)
    check = Tool.from_function(lambda: "2 failed", name="check", description="Check.")
    replies = [r for i in range(6) for r in (calls(f'{{"i": {i}}}', name="edit"), calls("{}", name="check"))]
    run = Agent(Script(*replies, says("x")), [edit, check], max_calls=50).run(QUESTION)
    assert (run.stopped_reason, run.report.loops_told) == ("answer", 0)
    replies = [r for _ in range(6) for r in (calls('{"i": 0}', name="edit"), calls("{}", name="check"))]
    assert Agent(Script(*replies, says("x")), [edit, check], max_calls=50).run(QUESTION).stopped_reason == "loop"


def test_calls_in_turn_are_a_loop_as_well():
    replies = [calls(compute(text)) for _ in range(6) for text in ("1+1", "2+2")]
    assert Agent(Script(*replies, says("x")), [CALCULATOR]).run(QUESTION).stopped_reason == "loop"
