"""The whole path with a real checkpoint of random weights: folder, engine, codec, server, official client."""

from live_server import wait_for
from sansi.text import Codec
from test_serve_api import ask, collected, without_timing

LIMIT = {"max_tokens": 200, "seed": 1}


def test_thinking_and_the_usage_adds_up(tiny_client):
    answer = ask(tiny_client, model="tiny", **LIMIT)
    used, told = answer.usage, answer.sansi
    assert told["mode"] == "thinking"
    assert 0 < used.completion_tokens_details.reasoning_tokens <= used.completion_tokens <= 200
    assert used.total_tokens == used.prompt_tokens + used.completion_tokens
    assert told["sampling"]["temperature"] == 0.6


def test_non_thinking(tiny_client):
    answer = ask(tiny_client, model="tiny", extra={"enable_thinking": False}, **LIMIT)
    assert answer.sansi["mode"] == "non-thinking" and answer.sansi["sampling"]["temperature"] == 0.7
    assert answer.usage.completion_tokens_details.reasoning_tokens == 0


def test_the_budget_holds(tiny_client):
    answer = ask(tiny_client, model="tiny", extra={"thinking_budget": 8}, max_tokens=300, seed=1)
    told, thought = answer.sansi, answer.usage.completion_tokens_details.reasoning_tokens
    assert told["thinking_end_reason"] == "budget"
    assert thought == 8 == told["thinking_budget_applied"] and told["closing_phrase_tokens"] > 8
    assert answer.choices[0].message.reasoning_content.endswith(told["closing_phrase"])
    assert answer.choices[0].message.reasoning_content.rstrip().endswith("based on the thinking directly now.")


def test_streamed_equals_not_streamed(tiny_client):
    for extra in (None, {"enable_thinking": False}, {"thinking_budget": 8}):
        whole = ask(tiny_client, model="tiny", extra=extra, **LIMIT)
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        text, reasoning, report, usage = collected(ask(tiny_client, model="tiny", extra=extra, **streamed, **LIMIT))
        assert text == whole.choices[0].message.content
        assert reasoning == (getattr(whole.choices[0].message, "reasoning_content", None) or "")
        assert (report, usage.completion_tokens) == (without_timing(whole.sansi), whole.usage.completion_tokens)


def test_tools_are_rendered(tiny_client):
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    with_tools = ask(tiny_client, model="tiny", extra={"tools": [tool]}, max_tokens=1)
    assert with_tools.usage.prompt_tokens > ask(tiny_client, model="tiny", max_tokens=1).usage.prompt_tokens


def test_a_client_that_leaves_frees_the_slot(tiny_client, tiny_chat, monkeypatch, hold):
    monkeypatch.setattr(Codec, "stop_ids", ())  # it would go on to the last token
    ended, held = [], hold(tiny_chat.engine, steps=30)
    stream = ask(tiny_client, model="tiny", stream=True, max_tokens=900)
    chunks = iter(stream)
    while not next(chunks).choices[0].delta.model_extra:  # until the first piece of the thought
        pass
    tiny_chat.engine._scheduler.running[0].on_end = ended.append
    stream.close()
    held.go()
    assert wait_for(lambda: ended)
    assert ended[0].finish_reason == "abort" and wait_for(lambda: tiny_chat.engine.running == 0)
