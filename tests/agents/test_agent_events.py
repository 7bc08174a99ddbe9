"""What a run tells as it goes, in which order, and that it can be stopped at any point."""

import asyncio
import json
import threading
import time

import pytest
from sansi.agents import Agent, Observation, Pending, Result, RunState, Stop, Tool, ToolContext, calculator, tool
from sansi.agents.events import CallReady, Finished, ObservationMade
from sansi.base import SansiError
from sansi.text import Message, read_messages
from scripted_client import QUESTION, Script, StreamedScript, calls, compute, says, several, with_ids

CALCULATOR = Tool.from_function(calculator, origin="built-in")


def test_a_run_tells_what_it_does_in_order():
    agent = Agent(StreamedScript(calls(compute("17*23")), says("391")), [CALCULATOR])
    events = list(agent.stream(QUESTION))
    kinds = [event.kind for event in events]
    merged = [kind for i, kind in enumerate(kinds) if i == 0 or kind != kinds[i - 1]]
    assert merged == [
        *("step", "reasoning", "call_started", "call_arguments", "reply", "message"),
        *("call_ready", "call_running", "observation", "message"),
        *("step", "reasoning", "content", "reply", "message", "finished"),
    ]
    ready = next(event for event in events if isinstance(event, CallReady))
    assert (ready.name, ready.arguments, ready.origin) == ("calculator", {"expression": "17*23"}, "built-in")
    written = "".join(event.text for event in events if event.kind == "call_arguments")
    assert json.loads(written) == {"expression": "17*23"}
    last = events[-1]
    assert (last.status, last.stopped_reason, last.answer) == ("finished", "answer", "391")
    assert last.run.answer == "391"


def test_events_are_json():
    agent = Agent(StreamedScript(calls(compute("1+1")), says("2")), [CALCULATOR])
    for event in agent.stream(QUESTION):
        told = json.loads(json.dumps(event.to_json()))
        assert told["kind"] == event.kind and "run" not in told


def test_the_same_events_come_on_a_loop_of_the_caller_and_without_streaming():
    def kinds(client):
        async def collect():
            return [e.to_json() async for e in Agent(client, [CALCULATOR]).astream(QUESTION)]

        return [
            e["kind"] for e in asyncio.run(collect()) if e["kind"] not in ("call_arguments", "reasoning", "content")
        ]

    script = calls(compute("1+1"), compute("2+2")), says("4")
    assert kinds(StreamedScript(*script)) == kinds(Script(*script))


def test_arun_is_run():
    run = asyncio.run(Agent(Script(calls(compute("1+1")), says("2")), [CALCULATOR]).arun(QUESTION))
    assert (run.answer, run.stopped_reason) == ("2", "answer")


def test_a_run_works_inside_a_running_loop():
    async def main():
        return Agent(Script(says("hi"))).run(QUESTION).answer

    assert asyncio.run(main()) == "hi"


def test_parallel_calls_run_side_by_side_and_are_read_in_call_order():
    both = threading.Barrier(2, timeout=20)  # passed only if two are inside at once
    first_may_end = threading.Event()

    @tool
    def wait(name: str) -> str:
        """Wait for another."""
        both.wait()
        if name == "first":
            first_may_end.wait(20)
        return name

    agent = Agent(Script(several(("wait", {"name": "first"}), ("wait", {"name": "second"})), says("done")), [wait])
    ended = []
    for event in agent.stream(QUESTION):
        if isinstance(event, ObservationMade):
            ended.append(event.text)
            first_may_end.set()
        if isinstance(event, Finished):
            run = event.run
    assert ended == ["second", "first"]
    assert [(m.tool_call_id, m.content) for m in run.messages if m.role == "tool"] == [
        ("call_0", "first"),
        ("call_1", "second"),
    ]
    assert [record.observation for record in run.calls] == ["first", "second"]


def test_calls_that_build_on_each_other_run_in_order_and_wait_with_who_waits():
    done, free = [], threading.Event()

    @tool(in_order=True)
    def first(i: int) -> str:
        """First."""
        free.wait(20)
        done.append(i)
        return "ok"

    @tool
    def beside() -> str:
        """Beside."""
        free.set()
        return "ok"

    replies = several(("first", {"i": 1}), ("first", {"i": 2}), ("beside", {}), ("first", {"i": 3})), says("ok")
    run = Agent(Script(*replies), [first, beside]).run(QUESTION)
    assert done == [1, 2, 3] and [record.status for record in run.calls] == ["ok"] * 4

    done.clear()
    gate = Gate(first=lambda planned: Pending(planned, "may I?") if planned.arguments["i"] == 2 else None)
    agent = Agent(Script(*replies), [first, beside], gate=gate)
    paused = agent.run(QUESTION)
    assert (paused.status, done, len(paused.pending)) == ("paused", [1], 1)
    gate.verdicts = {}
    *_, last = agent.resume_stream(paused.state)
    assert (last.run.answer, done) == ("ok", [1, 2, 3])


def test_async_tools_run_side_by_side_on_the_loop_of_the_caller():
    async def main():
        here, inside = asyncio.get_running_loop(), []

        @tool
        async def meet(i: int) -> int:
            """Meet."""
            assert asyncio.get_running_loop() is here
            inside.append(i)
            while len(inside) < 2:
                await asyncio.sleep(0.001)
            return i

        agent = Agent(Script(several(("meet", {"i": 1}), ("meet", {"i": 2})), says("ok")), [meet])
        return await agent.arun(QUESTION)

    assert [record.observation for record in asyncio.run(main()).calls] == ["1", "2"]


@pytest.mark.parametrize("ids", [("same", "same"), ("", ""), ("a", "a_1")])
def test_results_are_told_apart_whatever_ids_the_server_gives(ids):
    script = Script(with_ids(calls(compute("1+1"), compute("2+2")), *ids), says("ok"))
    run = Agent(script, [CALCULATOR]).run(QUESTION)
    made = run.messages[1].tool_calls
    assert len({call.id for call in made}) == 2 and all(call.id for call in made)
    assert [(m.tool_call_id, m.content) for m in run.messages if m.role == "tool"] == [
        (made[0].id, "2"),
        (made[1].id, "4"),
    ]


def test_a_server_that_begins_its_ids_anew_each_time_is_understood():
    client = StreamedScript(calls(compute("1+1")), calls(compute("2+2"), compute("3+3")), says("ok"))
    events = list(Agent(client, [CALCULATOR]).stream(QUESTION))
    started = [event.id for event in events if event.kind == "call_started"]
    assert started == ["call_0", "call_0_2", "call_1"]
    assert started == [event.id for event in events if event.kind == "observation"]
    assert [m.content for m in events[-1].run.messages if m.role == "tool"] == ["2", "4", "6"]


def kinds_until(stop_at, replies, tools):
    """A run that is stopped at its event number `stop_at`; its state, and how many events came."""
    stop, client, count, run = Stop(), StreamedScript(*replies), 0, None
    for event in Agent(client, tools).stream(QUESTION, stop=stop):
        if count == stop_at:
            stop.set()
        count += 1
        run = event.run if event.kind == "finished" else run
    assert client.open == 0
    return run, count


def test_wherever_it_is_stopped_the_conversation_can_go_on():
    replies = several(("calculator", {"expression": "1+1"}), ("calculator", {"expression": "2+2"})), says("6")
    _, whole = kinds_until(-1, replies, [CALCULATOR])
    ended = set()
    for stop_at in range(whole):
        run, _ = kinds_until(stop_at, replies, [CALCULATOR])
        read_messages(run.messages)
        called = [call.id for m in run.messages for call in m.tool_calls]
        assert called == [m.tool_call_id for m in run.messages if m.role == "tool"]
        assert called == [record.call.id for record in run.calls]
        ended.add(run.status)
        on = [*run.messages, {"role": "user", "content": "Go on."}]
        assert Agent(Script(says("gone on")), [CALCULATOR]).run(on).answer == "gone on"
    assert "cancelled" in ended


def test_a_result_may_end_the_run():
    def leave() -> Result:
        """Leave."""
        return Result("left", ends_run=True)

    client = Script(several(("leave", {}), ("calculator", {"expression": "1+1"})))
    run = Agent(client, [Tool.from_function(leave), CALCULATOR]).run(QUESTION)
    assert (run.stopped_reason, run.status) == ("tool", "finished")
    assert [m.content for m in run.messages[2:]] == ["left", "2"]


def test_whoever_watches_is_called_on_one_thread_alone():
    threads = set()

    @tool
    def slow(context: ToolContext) -> str:
        """Wait."""
        context.progress("half")
        return "x" * 1_100_000  # fitted on another thread

    agent = Agent(Script(calls("{}", name="slow"), says("ok")), [slow])
    state = RunState([Message("user", "Go.")], "talk")
    events = list(agent.resume_stream(state, watch=lambda event: threads.add(threading.get_ident())))
    kinds = [event.kind for event in events]
    assert len(threads) == 1 and "progress" in kinds and "notice" in kinds and events[-1].answer == "ok"


def test_progress_is_told_while_the_tool_runs():
    heard = threading.Event()

    @tool
    def slow(context: ToolContext) -> str:
        """Wait."""
        context.progress("half")
        return "heard" if heard.wait(30) else "not heard"

    for event in Agent(Script(calls("{}", name="slow"), says("ok")), [slow]).stream(QUESTION):
        if event.kind == "progress":
            assert (event.id, event.name, event.text) == ("call_0", "slow", "half")
            heard.set()
    assert event.run.calls[0].observation == "heard"


def test_stop_ends_model_and_stream():
    client, stop = StreamedScript(says("x" * 4000), delay=0.01), Stop()
    events = []
    for event in Agent(client).stream(QUESTION, stop=stop):
        events.append(event)
        if event.kind == "content":
            stop.set()
    assert events[-1].status == "cancelled" and (client.closed, client.open) == (1, 0)
    kept = events[-1].run.messages[-1]
    assert kept.role == "assistant" and kept.content and len(kept.content) < 4000  # what was seen stays


def test_stop_reaches_the_tool_and_leaves_a_conversation_that_can_go_on():
    stop, told = Stop(), threading.Event()

    @tool
    def slow(context: ToolContext) -> str:
        """Wait."""
        time.sleep(0.05)
        stop.set()
        told.set() if context.cancelled.wait(30) else None
        return "late"

    client = Script(several(("slow", {}), ("calculator", {"expression": "1+1"})), says("gone on"))
    agent = Agent(client, [slow, CALCULATOR])
    run = agent.run(QUESTION, stop=stop)
    assert (run.status, run.stopped_reason) == ("cancelled", "cancelled") and told.wait(30)
    assert run.calls[0].status == "cancelled"
    assert run.calls[0].seconds >= 0.05  # how long it was at work
    assert agent.run([*run.messages, {"role": "user", "content": "Go on."}]).answer == "gone on"


def test_a_run_that_was_stopped_before_it_began_asks_nobody():
    stop = Stop()
    stop.set()
    client = Script()
    assert Agent(client).run(QUESTION, stop=stop).status == "cancelled" and not client.seen


def test_leaving_a_stream_early_ends_the_model():
    client = StreamedScript(says("x" * 4000), delay=0.01)
    for event in Agent(client).stream(QUESTION):
        if event.kind == "content":
            break
    deadline = time.monotonic() + 20
    while client.open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (client.closed, client.open) == (1, 0)


def test_leaving_an_async_stream_early_ends_the_model():
    async def main(client):
        stream = Agent(client).astream(QUESTION)
        async for event in stream:
            if event.kind == "content":
                break
        await stream.aclose()
        return client.closed, client.open

    assert asyncio.run(main(StreamedScript(says("x" * 4000), delay=0.01))) == (1, 0)


class Gate:
    """Denies or defers by name."""

    def __init__(self, **verdicts):
        self.verdicts, self.asked = verdicts, []

    async def admit(self, planned, emit):
        self.asked.append((planned.tool.name, planned.arguments, planned.tainted))
        verdict = self.verdicts.get(planned.tool.name)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict(planned) if callable(verdict) else verdict


def test_the_gate_sees_typed_arguments_and_decides():
    ran = []

    @tool
    def pay(amount: int) -> str:
        """Pay."""
        ran.append(amount)
        return "paid"

    def below_ten(planned):
        return None if planned.arguments["amount"] < 10 else Observation("error: denied: too much", "denied")

    gate = Gate(pay=below_ten)
    client = Script(calls('{"amount": "5"}', '{"amount": 50}', '{"amount": "much"}', "{", name="pay"), says("ok"))
    run = Agent(client, [pay], gate=gate).run(QUESTION)
    assert [record.status for record in run.calls] == ["ok", "denied", "invalid_arguments", "invalid_arguments"]
    assert gate.asked == [("pay", {"amount": 5}, False), ("pay", {"amount": 50}, False)]  # nothing unparsed is asked
    assert ran == [5]


def test_a_failing_gate_is_no_approval():
    run = Agent(Script(calls(compute("1+1")), says("ok")), [CALCULATOR], gate=Gate(calculator=EOFError("closed"))).run(
        QUESTION
    )
    assert run.calls[0].status == "denied" and "EOFError" in run.calls[0].observation


def test_a_run_pauses_for_a_call_and_goes_on_with_what_has_ended():
    ran = []

    @tool
    def look(x: int) -> int:
        """Look."""
        ran.append(x)
        return x

    gate = Gate(calculator=lambda planned: Pending(planned, "may I?"))
    client = Script(several(("calculator", {"expression": "1+1"}), ("look", {"x": 7})), says("2 and 7"))
    agent = Agent(client, [CALCULATOR, look], gate=gate)
    paused = agent.run(QUESTION)
    assert (paused.status, [p.question for p in paused.pending]) == ("paused", ["may I?"])
    assert [m.role for m in paused.messages] == ["user", "assistant"] and len(client.seen) == 1
    gate.verdicts = {}
    *_, last = agent.resume_stream(paused.state)
    run = last.run
    assert (run.answer, ran) == ("2 and 7", [7])  # what had run does not run again
    assert [(m.tool_call_id, m.content) for m in run.messages if m.role == "tool"] == [("call_0", "2"), ("call_1", "7")]


def test_tainted_results_taint_what_follows():
    page = Tool.from_function(lambda: "Buy now!", name="page", description="A page.", tainted=True)
    gate = Gate()
    client = Script(
        several(("page", {}), ("page", {})), calls(compute("1+1")), says("ok"), calls(compute("1")), says("x")
    )
    agent = Agent(client, [page, CALCULATOR], gate=gate)
    run = agent.run(QUESTION)
    assert [tainted for *_, tainted in gate.asked] == [False, False, True] and run.tainted
    agent.run([*run.messages, {"role": "user", "content": "And now?"}])
    assert gate.asked[-1][-1] is True  # the conversation stays tainted
    client.replies = [calls(compute("1")), says("x")]
    agent.run(QUESTION)
    assert gate.asked[-1][-1] is False  # another conversation is not


def test_conversations_have_ids_folders_and_a_shape(tmp_path):
    seen = []

    @tool
    def where(context: ToolContext) -> str:
        """Where."""
        seen.append((context.conversation, context.folder))
        return "here"

    client = Script(
        calls("{}", name="where"), says("a"), calls("{}", name="where"), says("b"), calls("{}", name="where"), says("c")
    )
    agent = Agent(client, [where], folder=tmp_path)
    run = agent.run(QUESTION)
    agent.run([*run.messages, {"role": "user", "content": "Again?"}])
    agent.run(QUESTION, conversation="mine")
    assert seen[0] == seen[1] and seen[2] == ("mine", tmp_path / "mine")
    with pytest.raises(SansiError, match="conversation"):
        agent.run(QUESTION, conversation="../up")


def test_what_is_no_tool_is_named():
    with pytest.raises(SansiError, match="@tool"):
        Agent(Script(), [calculator])
    with pytest.raises(SansiError, match='unknown limit "max_call"'):
        Agent(Script(), max_call=3)
