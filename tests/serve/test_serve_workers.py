"""Work that would hold up the event loop: what is too long is refused before it is read, and what runs is bounded."""

import asyncio
import threading
import time
from pathlib import Path

import httpx
import pytest
from fake_chat import FakeChat
from live_server import running, serving, wait_for
from sansi.base.errors import SansiError
from sansi.chat import ChatModel
from sansi.serve.admission import Gate
from sansi.serve.settings import ServerSettings, body_limit
from sansi.serve.workers import Workers

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
def test_a_text_far_beyond_the_context_is_refused_while_others_are_answered(nano, text):
    worst = [0.0]
    with serving([nano], max_body=16 * 2**20) as (url, _):
        stop = threading.Event()

        def poll():
            with httpx.Client() as client:
                while not stop.is_set():
                    begun = time.monotonic()
                    assert client.get(f"{url}/health").status_code == 200
                    worst[0] = max(worst[0], time.monotonic() - begun)

        thread = threading.Thread(target=poll)
        thread.start()
        begun = time.monotonic()
        said = httpx.post(url + CHAT, json=chat_body(text), timeout=60)
        plain = httpx.post(f"{url}/v1/completions", json={"model": "nano", "prompt": text}, timeout=60)
        seconds = time.monotonic() - begun
        stop.set()
        thread.join()
    for response, param in ((said, "messages"), (plain, "prompt")):
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", param)
        assert "1024" in error["message"] and "at least" in error["message"]
    assert worst[0] < 1.0 and seconds < 5.0


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
        answer = httpx.post(url + CHAT, json=chat_body("2 + 2 = ?", n=3, seed=5, max_tokens=40, stop=["zzz"])).json()
        assert len(seen) == 1
        alone = [
            httpx.post(url + CHAT, json=chat_body("2 + 2 = ?", seed=5 + i, max_tokens=40)).json() for i in range(3)
        ]
    said = [choice["message"] for choice in sorted(answer["choices"], key=lambda choice: choice["index"])]
    assert said == [each["choices"][0]["message"] for each in alone]


def test_a_body_may_be_as_large_as_the_context_makes_it_useful(nano):
    assert 2**20 < body_limit(1024) < 2**21 and body_limit(2**20) == 16 * 2**20
    with running([nano]) as url:
        content = b" " * (body_limit(1024) + 1)
        assert httpx.post(url + CHAT, content=content).status_code == 413


def test_answers_that_would_fill_the_memory_are_refused(nano):
    with running([nano]) as url:
        body = chat_body("2 + 2 = ?", n=128, logprobs=True, top_logprobs=20)
        error = httpx.post(url + CHAT, json=body).json()["error"]
        assert error["param"] == "max_tokens" and str(2**20) in error["message"]
        assert httpx.post(url + CHAT, json=body | {"n": 2, "max_tokens": 4}).status_code == 200


# --- threads ---------------------------------------------------------------------------------------------------------


def test_work_holds_its_ticket_until_it_ends_and_goes_on_in_few_threads():
    gate, workers = Gate(8, ServerSettings()), Workers(2, "test")
    go, at_once, most = threading.Event(), [0], [0]

    def work():
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        go.wait(5)
        at_once[0] -= 1
        return 7

    async def leave_and_stay():
        tickets = [gate.enter(1, time.monotonic()) for _ in range(5)]
        tasks = [asyncio.create_task(workers.run(work, ticket)) for ticket in tickets]
        await asyncio.sleep(0.1)
        for task, ticket in zip(tasks[:4], tickets, strict=False):
            task.cancel()
            ticket.release()  # as the end of the request does
        await asyncio.sleep(0.05)
        assert gate.held == 5, "the clients have left, but the work has not ended"
        go.set()
        assert await tasks[4] == 7
        tickets[4].release()
        await asyncio.sleep(0.05)
        assert gate.held == 0

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

    async def end():
        task = asyncio.create_task(workers.run(lambda: time.sleep(3), gate.enter(1, time.monotonic())))
        await asyncio.sleep(0.05)
        task.cancel()

    begun = time.monotonic()
    asyncio.run(end())
    assert time.monotonic() - begun < 1


# --- answers that are cut --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2])
def test_what_was_made_of_a_cut_answer_is_logged(nano, monkeypatch, caplog, n):
    monkeypatch.setattr(type(nano.codec), "stop_ids", ())
    with caplog.at_level("INFO", "sansi.requests"), serving([nano]) as (url, server):
        body = chat_body("2 + 2 = ?", n=n, stream=True, max_tokens=900)
        with httpx.stream("POST", url + CHAT, json=body, timeout=20) as response:
            lines = response.iter_lines()
            for _ in range(12):
                next(lines)
        assert wait_for(lambda: server._admission.held() == 0 and any("fields" in vars(r) for r in caplog.records))
    fields = next(vars(record)["fields"] for record in caplog.records if "fields" in vars(record))
    assert fields["status"] == 499 or fields["error"] == "client_gone"
    assert fields["finish"] == ",".join(["abort"] * n) and fields["mode"] == "thinking"
    assert fields["prompt_tokens"] > 5 and 0 < fields["thinking_tokens"] <= fields["completion_tokens"]


def test_the_queue_s_time_is_the_engine_s(nano, monkeypatch):
    monkeypatch.setattr(type(nano.codec), "stop_ids", ())

    async def ask(client, url):
        return (await client.post(url + CHAT, json=chat_body("2 + 2 = ?", max_tokens=60))).json()["sansi"]["timing"]

    async def ask_all(url):
        async with httpx.AsyncClient(timeout=60) as client:
            return await asyncio.gather(*(ask(client, url) for _ in range(40)))

    with running([nano]) as url:
        timings = asyncio.run(ask_all(url))
    waits = sorted(timing["queue_s"] for timing in timings)
    assert all(timing["queue_s"] <= timing["first_token_s"] for timing in timings)
    assert waits[-1] > 4 * waits[0], "16 run at once; the last ones waited for them"


# --- before the body -------------------------------------------------------------------------------------------------


def test_a_full_server_reads_no_bodies():
    with serving([FakeChat()]) as (url, server):
        gate = server._admission._gates["fake"]
        gate._slots = 1 - gate._settings.max_queue
        ticket = gate.enter(1, time.monotonic())
        assert httpx.post(url + CHAT, content=b"no JSON").status_code == 429
        ticket.release()
        assert httpx.post(url + CHAT, content=b"no JSON").status_code == 400


def test_who_waits_for_a_grammar_makes_nobody_else_wait():
    go = threading.Event()

    class Slow(FakeChat):
        def streams(self, messages, options, n=1, on_cut=None):
            if options.response_format:
                go.wait(10)
            return super().streams(messages, options, n, on_cut)

    body = {"model": "fake", "messages": [{"role": "user", "content": "hello"}]}

    async def ask_all(url):
        async with httpx.AsyncClient(timeout=20) as client:
            bound = body | {"response_format": {"type": "json_object"}}
            waiting = [asyncio.create_task(client.post(url + CHAT, json=bound)) for _ in range(4)]
            await asyncio.sleep(0.2)
            large = body | {"metadata": {"a": "x" * 500}, "messages": body["messages"] * 300}
            begun = time.monotonic()
            assert (await client.post(url + CHAT, json=large)).status_code == 400, "longer than the context"
            assert (await client.post(url + CHAT, json=body)).status_code == 200
            seconds = time.monotonic() - begun
            go.set()
            return seconds, [(await task).status_code for task in waiting]

    with running([Slow()]) as url:
        seconds, statuses = asyncio.run(ask_all(url))
    assert seconds < 2 and statuses == [200] * 4
