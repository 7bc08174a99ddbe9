"""Quantised weights: what they cost in quality, that they survive a folder, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sansi.base.errors import SansiError
from sansi.model import ModelConfig, Transformer, load, save
from sansi.model.bundle import ModelBundle
from sansi.model.formats.files import QUANTIZED_FILE
from sansi.model.formats.quantized import kind_of, stored_kinds
from sansi.model.kernels import GROUP, LEVELS, Arena, PackedWeight, nearest_levels, pack, round_to_levels, unpack
from sansi.model.kernels.cpu.packing import pack_into
from sansi.model.quantize import (
    QuantizedWeights,
    dequantize,
    kl_to_full,
    load_quantized,
    quantize,
)
from tiny_models import EXPERTS, random_ids, tiny_config, tiny_model

NANO = Path(__file__).resolve().parents[2] / "checkpoints" / "nano"
SIZES = {"hidden_size": 64, "intermediate_size": 96, "vocab_size": 90}
MODELS = {
    "tied": {**SIZES, "tie_word_embeddings": True},
    "untied": SIZES,
    "moe": {**SIZES, **EXPERTS, "moe_intermediate_size": 32},
    "odd": {"hidden_size": 48, "intermediate_size": 80},  # no matrix but o_proj has a multiple of 32 inputs
}


def model_of(name: str) -> Transformer:
    return tiny_model(tiny_config(**MODELS[name]))


def folder_of(weights: QuantizedWeights, tmp_path: Path) -> Path:
    weights.save(tmp_path / "quantised")
    return tmp_path / "quantised"


def change_config(folder: Path, **changes: object) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["quantization_config"] |= changes
    (folder / "config.json").write_text(json.dumps(values))


# ---- rounding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "gain"), [("int8", 0.90), ("int4", 0.91)])
def test_the_search_lowers_the_squared_error(kind, gain):
    weight = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    nearest, searched = ((unpack(pack(weight, kind, search)) - weight).square().sum() for search in (False, True))
    assert searched < gain * nearest


@settings(max_examples=60)
@given(st.sampled_from(list(LEVELS)), st.integers(0, 10_000), st.floats(-6, 3))
def test_no_group_is_worse_for_the_search(kind, seed, exponent):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(8, 64, generator=generator) ** 3 * 10**exponent

    def errors(search: bool) -> torch.Tensor:
        q, scales = round_to_levels(weight, kind, search)
        return (
            (q.unflatten(1, (-1, GROUP)) * scales.float()[..., None] - weight.unflatten(1, (-1, GROUP))).square().sum(2)
        )

    assert (errors(True) <= errors(False) * 1.0001).all()


@pytest.mark.parametrize("kind", LEVELS)
def test_levels_stay_in_their_range(kind):
    groups = torch.tensor([[-100.0, -1.0, 0.4, 0.6, 1.0, 100.0]])
    lowest, highest = (-127, 127) if kind == "int8" else (-8, 7)
    found = nearest_levels(groups, torch.tensor([[0.5]]), kind)
    assert found.tolist() == [[lowest, -2, 1, 1, 2, highest]]


def test_what_a_quantised_weight_holds_is_quantised_without_loss():
    """Each group with its largest magnitude on the last level: rounding again finds the same values."""
    for kind in LEVELS:
        once = unpack(pack(torch.randn(16, 64, generator=torch.Generator().manual_seed(0)), kind, search=False))
        assert torch.equal(unpack(pack(once, kind, search=False)), once)


# ---- models ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("kind", "bound"), [("int8", 0.02), ("int4", 0.3)])
def test_every_matrix_is_near_the_one_it_stands_for(name, kind, bound):
    model = model_of(name)
    back = dict(dequantize(quantize(model, kind)).named_parameters())
    for parameter_name, parameter in model.named_parameters():
        error = (back[parameter_name] - parameter).norm() / parameter.norm()
        untouched = parameter.dim() == 1 or parameter_name.endswith("mlp.gate.weight") or parameter.shape[-1] % GROUP
        assert (error == 0) == bool(untouched), parameter_name
        assert error < bound / 2, parameter_name


def test_routers_norms_and_odd_matrices_are_not_quantised():
    assert kind_of("model.layers.0.mlp.gate.weight", (8, 64), "int4", "int8") is None
    assert kind_of("model.norm.weight", (64,), "int4", "int8") is None
    assert kind_of("model.layers.0.mlp.down_proj.weight", (64, 80), "int4", "int8") is None
    assert kind_of("model.layers.0.mlp.down_proj.weight", (64, 96), "int4", "int8") == "int4"
    assert kind_of("model.embed_tokens.weight", (90, 64), "int4", "int8") == "int8"
    assert kind_of("lm_head.weight", (90, 64), "int4", "int8") == "int8"


def test_experts_are_packed_one_by_one():
    weights = quantize(model_of("moe"), "int4")
    experts = [name for name in weights.matrices if ".experts." in name]
    assert len(experts) == 3 * 3 * EXPERTS["num_experts"]  # layers, projections
    assert weights.matrices["model.layers.1.mlp.experts.5.up_proj.weight"].rows == 32


def test_bits_per_weight():
    config = ModelConfig.preset("nano", vocab_size=512, hidden_size=128, tie_word_embeddings=True)
    model = Transformer(config)
    assert 4.5 < quantize(model, "int4", outer="int4").bits_per_weight < 4.6
    assert 8.5 < quantize(model, "int8").bits_per_weight < 8.6
    assert 4.6 < quantize(model, "int4").bits_per_weight < 4.9


@pytest.mark.parametrize("name", ["tied", "moe"])
def test_a_folder_and_the_model_in_it_are_quantised_alike(name, tmp_path):
    model = model_of(name)
    save(model, tmp_path / "full")
    ours, theirs = quantize(model, "int4"), quantize(tmp_path / "full", "int4")
    assert ours.matrices.keys() == theirs.matrices.keys()
    for key, packed in ours.matrices.items():
        assert torch.equal(packed.data, theirs.matrices[key].data)
        assert torch.equal(packed.scales, theirs.matrices[key].scales)


def test_a_large_matrix_is_rounded_in_pieces_of_whole_panels():
    model = tiny_model(tiny_config(**{**MODELS["tied"], "vocab_size": 5003}))
    weight = model.model.embed_tokens.weight.detach()
    packed = quantize(model, "int4", "int4").matrices["model.embed_tokens.weight"]
    whole = PackedWeight.zeros("int4", *weight.shape)
    pack_into(whole, 0, weight)
    assert torch.equal(packed.data, whole.data)


# ---- quality ---------------------------------------------------------------------------------------------------------

# A prompt and the model's own greedy answer, as ids would be too many to read here: the digits of a sum.
PROMPT = "State the final answer to the following arithmetic problem: 51 - 22 - 80 + 14 + 33 ="


def nano_batches(model: Transformer) -> list[torch.Tensor]:
    from sansi.text import Codec

    ids = list(Codec.from_pretrained(NANO).render([{"role": "user", "content": PROMPT}]).ids)
    with torch.no_grad():
        for _ in range(60):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return [torch.tensor([ids])]


def test_divergence_of_the_bundled_model():
    """In nats: int8 is as good as the full model, int4 of a model of a million weights is felt."""
    full = load(NANO, device="cpu", dtype="float32")
    batches = nano_batches(full)
    found = {
        (kind, outer): kl_to_full(full, dequantize(quantize(NANO, kind, outer)), batches).mean
        for kind, outer in (("int8", "int8"), ("int4", "int8"), ("int4", "int4"))
    }
    assert 0 < found["int8", "int8"] < 0.001
    assert found["int8", "int8"] < found["int4", "int8"] < found["int4", "int4"] < 0.15


def test_divergence_is_that_of_the_definition():
    p, q = torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.25, 0.5, 0.25])
    report = kl_to_full(lambda ids: p.log()[None, None], lambda ids: q.log()[None, None], [torch.zeros(1, 1)])
    assert report.mean == pytest.approx(0.25 * torch.tensor(2.0).log().item())
    assert (report.tokens, report.same_top) == (1, 0.0)
    assert "1 tokens" in str(report)


def test_a_model_does_not_diverge_from_itself():
    model = model_of("moe")
    report = kl_to_full(model, model, [random_ids(model.config), random_ids(model.config, seed=1)])
    assert (report.tokens, report.mean, report.worst, report.same_top) == (160, 0.0, 0.0, 1.0)


# ---- folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("kind", "outer"), [("int8", None), ("int4", None), ("int4", "int4")])
def test_a_saved_folder_gives_the_same_weights(name, kind, outer, tmp_path):
    weights = quantize(model_of(name), kind, outer)
    again = load_quantized(folder_of(weights, tmp_path))
    assert (again.config, again.kind, again.outer) == (weights.config, kind, outer or "int8")
    assert again.matrices.keys() == weights.matrices.keys()
    for key, packed in weights.matrices.items():
        assert torch.equal(again.matrices[key].data, packed.data)
        assert torch.equal(again.matrices[key].scales, packed.scales)
    ids = random_ids(weights.config)
    assert torch.equal(dequantize(again)(ids), dequantize(weights)(ids))


def test_what_is_not_quantised_keeps_its_precision(tmp_path):
    weights = quantize(model_of("moe").bfloat16(), "int4")
    again = load_quantized(folder_of(weights, tmp_path))
    assert again.others["model.norm.weight"].dtype == torch.bfloat16
    assert again.nbytes == weights.nbytes


def test_a_bundle_comes_along_and_what_else_is_there_stays(tmp_path):
    bundle = ModelBundle({"README.md": b"a card", "tokenizer.json": b"{}"}).with_generation_config(eos_token_id=[7, 9])
    (tmp_path / "quantised").mkdir()
    (tmp_path / "quantised" / "diary.txt").write_text("mine")
    for _ in range(2):
        quantize(model_of("tied"), "int4").save(tmp_path / "quantised", bundle)
    assert (tmp_path / "quantised" / "README.md").read_text() == "a card"
    assert (tmp_path / "quantised" / "diary.txt").read_text() == "mine"
    assert stored_kinds(tmp_path / "quantised") == ("int4", "int8")
    assert json.loads((tmp_path / "quantised" / "config.json").read_text())["eos_token_id"] == 7


@pytest.mark.parametrize("name", ["config.json", "quantized.safetensors", "tokenizer.json"])
def test_files_of_a_folder_that_is_no_model_are_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(SansiError, match=f"is not the folder of a Qwen3 model, and saving would replace {name}"):
        quantize(model_of("tied"), "int4").save(tmp_path, ModelBundle({"tokenizer.json": b"[]"}))
    assert (tmp_path / name).read_text() == "{}"


def test_full_weights_are_not_replaced(tmp_path):
    save(model_of("tied"), tmp_path / "model")
    with pytest.raises(SansiError, match="holds full weights, which saving would replace"):
        quantize(tmp_path / "model", "int4").save(tmp_path / "model")
    load(tmp_path / "model")
    for kind in ("int4", "int8"):
        quantize(model_of("tied"), kind).save(tmp_path / "quantised")
        assert load_quantized(tmp_path / "quantised").kind == kind


def test_other_programs_refuse_the_folder(tmp_path):
    """Ours too, where full weights are wanted."""
    from transformers import AutoModelForCausalLM

    folder = folder_of(quantize(model_of("tied"), "int4"), tmp_path)
    with pytest.raises(SansiError, match="quantization_config"):
        load(folder)
    with pytest.raises(OSError, match=r"no file named .*model\.safetensors"):
        AutoModelForCausalLM.from_pretrained(folder)


def test_a_full_folder_is_not_taken_for_a_quantised_one(tmp_path):
    save(model_of("tied"), tmp_path / "full")
    assert stored_kinds(tmp_path / "full") is None
    with pytest.raises(SansiError, match="no weights quantised by Sansi"):
        load_quantized(tmp_path / "full")


@pytest.mark.parametrize("changes", [{"layout": "rows"}, {"kind": "int3"}, {"group_size": 64}, {"outer": None}])
def test_an_unknown_form_is_refused(changes, tmp_path):
    folder = folder_of(quantize(model_of("tied"), "int4"), tmp_path)
    change_config(folder, **changes)
    with pytest.raises(SansiError, match="is unknown"):
        load_quantized(folder)


def test_a_damaged_folder_is_refused(tmp_path):
    folder = folder_of(quantize(model_of("tied"), "int4"), tmp_path)
    file = folder / QUANTIZED_FILE
    tensors = load_file(file)
    save_file({name: t for name, t in tensors.items() if "layers.1.mlp.up_proj" not in name}, file)
    with pytest.raises(SansiError, match=r"missing: .*layers\.1\.mlp\.up_proj\.weight\.levels"):
        load_quantized(folder)
    save_file({**tensors, "model.layers.0.mlp.up_proj.weight.scales": torch.zeros(1)}, file)
    with pytest.raises(SansiError, match=r"does not fit config\.json"):
        load_quantized(folder)
    for name, dtype in (("scales", torch.int16), ("levels", torch.int8)):
        name = f"model.layers.0.mlp.up_proj.weight.{name}"
        save_file({**tensors, name: tensors[name].view(dtype)}, file)
        with pytest.raises(SansiError, match=rf"{name} is {dtype}, not torch"):
            load_quantized(folder)
    file.write_bytes(b"nothing")
    with pytest.raises(SansiError, match="damaged"):
        load_quantized(folder)
    file.unlink()
    with pytest.raises(SansiError, match=r"has no quantized\.safetensors"):
        load_quantized(folder)


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_unknown_kinds_are_named():
    with pytest.raises(SansiError, match='unknown quantisation "int5"; did you mean "int') as caught:
        quantize(model_of("tied"), "int5")
    assert caught.value.param == "quantize"
    with pytest.raises(SansiError, match="unknown quantisation") as caught:
        quantize(model_of("tied"), "int4", outer="fp32")
    assert caught.value.param == "outer"


def test_the_weight_that_is_not_finite_is_named():
    model = model_of("tied")
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 3] = float("nan")
    with pytest.raises(SansiError, match=r"^model\.layers\.1\.mlp\.up_proj\.weight: int4 weights must be finite"):
        quantize(model, "int4")


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_an_arena_gives_aligned_zeros_that_do_not_overlap():
    arena = Arena()
    taken = [arena.take(size) for size in (1, 64, 100, 0, Arena.SLAB, 3)]
    for number, tensor in enumerate(taken, start=1):
        assert tensor.data_ptr() % 64 == 0 or not len(tensor)
        assert not tensor[:1000].any()
        tensor[:1000] = number
    assert [set(tensor[:1000].tolist()) for tensor in taken] == [{1}, {2}, {3}, set(), {5}, {6}]


@pytest.mark.parametrize("kind", ["fp32", "bf16", "int8", "int4"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 32), (16, 64), (35, 96)])
def test_room_for_a_packed_weight_has_its_shape(kind, rows, columns):
    room, packed = PackedWeight.zeros(kind, rows, columns), pack(torch.randn(rows, columns), kind)
    assert (room.data.shape, room.scales.shape) == (packed.data.shape, packed.scales.shape)
    assert (room.data.dtype, room.scales.dtype) == (packed.data.dtype, packed.scales.dtype)


def test_a_compiled_model_and_names_of_dtypes():
    model = model_of("tied")
    weights = quantize(torch.compile(model, backend="eager"), "int8")
    assert weights.nbytes == quantize(model, "int8").nbytes
    for dtype in ("bfloat16", torch.bfloat16):
        assert next(dequantize(weights, dtype, None).parameters()).dtype == torch.bfloat16
    with pytest.raises(SansiError, match="unknown dtype"):
        dequantize(weights, "int8")
