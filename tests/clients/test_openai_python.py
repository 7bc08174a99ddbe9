"""OpenAI's own Python client: everything that it sends is understood, everything that it gets is of its types."""

from __future__ import annotations

import asyncio
import json
import time
from enum import StrEnum
from itertools import pairwise
from types import SimpleNamespace
from typing import Literal

import httpx
import openai
import pytest
from fake_chat import FakeChat
from live_server import http, running, wait_for
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, Field
from sansi.serve.http.settings import Keys
from scripted import CALLS, PLACES, WEATHER

QUESTION = [{"role": "user", "content": "State the final answer to the following arithmetic problem: 4 + 3 ="}]
TOOL = [{"role": "user", "content": "What will the weather be?"}]


def raw_chunks(base_url: str, path: str = "chat/completions", **body) -> list[dict]:
    with http.stream("POST", f"{base_url}/{path}", json={**body, "stream": True}) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def reasoning(part) -> str:
    return getattr(part, "reasoning_content", None) or ""


# --- types ------------------------------------------------------------------------------------------------------------
# The client builds its objects without looking; `model_validate` does look.

ASKS = {
    "thinking": {"model": "nano"},
    "budget": {"model": "nano", "thinking_budget": 4},
    "not thinking": {"model": "nano", "enable_thinking": False},
    "several": {"model": "nano", "n": 2, "max_tokens": 40},
    "log-probabilities": {"model": "nano", "logprobs": True, "top_logprobs": 3, "max_tokens": 40},
    "tools": {"model": "caller", "tools": [WEATHER]},
}


@pytest.mark.parametrize("name", ASKS)
def test_whole_answers_are_of_the_clients_types(base_url, name):
    body = {"messages": QUESTION, "seed": 1, **ASKS[name]}
    response = http.post(f"{base_url}/chat/completions", json=body)
    assert response.status_code == 200, response.text
    ChatCompletion.model_validate(response.json())


@pytest.mark.parametrize("name", ASKS)
def test_chunks_are_of_the_clients_types_and_of_one_answer(base_url, name):
    body = {"messages": QUESTION, "seed": 1, "stream_options": {"include_usage": True}, **ASKS[name]}
    chunks = [ChatCompletionChunk.model_validate(chunk) for chunk in raw_chunks(base_url, **body)]
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage is not None and chunks[-1].choices == []
    ends = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert len(ends) == body.get("n", 1)


def test_models_are_of_the_clients_types(base_url, client):
    for card in http.get(f"{base_url}/models").json()["data"]:
        Model.model_validate(card)
    assert [model.id for model in client.models.list()] == ["nano", "fake", "caller"]
    assert client.models.retrieve("nano").owned_by == "sansi"


# --- answers ----------------------------------------------------------------------------------------------------------


def test_thought_and_answer_apart(client):
    answer = client.chat.completions.create(model="fake", messages=QUESTION)
    message = answer.choices[0].message
    assert (message.content, message.reasoning_content) == ("It is 42", "12 + 30 is 42.")
    assert answer.usage.completion_tokens_details.reasoning_tokens == 5


@pytest.mark.parametrize("extra", [{}, {"enable_thinking": False}, {"thinking_budget": 8}])
def test_the_bundled_model_streams_what_it_says_whole(client, extra):
    ask = {"model": "nano", "messages": QUESTION, "seed": 3, "extra_body": extra}
    whole = client.chat.completions.create(**ask)
    deltas = [c.choices[0].delta for c in client.chat.completions.create(stream=True, **ask) if c.choices]
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    assert "".join(map(reasoning, deltas)) == reasoning(whole.choices[0].message)


def test_many_at_once_say_what_each_says_alone(base_url, client):
    async def one(asynchronous: openai.AsyncOpenAI, seed: int) -> str:
        text = ""
        async for chunk in await asynchronous.chat.completions.create(
            model="nano", messages=QUESTION, seed=seed, stream=True
        ):
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        return text

    async def together() -> list[str]:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as asynchronous:
            return await asyncio.gather(*(one(asynchronous, seed) for seed in range(8)))

    alone = [client.chat.completions.create(model="nano", messages=QUESTION, seed=seed) for seed in range(8)]
    assert asyncio.run(together()) == [answer.choices[0].message.content for answer in alone]


def test_several_choices_are_those_of_the_next_seeds(client):
    ask = {"model": "nano", "messages": QUESTION, "max_tokens": 60}
    several = client.chat.completions.create(n=3, seed=5, **ask)
    alone = [client.chat.completions.create(seed=seed, **ask) for seed in (5, 6, 7)]
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    assert [c.message.content for c in several.choices] == [a.choices[0].message.content for a in alone]
    assert several.usage.completion_tokens == sum(a.usage.completion_tokens for a in alone)
    assert several.usage.prompt_tokens == alone[0].usage.prompt_tokens


def test_log_probabilities(client):
    ask = {"model": "nano", "messages": QUESTION, "seed": 1, "extra_body": {"enable_thinking": False}}
    answer = client.chat.completions.create(logprobs=True, top_logprobs=2, **ask)
    tokens = answer.choices[0].logprobs.content
    assert "".join(token.token for token in tokens).startswith(answer.choices[0].message.content)
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)
    assert all(bytes(token.bytes).decode(errors="replace") == token.token for token in tokens)


def test_stop_strings(client):
    hello = [{"role": "user", "content": "Hello"}]
    ask = {"model": "nano", "messages": hello, "seed": 1, "extra_body": {"enable_thinking": False}}
    text = client.chat.completions.create(**ask).choices[0].message.content
    assert len(text) > 1
    cut = client.chat.completions.create(stop=[text[-1]], **ask).choices[0]
    assert (cut.message.content, cut.finish_reason) == (text[: text.index(text[-1])], "stop")


def test_a_limit_is_told_as_length(client):
    answer = client.chat.completions.create(model="nano", messages=QUESTION, max_completion_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3


def test_plain_completions(client, base_url):
    ask = {"model": "nano", "prompt": "The sum of 4 and 3", "max_tokens": 12, "seed": 2}
    whole = client.completions.create(**ask)
    Completion.model_validate(http.post(f"{base_url}/completions", json=ask).json())
    streamed = "".join(c.choices[0].text for c in client.completions.create(stream=True, **ask) if c.choices)
    assert streamed == whole.choices[0].text and whole.choices[0].text
    *chunks, last = raw_chunks(base_url, "completions", **ask)
    assert last["choices"][0]["finish_reason"] == "length"
    for chunk in [*chunks, last]:  # the type has no null here, though OpenAI's own chunks have
        assert chunk["choices"][0].pop("finish_reason") is None or chunk is last
        Completion.model_validate({**chunk, "choices": [{**chunk["choices"][0], "finish_reason": "stop"}]})


# --- the client's helper for streams ----------------------------------------------------------------------------------


def test_the_stream_helper_adds_up(client):
    with client.chat.completions.stream(model="fake", messages=QUESTION) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(pieces) == final.choices[0].message.content == "It is 42"


# --- tools ------------------------------------------------------------------------------------------------------------


def followed(client, calls) -> str:
    """The answer when both calls were executed."""
    assistant = {"role": "assistant", "content": None, "tool_calls": calls}
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": json.loads(call["function"]["arguments"])["city"]}
        for call in calls
    ]
    messages = [*TOOL, assistant, *results]
    answer = client.chat.completions.create(model="caller", messages=messages, tools=[WEATHER])
    return answer.choices[0].message.content


def test_a_round_with_two_tools_at_once(client):
    answer = client.chat.completions.create(model="caller", messages=TOOL, tools=[WEATHER])
    choice = answer.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert [json.loads(call.function.arguments) for call in choice.message.tool_calls] == list(PLACES)
    assert followed(client, choice.message.model_dump()["tool_calls"]) == '上海 and Fort "Wayne"'


def test_calls_are_streamed_as_their_arguments_grow(client):
    with client.chat.completions.stream(model="caller", messages=TOOL, tools=[WEATHER]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        message = stream.get_final_completion().choices[0].message
    assert [event.arguments for event in done] == [call.arguments for call in CALLS]
    assert [(call.id, call.function.name) for call in message.tool_calls] == [(c.id, c.name) for c in CALLS]


class Add(BaseModel):
    """Add two numbers."""

    a: int = Field(ge=0, le=99)
    b: int = Field(ge=0, le=99)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "Add"}}])
def test_the_bundled_model_can_be_made_to_call_a_tool(client, choice):
    tool = openai.pydantic_function_tool(Add)
    answer = client.chat.completions.parse(
        model="nano", messages=QUESTION, tools=[tool], tool_choice=choice, seed=0, parallel_tool_calls=False
    )
    (call,) = answer.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Add)
    assert answer.choices[0].finish_reason == "tool_calls"


def test_no_tool_is_called_when_none_may_be(client):
    ask = {"model": "nano", "messages": QUESTION, "tools": [WEATHER], "tool_choice": "none", "seed": 0}
    answer = client.chat.completions.create(**ask)
    assert not answer.choices[0].message.tool_calls


# --- structured output ------------------------------------------------------------------------------------------------


class Unit(StrEnum):
    metre = "m"
    second = "s"


class Step(BaseModel):
    digit: int = Field(ge=0, le=9)
    sure: bool


class Result(BaseModel):
    kind: Literal["sum", "difference"]
    unit: Unit
    step: Step
    value: int | None = Field(ge=-99, le=99)


@pytest.mark.parametrize("thinking", [False, True])
def test_answers_are_parsed_into_the_callers_own_class(client, thinking):
    answer = client.chat.completions.parse(
        model="nano",
        messages=QUESTION,
        response_format=Result,
        seed=4,
        extra_body={"enable_thinking": thinking, "thinking_budget": 32 if thinking else None},
    )
    assert isinstance(answer.choices[0].message.parsed, Result)
    assert bool(reasoning(answer.choices[0].message)) == thinking


def test_the_stream_helper_parses_too(client):
    with client.chat.completions.stream(
        model="nano", messages=QUESTION, response_format=Result, seed=4, extra_body={"enable_thinking": False}
    ) as stream:
        done = [event.parsed for event in stream if event.type == "content.done"]
    assert len(done) == 1 and isinstance(done[0], Result)


def test_a_cut_answer_is_the_clients_own_error(client):
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(
            model="nano",
            messages=QUESTION,
            response_format=Result,
            max_tokens=3,
            extra_body={"enable_thinking": False},
        )


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": 3.0}, "temperature"),
        ({"extra_body": {"thinkng_budget": 5}}, "thinkng_budget"),
        ({"messages": [{"role": "user"}]}, "messages[0]"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_bad_requests(client, change, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "fake", "messages": QUESTION, **change})
    assert caught.value.param.startswith(param)
    assert caught.value.type == "invalid_request_error" and param.split("[")[0] in caught.value.message


def test_an_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=QUESTION)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("stream", [False, True])
def test_a_bug_is_an_internal_error_that_tells_nothing(client, fake, monkeypatch, stream):
    monkeypatch.setattr(fake, "fail_at", 2)
    with pytest.raises(openai.APIError) as caught:
        answer = client.chat.completions.create(model="fake", messages=QUESTION, stream=stream)
        list(answer) if stream else answer
    assert isinstance(caught.value, openai.InternalServerError) or stream
    assert "secret" not in str(caught.value)


def test_a_client_that_waits_no_longer_frees_the_slot(client, fake, monkeypatch):
    monkeypatch.setattr(fake, "hold_at", 2)
    cancelled = fake.cancelled
    for _ in range(100):  # a busy machine may not have begun with the first in so short a time
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=0.3).chat.completions.create(model="fake", messages=QUESTION)
        if wait_for(lambda: fake.cancelled > cancelled, 1):
            break
    assert fake.cancelled > cancelled and wait_for(lambda: fake.running == 0)


def test_requests_have_ids(client):
    answer = client.chat.completions.create(model="fake", messages=QUESTION)
    assert answer._request_id
    named = client.chat.completions.with_raw_response.create(
        model="fake", messages=QUESTION, extra_headers={"x-request-id": "mine-1"}
    )
    assert named.request_id == "mine-1"


# --- keys and queues --------------------------------------------------------------------------------------------------


def test_keys():
    key = "a-key-of-sixteen-characters-or-more"
    with running([FakeChat()], keys=Keys([key])) as url:
        right, wrong = (openai.OpenAI(base_url=f"{url}/v1", api_key=k, max_retries=0) for k in (key, "another"))
        assert right.chat.completions.create(model="fake", messages=QUESTION).choices
        with pytest.raises(openai.AuthenticationError) as caught:
            wrong.chat.completions.create(model="fake", messages=QUESTION)
    assert caught.value.code == "invalid_api_key"


class Engine:
    """As much of one as tells how many answers are made at once."""

    plan = SimpleNamespace(max_batch=1)


@pytest.fixture
def busy():
    """A server with one place, which somebody has taken, and the means to give it back."""
    chat = FakeChat()
    chat.hold_at = 2
    chat.engine = Engine()
    with running([chat], max_queue=0) as url:
        ask = {"model": "fake", "messages": QUESTION}
        with http.stream("POST", f"{url}/v1/chat/completions", json={**ask, "stream": True}) as first:
            lines = first.iter_lines()
            next(lines)
            yield f"{url}/v1", chat.go.set


def test_a_full_queue_is_a_rate_limit(busy):
    impatient = openai.OpenAI(base_url=busy[0], api_key="none", max_retries=0)
    with pytest.raises(openai.RateLimitError) as caught:
        impatient.chat.completions.create(model="fake", messages=QUESTION)
    assert caught.value.code == "queue_full" and int(caught.value.response.headers["retry-after"]) >= 1


def test_the_client_comes_back_when_it_was_told_to(busy):
    url, leave = busy
    answers = []

    def note(response: httpx.Response) -> None:
        answers.append((response.status_code, time.monotonic()))
        leave()

    # The client itself decides when to ask again, by the header that the server sends.
    http = openai.DefaultHttpxClient(event_hooks={"response": [note]})
    patient = openai.OpenAI(base_url=url, api_key="none", max_retries=100, http_client=http)
    assert patient.chat.completions.create(model="fake", messages=QUESTION).choices[0].message.content == "It is 42"
    statuses = [status for status, _ in answers]
    assert len(statuses) >= 2 and statuses == [429] * (len(statuses) - 1) + [200]
    assert all(later - sooner >= 1 for (_, sooner), (_, later) in pairwise(answers))
