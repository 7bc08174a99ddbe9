"""Whatever the schedule, each request gets what the model alone would give it; and nothing is lost on the way."""

from __future__ import annotations

import dataclasses
import random

import pytest
import torch
from engine_models import RandomModel, TinyModel
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.engine import Completion, SamplingParams, ThinkingLimits
from sansi.engine.batch import BLOCK
from sansi.model import ModelConfig, Transformer
from sansi.model.kernels.cpu.build import supported_isas
from schedules import CheckedEngine, random_params, random_prompt, reference, run_all

CONTEXT = 96
MODEL = TinyModel(vocab_size=32, context=CONTEXT)
SMALLEST = CONTEXT // BLOCK


class Reference:
    """Computed once per question, however many schedules it is asked under."""

    def __init__(self) -> None:
        self._known: dict = {}

    def of(self, prompt, params):
        key = (tuple(prompt), params)
        if key not in self._known:
            self._known[key] = reference(MODEL, prompt, params, CONTEXT)
        return self._known[key]


def check(completion: Completion, prompt, params, expected) -> None:
    ids, logprobs, reason = expected
    assert isinstance(completion, Completion), completion
    if completion.finish_reason == "abort":
        assert list(completion.ids) == ids[: len(completion.ids)]
    else:
        assert (list(completion.ids), completion.finish_reason) == (ids, reason)
    count = len(completion.ids)
    if params.logprobs:
        assert completion.logprobs == pytest.approx(logprobs[:count], abs=1e-4)
    if params.top_logprobs:
        assert [len(top) for top in completion.top_logprobs] == [params.top_logprobs] * count
    if params.prompt_logprobs and completion.finish_reason != "abort":
        scores = MODEL(torch.tensor([prompt]))[0].log_softmax(-1).detach()
        wanted = [float(scores[i, token]) for i, token in enumerate(prompt[1:])]
        assert completion.prompt_logprobs[0] is None
        assert completion.prompt_logprobs[1:] == pytest.approx(wanted, abs=1e-4)
    if params.thinking is not None and params.thinking.budget is not None and params.thinking.open:
        report = completion.thinking
        assert report.tokens <= params.thinking.budget
    assert count <= params.max_tokens and completion.usage.completion_tokens == count
    assert completion.usage.cached_tokens % BLOCK == 0 and completion.usage.cached_tokens < len(prompt)


@settings(max_examples=20)
@given(st.integers(0, 10**9))
def test_any_schedule_gives_what_the_model_alone_gives(seed):
    """Block count, batch, chunks, order, preemption and aborts, all at random; integrity after every step."""
    draw = random.Random(seed)
    prompts = [random_prompt(draw, 32, 60) for _ in range(5)]
    questions = [(draw.choice(prompts), random_params(draw)) for _ in range(8)]
    with CheckedEngine(
        MODEL,
        max_batch=draw.randrange(1, 7),
        max_prefill_tokens=draw.choice([1, 7, 16, 40, 512]),
        num_blocks=draw.choice([SMALLEST, SMALLEST + 1, SMALLEST + 3, 40]),
        prefix_cache=draw.random() < 0.8,
    ) as engine:
        engine.abort_rate, engine.draw = draw.choice([0.0, 0.02]), draw
        for _ in range(2):  # the second time much is in the prefix cache
            draw.shuffle(questions)
            completions = run_all(engine, [q[0] for q in questions], [q[1] for q in questions])
            for (prompt, params), completion in zip(questions, completions, strict=True):
                check(completion, prompt, params, reference(MODEL, prompt, params, CONTEXT))
        assert engine._scheduler.pool.owned == 0


SHAPE = {
    "vocab_size": 32,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "max_position_embeddings": 320,
    "initializer_range": 0.35,
}
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


@pytest.mark.skipif(not supported_isas(), reason="the CPU kernels are for Linux on x86-64")
@pytest.mark.parametrize("quantize", [None, "int8", "int4"])
@pytest.mark.parametrize("changes", [{}, EXPERTS], ids=["dense", "moe"])
def test_any_schedule_gives_the_bits_of_a_request_alone(changes, quantize):
    """On our kernels, drafts or none, with prefixes that are long enough to be attended to together."""
    draw = random.Random(len(changes))
    torch.manual_seed(0)
    model = Transformer(ModelConfig(**SHAPE, **changes)).eval()
    stem = [draw.randrange(4, 32) for _ in range(200)]
    prompts = [stem[:n] + [draw.randrange(4, 32) for _ in range(draw.randrange(1, 40))] for n in (200, 200, 100, 64, 0)]
    questions = [(draw.choice(prompts), random_params(draw, 60)) for _ in range(20)]
    options = {"backend": "native", "quantize": quantize}
    with CheckedEngine(model, max_batch=1, num_blocks=20, prefix_cache=False, **options) as engine:
        alone = [
            run_all(engine, [prompt], [dataclasses.replace(params, speculation=0, logprobs=True)])[0]
            for prompt, params in questions
        ]
    most = draw.randrange(3, 8)
    with CheckedEngine(model, max_batch=most, max_prefill_tokens=40, num_blocks=22, **options) as engine:
        for _ in range(2):
            together = run_all(engine, *map(list, zip(*questions, strict=True)))
            for (_, params), found, wanted in zip(questions, together, alone, strict=True):
                assert (found.ids, found.finish_reason, found.thinking) == (
                    wanted.ids,
                    wanted.finish_reason,
                    wanted.thinking,
                )
                assert found.prompt_logprobs == wanted.prompt_logprobs
                assert found.logprobs == (wanted.logprobs if params.logprobs else None)
        assert engine.metrics().preemptions and engine.metrics().cached_tokens and engine.metrics().accepted_tokens


LONG_END = ThinkingLimits(1, (2,), (*[5] * 14, 2), open=True, budget=12, loop_breaker=False)


@pytest.mark.parametrize(
    "kind", [{"speculation": 8}, {"thinking": LONG_END, "logprobs": True}], ids=["drafts", "forced tokens"]
)
def test_who_gives_way_between_its_proposal_and_its_step_proposes_anew(kind):
    """A proposal that outlived its turn would pick another one's logits, and be taken for tokens that were fed."""
    model = RandomModel(vocab_size=24, context=128, scale=6.0)
    model.table.data[:] = model.table.data[0].clone()  # a Markov chain: it repeats itself, and drafts come true
    prompts = [[8 + (i * 7 + j) % 5 for j in range(10 + 4 * i)] for i in range(6)]
    for seed in range(8):
        params = [
            SamplingParams(temperature=0.7, seed=100 * seed + i, max_tokens=70, **kind) for i in range(len(prompts))
        ]
        found = []
        for blocks in (400, 10):
            with CheckedEngine(model, max_batch=6, context_length=112, num_blocks=blocks, backend="torch") as engine:
                found.append([completion.ids for completion in run_all(engine, prompts, params)])
                preemptions = engine.metrics().preemptions
        assert found[0] == found[1] and preemptions > 0


def soak(count: int) -> CheckedEngine:
    """`count` random requests over tiny memory with aborts; every one is answered, and rightly."""
    draw = random.Random(count)
    known = Reference()
    kinds = [(random_prompt(draw, 32, 60), random_params(draw)) for _ in range(60)]
    with CheckedEngine(MODEL, max_batch=6, max_prefill_tokens=24, num_blocks=SMALLEST + 2) as engine:
        engine.abort_rate, engine.draw = 0.02, draw
        for _ in range(0, count, 100):
            chosen = draw.choices(kinds, k=100)
            completions = run_all(engine, [q[0] for q in chosen], [q[1] for q in chosen])
            for (prompt, params), completion in zip(chosen, completions, strict=True):
                check(completion, prompt, params, known.of(prompt, params))
    metrics = engine.metrics()
    assert sum(metrics.finished.values()) == count and metrics.failed == 0
    assert (metrics.waiting, metrics.running, metrics.preempted, metrics.blocks_owned) == (0, 0, 0, 0)
    assert metrics.blocks_free + metrics.blocks_cached == SMALLEST + 2, "a block was lost"
    assert metrics.preemptions > count / 100 and metrics.aborts > count / 100 and metrics.cached_tokens > 0
    return engine


def test_a_soak_of_random_requests_loses_nothing():
    soak(300)


@pytest.mark.slow
def test_a_long_soak_of_random_requests_loses_nothing():
    soak(2000)
