"""Bugs, clients that leave, and a server that lives on after both."""

import asyncio

import httpx
import pytest
from fake_chat import FakeChat
from live_server import LONG, http, running, wait_for

BODY = {"model": "fake", "messages": [{"role": "user", "content": "What is 12 + 30?"}]}


@pytest.fixture
def served():
    chat = FakeChat()
    with running([chat]) as url:
        yield chat, f"{url}/v1/chat/completions"


def test_a_bug_is_a_500_without_a_traceback(served):
    chat, url = served
    chat.fail_at = 2
    response = http.post(url, json=BODY)
    assert (response.status_code, response.json()["error"]["type"]) == (500, "server_error")
    assert "secret" not in response.text and "Traceback" not in response.text
    chat.fail_at = None
    assert http.post(url, json=BODY).status_code == 200


def test_a_bug_in_mid_stream_ends_the_stream_with_an_error(served):
    chat, url = served
    chat.fail_at = 2
    text = http.post(url, json=BODY | {"stream": True}).text
    assert '"server_error"' in text.rstrip().split("\n")[-1]
    assert "secret" not in text and "[DONE]" not in text
    chat.fail_at = None
    assert "[DONE]" in http.post(url, json=BODY | {"stream": True}).text


def test_an_abort_by_the_engine_is_never_an_answer(served):
    chat, url = served
    chat.finish_reason = "abort"
    assert http.post(url, json=BODY).status_code == 503
    assert "shutting down" in http.post(url, json=BODY | {"stream": True}).text


def test_a_client_that_leaves_a_stream_cancels_the_generation(served):
    chat, url = served
    chat.hold_at = 2
    with http.stream("POST", url, json=BODY | {"stream": True}) as response:
        next(response.iter_lines())
    assert wait_for(lambda: chat.cancelled == 1)
    chat.go.set()
    assert http.post(url, json=BODY).status_code == 200


def test_a_client_that_reads_nothing_and_leaves_cancels_the_generation(served):
    chat, url = served
    chat.content = " ".join(["x" * 2**16] * 500)  # far more than the buffers between the two hold
    with http.stream("POST", url, json=BODY | {"stream": True}):
        assert wait_for(lambda: chat.running == 1)
        assert not wait_for(lambda: chat.running == 0, 0.5), "it waits for the reader"
    assert wait_for(lambda: chat.cancelled == 1)
    assert chat.running == 0


def test_a_client_that_leaves_without_streaming_cancels_the_generation(served):
    chat, url = served
    chat.hold_at = 2

    async def leave():
        async with httpx.AsyncClient(timeout=LONG) as client:
            asking = asyncio.create_task(client.post(url, json=BODY))
            while not chat.running:
                await asyncio.sleep(0.01)
            asking.cancel()

    asyncio.run(leave())
    assert wait_for(lambda: chat.cancelled == 1)


def test_requests_run_side_by_side(served):
    chat, url = served
    chat.hold_at = 2

    async def four():
        async with httpx.AsyncClient(timeout=LONG) as client:
            asking = [asyncio.create_task(client.post(url, json=BODY)) for _ in range(4)]
            while chat.running < 4:
                await asyncio.sleep(0.01)
            chat.go.set()
            return [(await each).status_code for each in asking]

    assert asyncio.run(four()) == [200] * 4
