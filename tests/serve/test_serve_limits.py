"""Bodies that are too large, too slow or broken; full queues; requests that take too long; request ids and logs."""

import asyncio
import json
import logging
import socket
import time
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from fake_chat import FakeChat
from live_server import client_of, running, serving, wait_for
from sansi.serve import connection, logs

BODY = {"model": "fake", "messages": [{"role": "user", "content": "What is 12 + 30?"}]}
CHAT = "/v1/chat/completions"


def raw(url: str, data: bytes, seconds: float = 5.0) -> bytes:
    """What the server says to these bytes, until it closes or the time is over."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port), timeout=seconds) as sock:
        sock.sendall(data)
        return rest_of(sock)


def rest_of(sock: socket.socket) -> bytes:
    said = b""
    try:
        while part := sock.recv(2**16):
            said += part
    except (TimeoutError, ConnectionResetError):
        pass
    return said


def head(url: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {CHAT} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *lines, "", ""]).encode()


# --- bodies ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    with running([FakeChat()], max_body=10_000, body_timeout=0.4, max_bodies=60_000) as url:
        yield url


def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(small):
    body = json.dumps(BODY).encode()
    assert httpx.post(small + CHAT, content=body.ljust(10_000)).status_code == 200
    response = httpx.post(small + CHAT, content=body.ljust(10_001))
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


def test_a_body_without_a_length_is_counted_as_it_comes(small):
    def parts():
        for _ in range(40):
            yield b" " * 1000

    response = httpx.post(small + CHAT, content=parts())
    assert response.status_code == 413 and response.headers["connection"] == "close"


def test_a_body_that_is_announced_too_large_is_not_waited_for(small):
    begun = time.monotonic()
    said = raw(small, head(small, "Content-Length: 100000000", "Expect: 100-continue"))
    assert said.startswith(b"HTTP/1.1 413") and b"100 Continue" not in said
    assert time.monotonic() - begun < 1


def test_a_body_that_never_ends_is_cut_off(small):
    at = urlsplit(small)
    with socket.create_connection((at.hostname, at.port), timeout=5) as sock:
        sock.sendall(head(small, "Transfer-Encoding: chunked"))
        with pytest.raises(OSError):
            for _ in range(100_000):
                sock.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")


def test_a_slow_body_is_not_waited_for(small):
    said = raw(small, head(small, "Content-Length: 100") + b'{"model"')
    assert said.startswith(b"HTTP/1.1 408") and b"body_timeout" in said and b"x-should-retry: false" in said.lower()


def test_large_bodies_share_a_limit(small):
    at = urlsplit(small)
    waiting = [socket.create_connection((at.hostname, at.port), timeout=5) for _ in range(8)]
    for sock in waiting:
        sock.sendall(head(small, "Content-Length: 9999") + b" " * 9_000)
    said = [rest_of(sock) for sock in waiting]
    assert {text.split()[1] for text in said} == {b"429", b"408"}
    assert httpx.post(small + CHAT, json=BODY).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"model": NaN}', b"[" * 9000, b'"' + b"\\" * 99]
)
def test_broken_bodies_are_a_400(small, body):
    response = httpx.post(small + CHAT, content=body)
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
    assert httpx.get(f"{small}/health").status_code == 200


def test_a_connection_without_a_request_is_closed(monkeypatch):
    monkeypatch.setattr(connection.Connection, "request_seconds", 0.2)
    with running([FakeChat()]) as url:
        at, begun = urlsplit(url), time.monotonic()
        assert raw(url, b"") == b"" and raw(url, b"GET / HT") == b""
        with socket.create_connection((at.hostname, at.port), timeout=5) as sock:
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sock.recv(2**16).startswith(b"HTTP/1.1 200")
            sock.sendall(b"GET /health HT")  # half of another
            rest_of(sock)
        assert time.monotonic() - begun < 3


def test_too_many_connections_are_told_so(monkeypatch):
    monkeypatch.setattr(connection.Connection, "max_connections", 3)
    with running([FakeChat()]) as url:
        at = urlsplit(url)
        held = [socket.create_connection((at.hostname, at.port), timeout=5) for _ in range(3)]
        time.sleep(0.1)
        said = raw(url, b"")
        assert said.startswith(b"HTTP/1.1 503") and b"too_many_connections" in said
        for sock in held:
            sock.close()
        time.sleep(0.1)
        assert httpx.get(f"{url}/health").status_code == 200


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
def test_an_error_does_not_repeat_megabytes(post, body):
    body = body()
    begun = time.monotonic()
    response = post(body)
    assert response.status_code in (400, 404) and len(response.content) < 5_000
    assert time.monotonic() - begun < 2


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
    chat = FakeChat(delay=0.02)
    monkeypatch.setattr("sansi.serve.admission.DEFAULT_SLOTS", 2)

    async def ask_all(url):
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=20, limits=limits) as client:
            return await asyncio.gather(*(client.post(url + CHAT, json=BODY) for _ in range(12)))

    with serving([chat], max_queue=3) as (url, server):
        responses = asyncio.run(ask_all(url))
        statuses = [response.status_code for response in responses]
        assert sorted(set(statuses)) == [200, 429] and statuses.count(200) == 5
        refused = next(response for response in responses if response.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1 and refused.json()["error"]["code"] == "queue_full"
        assert server._admission.held() == 0
        assert httpx.post(url + CHAT, json=BODY).status_code == 200


def test_the_official_client_comes_back():
    chat = FakeChat(delay=0.02)
    with serving([chat]) as (url, server):
        gate = server._admission._gates["fake"]
        gate._slots = 1 - gate._settings.max_queue  # one place in all
        first = gate.enter(1, time.monotonic())
        client = client_of(url).with_options(max_retries=0)
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(**BODY)
        first.release()
        assert client.chat.completions.create(**BODY).choices[0].message.content == "It is 42"


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_takes_too_long_ends_with_an_error(stream):
    chat = FakeChat(delay=0.1)
    with serving([chat], timeout=0.35) as (url, server):
        response = httpx.post(url + CHAT, json=BODY | {"stream": stream}, timeout=5)
        if stream:
            events = response.text.strip().split("\n\n")
            told = json.loads(events[-1].removeprefix("data: "))
            assert response.status_code == 200 and len(events) > 2
        else:
            told = response.json()
            assert response.status_code == 504 and response.headers["x-should-retry"] == "false"
        assert told["error"]["code"] == "timeout" and "0.35" in told["error"]["message"]
        assert chat.cancelled == 1 and server._admission.held() == 0


def test_the_official_client_hears_of_a_cut_stream():
    with running([FakeChat(delay=0.1)], timeout=0.35) as url, pytest.raises(openai.APIError, match=r"0\.35 seconds"):
        for _ in client_of(url).chat.completions.create(stream=True, **BODY):
            pass


def test_a_silent_stream_gives_signs_of_life(monkeypatch):
    monkeypatch.setattr("sansi.serve.generation.BEAT_SECONDS", 0.1)
    with running([FakeChat(delay=0.5, thought="", content="Yes")]) as url:
        text = httpx.post(url + CHAT, json=BODY | {"stream": True, "enable_thinking": False}).text
        assert text.count(": working\n\n") >= 3 and "[DONE]" in text
        stream = client_of(url).chat.completions.create(stream=True, **BODY)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Yes"


# --- readers ---------------------------------------------------------------------------------------------------------


def test_a_client_that_reads_nothing_is_cut_off_and_harms_nobody(monkeypatch):
    monkeypatch.setattr(connection.Connection, "write_seconds", 0.3)
    slow = FakeChat("slow", content=" ".join(["x" * 2**16] * 500))  # far more than the buffers between the two hold
    with serving([slow, FakeChat()]) as (url, server):
        at, body = urlsplit(url), json.dumps(BODY | {"model": "slow", "stream": True}).encode()
        with socket.create_connection((at.hostname, at.port), timeout=5) as sock:
            sock.sendall(head(url, f"Content-Length: {len(body)}") + body)
            assert wait_for(lambda: slow.running == 1)
            assert httpx.post(url + CHAT, json=BODY).status_code == 200
            assert wait_for(lambda: slow.cancelled == 1, 3)
            assert wait_for(lambda: not server.server_state.connections, 6)
            assert server._admission.held() == 0


def test_an_answer_that_nobody_fetches_does_not_hold_its_connection(monkeypatch):
    monkeypatch.setattr(connection.Connection, "write_seconds", 0.3)
    big = FakeChat(content="x" * 2**24, thought="")
    with serving([big]) as (url, server):
        at, body = urlsplit(url), json.dumps(BODY).encode()
        with socket.create_connection((at.hostname, at.port), timeout=5) as sock:
            sock.sendall(head(url, f"Content-Length: {len(body)}") + body)
            assert wait_for(lambda: len(server.server_state.connections) == 1)
            assert wait_for(lambda: not server.server_state.connections, 8)


# --- ids and logs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["abc-123", "req_01J:Z.z/+=", "a" * 128])
def test_a_sane_request_id_is_kept(fake_url, given):
    for path in ("/health", "/nowhere"):
        assert httpx.get(fake_url + path, headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "a" * 129, 'x" y="z', "é".encode(), "a\tb"])
def test_any_other_is_made_anew(fake_url, given):
    made = httpx.get(f"{fake_url}/health", headers={"X-Request-Id": given}).headers["x-request-id"]
    assert made != given and made.startswith("req-") and len(made) == 36


def test_the_official_client_sees_the_id(client):
    assert client.chat.completions.create(**BODY)._request_id.startswith("req-")


@pytest.fixture
def lines(caplog):
    """The fields of the lines that requests leave in the log."""
    caplog.set_level(logging.INFO, "sansi.requests")

    def lines():
        return [record.fields for record in caplog.records if record.name == "sansi.requests"]

    return lines


def test_each_request_leaves_a_line_without_its_text(fake_url, lines):
    httpx.post(fake_url + CHAT, json=BODY | {"stream": True}, headers={"X-Request-Id": "mine"})
    assert wait_for(lambda: len(lines()) == 1)
    line = lines()[0]
    expected = {"id": "mine", "status": 200, "model": "fake", "stream": True, "mode": "thinking", "finish": "stop"}
    assert line.items() >= expected.items()
    assert line["prompt_tokens"] == 11 and line["thinking_tokens"] == 5 and line["thinking_end"] == "natural"
    assert 0 < line["first_token_s"] <= line["total_s"]
    assert "12 + 30" not in str(line) and "42" not in str(line)


def test_text_is_logged_where_it_is_wanted(lines):
    with running([FakeChat()], log_text=True) as url:
        httpx.post(url + CHAT, json=BODY)
        assert wait_for(lambda: len(lines()) == 1)
    assert "12 + 30" in str(lines()[0]["asked"]) and "It is 42" in str(lines()[0]["answered"])


def test_errors_leave_a_line_and_looking_leaves_none(fake_url, lines):
    for path in ("/health", "/v1/models", "/metrics"):
        httpx.get(fake_url + path)
    httpx.get(f"{fake_url}/v1/models/none")
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
