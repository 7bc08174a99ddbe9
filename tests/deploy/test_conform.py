"""The black-box suite: our own server passes it, and each of many seeded faults is caught by a check of its subject."""

import json
import re
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest
from sansi.base.errors import SansiError
from sansi.chat import ChatModel
from sansi.deploy.conform import CHECKS, Endpoint, Probe, run_suite
from sansi.deploy.conform.suite import chosen

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "serve"))
from live_server import running

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def url():
    with ChatModel.from_pretrained(ROOT / "checkpoints" / "nano", device="cpu") as chat, running([chat]) as base:
        yield base


@pytest.fixture(scope="module")
def count_prompt():
    from sansi.text import Codec

    codec = Codec.from_pretrained(ROOT / "checkpoints" / "nano")
    return lambda messages, thinking: len(codec.render(messages, enable_thinking=thinking).ids)


def test_our_own_server_passes(url, count_prompt):
    report = run_suite(Probe(Endpoint(url), count_prompt=count_prompt))
    assert {f.check: f.words for f in report.findings if f.outcome != "passed"} == {}
    assert len(report.findings) == len(chosen(None)) >= 30 and report.ok


# ---- seeded faults ---------------------------------------------------------------------------------------------------


class Faulty(httpx.BaseTransport):
    """The real server, with a change in what goes in or what comes out."""

    def __init__(self, change_request=None, change_answer=None, change_event=None, change_status=None, drop_done=False):
        self._real = httpx.HTTPTransport()
        self._request, self._answer, self._event = change_request, change_answer, change_event
        self._status, self._drop_done, self._asked = change_status, drop_done, 0

    def handle_request(self, request):
        content = request.read()
        if self._request and request.url.path.endswith("/chat/completions"):
            self._asked += 1
            try:
                body = self._request(json.loads(content), self._asked)
                content = json.dumps(body).encode()
            except ValueError:
                pass
        headers = [(k, v) for k, v in request.headers.raw if k.lower() not in (b"content-length", b"transfer-encoding")]
        sent = httpx.Request(request.method, request.url, headers=headers, content=content or None)
        answer = self._real.handle_request(sent)
        data = answer.read()
        if self._status:
            answer.status_code, data = self._status(answer.status_code, data)
        kind = answer.headers.get("content-type", "")
        if "event-stream" in kind:
            data = self._changed_events(data)
        elif self._answer and request.url.path.endswith("/chat/completions") and answer.status_code == 200:
            data = json.dumps(self._answer(json.loads(data))).encode()
        return httpx.Response(answer.status_code, headers={"content-type": kind}, content=data)

    def _changed_events(self, data):
        lines = []
        for line in data.decode().split("\n"):
            if line.startswith("data: {") and self._event:
                changed = self._event(json.loads(line[6:]))
                lines += [] if changed is None else [f"data: {json.dumps(changed)}"]
            elif not (self._drop_done and line.startswith("data: [DONE]")):
                lines.append(line)
        return "\n".join(lines).encode()


def message(change):
    """A change of the message of each choice."""

    def changed(body):
        for choice in body["choices"]:
            change(choice["message"])
        return body

    return changed


def delta(change):
    def changed(chunk):
        for choice in chunk["choices"]:
            change(choice["delta"])
        return chunk

    return changed


def without(*names):
    return lambda body, asked: {key: value for key, value in body.items() if key not in names}


def always_thinking(body, asked):
    return {**body, "chat_template_kwargs": {"enable_thinking": True}}


def no_soft_switch(body, asked):
    return json.loads(json.dumps(body).replace(" /no_think", ""))


def no_budget(body, asked):
    body.get("chat_template_kwargs", {}).pop("thinking_budget", None)
    return {name: value for name, value in body.items() if not name.startswith("thinking_")}


def leaking(message):
    message["content"] = f"<think>\n{message.pop('reasoning_content', '') or ''}\n</think>\n\n{message['content']}"


def other_name(delta):
    if delta.get("reasoning_content"):
        delta["reasoning"] = delta.pop("reasoning_content")


def broken_arguments(message):
    for call in message.get("tool_calls") or []:
        call["function"]["arguments"] = call["function"]["arguments"][:-1]


def name_in_every_piece(delta):
    for piece in delta.get("tool_calls") or []:
        piece["function"]["name"] = "get_weather"


def wrong_total(body):
    body["usage"]["total_tokens"] += 1
    return body


def always_stop(body):
    for choice in body["choices"]:
        choice["finish_reason"] = "stop" if choice["finish_reason"] == "length" else choice["finish_reason"]
    return body


def two_tokens_more(body, asked):
    return {**body, "max_tokens": body.get("max_tokens", 16) + 2}


def other_seed(body, asked):
    return {**body, "seed": asked}


def one_seed(body, asked):
    return {**body, "seed": 1}


def a_system_message(body, asked):
    if isinstance(body.get("messages"), list) and body["messages"] and body["messages"][0].get("role") == "user":
        body["messages"].insert(0, {"role": "system", "content": "You are helpful."})
    return body


def reject_as_500(status, data):
    return (500, data) if status == 400 else (status, data)


def accept_everything(status, data):
    return (
        (200, b'{"choices": [{"message": {"role": "assistant", "content": ""}}]}')
        if status in (400, 422)
        else (status, data)
    )


def no_words(status, data):
    return (status, b"{}") if status >= 400 else (status, data)


def stop_included(body):
    for choice in body["choices"]:
        if choice["finish_reason"] == "stop":
            choice["message"]["content"] = (choice["message"]["content"] or "") + "9"
    return body


FAULTS = {
    "the switch is ignored": (Faulty(change_request=always_thinking), "switch"),
    "/no_think is ignored": (Faulty(change_request=no_soft_switch), "soft-switch"),
    "the thought is in the content": (Faulty(change_answer=message(leaking)), "tags"),
    "no thought at all": (Faulty(change_answer=message(lambda m: m.pop("reasoning_content", None))), "thinks"),
    "another name in the stream": (Faulty(change_event=delta(other_name)), "field"),
    "budgets are ignored": (Faulty(change_request=no_budget), "budget"),
    "totals that do not add up": (Faulty(change_answer=wrong_total), "usage"),
    "no usage in a stream": (Faulty(change_event=lambda chunk: chunk if chunk["choices"] else None), "stream-usage"),
    "no [DONE]": (Faulty(drop_done=True), "stream"),
    "a part of the stream is lost": (
        Faulty(change_event=delta(lambda d: d.pop("content", None) if d.get("content") else None)),
        "stream",
    ),
    "arguments cut short": (Faulty(change_answer=message(broken_arguments)), "tool-call"),
    "the name in every piece": (Faulty(change_event=delta(name_in_every_piece)), "tool-stream"),
    "calls in spite of none": (
        Faulty(change_request=lambda b, n: {**b, "tool_choice": "required"} if b.get("tools") else b),
        "no-tool",
    ),
    "schemas are ignored": (Faulty(change_request=without("response_format")), "schema"),
    "length is called stop": (Faulty(change_answer=always_stop), "max-tokens"),
    "max_tokens is exceeded": (Faulty(change_request=two_tokens_more), "max-tokens"),
    "the stop string stays": (Faulty(change_answer=stop_included), "stop"),
    "a seed does not repeat": (Faulty(change_request=other_seed), "seed"),
    "every seed is one": (Faulty(change_request=one_seed), "seed"),
    "another template": (Faulty(change_request=a_system_message), "template"),
    "n is ignored": (Faulty(change_request=without("n")), "choices"),
    "logprobs are ignored": (Faulty(change_request=without("logprobs", "top_logprobs")), "logprobs"),
    "mistakes are errors of the server": (Faulty(change_status=reject_as_500), "wrong-values"),
    "mistakes are accepted": (Faulty(change_status=accept_everything), "wrong-json"),
    "refusals without a word": (Faulty(change_status=no_words), "wrong-model"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_caught(url, fault, count_prompt):
    transport, name = FAULTS[fault]
    transport._asked = 0
    report = run_suite(Probe(Endpoint(url, transport=transport), count_prompt=count_prompt), [name])
    finding = report.findings[0]
    assert finding.outcome == "failed" and len(finding.words) > 10 and not report.ok
    assert finding.words in report.to_markdown()


def test_what_a_server_refuses_is_not_offered(url):
    """A refusal in words is honest: neither passed nor failed."""

    def refuse(status, data):
        return (400, b'{"error": {"message": "n is not supported"}}')

    probe = Probe(Endpoint(url, "nano", transport=Faulty(change_status=refuse)))
    report = run_suite(probe, ["choices", "logprobs", "no-tool", "schema", "parts"])
    assert {finding.outcome for finding in report.findings} <= {"not offered", "failed"}
    assert report.findings[0].outcome == "not offered" and "400" in report.findings[0].words


def test_a_server_that_is_not_there_is_an_error_in_a_sentence():
    with pytest.raises(SansiError, match="is the server running"):
        Endpoint("http://127.0.0.1:9")
    report = run_suite(Probe(Endpoint("http://127.0.0.1:9", "m")), ["answer"])
    assert report.findings[0].outcome == "error" and not report.ok


def test_addresses_and_names():
    with pytest.raises(SansiError, match="http://"):
        Endpoint("localhost:8000")
    assert Endpoint("http://127.0.0.1:9/", "m").base_url == "http://127.0.0.1:9/v1"
    with pytest.raises(SansiError, match='did you mean "budget"'):
        chosen(["budgets"])


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def sansi(sansi):
    return partial(sansi, "conform")


def test_the_command(sansi, url, tmp_path):
    result = sansi(url, "--reference", "nano", "--only", "answer", "--only", "budget", "--report", tmp_path / "r.md")
    assert result.code == 0 and "2 passed" in result.out
    assert "| budget: a thinking budget holds" in (tmp_path / "r.md").read_text()
    told = json.loads(sansi(url, "--only", "switch", "--json").out)
    assert told["ok"] is True and told["findings"][0]["check"] == "switch"


def test_the_command_lists_its_checks_and_says_what_is_wrong(sansi):
    listed = sansi("--list").out
    assert all(re.search(rf"^{name} ", listed, re.MULTILINE) for name in CHECKS)
    assert sansi("http://127.0.0.1:9").code == 1
    assert 'did you mean "think"' in sansi("http://127.0.0.1:9", "--switch", "thinking").err
