"""Bitwise the same log-probabilities, alone or in any company, however the prompt was cut."""

from __future__ import annotations

import random

import pytest
from sansi.engine import Engine, SamplingParams
from sansi.model import ModelConfig, Transformer

SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 48, "vocab_size": 64, "initializer_range": 0.5}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}


@pytest.mark.parametrize("backend", ["torch", "native"])
@pytest.mark.parametrize("changes", [{}, EXPERTS], ids=["dense", "moe"])
def test_bitwise_the_same_in_any_batch_and_schedule(changes, backend):
    model = Transformer(ModelConfig.preset("nano", **SMALL, **changes))
    draw = random.Random(0)
    stem = [draw.randrange(64) for _ in range(33)]
    prompts = [
        stem[: draw.randrange(34)] + [draw.randrange(64) for _ in range(draw.randrange(1, 40))] for _ in range(9)
    ]
    params = SamplingParams(temperature=0, max_tokens=9, logprobs=True, top_logprobs=3)

    def ask(order, **options):
        with Engine(model, batch_invariant=True, backend=backend, **options) as engine:
            found = engine.generate([prompts[i] for i in order], params)
        return {i: (c.ids, c.logprobs, c.top_logprobs) for i, c in zip(order, found, strict=True)}

    order = list(range(len(prompts)))
    alone = ask(order, max_batch=1, prefix_cache=False)
    for seed, (max_batch, chunk) in enumerate([(2, 7), (9, 100), (5, 16), (9, 1)]):
        random.Random(seed).shuffle(order)
        assert ask(order, max_batch=max_batch, max_prefill_tokens=chunk) == alone


@pytest.mark.parametrize("changes", [{}, EXPERTS], ids=["dense", "moe"])
def test_bitwise_the_same_on_a_common_prefix(changes):
    """Prefixes of several tiles of keys that requests find in the cache, so that they attend to them together."""
    model = Transformer(ModelConfig.preset("nano", **SMALL, **changes))
    draw = random.Random(1)
    start = [draw.randrange(64) for _ in range(80)]
    stems = [start + [draw.randrange(64) for _ in range(n)] for n in (60, 112, 500)]
    prompts = [stem + [draw.randrange(64) for _ in range(draw.randrange(1, 40))] for stem in stems for _ in range(4)]
    params = SamplingParams(temperature=0, max_tokens=9, logprobs=True)

    def ask(order, **options):
        with Engine(model, batch_invariant=True, backend="native", **options) as engine:
            engine.generate(stems, SamplingParams(max_tokens=1))
            found = engine.generate([prompts[i] for i in order], params)
        return {i: (c.ids, c.logprobs) for i, c in zip(order, found, strict=True)}

    order = list(range(len(prompts)))
    alone = ask(order, max_batch=1, prefix_cache=False)
    for max_batch in (12, 5):
        draw.shuffle(order)
        assert ask(order, max_batch=max_batch) == alone
