"""The server bench: its arithmetic, its load generator against a canned server, its tables; none of the peers."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import serve_cases
import serve_load
import serve_report
from checkpoints import shape
from contenders import ContenderError

import serve

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


def event(delta, finish=None, **more):
    return (
        f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}], **more})}\n\n".encode()
    )


DONE = b"data: [DONE]\n\n"
THREE = [event({"role": "assistant", "content": ""}), event({"reasoning_content": "a"}), event({"content": '"'})]
THREE += [event({"content": "c"}), event({}, "length")]


def answer(events, length=3, times=None, chunked=False):
    """As if each event had come in a read of its own, one a second."""
    parts = [f"{len(e):x}\r\n".encode() + e + b"\r\n" for e in events] if chunked else list(events)
    head = HEAD + (b"transfer-encoding: chunked\r\n" if chunked else b"") + b"\r\n"
    reads = [head, *parts, *([b"0\r\n\r\n"] if chunked else [])]
    return serve_load.read_answer(b"".join(reads), reads, times or list(range(len(reads))), length)


@pytest.mark.parametrize("chunked", [False, True])
def test_times_are_those_of_the_first_and_the_last_piece_of_text(chunked):
    got = answer([*THREE, DONE], chunked=chunked)
    # Read 0 is the head, 1 the role, 2 the thought, 3 and 4 the answer, 5 the end.
    assert (got.first, got.last, got.tokens, got.error) == (2, 4, 3, None)
    assert got.per_token == 1


def test_events_that_come_in_one_read_have_one_time():
    reads = [HEAD + b"\r\n" + b"".join(THREE[:2]), b"".join(THREE[2:]) + DONE]
    got = serve_load.read_answer(b"".join(reads), reads, [1.0, 5.0], 3)
    assert (got.first, got.last) == (1.0, 5.0)


def test_carriage_returns_and_spaces_of_other_servers_are_read():
    events = [e.replace(b"\n", b"\r\n") for e in [*THREE, DONE]]
    assert b'"content": "c"' in events[3] and answer(events).tokens == 3
    assert answer([e.replace(b'": ', b'":') for e in [*THREE, DONE]]).tokens == 3


def test_tokens_are_those_that_the_server_counts():
    usage = {"completion_tokens": 9, "prompt_tokens": 5}
    counted = event({}, None, usage=usage)
    assert answer([*THREE, counted, DONE], length=9).tokens == 9
    free = answer([*THREE[:-1], event({}, "stop"), counted, DONE], length=None)
    assert (free.tokens, free.prompt_tokens, free.error) == (9, 5, None)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (THREE, "broke off"),
        ([*THREE[:-1], event({}, "stop"), DONE], "finish_reason stop; 3 were asked for"),
        ([THREE[0], event({}, "length"), DONE], "no text"),
        ([*THREE, b'data: {"error": {"message": "out of memory"}}\n\n'], "out of memory"),
    ],
)
def test_an_answer_that_does_not_count_says_why(events, words):
    assert words in answer(events).error


def test_refusals_and_lost_connections_are_errors():
    refused = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 5\r\n\r\nqueue"
    assert serve_load.read_answer(refused, [refused], [1.0], 3).error == "status 429: queue"
    assert serve_load.read_answer(b"", [], [], 3).error == "no reply"
    assert serve_load.read_answer(HEAD, [HEAD], [1.0], 3, "ConnectionResetError: gone").error.endswith("gone")


def test_the_generator_against_a_server_that_computes_nothing():
    found = serve_load.ceiling(concurrency=3, requests=7, events=20)
    assert found["events_per_second"] > 1000 and found["cpu_us"] > 0


def test_nobody_listens():
    reply = serve_load.run_load(serve_load.free_port(), [{"messages": []}], 2, None)
    assert "ConnectionRefusedError" in reply["answers"][0]["error"]


def test_a_server_that_ends_is_named(tmp_path):
    spec = serve.ServerSpec("broken", "", "", str(tmp_path), command=(sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(ContenderError, match="broken ended with status 3"):
        serve.Server(spec, tmp_path / "log", 1)


@pytest.mark.parametrize("case", [*serve_cases.CASES, *serve_cases.NANO_CASES], ids=lambda case: case.title)
def test_all_contenders_get_the_same_requests_and_no_round_repeats_one(case):
    asked = case.make(0)
    assert asked == case.make(0) and len(asked) == case.requests >= case.concurrency
    texts = {json.dumps(body["messages"]) for round_ in range(3) for body in case.make(round_)}
    assert len(texts) > 0.95 * 3 * case.requests  # sums of two numbers may be met again


def test_figures_of_a_load():
    def one(first, last, tokens, error=None):
        return {"first": first, "last": last, "tokens": tokens, "prompt_tokens": 9, "error": error}

    reply = {"answers": [one(0.5, 1.5, 11), one(0.25, 0.75, 6), one(0, 0, 0, "lost")], "seconds": 2.0}
    run = serve_cases.run_of(reply)
    assert run["value"] == 17 / 2 and run["errors"] == ["lost"]
    assert (run["first_ms"], run["step_ms"]) == ([500, 250], [100, 100])


def test_percentiles_lie_between_neighbours():
    assert serve_cases.percentile([3.0, 1.0, 2.0], 0.5) == 2
    assert serve_cases.percentile([0.0, 10.0], 0.99) == pytest.approx(9.9)
    assert serve_cases.percentile([7.0], 0.99) == 7


def test_limits_are_those_of_bandwidth():
    config, rates = shape("0.6b"), {"read_gbs": 20.0, "float32_gflops": 1e6}
    size = config.num_parameters() * 4.5 / 8
    one, many = (serve_cases.limits(serve_cases.CASES[i], 120, config, size, rates) for i in (0, 2))
    assert one.step_ms == pytest.approx(1000 * size / 20e9, rel=0.1)  # keys and values are read, too
    # 32 clients read the same weights: a little longer for each, nearly 32 times the tokens.
    assert one.step_ms < many.step_ms < 3 * one.step_ms
    assert many.tokens_per_second > 10 * one.tokens_per_second
    assert many.first_ms == one.first_ms


def results(**values):
    """Saved figures of two rounds: name -> (tokens a second of each round, ms of the first token)."""

    def run(value, first):
        run = {"value": value, "seconds": 2.0, "generator_cpu": 0.1, "prompt_tokens": 20, "commit": "abc"}
        return run | {"first_ms": [first, first], "step_ms": [1.0, 1.0], "errors": []}

    cells = {
        name: {"runs": {str(n): run(v, first) for n, v in enumerate(rounds)}}
        for name, (rounds, first) in values.items()
    }
    return {
        "shape": "nano",
        "quick": False,
        "machine": {"cpu": "CPU", "cores": 2, "threads": 2, "features": ["avx2"]},
        "facts": {},
        "config": shape("tiny").to_hf(),
        "weight_bytes": dict.fromkeys(values, 4_000_000),
        "ceiling": {"events_per_second": 50_000, "cpu_us": 10.0},
        "cells": {"c8": cells},
    }


def test_the_goal_against_the_engine_alone_is_judged():
    text = serve_report.report(results(**{"sansi": ((96, 98), 12.0), "engine alone": ((100, 100), 3.0)}))
    assert "| 8 clients | sansi ÷ engine alone | 0.97, 0.96–0.98 (met) | +9.00 ms, +9.00 ms (met) |" in text
    assert "50,000 events a second" in text and "it used 5% of one core" in text
    text = serve_report.report(results(**{"sansi": ((90, 92), 14.0), "engine alone": ((100, 100), 3.0)}))
    assert "0.91, 0.90–0.92 (**not met**) | +11.00 ms, +11.00 ms (**not met**) |" in text


def test_others_are_compared_within_a_round_and_beside_the_limit():
    saved = results(**{"sansi int4": ((40, 20), 5.0), "llama-server Q4_0": ((20, 20), 10.0)})
    saved |= {"shape": "0.6b", "rates": [{"read_gbs": 20.0, "float32_gflops": 100.0, "bfloat16_gflops": 400.0}]}
    text = serve_report.report(saved)
    assert "| 8 clients | sansi int4 ÷ llama-server Q4_0 | 1.50, 1.00–2.00 | 2.0×, 2.0× | 1.0×, 1.0× |" in text
    assert "*limit of" in text and "30.0 ± 33% (" in text


def test_errors_are_counted_and_a_server_that_never_answered_fails():
    saved = results(sansi=((96, 98), 12.0))
    saved["cells"]["c8"]["sansi"]["runs"]["0"]["errors"] = ["lost", "lost"]
    saved["cells"]["c8"]["vLLM bf16"] = {"runs": {"0": {"error": "did not start"}}}
    text = serve_report.report(saved)
    assert "| 12.0 / 12.0 | 1.00 / 1.00 | 2 |" in text and "| 8 clients | vLLM bf16 | fails |  |  | all |" in text
