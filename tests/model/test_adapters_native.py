"""Adapters beside the packed weights of the CPU's kernels, against the same merged into them."""

import pytest
import torch
from sansi.base.errors import SansiError
from sansi.model.adapters import merged, read_adapter
from sansi.model.formats.source import open_source
from sansi.model.formats.weights import ModelWeights
from sansi.model.native import NativeModel
from sansi.model.quantize import quantize
from tiny_models import ALL, tiny_config, tiny_model

from adapter_folders import factors, folder_of, random_adapter

LENGTHS = (5, 1, 19, 3, 2)
MINE = (1, 0, 2, 1, 2)


def numbers(values):
    return torch.tensor(values, dtype=torch.int32)


def step(model, sequences, adapters=None):
    """Logits of all tokens, sequence after sequence."""
    model.allocate(4 * len(sequences))
    starts = [0]
    for ids in sequences:
        starts.append(starts[-1] + len(ids))
    positions = [p for ids in sequences for p in range(len(ids))]
    tables = numbers([[4 * n + i for i in range(4)] for n in range(len(sequences))])
    chosen = None if adapters is None else numbers(adapters)
    rows = torch.arange(len(positions), dtype=torch.int32)
    ids = numbers([i for ids in sequences for i in ids])
    lengths = numbers([len(ids) for ids in sequences])
    return model.forward(ids, numbers(positions), numbers(starts), lengths, tables, rows, chosen).clone()


def prompts(config, lengths=LENGTHS):
    draw = torch.Generator().manual_seed(7)
    return [torch.randint(0, config.vocab_size, (n,), generator=draw).tolist() for n in lengths]


def parts(logits, lengths=LENGTHS):
    return logits.split(list(lengths))


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("variant", list(ALL))
def test_beside_the_base_is_as_merged(tmp_path, variant, dora):
    model = tiny_model(tiny_config(**ALL[variant]))
    adapter = read_adapter(random_adapter(tmp_path / "a", model.config, dora=dora), model.config)
    beside = NativeModel(model, adapters=[adapter])
    both = NativeModel.from_source(merged(ModelWeights(model), adapter))
    sequences = prompts(model.config, (23,))
    found, expected = step(beside, sequences, [1]), step(both, sequences)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (step(beside, sequences) - expected).abs().max() > 0.01
    assert torch.equal(step(beside, sequences), step(NativeModel(model), sequences))


@pytest.mark.parametrize("variant", ["dense-tied", "moe-sparse-step"])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_sequence_is_the_same_bits_beside_any_others(tmp_path, variant, threads):
    model = tiny_model(tiny_config(**ALL[variant]))
    adapters = [
        read_adapter(random_adapter(tmp_path / f"{n}", model.config, n, dora=n == 1, rank=3 + 2 * n), model.config)
        for n in range(2)
    ]
    beside = NativeModel(model, adapters=adapters, threads=threads)
    sequences = prompts(model.config)
    together = parts(step(beside, sequences, MINE))
    for found, ids, adapter in zip(together, sequences, MINE, strict=True):
        assert torch.equal(found, step(beside, [ids], [adapter]))
    plain = parts(step(NativeModel(model), sequences))
    assert torch.equal(together[1], plain[1])


def test_drafts_and_chunks_change_no_bit(tmp_path):
    model = tiny_model(tiny_config())
    adapter = read_adapter(random_adapter(tmp_path / "a", model.config), model.config)
    beside = NativeModel(model, adapters=[adapter])
    ids = prompts(model.config, (19,))[0]
    whole = step(beside, [ids], [1])
    beside.allocate(4)
    pieces = []
    for first, last in ((0, 7), (7, 8), (8, 19)):
        positions = torch.arange(first, last, dtype=torch.int32)
        rows, ends = torch.arange(last - first, dtype=torch.int32), numbers([0, last - first])
        table, context = numbers([[0, 1, 2, 3]]), numbers([last])
        logits = beside.forward(numbers(ids[first:last]), positions, ends, context, table, rows, numbers([1]))
        pieces.append(logits.clone())
    assert torch.equal(torch.cat(pieces), whole)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_over_a_quantised_base_the_adapter_keeps_its_precision(tmp_path, kind):
    """Merged and rounded again the change is lost in the rounding; beside the base it is whole."""
    model = tiny_model(tiny_config(hidden_size=64, intermediate_size=96))
    quantize(model, kind).save(tmp_path / kind)
    source = open_source(tmp_path / kind)
    folder = random_adapter(
        tmp_path / "a", model.config, ends=("q_proj.weight", "down_proj.weight"), dora=kind == "int4"
    )
    adapter = read_adapter(folder, source.config)
    beside = NativeModel.from_source(source, adapters=[adapter])
    both = NativeModel.from_source(merged(source, adapter), cache_dtype="float32")
    sequences = prompts(source.config, (23,))
    found, expected = step(beside, sequences, [1]), step(both, sequences)
    assert (
        found - expected
    ).norm() < 0.03 * expected.norm()  # inputs are rounded to int8 for the one, not for the other


def test_a_change_of_the_base_is_taken_over(tmp_path):
    model = tiny_model(tiny_config())
    adapter = read_adapter(random_adapter(tmp_path / "a", model.config, dora=True), model.config)
    beside = NativeModel(model, adapters=[adapter])
    for parameter in model.parameters():
        parameter.data *= 1.1
    beside.refresh()
    sequences = prompts(model.config, (9,))
    assert torch.equal(step(beside, sequences, [1]), step(NativeModel(model, adapters=[adapter]), sequences, [1]))


def test_what_the_kernels_do_not_do_is_refused(tmp_path):
    model = tiny_model(tiny_config())
    tensors = factors("model.layers.0.self_attn.q_proj", 64, 48)
    tensors["base_model.model.model.norm.weight"] = torch.ones(48)
    adapter = read_adapter(folder_of(tmp_path / "a", tensors, modules_to_save=["norm"]), model.config)
    with pytest.raises(SansiError, match=r'model\.norm\.weight as a whole.*backend "torch", or merge'):
        NativeModel(model, adapters=[adapter])
    plain = NativeModel(model)
    with pytest.raises(SansiError, match=r"adapters\[0\] is 1"):
        step(plain, [[1, 2]], [1])
    with pytest.raises(SansiError, match="adapters must be contiguous int32"):
        step(plain, [[1, 2]], [0, 0])
