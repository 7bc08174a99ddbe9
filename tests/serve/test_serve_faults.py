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
from collections import Counter
from pathlib import Path

import httpx
import pytest
from live_server import LONG, http, serving, wait_for
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


def patient_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=LONG, limits=httpx.Limits(max_connections=None))


def in_a_crowd(ask, count: int) -> list:
    async def all_of_them():
        async with patient_client() as client:
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
        assert wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before)
        assert http.post(url + CHAT, json=BODY).status_code == 200


def test_who_leaves_frees_the_slot_within_a_step(nano, monkeypatch, hold):
    monkeypatch.setattr(Codec, "stop_ids", ())  # it would go on to the end of the context
    with serving([nano]) as (url, server):
        held, aborts = hold(nano.engine, steps=30), nano.engine.metrics().aborts
        with http.stream("POST", url + CHAT, json=BODY | {"stream": True}) as response:
            lines = response.iter_lines()
            while "reasoning_content" not in next(lines):
                pass
            (request,) = nano.engine._scheduler.running
        assert wait_for(lambda: request.aborted)
        held.go()
        assert wait_for(lambda: idle(server, nano))
        assert nano.engine.metrics().aborts == aborts + 1
        assert len(held.scheduled) <= 31, "the step that had begun, and none after it"


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
        while nano.engine.metrics().running:
            await asyncio.sleep(0.01)
        return sum(seen)

    assert asyncio.run(leave()) <= 1, "one that had been scheduled when it left"


def test_who_leaves_the_queue_is_never_computed(nano, hold):
    async def come_and_leave(url, server, held):
        async with patient_client() as client:
            asking = [asyncio.create_task(client.post(url + CHAT, json=BODY))]
            while not nano.engine.metrics().waiting:  # it is in the step that is held
                await asyncio.sleep(0.01)
            asking += [asyncio.create_task(client.post(url + CHAT, json=BODY)) for _ in range(59)]
            while nano.engine.metrics().waiting < 60:
                await asyncio.sleep(0.01)
            for task in asking:
                task.cancel()
            while server._admission.held():
                await asyncio.sleep(0.01)

    with serving([nano]) as (url, server):
        begun, held = nano.engine.metrics().prompt_tokens, hold(nano.engine)
        asyncio.run(come_and_leave(url, server, held))
        held.go()
        assert wait_for(lambda: idle(server, nano))
        prompt = len(nano.codec.render(BODY["messages"]).ids)
        assert nano.engine.metrics().prompt_tokens < begun + 2 * prompt, "that of the step that had begun, at the most"


@pytest.fixture
def many_files():
    """Leave to open them: clients and server are one process here, and many systems give that 1,024 files."""
    resource = pytest.importorskip("resource")
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if hard < 0 else min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_files")
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
        for status, count in counts.items():
            line = f'sansi_http_requests_total{{method="POST",route="{CHAT}",status="{status}"}} {count}.0'
            assert wait_for(lambda line=line: line in http.get(f"{url}/metrics").text)


# --- the end ---------------------------------------------------------------------------------------------------------


class Process:
    """`sansi serve` as a user starts it; with `held`, its engine is slow until `hurry`."""

    def __init__(self, *options: str, held: bool = False):
        program = [str(Path(__file__).with_name("held_serve.py"))] if held else ["-m", "sansi.cli"]
        command = [sys.executable, *program, "serve", str(NANO), "--port", "0", *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, **pipes)
        lines = iter(self.process.stdout.readline, "")
        self.url = next(found[1] for line in lines if (found := re.search(r"chat +(http\S+)", line)))

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def hurry(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def ended(self) -> str:
        """The log of a process that ends by itself, and well."""
        _, log = self.process.communicate(timeout=LONG)
        assert self.process.returncode == 0, log
        return log


@pytest.fixture
def start():
    started = []

    def start(*options: str) -> Process:
        started.append(Process(*options, held=True))
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
        with contextlib.suppress(httpx.TransportError):  # torn off by the second interrupt
            texts.append(http.post(url + CHAT, json=body).text)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return texts, threads


def held(url: str) -> float:
    return float(re.search(r"^sansi_answers_held\S* (\S+)", http.get(f"{url}/metrics").text, re.M)[1])


def stopping(url: str) -> bool:
    return http.get(f"{url}/health").status_code == 503


def test_sigterm_under_load_lets_answers_end_and_refuses_new_ones(start):
    server = start("--max-batch", "2", "--grace", str(LONG), "--log-format", "json")
    texts, threads = streams(server.url, 30, max_tokens=40)
    assert wait_for(lambda: held(server.url) >= 20)
    server.signal(signal.SIGTERM)
    assert wait_for(lambda: stopping(server.url))
    refused = http.post(server.url + CHAT, json=BODY)
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["code"] == "shutting_down"
    server.hurry()
    log = server.ended()
    for thread in threads:
        thread.join(LONG)
    assert len(texts) == 30 and all(text.endswith("data: [DONE]\n\n") for text in texts)
    assert sum('"status": 200' in line for line in log.splitlines()) >= 30


def test_what_outlives_the_grace_ends_with_an_error(start):
    server = start("--max-batch", "1", "--grace", "0.2")
    texts, threads = streams(server.url, 30, **ENDLESS)
    assert wait_for(lambda: held(server.url) == 30)
    server.signal(signal.SIGTERM)
    server.ended()
    for thread in threads:
        thread.join(LONG)
    assert len(texts) == 30
    ends = [text.strip().rsplit("\n\n", 1)[-1].removeprefix("data: ") for text in texts]
    errors = [json.loads(end)["error"]["code"] for end in ends if end != "[DONE]"]
    assert errors and set(errors) == {"shutting_down"}


def test_a_second_interrupt_ends_it_at_once(start):
    server = start("--max-batch", "1", "--grace", str(10 * LONG))
    _, threads = streams(server.url, 30, **ENDLESS)
    assert wait_for(lambda: held(server.url) > 15)
    server.signal(signal.SIGINT)
    assert wait_for(lambda: stopping(server.url))
    server.signal(signal.SIGINT)
    server.ended()  # long before the grace is over
    for thread in threads:
        thread.join(LONG)
