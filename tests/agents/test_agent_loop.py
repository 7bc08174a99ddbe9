import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.agents import Agent, RunFailed, Tool, calculator
from sansi.base import SansiError
from sansi.client import AssistantReply, Usage
from sansi.text import Message, ToolCall, message_to_dict, read_messages

QUESTION = [{"role": "user", "content": "What is 17 * 23?"}]


class Script:
    """A client that plays given replies, and remembers what it was asked."""

    def __init__(self, *replies: AssistantReply):
        self.replies, self.seen = list(replies), []

    def complete(self, messages, tools, **options):
        read_messages([message_to_dict(m) for m in messages])  # what a server would refuse must not be sent
        self.seen.append((messages, tools, options))
        return self.replies.pop(0)


def says(content, reason="stop", thought="Let me see."):
    return AssistantReply(Message("assistant", content, thought), reason, Usage(10, 5, 2))


def calls(*arguments, name="calculator", reason="tool_calls"):
    made = tuple(ToolCall(f"call_{i}", name, text) for i, text in enumerate(arguments))
    return AssistantReply(Message("assistant", "", "I need a tool.", made), reason, Usage(10, 5, 2))


def compute(expression):
    return json.dumps({"expression": expression})


def agent(*replies, **fields):
    script = Script(*replies)
    return Agent(script, [Tool.from_function(calculator)], **fields), script


def test_an_answer_without_tools():
    made, script = agent(says("391"))
    run = made.run(QUESTION)
    assert (run.answer, run.stopped_reason, run.calls) == ("391", "answer", ())
    assert script.seen[0][1] == [Tool.from_function(calculator).spec]


def test_call_observation_answer():
    made, script = agent(calls(compute("17*23")), says("391"), options={"thinking_budget": 64})
    run = made.run(QUESTION)
    assert [m.role for m in run.messages] == ["user", "assistant", "tool", "assistant"]
    assert run.messages[2] == Message("tool", "391", tool_call_id="call_0", name="calculator")
    assert (run.answer, run.stopped_reason, run.usage) == ("391", "answer", Usage(20, 10, 4))
    assert [(c.status, c.observation) for c in run.calls] == [("ok", "391")]
    assert [options for *_, options in script.seen] == [{"thinking_budget": 64}] * 2


def test_thoughts_are_kept_within_the_turn():
    made, script = agent(calls(compute("1+1")), calls(compute("2+2")), says("4"))
    made.run(QUESTION)
    thoughts = [m.reasoning_content for m in script.seen[-1][0] if m.role == "assistant"]
    assert thoughts == ["I need a tool.", "I need a tool."]


def test_parallel_calls_are_answered_in_order():
    made, _ = agent(calls(compute("1+1"), compute("2+2")), says("done"))
    run = made.run(QUESTION)
    assert [(m.content, m.tool_call_id) for m in run.messages if m.role == "tool"] == [("2", "call_0"), ("4", "call_1")]


def test_a_call_with_an_error_is_not_executed_and_the_model_is_told_why():
    reply = calls(compute("1+1"), compute("2+2"))
    wrong, right = reply.message.tool_calls
    wrong = replace(wrong, error="malformed: no closing brace")
    made, _ = agent(replace(reply, message=replace(reply.message, tool_calls=(wrong, right))), says("4"))
    run = made.run(QUESTION)
    assert [(record.status, record.observation) for record in run.calls] == [
        ("invalid_arguments", run.calls[0].observation),
        ("ok", "4"),
    ]
    assert run.calls[0].observation.startswith("error: not executed: malformed: no closing brace")
    assert '"expression"' in run.calls[0].observation  # the schema


def test_a_run_can_be_continued():
    made, script = agent(calls(compute("1+1")), says("2"), says("still 2"))
    first = made.run(QUESTION)
    second = made.run([*first.messages, {"role": "user", "content": "Sure?"}])
    assert second.messages[: len(first.messages)] == first.messages
    assert (second.answer, second.calls) == ("still 2", ())
    assert len(script.seen[-1][0]) == 5


def test_an_unknown_tool_is_told_the_known_ones():
    made, _ = agent(calls("{}", name="calculater"), says("sorry"))
    run = made.run(QUESTION)
    assert run.calls[0].status == "unknown_tool"
    assert 'did you mean "calculator"' in run.calls[0].observation
    assert "(tools: calculator)" in run.calls[0].observation


def test_an_unknown_tool_where_there_are_none():
    made = Agent(Script(calls("{}"), says("sorry")))
    assert "none" in made.run(QUESTION).calls[0].observation


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ('{"expression": "1/0"}', "error"),
        ('{"expression": ', "invalid_arguments"),
        ("[1]", "invalid_arguments"),
        ("", "invalid_arguments"),
        ('{"expr": "1"}', "invalid_arguments"),
        ('{"expression": "\\ud800"}', "invalid_arguments"),
    ],
)
def test_mistaken_calls_become_observations(arguments, status):
    made, _ = agent(calls(arguments), says("sorry"))
    run = made.run(QUESTION)
    assert (run.calls[0].status, run.stopped_reason) == (status, "answer")
    assert run.calls[0].call.arguments == arguments
    assert run.messages[2].content.startswith("error: ")


def test_malformed_arguments_are_quoted_but_not_sent_again():
    made, script = agent(calls('{"expression": '), says("sorry"))
    made.run(QUESTION)
    _, assistant, observation = script.seen[1][0]
    assert assistant.tool_calls[0].arguments == "{}"
    assert json.dumps('{"expression": ') in observation.content


def test_a_name_that_no_tool_may_have_is_told_but_not_sent_again():
    made, script = agent(calls("{}", name='a"b'), says("sorry"))
    run = made.run(QUESTION)
    _, assistant, observation = script.seen[1][0]
    assert assistant.tool_calls[0].name == "unknown" and run.calls[0].status == "unknown_tool"
    assert 'a"b' in observation.content and read_messages(run.messages)


@pytest.mark.parametrize(("reason", "stopped"), [("length", "length"), ("abort", "abort"), ("content_filter", "abort")])
def test_a_cut_reply_runs_nothing(reason, stopped):
    ran = []

    def note(x: int) -> str:
        """Note."""
        ran.append(x)
        return "noted"

    made = Agent(Script(calls('{"x": 1}', '{"x": 2}', name="note", reason=reason)), [Tool.from_function(note)])
    run = made.run(QUESTION)
    assert (run.stopped_reason, ran) == (stopped, [])
    assert [c.status for c in run.calls] == ["not_executed"] * 2
    assert [m.role for m in run.messages] == ["user", "assistant", "tool", "tool"]  # may be continued


def test_a_cut_answer_is_reported():
    made, _ = agent(says("39", reason="length"))
    assert made.run(QUESTION).stopped_reason == "length"


def test_calls_within_the_cap_end_in_an_answer():
    made, _ = agent(calls(compute("1+1")), calls(compute("2+2")), says("4"), max_calls=2)
    run = made.run(QUESTION)
    assert (run.stopped_reason, [c.status for c in run.calls]) == ("answer", ["ok", "ok"])


def test_at_the_cap_the_model_is_told_and_may_answer():
    made, script = agent(calls(compute("1+1"), compute("2+2"), compute("3+3")), says("2 at least"), max_calls=2)
    run = made.run(QUESTION)
    assert [c.status for c in run.calls] == ["ok", "ok", "not_executed"]
    assert "limit of 2 tool calls" in script.seen[1][0][-1].content
    assert (run.stopped_reason, run.answer) == ("max_calls", "2 at least")


def test_a_model_that_never_stops_calling_is_stopped():
    made, script = agent(*[calls(compute("1+1"))] * 10, max_calls=2)
    run = made.run(QUESTION)
    assert run.stopped_reason == "max_calls"
    assert [c.status for c in run.calls] == ["ok", "ok", "not_executed", "not_executed"]
    assert len(script.seen) == 4


def test_mistaken_calls_count_towards_the_cap():
    made, _ = agent(*[calls("{}", name="nothing")] * 10, max_calls=3)
    assert [c.status for c in made.run(QUESTION).calls][:3] == ["unknown_tool"] * 3


def test_what_there_was_is_not_lost_when_the_client_fails():
    class Gone(Script):
        def complete(self, messages, tools, **options):
            if not self.replies:
                raise SansiError("the server has gone", code="gone")
            return super().complete(messages, tools, **options)

    made = Agent(Gone(calls(compute("1+1"))), [Tool.from_function(calculator)])
    with pytest.raises(RunFailed, match="the server has gone") as caught:
        made.run(QUESTION)
    assert [m.role for m in caught.value.run.messages] == ["user", "assistant", "tool"]
    made.client.replies = [says("2")]
    assert made.run(caught.value.run.messages).answer == "2"


def test_bad_settings_are_named():
    tool = Tool.from_function(calculator)
    with pytest.raises(SansiError, match="same name: calculator, calculator"):
        Agent(Script(), [tool, tool])
    with pytest.raises(SansiError, match="max_calls"):
        Agent(Script(), max_calls=-1)
    with pytest.raises(SansiError, match="user"):
        Agent(Script()).run([{"role": "usr", "content": "hi"}])


@given(
    st.lists(
        st.builds(
            calls,
            st.text(max_size=8) | st.sampled_from([compute("1+1"), compute("x"), "{}", "null"]),
            st.just(compute("2*3")),
            name=st.sampled_from(["calculator", "other", ""]),
            reason=st.sampled_from(["tool_calls", "stop"]),
        ),
        max_size=8,
    ),
    st.integers(0, 6),
)
def test_every_call_gets_one_observation_and_every_run_ends(replies, max_calls):
    made, script = agent(*replies, says("done"), max_calls=max_calls)
    run = made.run(QUESTION)
    called = [call.id for m in run.messages if m.role == "assistant" for call in m.tool_calls]
    answered = [m.tool_call_id for m in run.messages if m.role == "tool"]
    assert called == answered == [record.call.id for record in run.calls]
    assert sum(record.status != "not_executed" for record in run.calls) <= max_calls
    assert len(script.seen) <= max_calls + 3
