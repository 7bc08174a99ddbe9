"""An agent against Sansi's own server: tokens are counted by it, its budget is kept, and stopping reaches the model."""

from fake_chat import FakeChat
from live_server import LONG, running, wait_for
from sansi.agents import Agent, Stop, Tool, calculator
from sansi.client import HTTPChatClient

QUESTION = [{"role": "user", "content": "12 + 30?"}]


def test_a_run_has_the_server_s_figures():
    chat = FakeChat(thought="one two three four five six seven eight")
    with running([chat]) as url, HTTPChatClient(f"{url}/v1", "fake", timeout=LONG) as client:
        agent = Agent(client, [Tool.from_function(calculator)], thinking_budget=8)
        events = list(agent.stream(QUESTION))
    run = events[-1].run
    assert (run.answer, run.stopped_reason, run.usage.reasoning_tokens) == ("It is 42", "answer", 4)
    assert events[0].context_length == 1024 and events[0].thinking_budget == 4
    assert [options.thinking_budget for _, options in chat.seen] == [4]
    closing = [event.text for event in events if event.kind == "reasoning" and event.closing]
    assert "".join(closing) == "Considering the limited time. "


def test_stopping_a_run_frees_the_server():
    chat, stop = FakeChat(content="It is 42, as I said"), Stop()
    chat.hold_at = 6
    with running([chat]) as url, HTTPChatClient(f"{url}/v1", "fake", timeout=LONG) as client:
        for event in Agent(client).stream(QUESTION, stop=stop):
            if event.kind == "content":
                stop.set()
        assert event.status == "cancelled"
        assert wait_for(lambda: chat.cancelled == 1 and chat.running == 0)
