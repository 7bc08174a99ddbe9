"""Memory is planned before anything is loaded; what does not fit is refused with the numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from engine_models import RandomModel
from sansi.base.errors import SansiError
from sansi.base.sizes import size_text
from sansi.engine import Engine, SamplingParams
from sansi.engine.memory import (
    CPU_POSITIONS,
    Sizes,
    _control_group,
    _reclaimable,
    activations_of,
    free_memory,
    plan_memory,
    share_out,
    sizes_of,
)
from sansi.model import ModelConfig, Transformer, save

CPU, GPU = torch.device("cpu"), torch.device("cuda")
GIB, MIB = 2**30, 2**20
SMALL = Sizes(weights=1000, block_bytes=160, activations=200)


@pytest.fixture(autouse=True)
def _plenty(monkeypatch):
    monkeypatch.setattr("sansi.engine.memory.free_memory", lambda _: 64 * GIB)


def test_more_memory_than_there_is_is_refused_with_both_numbers():
    with pytest.raises(SansiError, match=r"memory is 100 GiB, but 4 GiB are free") as error:
        share_out(SMALL, CPU, free=4 * GIB, model_context=160, max_batch=2, memory=100 * GIB)
    assert error.value.param == "memory"


def test_activations_grow_with_what_a_step_holds():
    dense, sparse = ModelConfig.preset("Qwen3-0.6B"), ModelConfig.preset("Qwen3-30B-A3B")
    tokens = {c: activations_of(c, 1024, 1) - activations_of(c, 512, 1) for c in (dense, sparse)}
    assert 40 * MIB < tokens[dense] < 50 * MIB and 150 * MIB < tokens[sparse] < 190 * MIB, "as the kernels reserve it"
    rows = activations_of(dense, 512, 65) - activations_of(dense, 512, 1)
    assert rows == 64 * 8 * 4 * dense.vocab_size


def test_the_page_cache_of_a_container_is_free(tmp_path):
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 4096\nactive_file 7\n")
    assert _reclaimable(tmp_path / "memory.stat") == 4096
    assert _reclaimable(tmp_path / "none") == 0


def test_the_limit_of_any_control_group_around_the_process_counts(tmp_path):
    """A service's own limit does not stand at the root, where a container's does."""

    def group(folder: str, limit: str, used: int, names=("memory.max", "memory.current")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, value in zip(names, (limit, used), strict=True):
            (tmp_path / folder / name).write_text(f"{value}\n")

    own = tmp_path / "own"
    own.write_text("4:cpu,memory:/service\n2:pids:/\n0::/outer/service\n")
    assert _control_group(tmp_path, own) is None
    group("outer/service", "max", 100)
    assert _control_group(tmp_path, own) is None
    group("outer", "5000", 1000)
    (tmp_path / "outer" / "memory.stat").write_text("inactive_file 500\n")
    assert _control_group(tmp_path, own) == 4500
    group("outer/service", "3000", 100)
    assert _control_group(tmp_path, own) == 2900
    group("memory/service", "2000", 3000, names=("memory.limit_in_bytes", "memory.usage_in_bytes"))
    assert _control_group(tmp_path, own) == 0
    group("", "700", 0)  # a container: the path is the host's, and only the root can be seen
    own.write_text("0::/of/the/host\n")
    assert _control_group(tmp_path, own) == 700
    assert _control_group(tmp_path, tmp_path / "none") == 700


def test_sizes_of_a_published_shape():
    config = ModelConfig.preset("Qwen3-0.6B")
    sizes = sizes_of(config, torch.bfloat16, None, step_tokens=512, rows=64)
    assert sizes.block_bytes == 16 * 114_688  # 2 * 28 layers * 8 heads * 128 * 2 bytes a token
    assert sizes.weights == 2 * config.num_parameters()
    quantised = sizes_of(config, torch.bfloat16, "int4", 512, 64).weights
    assert quantised == pytest.approx(config.num_parameters() * 4.5 / 8, rel=0.3)
    assert sizes_of(config, torch.float32, None, 512, 64).weights == 2 * sizes.weights


def test_weights_that_stay_as_they_are_stored_need_no_more():
    config = ModelConfig.preset("Qwen3-0.6B")
    stored = 2 * config.num_parameters()
    assert plan_memory(config, torch.float32, None, CPU, 4, memory=4 * GIB, stored=stored).weights == stored
    with pytest.raises(SansiError, match="does not fit"):
        plan_memory(config, torch.float32, None, CPU, 4, memory=2 * GIB)
    assert plan_memory(config, torch.float32, None, CPU, 4, memory=2 * GIB, stored=stored).positions > 3000


@pytest.mark.parametrize("changes", [{}, {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}])
def test_the_plan_before_loading_is_what_loading_takes(changes):
    config = ModelConfig.preset("nano", num_hidden_layers=2, **changes)
    model = Transformer(config)
    sizes = sizes_of(config, torch.float32, None, 16, 1)
    with Engine(model, backend="torch") as engine:
        assert sizes.weights == engine.backend.weight_bytes == engine.plan.weights
        assert sizes.block_bytes == engine.backend.block_bytes


def test_what_is_left_goes_to_the_cache_up_to_what_is_useful():
    plan = share_out(SMALL, CPU, free=10_000, model_context=160, max_batch=2, memory=1.0)
    assert plan.num_blocks == 20, "two requests of ten blocks each; more would be of no use"
    plan = share_out(SMALL, CPU, free=10_000, model_context=160, max_batch=64, memory=1.0)
    assert plan.num_blocks == (10_000 - 1200) // 160 and plan.total <= plan.budget
    plan = share_out(SMALL, CPU, free=GIB, model_context=10 * CPU_POSITIONS, max_batch=1000, memory=1.0)
    assert plan.num_blocks == 1000 * CPU_POSITIONS // 16
    assert share_out(SMALL, CPU, GIB, 160, 2, memory=3000).num_blocks == 11, "memory in bytes"


def test_a_context_that_was_not_asked_for_is_cut_to_what_fits():
    plan = share_out(SMALL, GPU, free=10_000, model_context=10_000, max_batch=1, memory=1.0)
    assert plan.context_length == plan.positions == 55 * 16
    assert "cut from 10,000 to 880" in str(plan)


def test_what_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(SansiError, match=r"does not fit: weights take 1000 B.*500 B of") as error:
        share_out(SMALL, CPU, free=500, model_context=160, max_batch=1, memory=1.0)
    assert error.value.param == "memory"
    with pytest.raises(SansiError, match=r"161 is more than the 160 tokens"):
        share_out(SMALL, CPU, 10_000, 160, max_batch=1, context_length=161)
    with pytest.raises(SansiError, match=r"one context of 10,000 tokens takes 97\.66 KiB .*\(880 tokens\)") as error:
        share_out(SMALL, CPU, 10_000, 10_000, max_batch=1, context_length=10_000, memory=1.0)
    assert error.value.param == "context_length"
    for wrong in (0, -1, float("nan"), float("inf"), "much", True):
        with pytest.raises(SansiError, match="memory must be"):
            share_out(SMALL, CPU, 10_000, 160, 1, memory=wrong)


def test_a_model_that_does_not_fit_is_refused_before_its_weights_are_read(tmp_path: Path):
    save(Transformer(ModelConfig.preset("nano", num_hidden_layers=1)), tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"damaged: reading it would fail" * 100_000)
    with pytest.raises(SansiError, match="does not fit"):
        Engine.from_pretrained(tmp_path / "model", memory=100_000)


@pytest.mark.parametrize(
    ("options", "param"),
    [
        *(({name: 0}, name) for name in ("max_batch", "context_length", "max_prefill_tokens", "num_blocks")),
        ({"max_batch": "8"}, "max_batch"),
        ({"context_length": -5}, "context_length"),
        ({"context_length": 400, "num_blocks": 20}, "context_length"),
        ({"prefix_cache": "no"}, "prefix_cache"),
        ({"batch_invariant": 1}, "batch_invariant"),
        ({"max_prefill_tokens": 10**9}, "memory"),
    ],
)
def test_impossible_options_are_refused_before_the_weights_are_read(options, param, tmp_path):
    save(Transformer(ModelConfig.preset("nano", num_hidden_layers=1)), tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"damaged: reading it would fail")
    with pytest.raises(SansiError) as error:
        Engine.from_pretrained(tmp_path / "model", **options)
    assert error.value.param == param


def test_a_plan_for_a_model_that_is_far_too_large():
    with pytest.raises(SansiError, match="does not fit"):
        plan_memory(ModelConfig.preset("Qwen3-235B-A22B"), torch.bfloat16, None, CPU, 1, memory=8 * GIB)
    plan = plan_memory(ModelConfig.preset("Qwen3-0.6B"), torch.float32, "int4", CPU, 4, memory=4 * GIB)
    assert plan.total <= 4 * GIB and plan.positions >= 4 * CPU_POSITIONS


def test_the_table_is_readable():
    text = str(plan_memory(ModelConfig.preset("Qwen3-0.6B"), torch.float32, "int8", CPU, 4, memory=4 * GIB))
    for word in ("weights", "KV cache", "blocks of 16 tokens", "activations", "total", "4 GiB allowed", "requests"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 120


def test_free_memory_is_what_the_system_says():
    assert 0 < free_memory(CPU) < 2**50


def test_sizes_in_words():
    assert [size_text(n) for n in (12, 2048, 3 * 2**20, 25 * GIB)] == ["12 B", "2 KiB", "3 MiB", "25 GiB"]


@pytest.mark.parametrize("name", ["max_batch", "context_length", "max_prefill_tokens", "num_blocks"])
@pytest.mark.parametrize("value", [0, -3, 1.5, True])
def test_impossible_sizes_are_refused(name, value):
    with pytest.raises(SansiError, match=name):
        Engine(RandomModel(), **{name: value})


def test_an_engine_with_few_blocks_has_a_short_context():
    with Engine(RandomModel(context=64), num_blocks=2) as engine:
        assert engine.context_length == 32
        assert len(engine.generate([[1] * 30], SamplingParams(max_tokens=50))[0].ids) == 2
        with pytest.raises(SansiError, match="32"):
            engine.generate([[1] * 32], SamplingParams())
