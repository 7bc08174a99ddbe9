"""The C++ forward against the torch module, and against itself: a row's bits depend on nothing but its own tokens."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.model import Transformer, save
from sansi.model.kernels import pack, unpack
from sansi.model.kernels.cpu.build import KernelsUnavailable, supported_isas
from sansi.model.native import NativeModel
from tiny_models import ALL, random_ids, tiny_config, tiny_model

BLOCK = 16
BLOCKS = 40
ISAS = supported_isas()
pytestmark = pytest.mark.skipif(not ISAS, reason="the CPU kernels are for Linux on x86-64")


class Cache:
    """A native model with sequences in its cache; blocks are handed out in a shuffled order."""

    def __init__(self, model: NativeModel, seed: int = 0):
        self.model = model
        model.allocate(BLOCKS)
        self.free = torch.randperm(BLOCKS, generator=torch.Generator().manual_seed(seed)).tolist()
        self.tables: dict[int, list[int]] = {}
        self.lengths: dict[int, int] = {}

    def step(self, *chunks: tuple[int, torch.Tensor], rows: list[int] | None = None) -> list[torch.Tensor]:
        """Feed new ids to sequences, by name; logits of every token of each, or of the `rows` of the step."""
        for name, ids in chunks:
            self.lengths[name] = self.lengths.get(name, 0) + len(ids)
            table = self.tables.setdefault(name, [])
            while len(table) * BLOCK < self.lengths[name]:
                table.append(self.free.pop())
        counts = [len(ids) for _, ids in chunks]
        ids = torch.cat([ids for _, ids in chunks])
        positions = [torch.arange(self.lengths[n] - len(i), self.lengths[n]) for n, i in chunks]
        context = [self.lengths[name] for name, _ in chunks]
        width = max(len(self.tables[name]) for name, _ in chunks)
        tables = [self.tables[name] + [0] * (width - len(self.tables[name])) for name, _ in chunks]
        starts = torch.tensor([0, *counts]).cumsum(0)
        wanted = list(range(len(ids))) if rows is None else rows
        whole = [ids, torch.cat(positions), starts, torch.tensor(context), torch.tensor(tables), torch.tensor(wanted)]
        logits = self.model.forward(*(tensor.int() for tensor in whole)).clone()
        return list(logits.split(counts)) if rows is None else [logits]


def native(model: Transformer, **options) -> Cache:
    return Cache(NativeModel(model, **{"threads": 2, **options}))


def close(a: torch.Tensor, b: torch.Tensor, limit: float = 1e-4) -> bool:
    return a.shape == b.shape and (a - b).abs().max().item() <= limit


@pytest.fixture(scope="module")
def models() -> dict[str, Transformer]:
    return {name: tiny_model(tiny_config(**values)) for name, values in ALL.items()}


# ---- the same numbers as the torch module ----------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("variant", ALL)
@torch.no_grad()
def test_logits_are_those_of_the_module(models, variant, isa):
    model, ids = models[variant], random_ids(models[variant].config, 2, 100)
    first, second = native(model, isa=isa).step((0, ids[0]), (1, ids[1, :37]))
    assert close(first, model(ids[:1])[0])
    assert close(second, model(ids[1:, :37])[0])


SHAPES = {
    "one head for all": {"num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 8},
    "no groups": {"num_attention_heads": 5, "num_key_value_heads": 5, "head_dim": 10},
    "wide groups": {"num_attention_heads": 40, "num_key_value_heads": 1, "head_dim": 34},
    "three heads to one": {"num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64},
    "wide heads": {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 128},
    "odd widths": {"hidden_size": 37, "intermediate_size": 29, "vocab_size": 53},
    "odd experts": {"num_experts": 7, "num_experts_per_tok": 7, "moe_intermediate_size": 5, "hidden_size": 19},
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_unusual_shapes(shape, isa):
    model = tiny_model(tiny_config(**SHAPES[shape]))
    ids = random_ids(model.config, 1, 70)
    assert close(native(model, isa=isa).step((0, ids[0]))[0], model(ids)[0])


@torch.no_grad()
def test_contexts_of_many_blocks_and_parts():
    """Long enough that attention is summed in parts, by several threads in the last step."""
    model = tiny_model(tiny_config(max_position_embeddings=2048, num_hidden_layers=2))
    ids = random_ids(model.config, 1, 1301)
    cache = Cache.__new__(Cache)
    cache.model = NativeModel(model, threads=3)
    cache.model.allocate(100)
    cache.free, cache.tables, cache.lengths = list(range(99, -1, -1)), {}, {}
    got = torch.cat([cache.step((0, chunk))[0] for chunk in ids[0].split([700, 600, 1])])
    assert close(got, model(ids)[0])


@torch.no_grad()
def test_bfloat16_weights(models):
    model = tiny_model(tiny_config(tie_word_embeddings=True)).bfloat16()
    ids = random_ids(model.config, 1, 40)
    exact = Transformer(model.config)
    exact.load_state_dict(model.state_dict())  # the same values, but float32 activations, as the kernels have them
    assert close(native(model).step((0, ids[0]))[0], exact(ids)[0])


@pytest.mark.parametrize("quantize", ["int8", "int4"])
@pytest.mark.parametrize("variant", ["dense-tied", "dense-untied", "moe-norm-topk"])
@torch.no_grad()
def test_quantised_weights(variant, quantize):
    """Against the module with the same rounded weights; what is left is the rounding of activations to 8 bits."""
    sizes = {"hidden_size": 64, "intermediate_size": 96, "moe_intermediate_size": 32}
    model = tiny_model(tiny_config(**{**ALL[variant], **sizes}))
    ids = random_ids(model.config, 1, 60)
    cache = native(model, quantize=quantize)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and not name.endswith("mlp.gate.weight"):
            kind = "int8" if "embed" in name or "lm_head" in name else quantize
            parameter.copy_(unpack(pack(parameter.flatten(0, -2), kind)).view_as(parameter))
    got, expected = cache.step((0, ids[0]))[0], model(ids)[0]
    assert (got - expected).norm() / expected.norm() < 0.05
    assert cache.model.weight_bytes < sum(p.nbytes for p in model.parameters()) * (0.4 if quantize == "int8" else 0.3)


@torch.no_grad()
def test_half_precision_cache(models):
    model = models["dense-tied"]
    ids = random_ids(model.config, 1, 60)
    whole, half = native(model), native(model, cache_dtype="float16")
    assert half.model.block_bytes * 2 == whole.model.block_bytes
    assert close(half.step((0, ids[0]))[0], model(ids)[0], 0.02)


# ---- the same bits, whatever else goes on ----------------------------------------------------------------------------


def bits(model: Transformer, ids: torch.Tensor, **options) -> torch.Tensor:
    return native(model, **options).step((0, ids))[0]


OPTIONS = [{}, {"quantize": "int8"}, {"quantize": "int4", "cache_dtype": "float16"}]
WHOLE_GROUPS = {"hidden_size": 64, "intermediate_size": 96, "moe_intermediate_size": 32}


@pytest.fixture(scope="module", params=["dense-tied", "moe-norm-topk"])
def model(request) -> Transformer:
    return tiny_model(tiny_config(**{**ALL[request.param], **WHOLE_GROUPS}))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_cut_of_the_prompt(model, options, isa):
    ids = random_ids(model.config, 1, 37)[0]
    packed = NativeModel(model, threads=2, isa=isa, **options)
    alone = Cache(packed).step((0, ids))[0]
    for cut in range(1, len(ids)):
        cache = Cache(packed, seed=cut)
        parts = [cache.step((0, ids[:cut]))[0], cache.step((0, ids[cut:]))[0]]
        assert torch.equal(torch.cat(parts), alone), cut
    cache = Cache(packed)
    assert torch.equal(torch.cat([cache.step((0, one))[0] for one in ids.split(1)]), alone)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_any_number_of_threads(model, options, threads):
    ids = random_ids(model.config, 1, 60)[0]
    assert torch.equal(bits(model, ids, threads=threads, **options), bits(model, ids, threads=1, **options))


@settings(max_examples=25)
@given(data=st.data())
def test_any_company(model, data):
    """Random schedules of up to four sequences: each has the logits that it has alone."""
    options = data.draw(st.sampled_from(OPTIONS))
    packed = NativeModel(model, threads=data.draw(st.integers(1, 3)), **options)
    lengths = data.draw(st.lists(st.integers(1, 90), min_size=1, max_size=4))
    prompts = [random_ids(model.config, 1, n, seed=i)[0] for i, n in enumerate(lengths)]
    alone = [Cache(packed).step((0, ids))[0] for ids in prompts]
    cache, done = Cache(packed, seed=7), [0] * len(prompts)
    got: list[list[torch.Tensor]] = [[] for _ in prompts]
    while any(d < n for d, n in zip(done, lengths, strict=True)):
        ready = [i for i in range(len(prompts)) if done[i] < lengths[i]]
        chosen = data.draw(st.lists(st.sampled_from(ready), min_size=1, unique=True))
        takes = {i: data.draw(st.integers(1, lengths[i] - done[i])) for i in chosen}
        parts = cache.step(*((i, prompts[i][done[i] : done[i] + takes[i]]) for i in chosen))
        for i, part in zip(chosen, parts, strict=True):
            got[i].append(part)
            done[i] += takes[i]
    for parts, expected in zip(got, alone, strict=True):
        assert torch.equal(torch.cat(parts), expected)


def test_parts_by_several_threads_are_the_bits_of_one():
    model = tiny_model(tiny_config(max_position_embeddings=2048, num_hidden_layers=1))
    ids = random_ids(model.config, 1, 1200)[0]
    results = []
    for threads in (1, 4):
        cache = Cache.__new__(Cache)
        cache.model = NativeModel(model, threads=threads)
        cache.model.allocate(80)
        cache.free, cache.tables, cache.lengths = list(range(80)), {}, {}
        cache.step((0, ids[:-1]), rows=[0])
        results.append(cache.step((0, ids[-1:]))[0])
    assert torch.equal(*results)
    cache.free, cache.tables, cache.lengths = list(range(80)), {}, {}
    assert torch.equal(cache.step((0, ids), rows=[1199])[0], results[0])  # and of a prefill


def test_wanted_rows_alone(model):
    ids = random_ids(model.config, 1, 50)[0]
    cache = native(model)
    every = cache.step((0, ids))[0]
    assert torch.equal(native(model).step((0, ids), rows=[0, 7, 49])[0], every[[0, 7, 49]])
    assert native(model).step((0, ids), rows=[])[0].shape == (0, model.config.vocab_size)


def test_rubbish_beyond_the_context_is_not_read(model):
    """The blocks held NaN of an earlier owner before the sequence came."""
    ids = random_ids(model.config, 1, 33)[0]
    expected = bits(model, ids)
    cache = native(model)
    cache.step((0, ids), rows=[])
    embedding = next(model.parameters())
    with torch.no_grad():
        saved = embedding.clone()
        embedding.fill_(float("nan"))
        cache.model.refresh()
        spoilt = cache.step((1, random_ids(model.config, 1, 128)[0]), rows=[127])[0]
        embedding.copy_(saved)
    cache.model.refresh()
    assert spoilt.isnan().all()
    cache.free = [*cache.tables.pop(1), *cache.free]
    assert torch.equal(cache.step((2, ids))[0], expected)
    assert torch.equal(cache.step((0, ids[:1]))[0], native(model).step((0, torch.cat([ids, ids[:1]])))[0][-1:])


# ---- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantize", [None, "int8", "int4"])
def test_from_a_folder(model, quantize, tmp_path):
    ids = random_ids(model.config, 1, 30)[0]
    save(model, tmp_path / "model", shard_bytes=40_000)
    streamed = Cache(NativeModel.from_pretrained(tmp_path / "model", quantize=quantize, threads=1))
    assert torch.equal(streamed.step((0, ids))[0], bits(model, ids, quantize=quantize))


def test_a_damaged_folder_says_so(tmp_path):
    with pytest.raises(SansiError, match="no such model folder"):
        NativeModel.from_pretrained(tmp_path / "nothing")
    save(tiny_model(tiny_config()), tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(SansiError, match="damaged"):
        NativeModel.from_pretrained(tmp_path / "model")


@torch.no_grad()
def test_refresh_takes_over_changed_weights():
    model = tiny_model(tiny_config(**ALL["moe-mlp-only"]))
    ids = random_ids(model.config, 1, 20)[0]
    cache = native(model)
    before = cache.step((0, ids))[0]
    for parameter in model.parameters():
        parameter.mul_(1.1)
    assert torch.equal(cache.step((1, ids))[0], before)  # not before it is asked to
    cache.model.refresh()
    after = cache.step((2, ids))[0]
    assert not torch.equal(after, before) and torch.equal(after, bits(model, ids))


# ---- threads, processes, errors --------------------------------------------------------------------------------------


def test_two_models_at_once_and_one_model_from_two_threads(models):
    jobs = [(models[name], random_ids(models[name].config, 1, 30, seed=i)[0]) for i, name in enumerate(("moe", "yarn"))]
    expected = [bits(model, ids) for model, ids in jobs]
    packed = [NativeModel(model, threads=2) for model, _ in jobs]
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(20):
            if not torch.equal(Cache(packed[index]).step((0, jobs[index][1]))[0], expected[index]):
                wrong.append(index)

    together = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert not wrong


def _in_child(cache: Cache, ids: torch.Tensor, queue: multiprocessing.Queue) -> None:
    queue.put(cache.step((1, ids))[0].tolist())


def test_a_forked_child_has_threads_of_its_own(models):
    model, context = models["dense-tied"], multiprocessing.get_context("fork")
    ids = random_ids(model.config, 1, 30)[0]
    cache = native(model)
    expected = cache.step((0, ids))[0]  # the threads run before the fork
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(cache, ids, queue))
    child.start()
    assert torch.equal(torch.tensor(queue.get(timeout=60)), expected)
    child.join()
    assert torch.equal(cache.step((1, ids))[0], expected)


GOOD = {
    "ids": torch.tensor([1, 2]),
    "positions": torch.tensor([0, 1]),
    "starts": torch.tensor([0, 2]),
    "context": torch.tensor([2]),
    "tables": torch.tensor([[0]]),
    "rows": torch.tensor([1]),
}


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("ids", torch.tensor([1, 97]), r"ids\[1\] is 97"),
        ("ids", torch.tensor([-1, 2]), r"ids\[0\] is -1"),
        ("positions", torch.tensor([0, 2]), r"positions\[1\] is 2"),
        ("positions", torch.tensor([0]), "positions must be"),
        ("starts", torch.tensor([0, 1]), r"starts\[1\] is 1"),
        ("starts", torch.tensor([0]), "starts must be"),
        ("context", torch.tensor([1]), r"context\[0\] is 1"),
        ("context", torch.tensor([17]), r"context\[0\] is 17"),
        ("context", torch.tensor([4000]), "more than the model's context of 128"),
        ("tables", torch.tensor([[BLOCKS]]), rf"tables\[0\] is {BLOCKS}"),
        ("tables", torch.tensor([0]), "tables must be"),
        ("rows", torch.tensor([2]), r"rows\[0\] is 2"),
        ("rows", torch.tensor([1, 1]), r"rows\[1\] is 1"),
        ("rows", torch.tensor([1, 0]), r"rows\[1\] is 0"),
        ("rows", torch.tensor([0] * 1000), r"rows\[1\] is 0"),
        ("rows", torch.tensor([1.0]), "rows must be"),
    ],
)
def test_wrong_steps_are_refused(models, name, value, complaint):
    cache = native(models["dense-tied"])
    step = {key: tensor.int() for key, tensor in GOOD.items()}
    cache.model.forward(**step)
    step[name] = value if value.is_floating_point() else value.int()
    with pytest.raises(SansiError, match=complaint):
        cache.model.forward(**step)


NO_THREADS = """
import os, resource, torch
torch.set_num_threads(1)
from sansi.model import ModelConfig, Transformer
from sansi.model.native import NativeModel
model = Transformer(ModelConfig.preset("nano", num_hidden_layers=1, vocab_size=64))
step = [torch.tensor(values, dtype=torch.int32) for values in ([1, 2], [0, 1], [0, 2], [2], [[0]], [1])]
wanted, starved = (NativeModel(model, threads=threads) for threads in (1, 8))
wanted.allocate(1)
starved.allocate(1)
expected = wanted.forward(*step).clone()
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
os.setuid(65534)
print(torch.equal(starved.forward(*step), expected))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user, whom the limit binds")
def test_without_threads_one_does_all():
    ended = subprocess.run([sys.executable, "-c", NO_THREADS], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "True\n", (ended.returncode, ended.stderr)


def test_no_room_was_made(models):
    with pytest.raises(SansiError, match=r"tables\[0\] is 0"):
        NativeModel(models["dense-tied"]).forward(**{key: tensor.int() for key, tensor in GOOD.items()})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"quantize": "int3"}, 'unknown quantisation "int3"'),
        ({"threads": 0}, "threads must be 1 or more"),
        ({"isa": "avx9"}, 'unknown isa "avx9"'),
        ({"cache_dtype": "int8"}, 'unknown dtype "int8"'),
    ],
)
def test_unknown_options(models, options, complaint):
    with pytest.raises(SansiError, match=complaint):
        NativeModel(models["dense-tied"], **options)


def test_no_compiler_is_a_reason(monkeypatch, tmp_path):
    from sansi.model.kernels.cpu import build

    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(KernelsUnavailable, match="no-such-compiler"):
        build.load_kernels(cache_folder=tmp_path)


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def _no_entry(path: Path) -> bool:
    raise PermissionError(13, "Permission denied", str(path))


def _no_execution(name: str) -> None:
    raise OSError(f"{name}: failed to map segment from shared object")


@pytest.mark.parametrize(
    ("what", "instead"),
    [("pathlib.Path.home", _no_home), ("pathlib.Path.is_file", _no_entry), ("ctypes.CDLL", _no_execution)],
)
def test_a_cache_that_can_not_be_used_is_a_reason(what, instead, monkeypatch):
    """So that torch operators take the place of the kernels, as where there is no compiler."""
    from sansi.model.kernels.cpu import build

    build.load_kernels()
    build._load.cache_clear()
    monkeypatch.setattr(what, instead)
    if instead is _no_home:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)  # which stands before the home
    with pytest.raises(KernelsUnavailable, match=r"kept or loaded: .*(home|denied|map segment)"):
        build.load_kernels()
