"""Bodies that are too large, too slow or broken; full queues; requests that take too long; request ids and logs."""

import asyncio
import contextlib
import json
import logging
import select
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from fake_chat import FakeChat
from live_server import LONG, client_of, http, running, serving, wait_for
from sansi.serve.http import bodies, connection, logs

BODY = {"model": "fake", "messages": [{"role": "user", "content": "What is 12 + 30?"}]}
CHAT = "/v1/chat/completions"


def connect(url: str) -> socket.socket:
    at = urlsplit(url)
    return socket.create_connection((at.hostname, at.port), timeout=LONG)


def raw(url: str, data: bytes) -> bytes:
    """What the server says to these bytes, until it closes."""
    with connect(url) as sock:
        sock.sendall(data)
        return rest_of(sock)


def rest_of(sock: socket.socket) -> bytes:
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(2**16):
            said += part
    return said


def head(url: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {CHAT} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *lines, "", ""]).encode()


# --- bodies ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    with running([FakeChat()], max_body=10_000, max_bodies=60_000, body_timeout=LONG) as url:
        yield url


def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(small):
    body = json.dumps(BODY).encode()
    assert http.post(small + CHAT, content=body.ljust(10_000)).status_code == 200
    response = http.post(small + CHAT, content=body.ljust(10_001))
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


def test_a_body_without_a_length_is_counted_as_it_comes(small):
    def parts():
        for _ in range(40):
            yield b" " * 1000

    response = http.post(small + CHAT, content=parts())
    assert response.status_code == 413 and response.headers["connection"] == "close"


def test_a_body_that_is_announced_too_large_is_not_waited_for(small, monkeypatch):
    monkeypatch.setattr(bodies, "DISCARD_SECONDS", 2 * LONG)
    said = raw(small, head(small, "Content-Length: 100000000", "Expect: 100-continue"))
    assert said.startswith(b"HTTP/1.1 413") and b"100 Continue" not in said


def test_a_body_that_never_ends_is_cut_off(small):
    with connect(small) as sock:
        sock.sendall(head(small, "Transfer-Encoding: chunked"))
        with pytest.raises(ConnectionError):
            for _ in range(100_000):
                sock.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")


def test_a_slow_body_is_not_waited_for():
    with running([FakeChat()], body_timeout=0.1) as url:
        said = raw(url, head(url, "Content-Length: 100") + b'{"model"')
    assert said.startswith(b"HTTP/1.1 408") and b"body_timeout" in said and b"x-should-retry: false" in said.lower()


def test_large_bodies_share_a_limit(small):
    waiting, refused = {connect(small) for _ in range(8)}, []
    for sock in waiting:
        sock.sendall(head(small, "Content-Length: 9999", "Connection: close") + b" " * 9_000)
    while len(refused) < 2:  # six of them fit
        told, _, _ = select.select(waiting, [], [], LONG)
        waiting -= {*told}
        refused += [rest_of(sock) for sock in told]
    assert {text.split()[1] for text in refused} == {b"429"}
    for sock in waiting:
        sock.sendall(b" " * 999)
    assert {rest_of(sock).split()[1] for sock in waiting} == {b"400"}, "read to the end, and no JSON"
    assert http.post(small + CHAT, json=BODY).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"model": NaN}', b"[" * 9000, b'"' + b"\\" * 99]
)
def test_broken_bodies_are_a_400(small, body):
    response = http.post(small + CHAT, content=body)
    assert response.status_code == 400 and response.json()["error"]["message"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_400(small, data):
    assert raw(small, data).startswith(b"HTTP/1.1 400")
    assert http.get(f"{small}/health").status_code == 200


def test_a_connection_without_a_request_is_closed(monkeypatch):
    with running([FakeChat()]) as url, connect(url) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(2**16).startswith(b"HTTP/1.1 200")
        monkeypatch.setattr(connection.Connection, "request_seconds", 0.1)
        sock.sendall(b"GET /health HT")  # half of another
        rest_of(sock)
        assert raw(url, b"") == b"" and raw(url, b"GET / HT") == b""


def test_an_idle_connection_outlives_those_of_clients_and_proxies(monkeypatch):
    """Else it could be closed under a request that is on its way: httpx keeps its own 5 s, nginx 60 s."""
    with serving([FakeChat()]) as (_, server):
        assert server.config.timeout_keep_alive > 60
    monkeypatch.setattr("sansi.serve.http.server.IDLE_SECONDS", 1)
    with running([FakeChat()]) as url, connect(url) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert rest_of(sock).startswith(b"HTTP/1.1 200"), "and then it is closed"


def test_too_many_connections_are_told_so(monkeypatch):
    monkeypatch.setattr(connection.Connection, "max_connections", 3)
    with serving([FakeChat()]) as (url, server):
        held = [connect(url) for _ in range(3)]
        assert wait_for(lambda: len(server.server_state.connections) == 3)
        said = raw(url, b"")
        assert said.startswith(b"HTTP/1.1 503") and b"too_many_connections" in said
        for sock in held:
            sock.close()
        assert wait_for(lambda: not server.server_state.connections)
        assert http.get(f"{url}/health").status_code == 200


def call_of(name):
    return {"function": {"name": name, "arguments": "{}"}}


LARGE = {
    "unknown fields": lambda: {f"field_{i}" + "x" * 40: 1 for i in range(20_000)},
    "an unknown field": lambda: {"x" * 1_000_000: 1},
    "a model": lambda: BODY | {"model": "x" * 1_000_000},
    "a role": lambda: BODY | {"messages": [{"role": "x" * 1_000_000, "content": ""}]},
    "a field of a message": lambda: {
        "model": "fake",
        "messages": [{"role": "user", "content": "", "x" * 1_000_000: 1}],
    },
    "a call": lambda: BODY | {"messages": [{"role": "assistant", "tool_calls": [call_of('"' * 400_000)]}]},
    "a choice": lambda: BODY | {"reasoning_effort": "x" * 1_000_000},
    "a number": lambda: BODY | {"temperature": "x" * 1_000_000},
    "ids": lambda: BODY | {"stop_token_ids": [1] * 300_000},
}


@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE)
def test_no_answer_repeats_megabytes_of_a_request(post, body):
    body = body()
    begun = time.process_time()
    response = post(body)
    # A key of a message that nothing depends on is named in an answer; all else is an error.
    assert response.status_code in (200, 400, 404) and len(response.content) < 5_000
    assert time.process_time() - begun < 30, "comparing megabytes with all names takes minutes"


@pytest.mark.parametrize(
    "content", [b'"\\ud800"', b'"\\uDFFF"', b'"\xed\xa0\x80"', '"\u4e2d"'.encode("utf-16")], ids=str
)
def test_text_that_is_no_unicode_is_a_400(post, content):
    assert (
        post(raw=b'{"model": "fake", "messages": [{"role": "user", "content": ' + content + b"}]}").status_code == 400
    )


def test_text_beyond_the_first_plane_may_be_escaped(post):
    content = b'{"model": "fake", "messages": [{"role": "user", "content": "\\ud83d\\ude00"}]}'
    assert post(raw=content).status_code == 200


# --- queues and time -------------------------------------------------------------------------------------------------


def test_a_full_queue_says_when_to_come_back(monkeypatch):
    chat = FakeChat()
    chat.hold_at = 1
    monkeypatch.setattr("sansi.serve.http.admission.DEFAULT_SLOTS", 2)

    async def ask_all(url):
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=LONG, limits=limits) as client:
            asking = {asyncio.create_task(client.post(url + CHAT, json=BODY)) for _ in range(12)}
            while sum(each.done() for each in asking) < 7:  # the rest is held
                await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=0.01)
            chat.go.set()
            return await asyncio.gather(*asking)

    with serving([chat], max_queue=3) as (url, server):
        responses = asyncio.run(ask_all(url))
        statuses = [response.status_code for response in responses]
        assert sorted(set(statuses)) == [200, 429] and statuses.count(200) == 5
        refused = next(response for response in responses if response.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1 and refused.json()["error"]["code"] == "queue_full"
        assert wait_for(lambda: server._admission.held() == 0)
        assert http.post(url + CHAT, json=BODY).status_code == 200


def test_the_official_client_comes_back():
    chat = FakeChat()
    with serving([chat]) as (url, server):
        gate = server._admission._gates["fake"]
        gate._slots = 1 - gate._settings.max_queue  # one place in all
        first = gate.enter(1, time.monotonic())
        client = client_of(url).with_options(max_retries=0)
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(**BODY)
        loop_of(server).call_soon_threadsafe(first.release)
        assert wait_for(lambda: gate.held == 0)
        assert client.chat.completions.create(**BODY).choices[0].message.content == "It is 42"


def test_a_request_that_takes_too_long_ends_with_an_error():
    chat = FakeChat()
    chat.hold_at = 4
    with serving([chat], timeout=0.35) as (url, server):
        response = http.post(url + CHAT, json=BODY)
        assert response.status_code == 504 and response.headers["x-should-retry"] == "false"
        error = response.json()["error"]
        assert error["code"] == "timeout" and "0.35" in error["message"]
        assert wait_for(lambda: chat.running == 0 and server._admission.held() == 0)


@pytest.fixture
def stuck():
    """A server whose answers stop after some words, and the means to end their time."""
    chat = FakeChat()
    chat.hold_at = 4
    with serving([chat], timeout=300) as (url, server):

        def time_is_up():
            (ticket,) = server._admission._gates["fake"]._tickets
            ticket._scope.reschedule(asyncio.get_running_loop().time())

        yield url, lambda: loop_of(server).call_soon_threadsafe(time_is_up)
        assert wait_for(lambda: chat.cancelled == 1 and server._admission.held() == 0)


def loop_of(server):
    return server._loop


def test_a_stream_that_takes_too_long_ends_with_an_error(stuck):
    url, time_is_up = stuck
    with http.stream("POST", url + CHAT, json=BODY | {"stream": True}) as response:
        lines = response.iter_lines()
        while "reasoning_content" not in next(lines):
            pass
        time_is_up()
        *_, last = filter(None, lines)
    error = json.loads(last.removeprefix("data: "))["error"]
    assert response.status_code == 200 and error["code"] == "timeout" and "300 seconds" in error["message"]


def test_the_official_client_hears_of_a_cut_stream(stuck):
    url, time_is_up = stuck
    stream = iter(client_of(url).chat.completions.create(stream=True, **BODY))
    next(stream)
    time_is_up()
    with pytest.raises(openai.APIError, match="300 seconds"):
        list(stream)


def test_a_silent_stream_gives_signs_of_life(monkeypatch):
    monkeypatch.setattr("sansi.serve.http.streaming_response.BEAT_SECONDS", 0.1)
    chat = FakeChat(thought="", content="Yes")
    chat.hold_at = 0
    with running([chat]) as url:
        with http.stream("POST", url + CHAT, json=BODY | {"stream": True, "enable_thinking": False}) as response:
            lines = response.iter_lines()
            for _ in range(3):
                while next(lines) != ": working":
                    pass
            threading.Timer(0.3, chat.go.set).start()  # some more of them, for the client
            assert "data: [DONE]" in list(lines)
        chat.go.clear()
        threading.Timer(0.3, chat.go.set).start()
        stream = client_of(url).chat.completions.create(stream=True, **BODY)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Yes"


# --- readers ---------------------------------------------------------------------------------------------------------


def test_a_client_that_reads_nothing_is_cut_off_and_harms_nobody(monkeypatch):
    monkeypatch.setattr(connection.Connection, "write_seconds", 0.3)
    slow = FakeChat("slow", content=" ".join(["x" * 2**16] * 500))  # far more than the buffers between the two hold
    with serving([slow, FakeChat()]) as (url, server):
        body = json.dumps(BODY | {"model": "slow", "stream": True}).encode()
        with connect(url) as sock:
            sock.sendall(head(url, f"Content-Length: {len(body)}") + body)
            assert wait_for(lambda: slow.seen)
            assert http.post(url + CHAT, json=BODY).status_code == 200
            assert wait_for(lambda: slow.cancelled == 1)
            assert wait_for(lambda: not server.server_state.connections)
            assert wait_for(lambda: server._admission.held() == 0)


def test_an_answer_that_nobody_fetches_does_not_hold_its_connection(monkeypatch):
    monkeypatch.setattr(connection.Connection, "write_seconds", 0.3)
    big = FakeChat(content="x" * 2**24, thought="")
    with serving([big]) as (url, server):
        body = json.dumps(BODY).encode()
        with connect(url) as sock:
            sock.sendall(head(url, f"Content-Length: {len(body)}") + body)
            assert wait_for(lambda: big.seen)
            assert wait_for(lambda: not server.server_state.connections)


# --- ids and logs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["abc-123", "req_01J:Z.z/+=", "a" * 128])
def test_a_sane_request_id_is_kept(fake_url, given):
    for path in ("/health", "/nowhere"):
        assert http.get(fake_url + path, headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "a" * 129, 'x" y="z', "é".encode(), "a\tb"])
def test_any_other_is_made_anew(fake_url, given):
    made = http.get(f"{fake_url}/health", headers={"X-Request-Id": given}).headers["x-request-id"]
    assert made != given and made.startswith("req-") and len(made) == 36


def test_the_official_client_sees_the_id(client):
    assert client.chat.completions.create(**BODY)._request_id.startswith("req-")


MINE = {"X-Request-Id": "mine"}


@pytest.fixture
def lines(caplog):
    """The fields of the lines that requests of the id "mine" leave in the log."""
    caplog.set_level(logging.INFO, "sansi.requests")

    def lines():
        fields = [record.fields for record in caplog.records if record.name == "sansi.requests"]
        return [each for each in fields if each["id"] == "mine"]

    return lines


def test_each_request_leaves_a_line_without_its_text(fake_url, lines):
    http.post(fake_url + CHAT, json=BODY | {"stream": True}, headers=MINE)
    assert wait_for(lambda: len(lines()) == 1)
    line = lines()[0]
    expected = {"id": "mine", "status": 200, "model": "fake", "stream": True, "mode": "thinking", "finish": "stop"}
    assert line.items() >= expected.items()
    assert line["prompt_tokens"] == 11 and line["thinking_tokens"] == 5 and line["thinking_end"] == "natural"
    assert 0 < line["first_token_s"] <= line["total_s"]
    assert "12 + 30" not in str(line) and "42" not in str(line)


def test_text_is_logged_where_it_is_wanted(lines):
    with running([FakeChat()], log_text=True) as url:
        http.post(url + CHAT, json=BODY, headers=MINE)
        assert wait_for(lambda: len(lines()) == 1)
    assert "12 + 30" in str(lines()[0]["asked"]) and "It is 42" in str(lines()[0]["answered"])


def test_errors_leave_a_line_and_looking_leaves_none(fake_url, lines):
    for path in ("/health", "/v1/models", "/metrics"):
        http.get(fake_url + path, headers=MINE)
    http.get(f"{fake_url}/v1/models/none", headers=MINE)
    assert wait_for(lambda: len(lines()) == 1)
    assert (lines()[0]["status"], lines()[0]["path"]) == (404, "/v1/models/none")


@pytest.mark.parametrize("form", [logs._Text(), logs._Json()])
def test_a_line_is_one_line_whatever_it_says(form):
    hostile = 'a\n2026 INFO request id=forged "\x1b[31m\u2028'
    record = logging.LogRecord("sansi.requests", logging.INFO, "", 0, "request", None, None)
    record.fields = {"path": hostile, "status": 404, "asked": [{"content": hostile}]}
    text = form.format(record)
    assert "\n" not in text and "\x1b" not in text
    if isinstance(form, logs._Json):
        assert json.loads(text)["path"] == hostile
