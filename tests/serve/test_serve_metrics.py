"""What Prometheus reads: in its form, with the counts of the engine and of the requests, one registry per server."""

import pytest
from fake_chat import FakeChat
from live_server import http, running, wait_for
from prometheus_client.parser import text_string_to_metric_families
from sansi.serve.http.metrics import _buckets
from sansi.serve.http.streaming_response import GAP_BOUNDS, Gaps

BODY = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 40, "seed": 1}


def read(url: str) -> dict[tuple, float]:
    """Every sample by its name and labels."""
    response = http.get(f"{url}/metrics")
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(response.text)
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def sample(found: dict, name: str, **labels: str) -> float:
    return found[(f"sansi_{name}", *sorted(labels.items()))]


@pytest.fixture
def served(tiny_chat):
    with running([tiny_chat, FakeChat()]) as url:
        yield url


def test_the_counts_add_up(served, tiny_chat):
    before = read(served)
    answers = [http.post(f"{served}/v1/chat/completions", json=BODY | {"seed": seed}).json() for seed in range(3)]
    streamed = http.post(f"{served}/v1/chat/completions", json=BODY | {"stream": True}).text
    done = ("sansi_generation_duration_seconds_count", ("model", "tiny"))
    assert "[DONE]" in streamed and wait_for(lambda: read(served).get(done) == 4)
    assert wait_for(lambda: tiny_chat.engine.running == 0)
    after = read(served)

    def grown(name, **labels):
        return sample(after, name, **labels) - before.get((f"sansi_{name}", *sorted(labels.items())), 0)

    tokens = sum(answer["usage"]["completion_tokens"] for answer in answers)
    assert tokens < grown("generated_tokens_total", model="tiny") <= tokens + 40
    assert grown("completions_total", model="tiny", finish_reason="length") == 4
    assert grown("http_requests_total", method="POST", route="/v1/chat/completions", status="200") == 4
    assert grown("generation_duration_seconds_count", model="tiny") == 4
    assert grown("time_to_first_token_seconds_count", model="tiny") == 4
    assert grown("inter_token_seconds_count", model="tiny") > 0
    assert sample(after, "answers_held", model="tiny") == sample(after, "requests_running", model="tiny") == 0
    blocks = [sample(after, "cache_blocks", model="tiny", state=state) for state in ("free", "cached", "owned")]
    assert sum(blocks) == tiny_chat.engine.plan.num_blocks and blocks[2] == 0


def test_errors_are_counted_by_route_and_not_by_path(served):
    for path in ("/a", "/b", "/v1/models/none", "/v1/models/nothing"):
        assert http.get(served + path).status_code == 404
    http.request("BREW", f"{served}/health")
    brewed = ("sansi_http_requests_total", ("method", "other"), ("route", "/health"), ("status", "405"))
    assert wait_for(lambda: brewed in read(served))
    found = read(served)
    assert sample(found, "http_requests_total", method="GET", route="other", status="404") == 2
    assert sample(found, "http_requests_total", method="GET", route="/v1/models/{name:path}", status="404") == 2
    assert sample(found, "http_requests_total", method="other", route="/health", status="405") == 1
    assert not any("nothing" in str(key) or "BREW" in str(key) for key in found)


def test_each_server_counts_for_itself(served):
    with running([FakeChat()]) as other:
        http.get(f"{other}/health")
        looked = ("sansi_http_requests_total", ("method", "GET"), ("route", "/health"), ("status", "200"))
        assert wait_for(lambda: read(other).get(looked) == 1)
    assert looked not in read(served)


def test_gaps_fall_into_their_buckets():
    gaps = Gaps()
    for seconds in (0.0, GAP_BOUNDS[0], GAP_BOUNDS[0] + 1e-9, 1e9):
        gaps.observe(seconds)
    buckets = _buckets(gaps)
    assert [count for _, count in buckets[:2]] == [2, 3] and buckets[-1] == ("+Inf", 4.0)
    assert len(buckets) == len(GAP_BOUNDS) + 1
