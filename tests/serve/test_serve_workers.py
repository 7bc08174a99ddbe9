"""Work that would hold up the event loop: what is too long is refused before it is read, and what runs is bounded."""

import asyncio
import threading
import time
from pathlib import Path

import httpx
import pytest
from fake_chat import FakeChat
from live_server import LONG, http, running, serving, wait_for
from sansi.base.errors import SansiError
from sansi.chat import ChatModel
from sansi.serve.app import COMPILERS
from sansi.serve.http.admission import Gate
from sansi.serve.http.settings import ServerSettings, body_limit
from sansi.serve.http.workers import Workers

NANO = Path(__file__).resolve().parents[2] / "checkpoints" / "nano"
CHAT = "/v1/chat/completions"
TOO_LONG = {
    "words": "x " * 2_000_000,
    "spaces": " " * 4_000_000,
    "one word": "x" * 4_000_000,
    "marks to be composed": "a\u0301" * 1_000_000,
}


@pytest.fixture(scope="module")
def nano():
    with ChatModel.from_pretrained(NANO, device="cpu", max_batch=16) as chat:
        yield chat


def chat_body(content, **more):
    return {"model": "nano", "messages": [{"role": "user", "content": content}], **more}


# --- long texts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TOO_LONG.values(), ids=TOO_LONG)
def test_a_text_far_beyond_the_context_is_refused_before_it_is_encoded(nano, text, monkeypatch):
    monkeypatch.setattr(type(nano.codec.tokenizer), "encode", lambda *_: pytest.fail("it was encoded"))
    with running([nano], max_body=16 * 2**20) as url:
        said = http.post(url + CHAT, json=chat_body(text))
        plain = http.post(f"{url}/v1/completions", json={"model": "nano", "prompt": text})
    for response, param in ((said, "messages"), (plain, "prompt")):
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", param)
        assert "1024" in error["message"] and "at least" in error["message"]


def test_while_a_long_text_is_read_others_are_answered(nano, monkeypatch):
    reading, go, fewest_ids = threading.Event(), threading.Event(), type(nano.codec.tokenizer).fewest_ids

    def read(*args):
        reading.set()
        assert go.wait(LONG)
        return fewest_ids(*args)

    monkeypatch.setattr(type(nano.codec.tokenizer), "fewest_ids", read)
    with running([nano], max_body=16 * 2**20) as url:
        said = []
        asking = threading.Thread(target=lambda: said.append(http.post(url + CHAT, json=chat_body("x " * 100_000))))
        asking.start()
        assert reading.wait(LONG)
        assert http.get(f"{url}/health").status_code == 200
        go.set()
        asking.join()
    assert said[0].status_code == 400


def test_a_bound_on_ids_is_never_above_their_number(nano):
    tokenizer = nano.codec.tokenizer
    texts = ["x " * 40_000, " " * 60_000, "a\u0301" * 30_000, "Solve for e: 8*e - 5 = 3\n" * 3_000, "中文。" * 20_000]
    for text in texts:
        ids = len(tokenizer.encode(text))
        assert tokenizer.encode(text) == tokenizer._plain.encode(text, add_special_tokens=False).ids
        for enough in (10, 1_000, ids, 2 * ids):
            fewest = tokenizer.fewest_ids(text, enough)
            assert fewest <= ids
        assert tokenizer.fewest_ids(text, 1_000) > 0


def test_many_parts_are_refused_before_they_are_read(nano, monkeypatch):
    monkeypatch.setattr(type(nano.codec), "render", lambda *_, **__: pytest.fail("it was rendered"))
    with pytest.raises(SansiError, match="at least 1024 tokens long") as caught:
        nano.stream([{"role": "user", "content": ""}] * 1024)
    assert caught.value.code == "context_length_exceeded"


def test_one_prompt_for_many_answers_is_rendered_once(nano, monkeypatch):
    seen, render = [], type(nano.codec).render

    def counted(*args, **options):
        seen.append(1)
        return render(*args, **options)

    monkeypatch.setattr(type(nano.codec), "render", counted)
    with running([nano]) as url:
        answer = http.post(url + CHAT, json=chat_body("2 + 2 = ?", n=3, seed=5, max_tokens=40, stop=["zzz"])).json()
        assert len(seen) == 1
        alone = [http.post(url + CHAT, json=chat_body("2 + 2 = ?", seed=5 + i, max_tokens=40)).json() for i in range(3)]
    said = [choice["message"] for choice in sorted(answer["choices"], key=lambda choice: choice["index"])]
    assert said == [each["choices"][0]["message"] for each in alone]


def test_a_body_may_be_as_large_as_the_context_makes_it_useful(nano):
    assert 2**20 < body_limit(1024) < 2**21 and body_limit(2**20) == 16 * 2**20
    with running([nano]) as url:
        content = b" " * (body_limit(1024) + 1)
        assert http.post(url + CHAT, content=content).status_code == 413


def test_answers_that_would_fill_the_memory_are_refused(nano):
    with running([nano]) as url:
        body = chat_body("2 + 2 = ?", n=128, logprobs=True, top_logprobs=20)
        error = http.post(url + CHAT, json=body).json()["error"]
        assert error["param"] == "max_tokens" and str(2**20) in error["message"]
        assert http.post(url + CHAT, json=body | {"n": 2, "max_tokens": 4}).status_code == 200


# --- threads ---------------------------------------------------------------------------------------------------------


def test_work_holds_its_ticket_until_it_ends_and_goes_on_in_few_threads():
    gate, workers = Gate(8, ServerSettings()), Workers(2, "test")
    go, lock, at_once, most = threading.Event(), threading.Lock(), [0], [0]

    def count(change):
        with lock:
            at_once[0] += change
            most[0] = max(most[0], at_once[0])

    def work():
        count(1)
        assert go.wait(LONG)
        count(-1)
        return 7

    async def until(condition):
        async with asyncio.timeout(LONG):
            while not condition():
                await asyncio.sleep(0.005)

    async def leave_and_stay():
        tickets = [gate.enter(1, time.monotonic()) for _ in range(5)]
        tasks = [asyncio.create_task(workers.run(work, ticket)) for ticket in tickets]
        await until(lambda: at_once[0] == 2)
        for task, ticket in zip(tasks[:4], tickets, strict=False):
            task.cancel()
            ticket.release()  # as the end of the request does
        await asyncio.gather(*tasks[:4], return_exceptions=True)
        assert gate.held == 5, "the clients have left, but the work has not ended"
        go.set()
        assert await tasks[4] == 7
        tickets[4].release()
        await until(lambda: gate.held == 0)

    asyncio.run(leave_and_stay())
    assert most[0] == 2


def test_an_error_of_the_work_is_the_caller_s():
    gate, workers = Gate(8, ServerSettings()), Workers(1, "test")

    async def fail():
        ticket = gate.enter(1, time.monotonic())
        with pytest.raises(SansiError, match="wrong"):
            await workers.run(lambda: (_ for _ in ()).throw(SansiError("wrong")), ticket)

    asyncio.run(fail())


def test_an_end_does_not_wait_for_the_threads():
    gate, workers = Gate(8, ServerSettings()), Workers(1, "test")
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        go.wait()
        ended.set()

    async def end():
        task = asyncio.create_task(workers.run(work, gate.enter(1, time.monotonic())))
        while not begun.is_set():
            await asyncio.sleep(0.005)
        task.cancel()

    asyncio.run(end())
    assert not ended.is_set()
    go.set()


# --- answers that are cut --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2])
def test_what_was_made_of_a_cut_answer_is_logged(nano, monkeypatch, caplog, n, hold):
    monkeypatch.setattr(type(nano.codec), "stop_ids", ())
    held = hold(nano.engine, steps=40)
    with caplog.at_level("INFO", "sansi.requests"), serving([nano]) as (url, server):
        body = chat_body("2 + 2 = ?", n=n, stream=True, max_tokens=900)
        with http.stream("POST", url + CHAT, json=body) as response:
            lines = response.iter_lines()
            for _ in range(n):
                while "reasoning_content" not in next(lines):
                    pass
        held.go()
        assert wait_for(lambda: server._admission.held() == 0 and any("fields" in vars(r) for r in caplog.records))
    fields = next(vars(record)["fields"] for record in caplog.records if "fields" in vars(record))
    assert fields["status"] == 499 or fields["error"] == "client_gone"
    assert fields["finish"] == ",".join(["abort"] * n) and fields["mode"] == "thinking"
    assert fields["prompt_tokens"] > 5 and 0 < fields["thinking_tokens"] <= fields["completion_tokens"]


def test_the_queue_s_time_is_the_engine_s(nano, hold):
    held = hold(nano.engine, steps=1)

    async def ask(client, url):
        return (await client.post(url + CHAT, json=chat_body("2 + 2 = ?", max_tokens=8))).json()["sansi"]["timing"]

    async def ask_all(url):
        async with httpx.AsyncClient(timeout=LONG) as client:
            begun = time.monotonic()
            asking = [asyncio.create_task(ask(client, url))]
            while not held.scheduled:
                await asyncio.sleep(0.005)
            first = held.scheduled[0] - begun
            asking += [asyncio.create_task(ask(client, url)) for _ in range(20)]
            while nano.engine.metrics().waiting < 20:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.2)
            held.go()
            return first, [await each for each in asking]

    with running([nano]) as url:
        at_most, (first, *others) = asyncio.run(ask_all(url))
    assert first["queue_s"] <= at_most + 0.01
    assert all(timing["queue_s"] > 0.19 for timing in others), "they waited until it went on"
    assert all(timing["queue_s"] <= timing["first_token_s"] for timing in (first, *others))


# --- before the body -------------------------------------------------------------------------------------------------


def test_a_full_server_reads_no_bodies():
    with serving([FakeChat()]) as (url, server):
        gate = server._admission._gates["fake"]
        gate._slots = 1 - gate._settings.max_queue
        ticket = gate.enter(1, time.monotonic())
        assert http.post(url + CHAT, content=b"no JSON").status_code == 429
        ticket.release()
        assert http.post(url + CHAT, content=b"no JSON").status_code == 400


def test_who_waits_for_a_grammar_makes_nobody_else_wait():
    go, compiling = threading.Event(), []

    class Slow(FakeChat):
        def streams(self, messages, options, n=1, on_cut=None):
            if options.response_format:
                compiling.append(1)
                assert go.wait(LONG)
            return super().streams(messages, options, n, on_cut)

    body = {"model": "fake", "messages": [{"role": "user", "content": "hello"}]}

    async def ask_all(url):
        async with httpx.AsyncClient(timeout=LONG) as client:
            bound = body | {"response_format": {"type": "json_object"}}
            waiting = [asyncio.create_task(client.post(url + CHAT, json=bound)) for _ in range(4)]
            while len(compiling) < COMPILERS:
                await asyncio.sleep(0.005)
            large = body | {"metadata": {"a": "x" * 500}, "messages": body["messages"] * 300}
            assert (await client.post(url + CHAT, json=large)).status_code == 400, "longer than the context"
            assert (await client.post(url + CHAT, json=body)).status_code == 200
            go.set()
            return [(await task).status_code for task in waiting]

    with running([Slow()]) as url:
        assert asyncio.run(ask_all(url)) == [200] * 4
