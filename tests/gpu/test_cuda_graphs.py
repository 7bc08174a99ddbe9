"""What only a CUDA device can show: decode steps replayed as graphs give what eager steps give."""

from __future__ import annotations

import pytest
import torch
from sansi.engine import Engine, SamplingParams
from sansi.engine.backends import TorchBackend, make_backend

from triton_device import DEVICE, batch_of, tiny

from sansi.engine.backends.cuda import CudaBackend  # isort: skip  (after `triton_device` has set Triton up)

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def pair() -> tuple[CudaBackend, TorchBackend]:
    model = tiny()
    backends = CudaBackend(model), TorchBackend(model)
    for backend in backends:
        backend.allocate(60)
    return backends


def agree(ours: CudaBackend, reference: TorchBackend, batch) -> bool:
    expected = reference.forward(batch)
    return torch.allclose(ours.forward(batch), expected, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_replays_equal_eager_steps():
    ours, reference = pair()
    assert agree(ours, reference, batch_of([[3] * 20, [5] * 17, [7] * 3], [0, 0, 0], [19, 36, 39]))
    for step in range(6):  # run, captured, then replayed; with drafts from the third on
        known = [20 + step, 17 + step, 3 + step]
        assert agree(ours, reference, batch_of([[step], [step + 1], [step + 2]], known, [0, 1, 2]))
    assert list(ours._graphs) == [(4, 1)] and ours.eager_because is None
    assert agree(ours, reference, batch_of([[1], [2], [3, 4, 5]], [26, 23, 9], [0, 1, 3, 4]))
    assert agree(ours, reference, batch_of([[1], [2]], [27, 24], [1]))


@torch.inference_mode()
def test_graphs_see_changed_weights():
    ours, reference = pair()
    step = batch_of([[1], [2]], [0, 0], [0, 1])
    for change in ("none", "none", "in place", "other memory", "other memory"):
        weight = ours._model.model.layers[0].mlp.up_proj.weight
        if change == "in place":
            weight.mul_(1.5)
        elif change == "other memory":
            weight.data = weight.data * 0.5
            ours.refresh()
        assert agree(ours, reference, step), change


@torch.inference_mode()
def test_graphs_survive_larger_inputs_and_a_new_cache():
    ours, reference = pair()
    step = batch_of([[1], [2]], [0, 0], [0, 1])
    for _ in range(2):
        assert agree(ours, reference, step)
    import numpy as np

    ours._upload.copy([np.zeros(1 << 20, dtype=np.int32)])  # the device's buffer is another now
    assert agree(ours, reference, step) and agree(ours, reference, step)
    ours.allocate(40)
    assert not ours._graphs
    assert agree(ours, reference, step) and agree(ours, reference, step)


def test_a_failed_capture_is_told_and_harmless(monkeypatch: pytest.MonkeyPatch):
    ours, reference = pair()

    def refuse(*args, **kwargs):
        raise RuntimeError("no capture today")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    with torch.inference_mode():
        step = batch_of([[1], [2]], [0, 0], [0, 1])
        assert agree(ours, reference, step) and agree(ours, reference, step)
    assert "no capture today" in (ours.eager_because or "")


def test_auto_is_cuda_and_the_engine_agrees_with_torch():
    model = tiny()
    assert type(make_backend(model)) is CudaBackend
    assert type(make_backend(model, batch_invariant=True)) is TorchBackend
    prompts = [[i % 60, 2, 3] * (i + 1) for i in range(9)]
    params = SamplingParams(max_tokens=40, temperature=0.0, speculation=3)
    answers = []
    for choice in ("torch", "auto"):
        with Engine(model.to(DEVICE), max_batch=6, num_blocks=60, backend=choice) as engine:
            answers.append([a.ids for a in engine.generate(prompts, params)])
    assert answers[0] == answers[1]
