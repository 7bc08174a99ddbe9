"""A real server under clients that vanish, that come all at once, and under signals: nothing hangs, nothing leaks."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from live_server import serving, wait_for
from sansi.chat import ChatModel
from sansi.text import Codec

NANO = Path(__file__).parents[2] / "checkpoints" / "nano"
CHAT = "/v1/chat/completions"
BODY = {"model": "nano", "messages": [{"role": "user", "content": "Solve for e: 8*e - 5 = 3"}], "seed": 1}
ENDLESS = {"temperature": 2.0, "top_k": 0, "top_p": 1.0, "thinking_budget": 900}


@pytest.fixture(scope="module")
def nano():
    with ChatModel.from_pretrained(NANO, device="cpu", max_batch=16) as chat:
        yield chat


def idle(server, chat) -> bool:
    """Whether nothing is held: no place in the queue, no slot of the engine, no block of the cache."""
    counted = chat.engine.metrics()
    return not (server._admission.held() or counted.running or counted.waiting or counted.blocks_owned)


def in_a_crowd(ask, count: int) -> list:
    async def all_of_them():
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(count)), return_exceptions=True)

    return asyncio.run(all_of_them())


def test_clients_that_vanish_leave_nothing_behind(nano):
    async def leave(client, number):
        async with client.stream("POST", url + CHAT, json=BODY | {"stream": True, "max_tokens": 900}) as response:
            lines = response.aiter_lines()
            for _ in range(number):
                await anext(lines)

    with serving([nano]) as (url, server):
        before = len(os.listdir("/proc/self/fd"))
        outcomes = in_a_crowd(leave, 30)
        assert not any(isinstance(outcome, httpx.HTTPError) for outcome in outcomes)
        assert wait_for(lambda: idle(server, nano))
        assert wait_for(lambda: not server.server_state.tasks and not server.server_state.connections)
        assert len(os.listdir("/proc/self/fd")) <= before
        assert httpx.post(url + CHAT, json=BODY, timeout=20).status_code == 200


def test_who_leaves_frees_the_slot_within_a_step(nano, monkeypatch):
    monkeypatch.setattr(Codec, "stop_ids", ())  # it would go on to the end of the context
    with serving([nano]) as (url, server):
        aborts = nano.engine.metrics().aborts
        with httpx.stream("POST", url + CHAT, json=BODY | {"stream": True}, timeout=20) as response:
            lines = response.iter_lines()
            while "reasoning_content" not in next(lines):
                pass
            assert nano.engine.running == 1
            request = nano.engine._scheduler.running[0]
        assert wait_for(lambda: idle(server, nano))
        assert nano.engine.metrics().aborts == aborts + 1
        assert len(request.ids) < request.max_tokens, "it did not run on to its end"


def test_the_step_after_an_abort_is_without_it(nano, monkeypatch):
    monkeypatch.setattr(Codec, "stop_ids", ())
    seen: list[bool] = []
    schedule = nano.engine._scheduler.schedule
    monkeypatch.setattr(
        nano.engine._scheduler, "schedule", lambda: [seen.append(work.request.aborted) or work for work in schedule()]
    )

    async def leave():
        stream = nano.stream(BODY["messages"])
        await anext(stream)
        await stream.aclose()
        await asyncio.sleep(0.05)
        return sum(seen)

    assert asyncio.run(leave()) <= 1, "one that had been scheduled when it left"


def test_who_leaves_the_queue_is_never_computed(nano):
    with serving([nano]) as (url, server):

        async def wait_a_moment(client, number):
            await client.post(url + CHAT, json=BODY | {"max_tokens": 800, "temperature": 2.0}, timeout=0.15)

        outcomes = in_a_crowd(wait_a_moment, 60)
        assert sum(isinstance(outcome, httpx.ReadTimeout) for outcome in outcomes) > 30
        assert wait_for(lambda: idle(server, nano))


def test_five_hundred_at_once_each_hear_an_answer_or_a_429(nano):
    async def ask(client, number):
        stream = number % 2 == 0
        response = await client.post(url + CHAT, json=BODY | {"stream": stream, "max_tokens": 24, "seed": number})
        if response.status_code == 200:
            assert ("[DONE]" in response.text) if stream else response.json()["choices"][0]["finish_reason"]
        else:
            assert int(response.headers["retry-after"]) >= 1 and "queue_full" in response.text
        return response.status_code

    with serving([nano], max_queue=64) as (url, server):
        counts = Counter(in_a_crowd(ask, 500))
        assert set(counts) <= {200, 429} and sum(counts.values()) == 500, counts
        assert counts[200] >= 80, "16 run and 64 wait"
        assert wait_for(lambda: idle(server, nano))
        text = httpx.get(f"{url}/metrics").text
        for status, count in counts.items():
            assert f'sansi_http_requests_total{{method="POST",route="{CHAT}",status="{status}"}} {count}.0' in text


# --- the end ---------------------------------------------------------------------------------------------------------


class Process:
    """`sansi serve` as a user starts it."""

    def __init__(self, *options: str):
        command = [sys.executable, "-m", "sansi.cli", "serve", str(NANO), "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines = iter(self.process.stdout.readline, "")
        self.url = next(found[1] for line in lines if (found := re.search(r"chat +(http\S+)", line)))

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, seconds: float) -> str:
        """The log of a process that ends by itself within the time, and well."""
        _, log = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, log
        return log


@pytest.fixture
def start():
    started = []

    def start(*options: str) -> Process:
        started.append(Process(*options))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def streams(url: str, count: int, **fields) -> tuple[list[str], list[threading.Thread]]:
    """So many streams that run in threads; their texts come into the list as they end."""
    texts: list[str] = []

    def read(number):
        body = BODY | {"stream": True, "seed": number} | fields
        with contextlib.suppress(httpx.RemoteProtocolError):  # torn off by the second interrupt
            texts.append(httpx.post(url + CHAT, json=body, timeout=30).text)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return texts, threads


def held(url: str) -> float:
    return float(re.search(r"^sansi_answers_held\S* (\S+)", httpx.get(f"{url}/metrics").text, re.M)[1])


def test_sigterm_under_load_lets_answers_end_and_refuses_new_ones(start):
    server = start("--max-batch", "2", "--grace", "30", "--log-format", "json")
    texts, threads = streams(server.url, 30, **ENDLESS)
    assert wait_for(lambda: held(server.url) >= 20)
    server.signal(signal.SIGTERM)
    assert wait_for(lambda: httpx.get(f"{server.url}/health").status_code == 503)
    refused = httpx.post(server.url + CHAT, json=BODY)
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["code"] == "shutting_down"
    log = server.ended(20)
    for thread in threads:
        thread.join(5)
    assert len(texts) == 30 and all(text.endswith("data: [DONE]\n\n") for text in texts)
    assert sum('"status": 200' in line for line in log.splitlines()) >= 30


def test_what_outlives_the_grace_ends_with_an_error(start):
    server = start("--max-batch", "1", "--grace", "0.2")
    texts, threads = streams(server.url, 30, **ENDLESS)
    assert wait_for(lambda: held(server.url) > 15)
    begun = time.monotonic()
    server.signal(signal.SIGTERM)
    server.ended(20)
    assert time.monotonic() - begun < 20
    for thread in threads:
        thread.join(5)
    assert len(texts) == 30
    ends = [text.strip().rsplit("\n\n", 1)[-1].removeprefix("data: ") for text in texts]
    errors = [json.loads(end)["error"]["code"] for end in ends if end != "[DONE]"]
    assert errors and set(errors) == {"shutting_down"}


def test_a_second_interrupt_ends_it_at_once(start):
    server = start("--max-batch", "1", "--grace", "60")
    _, threads = streams(server.url, 30, **ENDLESS)
    assert wait_for(lambda: held(server.url) > 15)
    server.signal(signal.SIGINT)
    time.sleep(0.2)
    begun = time.monotonic()
    server.signal(signal.SIGINT)
    server.ended(20)
    assert time.monotonic() - begun < 15, "and the grace is 60"
    for thread in threads:
        thread.join(5)
