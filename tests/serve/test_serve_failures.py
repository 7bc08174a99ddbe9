"""Bugs, clients that leave, and a server that lives on after both."""

import asyncio
import time

import httpx
import pytest
from fake_chat import FakeChat
from live_server import running

BODY = {"model": "fake", "messages": [{"role": "user", "content": "What is 12 + 30?"}]}


@pytest.fixture
def served():
    chat = FakeChat()
    with running([chat]) as url:
        yield chat, f"{url}/v1/chat/completions"


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_a_bug_is_a_500_without_a_traceback(served):
    chat, url = served
    chat.fail_at = 2
    response = httpx.post(url, json=BODY)
    assert (response.status_code, response.json()["error"]["type"]) == (500, "server_error")
    assert "secret" not in response.text and "Traceback" not in response.text
    chat.fail_at = None
    assert httpx.post(url, json=BODY).status_code == 200


def test_a_bug_in_mid_stream_ends_the_stream_with_an_error(served):
    chat, url = served
    chat.fail_at = 2
    text = httpx.post(url, json=BODY | {"stream": True}).text
    assert '"server_error"' in text.rstrip().split("\n")[-1]
    assert "secret" not in text and "[DONE]" not in text
    chat.fail_at = None
    assert "[DONE]" in httpx.post(url, json=BODY | {"stream": True}).text


def test_an_abort_by_the_engine_is_never_an_answer(served):
    chat, url = served
    chat.finish_reason = "abort"
    assert httpx.post(url, json=BODY).status_code == 503
    assert "shutting down" in httpx.post(url, json=BODY | {"stream": True}).text


def test_a_client_that_leaves_a_stream_cancels_the_generation(served):
    chat, url = served
    chat.delay = 0.1
    with httpx.stream("POST", url, json=BODY | {"stream": True}) as response:
        next(response.iter_lines())
    assert wait_for(lambda: chat.cancelled == 1)
    chat.delay = 0
    assert httpx.post(url, json=BODY).status_code == 200


def test_a_client_that_reads_nothing_and_leaves_cancels_the_generation(served):
    chat, url = served
    chat.content = " ".join(["x" * 2**16] * 500)  # far more than the buffers between the two hold
    with httpx.stream("POST", url, json=BODY | {"stream": True}):
        assert wait_for(lambda: chat.running == 1)
        assert not wait_for(lambda: chat.running == 0, 0.5), "it waits for the reader"
    assert wait_for(lambda: chat.cancelled == 1)
    assert chat.running == 0


def test_a_client_that_leaves_without_streaming_cancels_the_generation(served):
    chat, url = served
    chat.delay = 1.0
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json=BODY, timeout=0.3)
    assert wait_for(lambda: chat.cancelled == 1, 2.0)


def test_requests_run_side_by_side(served):
    chat, url = served
    chat.delay = 0.05

    async def four():
        async with httpx.AsyncClient() as client:
            await asyncio.gather(*(client.post(url, json=BODY, timeout=30) for _ in range(4)))

    asyncio.run(four())
    assert chat.most_at_once == 4
