"""The engine's bench: its arithmetic, its protocol with a contender, and its tables, without any of the peers."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import engine_cases
import engine_report
import invariance
from checkpoints import shape
from contenders import ContenderError, Pool, Process, Spec

CASES = {case.name: case for case in engine_cases.CASES}
RATES = {"read_gbs": 20.0, "float32_gflops": 100.0, "bfloat16_gflops": 400.0}


def test_the_common_bench_is_the_published_one():
    asked = engine_cases.common_bench()
    assert sum(map(len, asked["prompts"])) == 142_827
    assert sum(asked["new_tokens"]) == 133_966


@pytest.mark.parametrize("name", CASES)
def test_all_contenders_get_the_same_prompts_and_no_round_repeats_one(name):
    case = CASES[name]
    asked, other = case.make(0, 1000), case.make(1, 1000)
    assert asked == case.make(0, 1000)
    assert len(asked["prompts"]) == len(asked["new_tokens"]) == case.requests
    assert asked["prompts"][0][:32] != other["prompts"][0][:32]
    assert all(prompt[: case.prefix] == asked["prompts"][0][: case.prefix] for prompt in asked["prompts"])
    assert max(max(prompt) for prompt in asked["prompts"]) < 1000


def test_decoding_starts_when_every_request_has_its_first_token():
    case = engine_cases.Case("d", "", "decode", requests=2, new_tokens=3)
    asked = case.make(0, 100)
    # The second request's first token comes at 2 s; after that come one token of the first and two of the second.
    assert engine_cases.figure(case, asked, [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]) == pytest.approx(3 / 2)


def test_limits_are_those_of_bandwidth_and_of_arithmetic():
    config = shape("0.6b")
    size = config.num_parameters() * 4.5 / 8
    one = CASES["decode_b1"].make(0, config.vocab_size)
    many = CASES["decode_b16"].make(0, config.vocab_size)
    slow = {**RATES, "bfloat16_gflops": 1.0, "float32_gflops": 1.0}
    assert engine_cases.limit("decode", one, config, size, RATES) == pytest.approx(20e9 / size, rel=0.05)
    assert engine_cases.limit("decode", many, config, size, slow) == pytest.approx(
        1e9 / 2 / config.num_active_parameters(), rel=0.01
    )


def test_a_step_reads_the_experts_that_it_visits():
    config = shape("moe")
    share = engine_cases._read_share
    assert share(config, 1) == pytest.approx(config.num_active_parameters() / config.num_parameters())
    assert share(config, 1) < share(config, 8) < share(config, 10_000) <= 1


ECHO = """
from wire import Contender, serve
class Echo(Contender):
    def load(self, model, options):
        print("noise")
        return {"variants": [], "model": model, "threads": options["threads"]}
    def run(self, case):
        if case.get("fail"):
            raise ValueError("no")
        return {"times": [[1.0]], "ids": [case["prompts"][0]]}
serve(Echo())
"""


@pytest.fixture
def echo(tmp_path):
    peers = Path(engine_cases.__file__).parent / "peers"
    script = tmp_path / "echo.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(peers)!r})\n{ECHO}")
    return Spec("echo", sys.executable, str(script), str(tmp_path))


def test_a_contender_answers_fails_and_goes_on(echo, tmp_path):
    process = Process(echo, tmp_path / "log", threads=1)
    try:
        assert process.facts == {"variants": [], "model": str(tmp_path), "threads": 1}
        with pytest.raises(ContenderError, match="echo: ValueError: no"):
            process.run({"fail": True})
        assert process.run({"prompts": [[1, 2]]})["ids"] == [[1, 2]]
        assert 5 < process.peak_megabytes() < 500
        assert "noise" in (tmp_path / "log").read_text()
    finally:
        process.close()


def test_a_dead_contender_is_named(echo, tmp_path):
    pool = Pool(tmp_path, threads=1, reserve=0)
    process = pool.get(echo)
    assert pool.get(echo) is process
    pool.drop("echo")
    with pytest.raises(ContenderError, match="echo died"):
        process.run({"prompts": [[1]]})


def test_ratios_are_taken_within_a_round_against_their_best():
    def cell(*values):
        return {"runs": {str(n): {"value": v, "seconds": 1, "commit": "abc"} for n, v in enumerate(values)}}

    names = {"sansi int4": (40, 20, 30), "llama.cpp Q4_0": (20, 10, 10), "llama.cpp Q4_0-pure": (5, 5, 50)}
    results = {
        "shape": "0.6b",
        "scale": 1,
        "machine": {"cpu": "CPU", "cores": 2, "threads": 2, "features": ["avx2"]},
        "rates": [{"case": "decode_b1", **RATES}],
        "facts": {},
        "config": json.loads(json.dumps(shape("0.6b").to_hf())),
        "weight_bytes": dict.fromkeys(names, 335_000_000),
        "cells": {"decode_b1": {name: cell(*values) for name, values in names.items()}},
    }
    text = engine_report.report(results)
    assert "| decode, batch 1 | 1.0 / 1.25 | 2.00, 2.00–3.00 |" in text
    assert "30.0 ± 33% (51%)" in text


def test_what_invariance_costs_is_the_median_of_ratios():
    runs = {"torch": [1.0, 2.0, 4.0], "torch, invariant": [3.0, 4.0, 40.0], "native": [0.5, 0.5, 0.5]}
    results = {
        "commit": "c",
        "machine": {"cpu": "a CPU", "features": []},
        "rounds": 3,
        "runs": {"decode": runs},
    }
    assert "| decode | 2,000.0 | 4,000.0 | 3.00 | 500.0 | 0.25 |" in invariance.report(results)
