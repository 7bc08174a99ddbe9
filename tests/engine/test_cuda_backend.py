"""The backend of Triton kernels answers as the backend of torch operators does: on CUDA, or interpreted on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sansi.base.errors import SansiError
from sansi.engine import Engine, SamplingParams, backends
from sansi.engine.backends import TorchBackend
from sansi.engine.batch import BLOCK, Backend
from sansi.model import Transformer, load, save
from test_native_backend import batches

from triton_device import DEVICE, batch_of, tiny

from sansi.engine.backends import cuda  # isort: skip  (after `triton_device` has set Triton up)
from sansi.model.kernels.gpu import attention  # isort: skip

EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "norm_topk_prob": True}


def backend_of(model: Transformer, **options) -> cuda.CudaBackend:
    backend = cuda.CudaBackend(model, **options)
    backend.allocate(60)
    return backend


def test_is_a_backend():
    model = tiny()
    backend = backend_of(model)
    assert isinstance(backend, Backend) and backend.device == DEVICE and attention.BLOCK == BLOCK
    per_token = 2 * model.config.num_key_value_heads * 16
    assert backend.block_bytes == BLOCK * per_token * 4
    assert backend.weight_bytes == TorchBackend(model).weight_bytes
    assert cuda.CudaBackend(model, cache_dtype="fp8").block_bytes == BLOCK * per_token
    if DEVICE.type == "cpu":
        assert backend.eager_because == "the device is cpu"


@pytest.mark.parametrize("overrides", [{}, {"tie_word_embeddings": False, **EXPERTS}], ids=["dense", "sparse"])
@torch.inference_mode()
def test_same_logits_as_torch(overrides: dict):
    model = tiny(**overrides)
    reference, ours = TorchBackend(model), backend_of(model)
    reference.allocate(60)
    for storage in ours._caches:  # whatever lies there must reach no result
        storage.keys.fill_(torch.nan)
        storage.values.fill_(torch.nan)
    for batch in batches(model.config, sequences=2, steps=3, seed=3):
        expected = reference.forward(batch)
        assert torch.allclose(ours.forward(batch), expected, atol=1e-4, rtol=1e-4)


@dataclass(frozen=True)
class Replay:
    """In the place of a graph: works again on the tensors that the captured step had, whatever they hold by then."""

    replay: Callable[[], None]


def with_replays(backend: cuda.CudaBackend) -> cuda.CudaBackend:
    def capture(key, step) -> None:
        backend._graphs[key] = Replay(lambda: backend._compute(step))  # type: ignore[assignment]

    if DEVICE.type == "cpu":
        backend.eager_because = None
        backend._capture = capture  # type: ignore[method-assign]
    return backend


@torch.inference_mode()
def test_replays_compute_the_step_at_hand():
    model = tiny()
    ours, reference = with_replays(backend_of(model)), TorchBackend(model)
    reference.allocate(60)
    steps = [
        batch_of([[3] * 17, [5] * 2], [0, 0], []),  # a chunk: eager
        batch_of([[1], [2], [9]], [17, 2, 0], [0, 1, 2]),  # captured for 4 tokens
        batch_of([[4, 5], [6]], [18, 3], [1, 2]),  # replayed with drafts
        batch_of([[8], [7], [6], [5]], [20, 4, 1, 0], [0, 1, 2, 3]),  # replayed, no padding
        batch_of([[1], [2], [3]], [21, 5, 2], []),  # nobody wants logits
    ]
    for batch in steps:
        expected = reference.forward(batch)
        assert torch.allclose(ours.forward(batch), expected, atol=1e-4, rtol=1e-4)
    assert list(ours._graphs) == [(4, 1)]
    ours._upload.copy([np.zeros(1 << 19, dtype=np.int32)])  # the device's buffer is another now
    again = batch_of([[7], [8], [9]], [21, 5, 2], [0, 1, 2])
    assert torch.allclose(ours.forward(again), reference.forward(again), atol=1e-4, rtol=1e-4)
    assert torch.allclose(ours.forward(again), reference.forward(again), atol=1e-4, rtol=1e-4)


def test_graph_sizes():
    assert [cuda.graph_size(t) for t in (1, 2, 3, 8, 9, 33, 64, 65, 200)] == [1, 2, 4, 8, 16, 64, 64, 128, 256]


def test_a_plan_tells_short_from_long():
    step = batch_of([[1] * 9, [2], [3] * 8], [0, 600, 300], [8, 9, 17])
    plan = cuda._Plan.of(step)
    assert plan.chunked.tolist() == [0] and plan.singles.tolist() == list(range(9, 18))
    assert plan.owners.tolist() == [0] * 9 + [1] + [2] * 8
    assert plan.parts == 4  # 601 positions are three parts
    sequences, tokens = plan.tiles(4)
    assert sequences.tolist() == [0, 0, 0] and tokens.tolist() == [8, 4, 0]  # the longest first


def test_uploads_survive_growth_and_turns():
    upload = cuda._Upload(DEVICE)
    for size in (5, 70_000, 3, 200_000, 1):
        arrays = [np.arange(size, dtype=np.int32), np.array([size], dtype=np.int32)]
        first, second = upload.copy(arrays)
        assert first.tolist() == list(range(size)) and second.tolist() == [size]
        assert first.data_ptr() % 64 == second.data_ptr() % 64 == 0


@pytest.mark.parametrize("speculation", [0, 4])
def test_the_engine_answers_as_with_torch(speculation: int):
    model = tiny()
    prompts = [[1, 2, 3, 1, 2, 3, 1, 2], [9] * 20, [4]]
    params = [
        SamplingParams(max_tokens=5, temperature=0.0, speculation=speculation),
        SamplingParams(max_tokens=4, temperature=1.0, seed=1),
        SamplingParams(max_tokens=3, temperature=0.0, logprobs=True),
    ]
    answers = []
    for backend in (TorchBackend(model), cuda.CudaBackend(model)):
        with Engine(model, max_batch=4, num_blocks=40, backend=backend, max_prefill_tokens=24) as engine:
            answers.append(engine.generate(prompts, params))
    assert [a.ids for a in answers[0]] == [a.ids for a in answers[1]]
    assert answers[0][2].logprobs == pytest.approx(answers[1][2].logprobs, abs=1e-4)


def test_torch_takes_over_where_the_kernels_can_not_run(monkeypatch: pytest.MonkeyPatch, caplog):
    monkeypatch.setattr(cuda, "why_not", lambda *_: "the moon is full")
    with caplog.at_level("WARNING", logger="sansi"):
        assert backends._cuda("auto", None, tiny(), suits=True, adapters=()) is None
    assert "the moon is full" in caplog.text
    with pytest.raises(SansiError, match="the moon is full"):
        backends._cuda("cuda", None, tiny(), suits=True, adapters=())


@torch.inference_mode()
def test_fp8_is_close_and_its_scales_are_used():
    model = tiny()
    whole, step = backend_of(model), batch_of([[3, 4] * 6, [5] * 2], [0, 0], [11, 13])
    expected = whole.forward(step)
    scales = torch.full((2, 1, 1), 0.02)
    for options in ({}, {"cache_scales": scales}):
        ours = backend_of(model, cache_dtype="fp8", **options).forward(step)
        assert 0 < (ours - expected).norm() < 0.2 * expected.norm()


def test_wrong_options_are_refused():
    model = tiny()
    with pytest.raises(SansiError, match="fp8"):
        cuda.CudaBackend(model, cache_dtype="fp9")
    with pytest.raises(SansiError, match=r"\[2, 1, 1\]"):
        cuda.CudaBackend(model, cache_dtype="fp8", cache_scales=torch.ones(2, 3))
    with pytest.raises(SansiError, match="float64"):
        cuda.CudaBackend(tiny().double())


def test_the_model_stays_whole_and_trainable(tmp_path):
    """Joined matrices are views: the model computes, trains and is saved as before, also after `refresh`."""
    model, ids = tiny(), torch.arange(10, device=DEVICE)[None]
    before = model(ids).detach()
    backend = backend_of(model)
    assert torch.equal(model(ids), before)
    with torch.inference_mode():
        model.model.layers[0].self_attn.q_proj.weight.data = torch.zeros_like(
            model.model.layers[0].self_attn.q_proj.weight.data
        )
        backend.refresh()
    model(ids).sum().backward()
    save(model, tmp_path / "model")
    again = load(tmp_path / "model", device=str(DEVICE), dtype="float32")
    assert torch.equal(again(ids), model(ids))
    with torch.inference_mode():
        step = batch_of([ids[0].tolist()], [0], list(range(10)))
        assert torch.allclose(backend.forward(step), model(ids)[0], atol=1e-4)
        model.model.layers[0].self_attn.k_proj.weight.mul_(1.5)  # in place: seen without a refresh
        assert torch.allclose(backend.forward(step), model(ids)[0], atol=1e-4)


def test_biases_and_scored_prompts_are_those_of_torch():
    """On the Triton kernels too, logits are moved before sampling, and a prompt is scored without a token more."""
    model = tiny()
    params = [
        SamplingParams(temperature=0, max_tokens=4, logit_bias={7: 100.0}),
        SamplingParams(temperature=0, max_tokens=4, min_tokens=3, stop_ids=tuple(range(7))),
        SamplingParams(max_tokens=0, prompt_logprobs=True, prompt_top_logprobs=2),
    ]
    found = []
    for backend in (backend_of(model), TorchBackend(model)):
        with Engine(model, max_batch=4, num_blocks=60, backend=backend) as engine:
            found.append(engine.generate([[1, 2, 3, 4]] * 3, params))
    for ours, torchs in zip(*found, strict=True):
        assert (ours.ids, ours.finish_reason) == (torchs.ids, torchs.finish_reason)
    assert found[0][0].ids == (7,) * 4 and not set(found[0][1].ids[:3]) & set(range(7))
    assert found[0][2].prompt_logprobs[1:] == pytest.approx(found[1][2].prompt_logprobs[1:], abs=1e-3)
