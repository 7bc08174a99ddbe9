"""What is in the cache is not read again, and never instead of something else."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest
import torch
from engine_models import TinyModel
from sansi.engine import Engine, SamplingParams, ThinkingLimits
from sansi.model import ModelConfig, Transformer
from schedules import CheckedEngine

GREEDY = SamplingParams(temperature=0, max_tokens=20)
PROMPT = [8 + n % 20 for n in range(40)]


def plain(model, prompt, params=GREEDY):
    with Engine(model, prefix_cache=False) as engine:
        return engine.generate([prompt], params)[0].ids


def test_the_second_time_all_full_blocks_but_the_last_tokens_are_found():
    model = TinyModel()
    with CheckedEngine(model) as engine:
        for prompt, cached in ((PROMPT, 0), (PROMPT, 32), (PROMPT[:33], 32), (PROMPT[:32], 16), (PROMPT[:16], 0)):
            found = engine.generate([prompt], GREEDY)[0]
            assert found.usage.cached_tokens == cached and found.ids == plain(model, prompt)
        assert engine.generate([[9, *PROMPT[1:]]], GREEDY)[0].usage.cached_tokens == 0
        assert engine.metrics().hit_rate == pytest.approx(80 / (40 * 3 + 33 + 32 + 16))


def test_the_next_turn_finds_the_answer_of_the_last():
    model = TinyModel()
    with CheckedEngine(model) as engine:
        first = engine.generate([PROMPT], GREEDY)[0]
        turn = [*PROMPT, *first.ids, 9, 9, 9]
        second = engine.generate([turn], GREEDY)[0]
        assert second.usage.cached_tokens == (40 + 20 - 1) // 16 * 16  # the last id was never read
        assert second.ids == plain(model, turn)


def test_many_samples_of_one_prompt_read_it_once():
    with CheckedEngine(TinyModel(), max_batch=16) as engine:
        params = [SamplingParams(max_tokens=5, seed=n) for n in range(16)]
        found = engine.generate([PROMPT] * 16, params)
        assert sorted(c.usage.cached_tokens for c in found) == [0] + [32] * 15
        assert engine.metrics().prefill_tokens == 40 + 15 * 8


def test_without_it_nothing_is_found():
    with CheckedEngine(TinyModel(), prefix_cache=False) as engine:
        for _ in range(2):
            assert engine.generate([PROMPT], GREEDY)[0].usage.cached_tokens == 0
        assert engine.metrics().blocks_cached == 0


@pytest.mark.parametrize("how", ["fused", "foreach", "plain", "storage", "by hand"])
def test_changed_weights_empty_it(how):
    torch.manual_seed(0)
    config = ModelConfig.preset("nano", num_hidden_layers=1, hidden_size=32, intermediate_size=48, vocab_size=64)
    model = Transformer(config)
    model.init_weights(0)
    with CheckedEngine(model, backend="torch") as engine:
        engine.generate([PROMPT], GREEDY)
        assert engine.generate([PROMPT], GREEDY)[0].usage.cached_tokens == 32
        if how == "storage":
            weight = model.model.layers[0].self_attn.k_proj.weight
            weight.data = -weight.data
        elif how == "by hand":
            model.model.embed_tokens.weight.data[PROMPT[0]] = 1.0
            engine.refresh()
        else:
            step = torch.optim.AdamW(model.parameters(), lr=0.1, **({} if how == "plain" else {how: True}))
            model(torch.tensor([PROMPT])).square().sum().backward()
            step.step()
        after = engine.generate([PROMPT], GREEDY)[0]
        assert after.usage.cached_tokens == 0 and after.ids == plain(model, PROMPT)


def test_weights_that_change_while_a_request_runs_leave_no_mixed_blocks():
    model, changed = TinyModel(), threading.Event()

    class Waiting(CheckedEngine):
        """Makes the steps that read the prompt and give a token, and the others when the weights have changed."""

        made = 0

        def _step(self) -> None:
            self.made += 1
            assert self.made <= 2 or changed.wait(60)
            super()._step()

    async def change_midway(engine: Engine) -> None:
        stream = engine.stream(PROMPT, dataclasses.replace(GREEDY, max_tokens=60))
        await anext(stream)
        with torch.no_grad():
            model.tokens.neg_()
        engine.refresh()
        changed.set()
        async for _ in stream:
            pass

    with Waiting(model) as engine:
        asyncio.run(change_midway(engine))
        assert engine.metrics().blocks_cached == 0
        assert engine.generate([PROMPT], GREEDY)[0].ids == plain(model, PROMPT)


def test_forced_tokens_are_read_in_one_step_with_what_follows():
    limits = ThinkingLimits(start_id=1, end_ids=(2,), end_sequence=(5, 6, 7, 2, 9), open=True, budget=3)
    model = TinyModel()
    steps = {}
    for logprobs in (False, True):
        params = SamplingParams(temperature=0, max_tokens=12, thinking=limits, logprobs=logprobs, top_logprobs=2)
        params = params if logprobs else dataclasses.replace(params, top_logprobs=0)
        with CheckedEngine(model) as engine:
            found = engine.generate([[8, 9]], params)[0]
            steps[logprobs] = engine.metrics().steps
        assert found.ids[3:8] == limits.end_sequence and len(found.ids) == 12
        if logprobs:
            scores = model(torch.tensor([[8, 9, *found.ids]]))[0].log_softmax(-1).detach()
            assert found.logprobs == pytest.approx([float(scores[i + 1, t]) for i, t in enumerate(found.ids)], abs=1e-4)
            best = [[(t.id, t.logprob) for t in top] for top in found.top_logprobs]
            wanted = scores[1:-1].topk(2)
            assert [[id_ for id_, _ in top] for top in best] == wanted.indices.tolist()
            assert [value for top in best for _, value in top] == pytest.approx(
                wanted.values.flatten().tolist(), abs=1e-4
            )
    assert steps == {False: 12 - 4, True: 12 - 4}
