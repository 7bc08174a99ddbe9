"""The front before scripted replicas: what reaches whom, and what a client sees when a replica fails."""

import json
import socket
import threading
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import httpx
import pytest
from fake_chat import FakeChat
from live_server import LONG, http, wait_for
from sansi.serve.app import create_app
from sansi.serve.fleet.front import Front
from sansi.serve.fleet.router import Router
from sansi.serve.http.server import Server
from sansi.serve.http.settings import Keys, ServerSettings

CHAT = "/v1/chat/completions"
LONG_TEXT = "What is 12 + 30? " * 40
BODY = {"model": "fake", "messages": [{"role": "user", "content": LONG_TEXT}]}
KEY = "k" * 20
EVENT = b'data: {"choices":[{"delta":{"content":"4"},"index":0}]}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
FULL = b'{"error":{"message":"full","type":"rate_limit_error","param":null,"code":"queue_full"}}'


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer(status, body, head=b""):
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%s\r\n%s" % (
        *(status, len(body), head, body),
    )


class Script:
    """A replica that reads a request and then says what it is told, or nothing."""

    def __init__(self, path, *says):
        self.says, self.heard = list(says), []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(50)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                head, _, body = data.partition(b"\r\n\r\n")
                length = int(dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:]).get(
                    b"content-length", 0))  # fmt: skip
                while len(body) < length:
                    body += connection.recv(65536)
                self.heard.append((head, body))
                connection.sendall(self.says.pop(0) if len(self.says) > 1 else self.says[0])

    def close(self):
        self._listener.close()


@contextmanager
def live(path, chat, **settings):
    """A real server on a socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(50)
    chosen = ServerSettings(**settings)
    with _running(Server(create_app([chat], None, chosen), chosen), listener):
        yield


@contextmanager
def _running(server, listener):
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert wait_for(lambda: server.started)
        yield server
    finally:
        server.should_exit = True
        thread.join(LONG)
        listener.close()


@pytest.fixture
def fleet(tmp_path):
    """fleet(replica, …, **settings) -> namespace of url, router, server; a replica: what it says, or a chat."""
    with ExitStack() as stack:

        def made(*replicas, spill=4, **settings):
            router, scripts = Router(len(replicas), spill=spill), []
            for number, one in enumerate(replicas):
                path = str(tmp_path / f"{number}.sock")
                if isinstance(one, FakeChat):
                    stack.enter_context(live(path, one, **settings))
                elif one is not None:
                    scripts.append(Script(path, *one))
                    stack.callback(scripts[-1].close)
                router.up(number)
            known = [
                SimpleNamespace(number=n, socket=str(tmp_path / f"{n}.sock"), state="up", restarts=0)
                for n in range(len(replicas))
            ]
            listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
            chosen = ServerSettings(**settings)
            server = stack.enter_context(_running(Server(Front(known, router, ["fake"], chosen), chosen), listener))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            return SimpleNamespace(url=url, router=router, server=server, scripts=scripts)

        yield made


def ask(fleet, **more):
    return http.post(fleet.url + CHAT, json=BODY | more)


def test_answers_come_as_a_server_alone_gives_them(fleet):
    made = fleet(FakeChat(), FakeChat())
    whole = ask(made)
    assert whole.status_code == 200 and whole.json()["choices"][0]["message"]["content"]
    streamed = ask(made, stream=True)
    assert streamed.headers["content-type"].startswith("text/event-stream") and "data: [DONE]" in streamed.text
    assert "connection" not in whole.headers and len(whole.headers.get_list("x-request-id")) == 1
    given = http.post(made.url + CHAT, json=BODY, headers={"x-request-id": "mine"})
    assert given.headers.get_list("x-request-id") == ["mine"]
    assert http.get(made.url + "/v1/models").json()["data"][0]["id"] == "fake"
    assert http.get(made.url + "/").status_code == 200 and http.head(made.url + "/v1/models").status_code == 200
    assert ask(made, model="other").status_code == 404
    missing = http.get(made.url + "/v1/embedings")
    assert missing.status_code == 404 and "there is nothing at" in missing.text
    anthropic = http.post(made.url + "/v1/messages", json={"model": "fake"})
    assert anthropic.status_code == 400 and anthropic.json()["type"] == "error"


def test_the_same_beginning_goes_to_the_same_replica(fleet):
    one, two = [answer(200, b"{}")], [answer(200, b"{}")]
    made = fleet(one, two)
    for _ in range(6):
        ask(made)
    assert sorted(len(script.heard) for script in made.scripts) == [0, 6]
    for number in range(10):
        ask(made, messages=[{"role": "user", "content": f"{number} " * 200}])
    assert min(len(script.heard) for script in made.scripts) >= 4
    counted = http.get(made.url + "/metrics").text
    assert 'sansi_routed_requests_total{by="prefix"} 5.0' in counted


def test_a_replica_gets_what_the_client_sent(fleet):
    made = fleet([answer(200, b"{}")])
    headers = {"authorization": "Bearer x", "x-own": "1", "connection": "keep-alive", "cookie": "a=b"}
    content = json.dumps(BODY)
    http.post(made.url + "/chat/completions?a=b%20c", content=content, headers=headers)
    head, body = made.scripts[0].heard[0]
    assert head.startswith(b"POST /chat/completions?a=b%20c HTTP/1.1") and body.decode() == content
    lower = head.lower()
    assert b"authorization: bearer x" in lower and b"x-own: 1" in lower and b"cookie: a=b" in lower
    assert b"connection: close" in lower and b"keep-alive" not in lower and b"host: 127.0.0.1" in lower


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\ncontent-", HEAD, HEAD + b"5"])
def test_a_replica_that_ends_before_its_answer_began_is_not_noticed(fleet, says):
    made = fleet([says], [answer(200, b'{"a": 1}')])
    made.router.begin(1, (), 1)  # busier: the first is asked first
    asked = ask(made)
    assert asked.status_code == 200 and asked.json() == {"a": 1}
    assert [len(script.heard) for script in made.scripts] == [1, 1]
    assert made.router.load(0) == 0 and made.router.load(1) == 1
    assert "sansi_retried_requests_total 1.0" in http.get(made.url + "/metrics").text


def test_a_replica_that_is_not_there_is_not_noticed(fleet):
    made = fleet(None, [answer(200, b"{}")])
    assert ask(made).status_code == 200


@pytest.mark.parametrize(
    ("path", "begins", "expected"),
    [
        (CHAT, HEAD + chunk(EVENT), '"code":"replica_lost"'),
        ("/v1/messages", HEAD + chunk(b"event: ping\ndata: {}\n\n"), "event: error"),
        ("/api/chat", HEAD.replace(b"text/event-stream", b"application/x-ndjson") + chunk(b'{"a":1}\n'), '"error":'),
    ],
)
def test_a_stream_whose_replica_ends_ends_with_an_error(fleet, path, begins, expected):
    made = fleet([begins], [answer(200, b"{}")])
    made.router.begin(1, (), 1)
    streamed = http.post(made.url + path, json=BODY | {"stream": True})
    assert streamed.status_code == 200 and expected in streamed.text.splitlines()[-1] + streamed.text
    assert "[DONE]" not in streamed.text and made.scripts[1].heard == []


def test_half_a_json_answer_ends_the_connection(fleet):
    made = fleet([answer(200, b'{"a": 1}')[:-4]])
    with pytest.raises(httpx.RemoteProtocolError):
        ask(made)
    assert made.router.load(0) == 0


def test_a_request_that_ends_replicas_does_not_end_all_of_them(fleet):
    made = fleet([b""], [b""], [b""], [answer(200, b"{}")])
    made.router.begin(3, (), 1)
    asked = ask(made)
    assert asked.status_code == 502 and asked.json()["error"]["code"] == "replica_lost"
    assert sum(len(script.heard) for script in made.scripts) == 2


def test_a_full_replica_hands_over_to_one_with_room(fleet):
    full = answer(429, FULL, b"retry-after: 7\r\n")
    made = fleet([full], [answer(200, b"{}")])
    made.router.begin(1, (), 1)
    assert ask(made).status_code == 200
    made.scripts[1].says[:] = [full]
    told = ask(made)
    assert told.status_code == 429 and told.headers["retry-after"] == "7" and told.json()["error"]["message"] == "full"


def test_where_none_is_up_a_request_waits_for_one(fleet):
    made = fleet([answer(200, b"{}")])
    made.router.down(0)
    threading.Timer(0.3, made.router.up, (0,)).start()
    assert ask(made).status_code == 200


def test_where_none_comes_up_it_says_so(fleet):
    made = fleet([answer(200, b"{}")], timeout=0.2)
    made.router.down(0)
    told = ask(made)
    assert told.status_code == 503 and told.json()["error"]["code"] == "no_replica"
    health = http.get(made.url + "/health")
    assert health.status_code == 503 and health.json()["replicas"] == {"up": 0, "of": 1}


def test_keys_are_asked_for_before_anything_is_read(fleet):
    made = fleet([answer(200, b"{}")], keys=Keys([KEY]))
    assert ask(made).status_code == 401 and made.scripts[0].heard == []
    assert http.get(made.url + "/metrics").status_code == 401
    assert http.get(made.url + "/health").status_code == 200
    with_key = http.post(made.url + CHAT, json=BODY, headers={"authorization": f"Bearer {KEY}"})
    assert with_key.status_code == 200
    assert f"authorization: Bearer {KEY}".encode() in made.scripts[0].heard[0][0]  # the replica asks too


def test_pages_of_other_origins_are_told_once(fleet):
    made = fleet(FakeChat(), origins=("https://example.com",))
    shared = http.post(made.url + CHAT, json=BODY, headers={"origin": "https://example.com"})
    assert shared.headers.get_list("access-control-allow-origin") == ["https://example.com"]
    assert http.post(made.url + CHAT, json=BODY, headers={"origin": "https://evil.com"}).status_code == 403


def test_bodies_are_bounded(fleet):
    made = fleet([answer(200, b"{}")], max_body=1000)
    assert http.post(made.url + CHAT, content=b"a" * 2000).status_code == 413 and made.scripts[0].heard == []


def test_a_client_that_leaves_is_left(fleet):
    chat = FakeChat()
    made = fleet(chat)
    chat.hold_at = 2
    with http.stream("POST", made.url + CHAT, json=BODY | {"stream": True}) as response:
        lines = response.iter_lines()
        next(lines)
        assert made.server._admission.under_way() == 1 and made.router.load(0) == 1
    assert wait_for(lambda: made.server._admission.under_way() == 0 and made.router.load(0) == 0)
    chat.go.set()


def test_metrics_are_those_of_all_replicas_together(fleet):
    made = fleet(FakeChat(), FakeChat())
    for number in range(6):
        ask(made, messages=[{"role": "user", "content": f"{number} " * 200}])
    text = http.get(made.url + "/metrics").text
    assert 'sansi_http_requests_total{method="POST",route="/v1/chat/completions",status="200"} 6.0' in text
    assert 'sansi_generation_duration_seconds_count{model="fake"} 6.0' in text
    assert text.count("# TYPE sansi_http_requests_total counter") == 1
    assert 'sansi_replica_up{replica="1"} 1.0' in text and "sansi_build_info{version=" in text


@pytest.mark.parametrize("grace", [60.0, 0.1])
def test_the_end_waits_for_what_is_on_its_way_and_then_ends_it(fleet, grace):
    chat = FakeChat()
    made = fleet(chat, grace=grace)
    chat.hold_at = 2
    with http.stream("POST", made.url + CHAT, json=BODY | {"stream": True}) as response:
        lines = response.iter_lines()
        next(lines)
        made.server.stop()
        assert wait_for(lambda: made.server._admission.closing)
        if grace > 1:
            chat.go.set()
        rest = [line for line in lines if line]
    assert ("shutting_down" in rest[-1]) == (grace < 1) and ("[DONE]" in rest[-1]) == (grace > 1)
    assert wait_for(lambda: made.server.should_exit)
    chat.go.set()


def test_what_is_on_its_way_may_end_and_nothing_new_begins(fleet):
    made = fleet([HEAD + chunk(EVENT)])
    made.server._admission.close()
    told = ask(made)
    assert told.status_code == 503 and told.json()["error"]["code"] == "shutting_down"
    assert http.get(made.url + "/health").json()["status"] == "stopping"
