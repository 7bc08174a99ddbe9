"""What the engine counts is what happened."""

from __future__ import annotations

import dataclasses

import pytest
from engine_models import TinyModel
from sansi.engine import Engine, SamplingParams, ThinkingLimits
from sansi.engine.metrics import WINDOW, Meter
from schedules import CheckedEngine, run_all

LIMITS = ThinkingLimits(start_id=1, end_ids=(2,), end_sequence=(5, 2), open=True, budget=4)


def test_tokens_ends_and_blocks_are_counted():
    params = SamplingParams(temperature=0, max_tokens=12)
    thinking = dataclasses.replace(params, thinking=LIMITS)
    with Engine(TinyModel(), num_blocks=32) as engine:
        before = engine.metrics()
        assert (before.steps, before.prompt_tokens, before.hit_rate, before.decode_tokens_per_second) == (0, 0, 0, 0)
        found = engine.generate([[8] * 20, [8] * 20, [9, 1]], [params, params, thinking])
        metrics = engine.metrics()
    assert metrics.prompt_tokens == 42 and metrics.cached_tokens == 16 and metrics.hit_rate == 16 / 42
    assert metrics.prefill_tokens == 20 + 4 + 2
    assert metrics.decode_tokens == sum(len(c.ids) for c in found)
    assert metrics.thinking_tokens == found[2].thinking.tokens and metrics.thinking_ends == {"budget": 1}
    assert metrics.finished == {"length": 3} and metrics.aborts == metrics.failed == metrics.retries == 0
    assert (metrics.waiting, metrics.running, metrics.preempted, metrics.blocks_owned) == (0, 0, 0, 0)
    assert metrics.blocks_free + metrics.blocks_cached == 32 and metrics.blocks_cached > 0
    assert metrics.prefill_tokens_per_second > 0 and metrics.decode_tokens_per_second > 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        metrics.running = 1


def test_what_is_read_again_after_a_preemption_counts_as_read():
    params = SamplingParams(temperature=0, max_tokens=40)
    prompts = [[n] * 40 for n in range(8, 12)]
    with CheckedEngine(TinyModel(context=96), num_blocks=8, prefix_cache=False) as engine:
        run_all(engine, prompts, [params] * 4)
        metrics = engine.metrics()
    assert metrics.preemptions > 0 and metrics.prompt_tokens == 160 < metrics.prefill_tokens
    assert metrics.decode_tokens == 160


def test_rates_are_of_busy_time_and_of_late(monkeypatch):
    now = 100.0
    monkeypatch.setattr("sansi.engine.metrics.time.monotonic", lambda: now)
    meter = Meter()
    meter.step(0.5, prefill=100, decode=10)
    now += 5
    meter.step(0.5, prefill=0, decode=20)
    assert meter.rates() == (100.0, 30.0), "the seconds in between were idle"
    now += WINDOW - 1
    assert meter.rates() == (0.0, 40.0)
    now += WINDOW
    assert meter.rates() == (0.0, 0.0)


def test_forced_tokens_are_generated_and_make_no_speed():
    meter = Meter()
    meter.step(0.5, prefill=0, decode=50, forced=48)
    assert (meter.decode_tokens, meter.rates()) == (50, (0.0, 4.0))


@pytest.mark.parametrize("speculation", [0, 6])
@pytest.mark.parametrize("logprobs", [False, True])
def test_however_tokens_are_forced_the_speed_is_of_those_sampled(speculation, logprobs):
    """With log-probabilities they come one by one, or as drafts; else all at once."""
    phrase = dataclasses.replace(LIMITS, end_sequence=(*[5] * 12, 2, 7), loop_breaker=False)
    params = SamplingParams(max_tokens=40, thinking=phrase, speculation=speculation, logprobs=logprobs, seed=3)
    with Engine(TinyModel()) as engine:
        found = engine.generate([[9, 1], [8, 1]], params)
        steps = list(engine._meter._window)
    forced = sum(completion.thinking.forced_tokens for completion in found)
    assert forced == 2 * 14
    assert sum(step[3] for step in steps) == sum(len(completion.ids) for completion in found) - forced
    assert all(completion.decode_seconds > 0 for completion in found)
