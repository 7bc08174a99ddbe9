"""The engine against the plain model, under any schedule; who else is in the batch must not matter."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import random
import threading

import numpy as np
import pytest
import torch
from engine_models import RandomModel, TinyModel
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.engine import Completion, Engine, SamplingParams, ThinkingLimits
from sansi.engine.backends import TorchBackend
from sansi.model import ModelConfig, Transformer
from sansi.model.kernels.cpu.build import supported_isas

GREEDY = SamplingParams(temperature=0, max_tokens=12, logprobs=True)


def random_prompts(count: int, vocab: int, longest: int = 40, seed: int = 0) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(vocab) for _ in range(draw.randrange(1, longest))] for _ in range(count)]


@torch.no_grad()
def plain_greedy(model, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """Greedy decoding with no cache and no batch."""
    ids, logprobs = list(prompt), []
    for _ in range(count):
        scores = model(torch.tensor([ids]))[0, -1].log_softmax(-1)
        ids.append(int(scores.argmax()))
        logprobs.append(float(scores[ids[-1]]))
    return ids[len(prompt) :], logprobs


def check_greedy(model, max_batch: int, **engine) -> None:
    prompts = random_prompts(9, model.config.vocab_size)
    prompts += [prompts[0], prompts[1]]  # equal prompts share their prefill
    lengths = [3, 40, 12, 1, 7, 30, 12, 12, 5, 9, 2]
    with Engine(model, max_batch=max_batch, **engine) as under_test:
        params = [dataclasses.replace(GREEDY, max_tokens=n) for n in lengths]
        for prompt, count, found in zip(prompts, lengths, under_test.generate(prompts, params), strict=True):
            ids, logprobs = plain_greedy(model, prompt, count)
            assert list(found.ids) == ids
            assert found.logprobs == pytest.approx(logprobs, abs=1e-4)
            assert found.finish_reason == "length"
            assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (len(prompt), count)


@pytest.mark.parametrize("max_batch", [1, 3, 64])
def test_greedy_equals_the_model_without_cache(max_batch):
    check_greedy(TinyModel(), max_batch)


def test_greedy_when_a_prefill_holds_one_prompt():
    check_greedy(TinyModel(), 8, max_prefill_tokens=1)


SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 48, "vocab_size": 64}


@pytest.mark.parametrize(
    "changes", [{}, {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}], ids=["dense", "moe"]
)
def test_greedy_equals_the_transformer(changes):
    model = Transformer(ModelConfig.preset("nano", **SMALL, **changes, initializer_range=0.5)).double()
    check_greedy(model, 4)


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_seeds_are_independent_of_the_batch(seed):
    draw = random.Random(seed)
    prompts = random_prompts(6, 32, seed=seed)
    params = [
        SamplingParams(
            temperature=draw.choice([0.7, 1.0]),
            top_k=draw.choice([0, 5]),
            top_p=draw.choice([1.0, 0.8]),
            presence_penalty=draw.choice([0.0, 1.5]),
            repetition_penalty=draw.choice([1.0, 1.2]),
            seed=draw.randrange(2**63),
            max_tokens=draw.randrange(1, 30),
            stop_ids=(3,),
        )
        for _ in prompts
    ]
    model = TinyModel()
    with Engine(model, max_batch=4) as together, Engine(model, max_batch=1) as alone:
        batch = together.generate(prompts, params)
        assert [c.ids for c in batch] == [c.ids for c in alone.generate(prompts, params)]
        assert [c.ids for c in batch] == [c.ids for c in together.generate(prompts[::-1], params[::-1])][::-1]


def test_an_undrawn_seed_is_drawn_and_reported():
    with Engine(TinyModel()) as engine:
        first, second = engine.generate([[1], [1]], SamplingParams(max_tokens=20))
        again = engine.generate([[1]], SamplingParams(max_tokens=20, seed=first.seed))[0]
    assert first.ids != second.ids and again.ids == first.ids


def test_stop_ids_end_a_completion_and_are_its_last_id():
    model = TinyModel()
    ids, _ = plain_greedy(model, [1, 2], 12)
    with Engine(model) as engine:
        found = engine.generate([[1, 2]], dataclasses.replace(GREEDY, stop_ids=(ids[4],)))[0]
    assert found.finish_reason == "stop" and list(found.ids) == ids[: ids.index(ids[4]) + 1]


def test_the_context_bounds_the_completion():
    model = RandomModel(context=16)
    with Engine(model) as engine:
        found = engine.generate([[1] * 10], GREEDY)[0]
        assert (len(found.ids), found.finish_reason) == (6, "length")


def test_a_trainer_may_change_the_weights_between_calls():
    model = Transformer(ModelConfig.preset("nano", **SMALL))
    with Engine(model) as engine:
        before = engine.generate([[1, 2, 3]], GREEDY)[0]
        model(torch.tensor([[1, 2, 3]])).sum().backward()  # nothing the engine did forbids training
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        after = engine.generate([[1, 2, 3]], GREEDY)[0]
    assert before.logprobs != after.logprobs
    assert list(after.ids) == plain_greedy(model, [1, 2, 3], 12)[0]


@pytest.mark.parametrize("backend", ["torch", "native"])
def test_a_trainer_may_change_the_weights_once_its_streams_are_closed(backend):
    if backend == "native" and not supported_isas():
        pytest.skip("the CPU kernels are for Linux on x86-64")
    model = Transformer(ModelConfig.preset("nano", **SMALL, initializer_range=0.5))

    async def leave(engine: Engine) -> None:
        stream = engine.stream([6] * 600, SamplingParams(max_tokens=400))
        await anext(stream)
        await stream.aclose()

    with Engine(model, backend=backend, max_prefill_tokens=600) as engine:
        step, slow = engine._step, threading.Event()

        def slow_step() -> None:
            step()
            if slow.is_set():
                threading.Event().wait(0.05)  # whoever closes a stream is back long before its next step

        engine._step = slow_step
        for seed in range(3):
            engine.generate([[5] * 40], GREEDY)
            slow.set()
            asyncio.run(leave(engine))
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
            slow.clear()
            found = engine.generate([[5] * 40], GREEDY)[0]
            ids, logprobs = plain_greedy(model, [5] * 40, 12)
            assert list(found.ids) == ids and found.logprobs == pytest.approx(logprobs, abs=1e-3)


LIMITS = functools.partial(ThinkingLimits, **{"start_id": 1, "end_ids": (2,), "end_sequence": (2,)})
WRONG = [
    ([], {}, "prompt"),
    ([1] * 64, {}, "prompt"),
    ([24], {}, "prompt"),
    ([-1], {}, "prompt"),
    ([1.5], {}, "prompt"),
    ([1], {"temperature": float("nan")}, "temperature"),
    ([1], {"temperature": float("inf")}, "temperature"),
    ([1], {"temperature": -0.1}, "temperature"),
    ([1], {"temperature": 10**400}, "temperature"),
    ([1], {"temperature": "hot"}, "temperature"),
    ([1], {"top_p": 0.0}, "top_p"),
    ([1], {"top_p": 1.1}, "top_p"),
    ([1], {"top_k": -1}, "top_k"),
    ([1], {"top_k": 1.5}, "top_k"),
    ([1], {"top_k": 2**64}, "top_k"),
    ([1], {"min_p": 2}, "min_p"),
    ([1], {"presence_penalty": float("nan")}, "presence_penalty"),
    ([1], {"presence_penalty": 1e308}, "presence_penalty"),
    ([1], {"repetition_penalty": 0.0}, "repetition_penalty"),
    ([1], {"max_tokens": -1}, "max_tokens"),
    ([1], {"max_tokens": True}, "max_tokens"),
    ([1], {"seed": -1}, "seed"),
    ([1], {"stop_ids": (24,)}, "stop_ids"),
    ([1], {"stop_ids": None}, "stop_ids"),
    ([1], {"stop_ids": 3}, "stop_ids"),
    ([1], {"banned_ids": "3"}, "banned_ids"),
    ([1], {"stop_when": 3}, "stop_when"),
    ([1], {"logprobs": "no"}, "logprobs"),
    ([1], {"prompt_logprobs": 1}, "prompt_logprobs"),
    ("12", {}, "prompt"),
    (3, {}, "prompt"),
    ([True], {}, "prompt"),
    ([1], {"thinking": {"budget": 5}}, "thinking"),
    ([1], {"thinking": LIMITS(end_ids=2)}, "thinking"),
    ([1], {"thinking": LIMITS(open="yes")}, "thinking"),
    *(([1], {"thinking": LIMITS(budget=value)}, "thinking_budget") for value in (float("nan"), 2.5, "5", True, -1)),
    *(([1], {"thinking": LIMITS(answer_reserve=value)}, "thinking") for value in (float("nan"), None, True, -1)),
]


def test_ids_may_be_any_whole_numbers():
    with Engine(TinyModel()) as engine:
        same = [engine.generate([ids], GREEDY)[0] for ids in ([3, 4], np.array([3, 4]), torch.tensor([3, 4]), (3, 4))]
    assert len({completion.ids for completion in same}) == 1


def test_options_of_a_backend_by_name_are_not_dropped_beside_one_that_is_made():
    model = TinyModel()
    for option in ({"quantize": "int4"}, {"outer": "int4"}, {"batch_invariant": True}):
        with pytest.raises(SansiError, match="made already"):
            Engine(model, backend=TorchBackend(model), **option)
    with pytest.raises(SansiError, match="needs a model"):
        Engine(None)
    with pytest.raises(SansiError, match="configuration"):
        Engine(None, backend=TorchBackend(model))


@pytest.mark.parametrize(("prompt", "changes", "param"), WRONG)
def test_wrong_requests_are_refused_before_any_work(prompt, changes, param):
    engine = Engine(RandomModel(vocab_size=24, context=64))
    params = dataclasses.replace(GREEDY, **changes)
    for ask in (lambda: engine.generate([[1], prompt], [GREEDY, params]), lambda: engine.stream(prompt, params)):
        with pytest.raises(SansiError) as error:
            ask()
        assert error.value.param == param
    assert engine._thread is None, "no work was begun"


def test_a_request_that_breaks_the_model_harms_only_itself():
    model = RandomModel()
    model.table.data[..., 7] = -1e9  # nobody samples token 7,
    model.table.data[:, 7] = float("nan")  # and whoever reads it gets NaN
    with Engine(model) as engine:
        good: list[list[Completion]] = []
        thread = threading.Thread(target=lambda: good.append(engine.generate([[1, 2]] * 3, GREEDY)))
        thread.start()
        with pytest.raises(FloatingPointError, match="NaN"):
            engine.generate([[1, 7]], GREEDY)
        thread.join()
        assert [len(c.ids) for c in good[0]] == [12, 12, 12]
        assert len(engine.generate([[1]], GREEDY)[0].ids) == 12


def test_a_request_that_breaks_the_model_leaves_nothing_in_its_slot():
    model = TinyModel()
    model.tokens.data[7] = float("nan")
    with Engine(model, max_batch=1) as engine:
        with pytest.raises(FloatingPointError):
            engine.generate([[1, *[7] * 30]], GREEDY)
        assert list(engine.generate([[3]], GREEDY)[0].ids) == plain_greedy(model, [3], 12)[0]


def test_a_failing_step_is_reported_and_the_engine_lives_on():
    model = TinyModel()
    hidden, model.hidden = model.hidden, lambda *_, **__: 1 / 0
    with Engine(model) as engine:
        with pytest.raises(ZeroDivisionError):
            engine.generate([[1]], GREEDY)
        model.hidden = hidden
        assert list(engine.generate([[1]], GREEDY)[0].ids) == plain_greedy(model, [1], 12)[0]


def test_stream_equals_generate():
    async def collect(engine: Engine):
        deltas = [delta async for delta in engine.stream([1, 2], GREEDY)]
        return deltas

    with Engine(TinyModel()) as engine:
        deltas, whole = asyncio.run(collect(engine)), engine.generate([[1, 2]], GREEDY)[0]
    assert deltas[-1].completion.ids == whole.ids and all(d.completion is None for d in deltas[:-1])
    assert sum((d.ids for d in deltas), ()) == whole.ids
    assert sum((d.logprobs for d in deltas), ()) == whole.logprobs == deltas[-1].completion.logprobs


@pytest.mark.parametrize("how", ["aclose", "cancel"])
def test_ending_a_stream_early_frees_its_slot(how):
    endless = SamplingParams(max_tokens=10**9)

    async def leave(engine: Engine) -> None:
        stream = engine.stream([1], endless)
        await anext(stream)
        assert engine.running == 1
        if how == "aclose":
            await stream.aclose()
        else:
            task = asyncio.ensure_future(drain(stream))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def drain(stream) -> None:
        async for _ in stream:
            pass

    with Engine(RandomModel(context=30_000, vocab_size=8), max_batch=1) as engine:
        asyncio.run(leave(engine))
        # The one slot is free again: this returns long before the stream before it would have ended.
        assert len(engine.generate([[1]], GREEDY)[0].ids) == 12
        assert engine.metrics().finished == {"abort": 1, "length": 1}


def test_requests_from_many_threads():
    model, found = TinyModel(), {}

    def ask(number: int) -> None:
        found[number] = engine.generate([[number, 1]], GREEDY)[0].ids

    with Engine(model, max_batch=4) as engine:
        threads = [threading.Thread(target=ask, args=(n,)) for n in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {n: list(ids) for n, ids in found.items()} == {n: plain_greedy(model, [n, 1], 12)[0] for n in range(10)}


def test_closing_aborts_what_runs_and_refuses_what_comes():
    engine = Engine(TinyModel(context=4096), max_batch=1)
    done: list[Completion] = []
    prompts = [[1], [2]]
    thread = threading.Thread(target=lambda: done.extend(engine.generate(prompts, SamplingParams(max_tokens=4000))))
    thread.start()
    while engine.running == 0:
        pass
    engine.close()
    thread.join()
    assert [c.finish_reason for c in done] == ["abort", "abort"]
    with pytest.raises(SansiError, match="closed"):
        engine.generate([[1]], GREEDY)


def test_an_idle_engine_ends_its_thread_and_starts_another(monkeypatch):
    monkeypatch.setattr("sansi.engine.engine.IDLE_SECONDS", 0.01)
    with Engine(TinyModel()) as engine:
        first = engine.generate([[1]], GREEDY)
        thread = engine._thread
        if thread is not None:
            thread.join(timeout=5)
        assert engine._thread is None
        assert first[0].ids == engine.generate([[1]], GREEDY)[0].ids


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(SansiError, match="nowhere"):
        Engine.from_pretrained(tmp_path / "nowhere")
