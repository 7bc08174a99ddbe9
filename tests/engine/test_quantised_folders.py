"""Folders of quantised weights: the engine opens them as they are, or says what stands in the way."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from sansi.base.errors import SansiError
from sansi.engine import Engine, SamplingParams
from sansi.engine.backends import TorchBackend, load_backend
from sansi.model import ModelConfig, Transformer, save
from sansi.model.kernels.cpu.build import KernelsUnavailable, supported_isas
from sansi.model.quantize import quantize

pytestmark = pytest.mark.skipif(not supported_isas(), reason="the CPU kernels are for Linux on x86-64")
SMALL = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96, "vocab_size": 90, "initializer_range": 0.5}
MODELS = {
    "tied": {**SMALL, "tie_word_embeddings": True},
    "untied": {**SMALL, "tie_word_embeddings": False},
    "moe": {**SMALL, "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
    "seams": {**SMALL, "num_key_value_heads": 1, "head_dim": 10, "num_attention_heads": 2, "intermediate_size": 70},
    "odd": {**SMALL, "hidden_size": 40, "intermediate_size": 64},
}
ASKED = SamplingParams(temperature=0, max_tokens=12, logprobs=True)
PROMPTS = [[1, 2, 3, 4, 5], [7] * 40, [89, 0]]


def full_folder(name: str, tmp_path: Path) -> Path:
    """On disk in bfloat16, as published models are."""
    torch.manual_seed(0)
    model = Transformer(ModelConfig.preset("nano", **MODELS[name]))
    model.init_weights(1)
    save(model.bfloat16(), tmp_path / "full")
    return tmp_path / "full"


def quantised_folder(name: str, tmp_path: Path, kind: str = "int4", outer: str | None = None) -> Path:
    quantize(full_folder(name, tmp_path), kind, outer).save(tmp_path / "small")
    return tmp_path / "small"


def answers(source: Path, **options) -> list[tuple]:
    with Engine.from_pretrained(source, device="cpu", **options) as engine:
        return [(c.ids, c.logprobs) for c in engine.generate(PROMPTS, ASKED)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("kind", "outer"), [("int8", None), ("int4", None), ("int4", "int4")])
def test_the_bits_of_a_model_that_is_quantised_on_load(name, kind, outer, tmp_path):
    small = quantised_folder(name, tmp_path, kind, outer)
    assert answers(small) == answers(tmp_path / "full", quantize=kind, outer=outer)
    with Engine.from_pretrained(small, device="cpu") as engine:
        assert engine.backend.name == f"native {kind}"
        assert engine.plan.weights < (tmp_path / "full" / "model.safetensors").stat().st_size


def test_embedding_and_head_may_be_of_another_kind(tmp_path):
    folder = full_folder("untied", tmp_path)
    sizes = {}
    for outer in ("int4", "int8", None):
        with Engine.from_pretrained(folder, device="cpu", quantize="int4", outer=outer) as engine:
            sizes[outer] = engine.backend.weight_bytes
    assert sizes["int8"] == sizes[None]
    rows = -(-90 // 16) * 16  # whole panels
    assert sizes["int8"] - sizes["int4"] == 2 * rows * 64 // 2, "embedding and head: half a byte less each"


def test_saying_what_the_folder_says_is_no_error_and_another_kind_is(tmp_path):
    small = quantised_folder("tied", tmp_path)
    assert answers(small, quantize="int4", outer="int8") == answers(small, outer="int8") == answers(small)
    with pytest.raises(SansiError, match=r'holds int4 weights, and quantize="int8" can not be made') as caught:
        Engine.from_pretrained(small, device="cpu", quantize="int8")
    assert caught.value.param == "quantize"
    with pytest.raises(SansiError, match="holds int8 embedding and LM head") as caught:
        Engine.from_pretrained(small, device="cpu", outer="int4")
    assert caught.value.param == "outer"


def test_outer_needs_quantised_weights(tmp_path):
    for backend in ("auto", "torch", "native"):
        with pytest.raises(SansiError, match="give quantize too") as caught:
            Engine.from_pretrained(full_folder("tied", tmp_path), device="cpu", backend=backend, outer="int4")
        assert caught.value.param == "outer"


@pytest.mark.parametrize("name", ["tied", "moe"])
def test_torch_operators_get_full_weights_and_a_warning(name, tmp_path, caplog):
    small = quantised_folder(name, tmp_path, "int8")
    with caplog.at_level(logging.WARNING, logger="sansi"):
        found = answers(small, backend="torch")
    assert "only Sansi's CPU kernels compute with quantised weights" in caplog.text
    for (_, ours), (_, theirs) in zip(found, answers(small), strict=True):
        assert ours[0] == pytest.approx(theirs[0], abs=0.1)  # activations are rounded there, and not here


def no_kernels(*_: object) -> None:
    raise KernelsUnavailable('there is no C++ compiler ("g++") to build the CPU kernels; install g++ or clang')


def test_without_a_compiler_it_runs_and_says_why_it_is_slow(tmp_path, caplog, monkeypatch):
    small = quantised_folder("tied", tmp_path)
    monkeypatch.setattr("sansi.model.native.load_kernels", no_kernels)
    with caplog.at_level(logging.WARNING, logger="sansi"):
        backend, model = load_backend(small, device="cpu")
    assert isinstance(backend, TorchBackend) and model is not None and model.lm_head_weight.dtype == torch.float32
    assert "no C++ compiler" in caplog.text and "turned into full ones" in caplog.text
    with pytest.raises(KernelsUnavailable, match="install g"):
        load_backend(small, device="cpu", choice="native")


def test_another_dtype_is_for_torch_operators(tmp_path):
    backend, model = load_backend(quantised_folder("tied", tmp_path), device="cpu", dtype="float16")
    assert isinstance(backend, TorchBackend) and model is not None and model.lm_head_weight.dtype == torch.float16


def test_what_does_not_fit_is_refused_by_the_quantised_size(tmp_path):
    small = quantised_folder("tied", tmp_path)
    size = (small / "quantized.safetensors").stat().st_size
    with pytest.raises(SansiError, match="does not fit") as caught:
        Engine.from_pretrained(small, device="cpu", memory=size // 2, max_batch=1)
    assert caught.value.param == "memory"


def test_damaged_folders_are_told(tmp_path):
    small = quantised_folder("tied", tmp_path)
    (small / "quantized.safetensors").write_bytes(b"nothing")
    with pytest.raises(SansiError, match="damaged"):
        Engine.from_pretrained(small, device="cpu")
