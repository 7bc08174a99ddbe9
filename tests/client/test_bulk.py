"""Many requests to an endpoint that is well, slow, busy, down, lying or going round in circles."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from sansi.base import SansiError
from sansi.base.errors import ConfigError
from sansi.client.bulk import (
    Budget,
    BulkClient,
    EndpointDown,
    EndpointSettings,
    Request,
    is_refusal,
    picture,
    user_message,
)
from sansi.client.bulk.costs import CostLog, OverBudget
from sansi.client.bulk.refusals import loops
from sansi.client.bulk.request import key_of, prompt_tokens_of
from sansi.text import Message

URL = "http://model.test/v1"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (560).to_bytes(4, "big") + (840).to_bytes(4, "big") + b"rest"


def completion(text="an answer", finish_reason="stop", tokens=(10, 5), model="m", **message):
    usage = {"usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}} if tokens else {}
    message = {"role": "assistant", "content": text, **message}
    return {"model": model, "choices": [{"message": message, "finish_reason": finish_reason}], **usage}


class Endpoint:
    """A server in this process: `answer(body, number)` gives a body, a response or an exception."""

    def __init__(self, answer):
        self.answer, self.bodies, self.most, self._now = answer, [], 0, 0
        self._lock = threading.Lock()
        self.transport = httpx.MockTransport(self.handle)

    def handle(self, request):
        with self._lock:
            self.bodies.append(json.loads(request.content))
            number, self._now = len(self.bodies), self._now + 1
            self.most = max(self.most, self._now)
        try:
            found = self.answer(self.bodies[number - 1], number)
            if isinstance(found, Exception):
                raise found
            return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)
        finally:
            with self._lock:
                self._now -= 1


def question_in(body):
    return body["messages"][-1]["content"]


def echo(body, number):
    return completion(f"about {question_in(body)}")


def client(folder, endpoint, budget=None, **settings):
    settings = {"first_wait": 0.001, "retries": 2, **settings}
    return BulkClient(EndpointSettings(URL, "m", **settings), folder, budget, transport=endpoint.transport)


def ask(texts, **options):
    return [Request([Message("user", str(text))], options) for text in texts]


def test_answers_come_in_order_and_no_more_requests_are_under_way_than_told(tmp_path):
    def slow(body, number):
        time.sleep(0.001 * (number % 3))
        return echo(body, number)

    endpoint = Endpoint(slow)
    with client(tmp_path, endpoint, concurrency=3) as bulk:
        answers = bulk.ask_all(ask(range(120)))
    assert [answer.text for answer in answers] == [f"about {i}" for i in range(120)]
    assert endpoint.most <= 3
    assert bulk.report.ok == bulk.report.answers == 120
    assert bulk.report.prompt_tokens == 1200


def test_requests_are_read_as_they_are_needed(tmp_path):
    read = []

    def endless():
        for i in range(10**9):
            read.append(i)
            yield from ask([i])

    with client(tmp_path, Endpoint(echo), concurrency=2) as bulk:
        answers = bulk.ask(endless())
        assert [next(answers).text for _ in range(3)] == ["about 0", "about 1", "about 2"]
        answers.close()
    assert len(read) <= 2 * 16 + 3


def test_pictures_reach_the_endpoint(tmp_path):
    endpoint = Endpoint(lambda body, number: completion())
    with client(tmp_path, endpoint) as bulk:
        bulk.ask_all([Request([Message("system", "Read."), user_message("What is written here?", picture(PNG))])])
    system, user = endpoint.bodies[0]["messages"]
    assert system == {"role": "system", "content": "Read."}
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    assert user["content"][0]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert 600 <= prompt_tokens_of(endpoint.bodies[0]) < 700  # 560 × 840 pixels, not the length of their base64


def test_a_second_run_asks_only_what_is_missing(tmp_path):
    failing = Endpoint(lambda body, number: httpx.Response(400) if question_in(body) == "3" else echo(body, number))
    with client(tmp_path, failing) as bulk:
        assert Counter(answer.status for answer in bulk.ask_all(ask(range(6)))) == {"ok": 5, "failed": 1}
    well = Endpoint(echo)
    with client(tmp_path, well) as bulk:
        answers = bulk.ask_all(ask(range(7)))
    assert [question_in(body) for body in well.bodies] == ["3", "6"] or len(well.bodies) == 2
    assert [answer.cached for answer in answers] == [True, True, True, False, True, True, False]
    assert (bulk.report.cached, bulk.report.completion_tokens) == (5, 10)


@pytest.mark.parametrize(
    "change",
    [{"temperature": 0.5}, {"max_tokens": 9}, {"seed": 1}],
)
def test_the_key_is_of_the_whole_request(tmp_path, change):
    endpoint = Endpoint(echo)
    with client(tmp_path, endpoint, options={"temperature": 0.7}) as bulk:
        one, other = bulk.ask_all([*ask(["x"]), *ask(["x"], **change)])
    assert one.key != other.key
    assert len(endpoint.bodies) == 2
    with BulkClient(EndpointSettings(URL, "other"), tmp_path, transport=endpoint.transport) as bulk:
        assert not bulk.ask_all(ask(["x"], temperature=0.7))[0].cached


def test_the_same_request_is_paid_for_once_and_samples_each(tmp_path):
    endpoint = Endpoint(lambda body, number: completion(f"answer {number}"))
    request = ask(["x"])[0]
    with client(tmp_path, endpoint) as bulk:
        answers = bulk.ask_all([request, request, Request(request.messages, sample=1)])
    assert len(endpoint.bodies) == 2
    assert answers[0].text == answers[1].text != answers[2].text
    assert [answer.cached for answer in answers] == [False, True, False]
    assert "sample" not in endpoint.bodies[-1]


def test_a_damaged_answer_is_asked_again(tmp_path):
    with client(tmp_path, Endpoint(echo)) as bulk:
        key = bulk.ask_all(ask(["x"]))[0].key
    kept = tmp_path / "answers" / key[:2] / f"{key}.json"
    for damage in (b"", kept.read_bytes()[:-20], b"[]", json.dumps({"key": key}).encode(), b'{"key": "other"}'):
        kept.write_bytes(damage)
        with client(tmp_path, Endpoint(echo)) as bulk:
            assert not bulk.ask_all(ask(["x"]))[0].cached


BUSY = [
    httpx.Response(429, headers={"retry-after": "0.01"}),
    httpx.Response(503),
    httpx.ReadTimeout("late"),
    {"error": 1},
]


@pytest.mark.parametrize("trouble", BUSY, ids=["429", "503", "timeout", "no completion"])
def test_what_may_pass_is_asked_again(tmp_path, trouble):
    endpoint = Endpoint(lambda body, number: trouble if number <= 2 else echo(body, number))
    with client(tmp_path, endpoint) as bulk:
        assert bulk.ask_all(ask(["x"]))[0].text == "about x"
    assert len(endpoint.bodies) == 3


def test_what_does_not_pass_is_not(tmp_path):
    endpoint = Endpoint(lambda body, number: httpx.Response(400, json={"error": {"message": "too long"}}))
    with client(tmp_path, endpoint) as bulk:
        (answer,) = bulk.ask_all(ask(["x"]))
    assert (answer.status, answer.reason, len(endpoint.bodies)) == ("failed", "http 400", 1)
    assert "too long" in answer.detail


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_is_wrong_for_each_request_ends_it(tmp_path, status):
    endpoint = Endpoint(lambda body, number: httpx.Response(status))
    with client(tmp_path, endpoint, concurrency=2) as bulk, pytest.raises(EndpointDown, match=f"HTTP {status}"):
        bulk.ask_all(ask(range(1000)))
    assert len(endpoint.bodies) < 50


def test_an_endpoint_that_is_down_is_given_up_and_gone_on_with(tmp_path):
    def dies(body, number):
        return echo(body, number) if number <= 20 else httpx.ConnectError("refused")

    with client(tmp_path, Endpoint(dies), concurrency=1, give_up_after=4) as bulk:
        answers = bulk.ask(ask(range(1000)))
        with pytest.raises(EndpointDown, match=r"4 requests in a row .* same call goes on"):
            for _answer in answers:
                pass
    assert (bulk.report.ok, bulk.report.reasons) == (20, {"unreachable": 3})
    with client(tmp_path, Endpoint(echo)) as bulk:
        assert sum(answer.cached for answer in bulk.ask_all(ask(range(30)))) == 20


LIES = {
    "no choices": ({"model": "m", "choices": []}, "not a completion"),
    "another shape": ([1, 2], "not a completion"),
    "text as a number": (completion(7), "not a completion"),
    "no JSON": (httpx.Response(200, text="<html>login</html>"), "not a completion"),
    "deep JSON": (httpx.Response(200, text="[" * 100_000), "not a completion"),
    "an error as an answer": ({"error": {"message": "overloaded", "code": 502}}, "not a completion"),
    "empty": (completion("  \n"), "empty"),
    "nothing": (completion(None), "empty"),
    "ended strangely": (completion("half", "error"), "ended by error"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_failures_with_their_reason(tmp_path, lie):
    body, reason = LIES[lie]
    with client(tmp_path, Endpoint(lambda *_: body)) as bulk:
        (answer,) = bulk.ask_all(ask(["x"]))
    assert (answer.status, answer.reason) == ("failed", reason)
    assert bulk.report.reasons == {reason: 1}


def test_an_answer_without_an_end_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("sansi.client.http.MAX_ANSWER", 1000)
    with client(tmp_path, Endpoint(lambda *_: completion("long" * 1000))) as bulk:
        (answer,) = bulk.ask_all(ask(["x"]))
    assert answer.reason == "not a completion"
    assert "1000 B" in answer.detail


@pytest.mark.parametrize(
    ("body", "odd"),
    [
        (completion(model="another"), {"another model": 1}),
        (completion(model=None), {"no model's name": 1}),
        (completion(model="m-2026-01-01"), {}),
        (completion(model="/models/m"), {}),
        (completion(tokens=None), {"no usage": 1}),
        (completion(tokens=(0, 0)), {"no usage": 1}),
        (completion(tokens=("many", -3)), {"no usage": 1}),
        (completion(tokens=(True, 5)), {"no usage": 1}),
    ],
)
def test_what_is_odd_is_counted_and_told(tmp_path, body, odd):
    with client(tmp_path, Endpoint(lambda *_: body)) as bulk:
        (answer,) = bulk.ask_all(ask(["x"]))
    assert answer.status == "ok"
    assert dict(bulk.report.oddities) == odd
    assert all(f"{name} 1" in str(bulk.report) for name in odd)
    assert answer.usage.prompt_tokens > 0 < answer.usage.completion_tokens


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (completion("half", "length"), "cut", "max_tokens"),
        (completion("", "length"), "cut", "max_tokens"),
        (completion("<think>\nhm", "length"), "cut", "max_tokens"),
        (completion("", "content_filter"), "refused", "content filter"),
        (completion(None, refusal="I will not."), "refused", "refusal"),
        (completion("I'm sorry, but I can't help with that."), "refused", "refusal"),
        (httpx.Response(400, json={"error": {"message": "no", "code": "content_filter"}}), "refused", "content filter"),
        (completion("abc " * 300, "length"), "failed", "loops"),
        (completion("So it is. " * 80), "failed", "loops"),
        (completion("<think>\nhm\n</think>\n\n42"), "ok", ""),
    ],
)
def test_each_answer_has_one_verdict_and_keeps_it(tmp_path, body, status, reason):
    for _ in range(2):
        with client(tmp_path, Endpoint(lambda *_: body)) as bulk:
            (answer,) = bulk.ask_all(ask(["x"]))
        assert (answer.status, answer.reason) == (status, reason)
        assert "hm" not in answer.text


def test_the_same_answer_to_different_questions_is_noticed(tmp_path):
    same = completion("This is the answer that I give to whatever somebody asks me, all day long.")
    requests = [*ask(range(5)), *ask([0, 1])]
    for _ in range(2):
        with client(tmp_path, Endpoint(lambda *_: same)) as bulk:
            answers = bulk.ask_all(requests)
        assert [answer.reason for answer in answers] == ["", "", "", "repeats", "repeats", "repeats", "repeats"][:7]
    with client(tmp_path, Endpoint(lambda *_: same), same_answers=None) as bulk:
        assert bulk.ask_all(ask(range(9)))[-1].status == "ok"
    with client(tmp_path / "short", Endpoint(lambda *_: completion("yes"))) as bulk:
        assert bulk.ask_all(ask(range(9)))[-1].status == "ok"


@pytest.mark.parametrize(
    ("text", "cut", "looped"),
    [
        ("word " * 100, True, True),
        ("x" * 400, True, True),
        ("Once upon a time. " + "and then " * 60, True, True),
        ("A long beginning. " * 3 + "The end is here, and it is told once." * 1, True, False),
        ("| 0 | 0 |\n" * 100, False, True),
        ("Prose that is longer than the table under it. It has many words. " * 1 + "a b c d e f g\n" * 40, True, True),
        (". " * 400, False, False),
        ("- " * 400, True, True),
        ("ab" * 190, True, False),
        ("".join(f"{i} is a number, and so on. " for i in range(100)), True, False),
    ],
)
def test_loops(text, cut, looped):
    assert loops(text, cut) is looped


def test_a_table_that_ends_with_equal_rows_is_no_loop():
    prose = " ".join(f"Sentence {i} says something." for i in range(60))
    assert not loops(prose + "\n" + "0 none none\n" * 50, cut=False)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I cannot provide a translation of this.",
        "As an AI language model, I have no opinion.",
        "抱歉，我无法回答这个问题。",
        "Lo siento, pero no puedo ayudar con eso.",
        "Es tut mir leid, aber dabei kann ich nicht helfen.",
    ],
)
def test_refusals_are_known_by_their_beginning(text):
    assert is_refusal(text)
    assert not is_refusal(text + " However, here is what you can do." * 30)


@pytest.mark.parametrize(
    "text", ["I can see two tables.", "Sorry for the delay. The result is 4.", "We can not only add but also multiply."]
)
def test_what_only_sounds_like_one(text):
    assert not is_refusal(text)


# ---- the budget


def spent(folder):
    lines = [json.loads(line) for line in (folder / "costs.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == "answered" and not line["cached"]]


@pytest.mark.parametrize(
    ("budget", "asked"),
    [({"max_requests": 7}, 7), ({"max_tokens": 150}, None), ({"max_cost": 0.0005}, None), ({"max_requests": 0}, 0)],
)
def test_a_budget_is_never_exceeded(tmp_path, budget, asked):
    def costly(body, number):
        return completion(f"about {question_in(body)}", tokens=(10, 5))

    endpoint = Endpoint(costly)
    settings = {"options": {"max_tokens": 20}, "prompt_price": 1.0, "completion_price": 10.0, "concurrency": 4}
    with client(tmp_path, endpoint, Budget(**budget), **settings) as bulk:
        answers = bulk.ask_all(ask(range(30)))
    assert asked is None or len(endpoint.bodies) == asked
    lines = spent(tmp_path)
    assert len(lines) == len(endpoint.bodies) == bulk.report.ok < 30
    assert sum(line["prompt_tokens"] + line["completion_tokens"] for line in lines) <= budget.get("max_tokens", 10**9)
    assert sum(line["cost"] for line in lines) <= budget.get("max_cost", 1e9)
    assert bulk.report.reasons == {"over budget": 30 - len(lines)}
    if "max_tokens" in budget:  # what was reserved and not used is used by those that come after
        assert len(lines) >= (150 - 45) // 15
    with client(tmp_path, endpoint, Budget(**budget), **settings) as bulk:  # the folder's, not the run's
        again = bulk.ask_all(ask(range(30)))
    assert [answer.status for answer in again] == [answer.status for answer in answers]
    assert len(endpoint.bodies) == len(lines)


def test_a_request_without_an_answer_counts_with_its_most(tmp_path):
    endpoint = Endpoint(lambda *_: httpx.ReadTimeout("late"))
    options = {"options": {"max_tokens": 100}, "retries": 0}
    with client(tmp_path, endpoint, Budget(max_tokens=250), concurrency=1, **options) as bulk:
        bulk.ask_all(ask(range(5)))
    assert len(endpoint.bodies) == 2


def test_an_endpoint_that_counts_more_than_we_is_believed(tmp_path):
    endpoint = Endpoint(lambda body, number: completion(str(number), tokens=(1000, 5)))
    with client(tmp_path, endpoint, Budget(max_tokens=5000), concurrency=1, options={"max_tokens": 20}) as bulk:
        bulk.ask_all(ask(range(30)))
    assert len(endpoint.bodies) == 4


@pytest.mark.parametrize("options", [{}, {"max_tokens": 0}])
def test_a_budget_of_tokens_needs_a_bound_on_answers(tmp_path, options):
    bulk = client(tmp_path, Endpoint(echo), Budget(max_tokens=10), options=options)
    with bulk, pytest.raises(SansiError, match="max_tokens"):
        bulk.ask_all(ask(["x"]))


def test_reservations_of_other_processes_count(tmp_path):
    budget = Budget(max_tokens=100)
    one, other = (CostLog(tmp_path / "costs.jsonl", budget) for _ in range(2))
    number = one.ask("a", 80, 0.0)
    with pytest.raises(OverBudget):
        other.ask("b", 30, 0.0)
    assert one.ask("b", 30, 0.0) is None  # its own may turn out smaller
    one.answered(number, "a", "ok", prompt_tokens=5, completion_tokens=5, cost=0.0)
    assert other.ask("b", 90, 0.0)
    assert one.spent.tokens == other.spent.tokens == 100


def test_a_cut_line_of_the_log_costs_no_other(tmp_path):
    path = tmp_path / "costs.jsonl"
    log = CostLog(path, Budget())
    log.ask("a", 10, 0.0)
    path.write_bytes(path.read_bytes() + b'{"event": "asked", "num')
    after = CostLog(path, Budget())
    after.ask("b", 20, 0.0)
    assert after.spent.tokens == log.spent.tokens == CostLog(path, Budget()).spent.tokens == 30


def test_the_cost_log_says_what_each_request_took(tmp_path):
    with client(tmp_path, Endpoint(echo), prompt_price=2.0, completion_price=4.0) as bulk:
        (answer,) = bulk.ask_all(ask(["x"]))
        bulk.ask_all(ask(["x"]))
    lines = [json.loads(line) for line in (tmp_path / "costs.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["asked", "answered", "answered"]
    assert lines[1]["key"] == answer.key == lines[2]["key"]
    assert (lines[1]["prompt_tokens"], lines[1]["completion_tokens"], lines[1]["cost"]) == (10, 5, 40e-6)
    assert [line["cached"] for line in lines[1:]] == [False, True]
    assert lines[2]["cost"] == 0
    assert answer.cost == 40e-6


# ---- settings


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"base_url": "model.test"}, "base_url"),
        ({"model": ""}, '"model" is empty'),
        ({"concurrency": 0}, "concurrency"),
        ({"options": {"model": "x", "stream": True}}, r"options\.model.*options\.stream"),
        ({"api_key_env": "A", "api_key_file": "b"}, "both given"),
        ({"modell": "x"}, 'did you mean "model"'),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_bad_settings_are_named(fields, told):
    with pytest.raises(ConfigError, match=told):
        EndpointSettings(**{"base_url": URL, "model": "m", **fields})


def test_the_key_comes_from_where_the_settings_say(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    assert EndpointSettings(URL, "m", api_key_env="SOME_KEY").api_key() == "secret"
    (tmp_path / "key").write_text("other\n")
    assert EndpointSettings(URL, "m", api_key_file=tmp_path / "key").api_key() == "other"
    assert EndpointSettings(URL, "m").api_key() is None
    for bad in ({"api_key_env": "NO_SUCH"}, {"api_key_file": tmp_path / "none"}):
        with pytest.raises(SansiError):
            EndpointSettings(URL, "m", **bad).api_key()


@pytest.mark.parametrize("options", [{"n": 2}, {"stream": True}, {"model": "x"}])
def test_options_that_can_not_work_are_refused(tmp_path, options):
    with client(tmp_path, Endpoint(echo)) as bulk, pytest.raises(SansiError, match=next(iter(options))):
        bulk.ask_all(ask(["x"], **options))


def test_a_folder_that_can_not_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SansiError, match="can not be kept"):
        client(tmp_path / "file", Endpoint(echo))


def test_the_key_does_not_depend_on_the_order_of_fields():
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1}) != key_of({"a": 1, "b": 2}, sample=1)


# ---- processes


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(question_in(body))
        time.sleep(0.01)
        sent = json.dumps(completion(f"about {question_in(body)}")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.asked = True, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


SCRIPT = textwrap.dedent("""
    import sys
    from sansi.client.bulk import Budget, BulkClient, EndpointSettings, Request
    from sansi.text import Message
    url, folder, first, last, most = sys.argv[1:]
    settings = EndpointSettings(url, "m", concurrency=4)
    with BulkClient(settings, folder, Budget(max_requests=int(most))) as bulk:
        answers = bulk.ask(Request([Message("user", str(i))]) for i in range(int(first), int(last)))
        for answer in answers:
            print(answer.status, answer.text, flush=True)
""")


def start(server, folder, first, last, most=10**6):
    url = f"http://127.0.0.1:{server.server_port}/v1"
    command = [sys.executable, "-c", SCRIPT, url, str(folder), str(first), str(last), str(most)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_a_killed_run_goes_on_where_it_was(server, tmp_path):
    killed = start(server, tmp_path, 0, 100_000)
    for _ in range(10):
        assert killed.stdout.readline().startswith("ok about")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before, kept = len(server.asked), len(list((tmp_path / "answers").glob("??/*.json")))
    assert before - 4 - 1 <= kept <= before
    server.asked.clear()
    whole = start(server, tmp_path, 0, before + 5)
    out, _ = whole.communicate(timeout=60)
    assert out.splitlines() == [f"ok about {i}" for i in range(before + 5)]
    assert len(server.asked) == before + 5 - kept


def test_two_processes_share_a_folder_and_its_budget(server, tmp_path):
    runs = [start(server, tmp_path, 0, 60, most=50), start(server, tmp_path, 60, 120, most=50)]
    answers = [line for run in runs for line in run.communicate(timeout=60)[0].splitlines()]
    assert len(answers) == 120
    assert sum(line.startswith("ok") for line in answers) == len(server.asked) == 50
