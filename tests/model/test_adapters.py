"""PEFT adapters merged into a model, beside what PEFT itself computes."""

import pytest
import torch
import torch.nn.functional as F
from peft_folders import DENSE, IDS, base_model, make
from peft_folders import SPARSE as SPARSE_CONFIG
from sansi.base.errors import SansiError
from sansi.model import Transformer, save
from sansi.model.adapters import adapted, erasure, merged, read_adapter
from sansi.model.formats.gguf.write import write_gguf
from sansi.model.formats.source import open_source
from sansi.model.formats.weights import ModelWeights, fill_model
from sansi.model.kernels import pack, unpack
from sansi.model.native import NativeModel
from sansi.model.quantize import quantize

from adapter_folders import factors, folder_of, random_adapter

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
STACKS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
KINDS = {
    "all linear": {"target_modules": "all-linear"},
    "regular expression": {"target_modules": r".*layers\.1\.self_attn\.(q|v)_proj"},
    "patterns": {
        "target_modules": ATTENTION + MLP,
        "rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.down_proj": 5},
        "alpha_pattern": {"up_proj": 24},
    },
    "rslora": {"target_modules": ATTENTION, "use_rslora": True, "r": 6, "lora_alpha": 12},
    "dora": {"target_modules": ATTENTION + MLP, "use_dora": True},
    "layers": {"target_modules": ["q_proj", "down_proj"], "layers_to_transform": [1]},
    "layers by pattern": {"target_modules": ["v_proj"], "layers_to_transform": [0], "layers_pattern": ["layers"]},
    "a parameter": {"target_modules": [], "target_parameters": ["self_attn.o_proj.weight"]},
    "excluded": {"target_modules": ATTENTION, "exclude_modules": r".*\.0\..*"},
    "saved modules": {"target_modules": ["q_proj"], "modules_to_save": ["norm", "embed_tokens"]},
    "saved head": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "saved and tied": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    "embedding": {"target_modules": ["embed_tokens", "q_proj"]},
    "embedding by dora": {"target_modules": ["embed_tokens"], "use_dora": True},
    "head": {"target_modules": ["lm_head"]},
    "tied": {"target_modules": ["embed_tokens", "lm_head"], "ensure_weight_tying": True},
    "tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [3, 5, 17]},
    "biases": {"target_modules": ["q_proj"], "bias": "all"},
}
SPARSE = {
    "stacks": {"target_modules": ["q_proj"], "target_parameters": STACKS},
    "stack": {"target_modules": [], "target_parameters": STACKS[1:], "use_rslora": True},
    "router": {"target_modules": ["v_proj"], "target_parameters": [*STACKS, "mlp.gate.weight"]},
    "patterns": {
        "target_modules": ["o_proj"],
        "target_parameters": STACKS,
        "rank_pattern": {"down_proj": 2, "gate_up_proj": 5},
        "alpha_pattern": {r"layers\.1\.mlp\.experts\.down_proj": 3},
    },
    "old names": {"target_modules": ATTENTION + MLP},
    "all linear": {"target_modules": "all-linear"},
}


def model_of(source):
    model = Transformer(source.config)
    fill_model(model, source)
    return model.eval()


@pytest.mark.parametrize(("sparse", "kind"), [(False, k) for k in KINDS] + [(True, k) for k in SPARSE])
def test_a_merged_adapter_computes_what_peft_does(tmp_path, sparse, kind):
    pytest.importorskip("peft", reason="peft is not installed")
    settings = {"r": 4, "lora_alpha": 8, **(SPARSE if sparse else KINDS)[kind]}
    made = make(tmp_path, sparse, **settings)
    source = open_source(made.base)
    both = merged(source, made.folder)
    with torch.no_grad():
        logits, before = model_of(both)(IDS), model_of(source)(IDS)
    torch.testing.assert_close(logits, made.logits, rtol=1e-5, atol=1e-5)
    assert (logits - before).abs().max() > 1e-3
    base = model_of(source)
    with torch.no_grad():
        beside = adapted(base, read_adapter(made.folder, base.config))(IDS)
        assert torch.equal(base(IDS), before)  # the base is as it was
    torch.testing.assert_close(beside, made.logits, rtol=1e-5, atol=1e-5)


# ---- without PEFT: folders written by hand, by the formulas ---------------------------------------------------------


Q, NAME = "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.q_proj.weight"
ROWS, COLUMNS = DENSE.num_attention_heads * DENSE.head_dim, DENSE.hidden_size


def whole(source, name):
    return source.rows(name, 0, source.shapes[name][0])


@pytest.mark.parametrize("prefix", ["base_model.model.", ""])
@pytest.mark.parametrize(("settings", "scale"), [({}, 2.0), ({"use_rslora": True}, 4.0), ({"lora_alpha": 2}, 0.5)])
def test_a_merge_adds_the_scaled_product(tmp_path, prefix, settings, scale):
    tensors = factors(Q, ROWS, COLUMNS, prefix=prefix)
    adapter = folder_of(tmp_path / "a", tensors, target_modules=r".*1\.self_attn\.q_proj", **settings)
    base = ModelWeights(base_model(False))
    both = merged(base, adapter)
    a, b = tensors.values()
    torch.testing.assert_close(whole(both, NAME), whole(base, NAME) + scale * (b @ a))
    assert both.changed == (NAME,)
    untouched = [name for name in base.shapes if name != NAME]
    assert all(torch.equal(whole(base, name), whole(both, name)) for name in untouched)


def test_dora_makes_rows_as_long_as_it_says(tmp_path):
    lengths = torch.rand(ROWS) + 0.5
    a, b = factors(Q, ROWS, COLUMNS).values()
    tensors = factors(Q, ROWS, COLUMNS) | {f"base_model.model.{Q}.lora_magnitude_vector": lengths}
    adapter = folder_of(tmp_path / "a", tensors, use_dora=True)
    both = merged(ModelWeights(base_model(False)), adapter)
    torch.testing.assert_close(whole(both, NAME).norm(dim=1), lengths)
    plain = whole(ModelWeights(base_model(False)), NAME) + 2.0 * b @ a
    torch.testing.assert_close(F.normalize(whole(both, NAME)), F.normalize(plain))


EXPERTS, HIDDEN, WIDTH = SPARSE_CONFIG.num_experts, SPARSE_CONFIG.hidden_size, SPARSE_CONFIG.moe_intermediate_size
MLP_0 = "model.layers.0.mlp.experts"


def stacked_layouts():
    """The same change of the gates, ups and downs of layer 0's experts in every layout: tensors by name."""
    draw = torch.Generator().manual_seed(3)
    sizes = {"gate_up_proj": (2 * WIDTH, HIDDEN), "down_proj": (HIDDEN, WIDTH)}
    parts = {
        kind: (torch.randn(EXPERTS, 4, k, generator=draw), torch.randn(EXPERTS, n, 4, generator=draw))
        for kind, (n, k) in sizes.items()
    }

    def flat(a, b):
        return a.flatten(0, 1), b.permute(1, 2, 0).flatten(1)

    def turned(a, b):  # older versions of PEFT took outputs for inputs
        return flat(b.transpose(1, 2), a.transpose(1, 2))

    def named(modules):
        return {
            f"base_model.model.{m}.lora_{ab}.weight": t
            for m, pair in modules.items()
            for ab, t in zip("AB", pair, strict=True)
        }

    each = {}
    for number in range(EXPERTS):
        a, b = (tensor[number] for tensor in parts["gate_up_proj"])
        each[f"{MLP_0}.{number}.gate_proj"], each[f"{MLP_0}.{number}.up_proj"] = (a, b[:WIDTH]), (a, b[WIDTH:])
        each[f"{MLP_0}.{number}.down_proj"] = tuple(tensor[number] for tensor in parts["down_proj"])
    nested = {"gate_up_proj": f"{MLP_0}.base_layer", "down_proj": MLP_0}
    swapped = {"gate_up_proj": MLP_0, "down_proj": f"{MLP_0}.base_layer"}
    return {
        "one by one": named(each),
        "nested": named({nested[kind]: flat(*pair) for kind, pair in parts.items()}),
        "nested the other way": named({swapped[kind]: flat(*pair) for kind, pair in parts.items()}),
        "older": named({nested[kind]: turned(*pair) for kind, pair in parts.items()}),
        "three dimensions": named({f"{MLP_0}.{kind}": pair for kind, pair in parts.items()}),
    }


@pytest.mark.parametrize("layout", list(stacked_layouts()))
def test_experts_in_every_layout_are_the_same_change(tmp_path, layout):
    base = ModelWeights(base_model(True))
    layouts = stacked_layouts()
    expected = merged(base, folder_of(tmp_path / "first", layouts["one by one"]))
    found = merged(base, folder_of(tmp_path / "second", layouts[layout]))
    assert found.changed == expected.changed and len(found.changed) == 3 * EXPERTS
    for name in found.changed:
        torch.testing.assert_close(whole(found, name), whole(expected, name))


def test_a_whole_stack_of_experts_is_taken_apart(tmp_path):
    stack = torch.randn(EXPERTS, 2 * WIDTH, HIDDEN)
    tensors = {f"base_model.model.{MLP_0}.gate_up_proj": stack}
    both = merged(ModelWeights(base_model(True)), folder_of(tmp_path / "a", tensors, modules_to_save=["experts"]))
    assert torch.equal(whole(both, f"{MLP_0}.2.up_proj.weight"), stack[2, WIDTH:])
    assert len(both.changed) == 2 * EXPERTS


def test_several_adapters_add_up(tmp_path):
    folders = [folder_of(tmp_path / f"{seed}", factors(Q, ROWS, COLUMNS, seed=seed)) for seed in (0, 1)]
    base = ModelWeights(base_model(False))
    apart = [whole(merged(base, folder), NAME) - whole(base, NAME) for folder in folders]
    torch.testing.assert_close(whole(merged(base, folders), NAME), whole(base, NAME) + sum(apart), rtol=1e-5, atol=1e-5)


def test_a_merged_source_is_one_for_everything(tmp_path):
    """The torch model, the CPU kernels, and weights that are quantised again agree about it."""
    base = ModelWeights(base_model(False))
    both = merged(base, folder_of(tmp_path / "a", factors(Q, ROWS, COLUMNS)))
    model = model_of(both)
    torch.testing.assert_close(native_logits(NativeModel.from_source(both)), native_logits(NativeModel(model)))
    again = quantize(both, "int8")
    expected = quantize(model, "int8")
    assert all(torch.equal(again.matrices[name].data, expected.matrices[name].data) for name in expected.matrices)
    torch.testing.assert_close(whole(merged(base, tmp_path / "a", torch.bfloat16), NAME), whole(both, NAME).bfloat16())


def test_a_quantised_base_is_widened_only_where_it_changes(tmp_path):
    quantize(base_model(False), "int4").save(tmp_path / "int4")
    source = open_source(tmp_path / "int4")
    both = merged(source, folder_of(tmp_path / "a", factors(Q, ROWS, COLUMNS)))
    assert both.kinds.keys() == source.kinds.keys() - {NAME}
    torch.testing.assert_close(native_logits(NativeModel.from_source(both)), model_logits(both), rtol=0, atol=0.05)
    expected = model_of(source)
    expected.model.layers[1].self_attn.q_proj.weight.data = whole(both, NAME)
    torch.testing.assert_close(model_of(both)(IDS), expected(IDS))


@pytest.mark.parametrize("kind", ["int8", "int4", "Q8_0", "Q4_K_M"])
def test_over_a_quantised_base_merged_and_beside_agree(tmp_path, kind):
    """In float32, whatever the base's weights are rounded to."""
    if kind.startswith("int"):
        quantize(base_model(False), kind).save(tmp_path / "base")
        source = open_source(tmp_path / "base")
    else:
        write_gguf(base_model(False), tmp_path / "base.gguf", kind)
        source = open_source(tmp_path / "base.gguf")
    folder = random_adapter(tmp_path / "a", source.config, dora=kind == "int4")
    both = merged(source, folder)
    with torch.no_grad():
        beside = adapted(model_of(source), read_adapter(folder, source.config))(IDS)
        expected = model_of(both)(IDS)
    assert (beside - expected).abs().max() < 1e-5 * expected.abs().max()
    again = quantize(both, "int8")  # rounded once more, the CPU kernels and torch read the same
    assert torch.equal(unpack(again.matrices[NAME]), unpack(pack(whole(both, NAME), "int8")))


@pytest.mark.parametrize("bias", ["lora_only", "all"])
def test_biases_of_the_base_are_trained_too(tmp_path, bias):
    pytest.importorskip("peft", reason="peft is not installed")
    config = DENSE.replace(qk_norm=False, attention_bias=True)
    model = Transformer(config)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    save(model, tmp_path / "dense")
    made = make(tmp_path, target_modules=["q_proj", "down_proj"], r=4, bias=bias)
    both = merged(open_source(made.base), made.folder)
    beside = adapted(model.eval(), read_adapter(made.folder, config))
    with torch.no_grad():
        torch.testing.assert_close(model_of(both)(IDS), made.logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(beside(IDS), made.logits, rtol=1e-5, atol=1e-5)
    assert "model.layers.0.self_attn.q_proj.bias" in both.changed


def native_logits(model):
    model.allocate(8)
    ids = IDS[0].int()
    positions = torch.arange(len(ids), dtype=torch.int32)
    tables = torch.arange(2, dtype=torch.int32)[None]
    ends = torch.tensor([0, len(ids)], dtype=torch.int32)
    return model.forward(ids, positions, ends, ends[1:], tables, positions).clone()


@torch.no_grad()
def model_logits(source):
    return model_of(source)(IDS)[0]


def test_erasure_is_what_rounding_leaves_without_effect(tmp_path):
    base = ModelWeights(base_model(False))
    small = factors(Q, ROWS, COLUMNS)
    small = {name: tensor * (1e-4 if "_B" in name else 1) for name, tensor in small.items()}
    tiny = erasure(base, merged(base, folder_of(tmp_path / "small", small)))
    large = erasure(base, merged(base, folder_of(tmp_path / "large", factors(Q, ROWS, COLUMNS))))
    assert tiny.erased > 0.7 and tiny.noise > 1 and "beside the base" in str(tiny)
    assert large.erased < 0.05 and large.noise < 0.5 and large.changed == 1
    assert tiny.by_tensor.keys() == {NAME}
    exact = erasure(base, merged(base, tmp_path / "small"), "fp32", lambda name, rows: rows)
    assert exact.erased == 0 and exact.noise == 0


BAD = {
    "no such folder": (None, {}, "no such folder"),
    "unmatched": (
        factors("model.layers.7.self_attn.q_proj", ROWS, COLUMNS),
        {},
        r"no place for.*layers\.7.*another base",
    ),
    "unknown kind": ({"base_model.model.model.layers.0.hada_w1_a": torch.ones(2, 2)}, {}, "no place for.*hada_w1_a"),
    "experts of a dense base": (factors(MLP_0, 64, 32), {}, "no place for"),
    "another width": (factors(Q, ROWS, 2 * COLUMNS), {}, r"shape \[4, \d+\].*another base.*Qwen3-0.6B"),
    "another height": (factors(Q, 2 * ROWS, COLUMNS), {}, "shape.*another base"),
    "another rank": (factors(Q, ROWS, COLUMNS, rank=8), {}, "says rank 4"),
    "half a pair": (dict([*factors(Q, ROWS, COLUMNS).items()][:1]), {}, "has no lora_B"),
    "not named": (factors(Q, ROWS, COLUMNS), {"target_modules": ["k_proj"]}, "does not name.*q_proj"),
    "named, not there": (factors(Q, ROWS, COLUMNS), {"target_modules": ["q_proj"]}, "lacks, model.layers.0.*q_proj"),
    "another method": ({}, {"peft_type": "IA3"}, '"peft_type" is "IA3"'),
    "fan in": ({}, {"fan_in_fan_out": True}, "fan_in_fan_out"),
    "base changed": ({}, {"init_lora_weights": "pissa_niter_4"}, "init_lora_weights.*base that its training changed"),
    "not applied": ({}, {"alora_invocation_tokens": [1, 2]}, "alora_invocation_tokens.*does not apply"),
    "misspelt": ({}, {"use_rslorra": True}, 'did you mean "use_rslora"'),
    "rank": ({}, {"r": 0}, '"r" must be'),
    "alpha": ({}, {"lora_alpha": "8"}, '"lora_alpha" must be a number'),
    "pattern": ({}, {"rank_pattern": {"(": 4}}, "no regular expression"),
    "flag": ({}, {"use_dora": 1}, "true or false"),
    "layers": ({}, {"layers_to_transform": ["a"]}, "numbers of layers"),
    "no magnitude": (factors(Q, ROWS, COLUMNS), {"use_dora": True}, "has no lora_magnitude_vector"),
    "empty": ({}, {}, "holds no tensors"),
    "broken": ({k: t * torch.nan for k, t in factors(Q, ROWS, COLUMNS).items()}, {}, "NaN"),
    "integers": ({k: t.to(torch.int8) for k, t in factors(Q, ROWS, COLUMNS).items()}, {}, "torch.int8"),
    "not saved": ({"base_model.model.model.norm.weight": torch.ones(COLUMNS)}, {}, "modules_to_save.*does not name"),
    "more tokens": ({"base_model.model.lm_head.weight": torch.ones(99, COLUMNS)}, {}, "added tokens"),
    "another embedding": (
        {**factors(Q, ROWS, COLUMNS), "base_model.model.model.embed_tokens.base_layer.weight": torch.ones(96, COLUMNS)},
        {},
        'another base, "Qwen/Qwen3-0.6B": its copy',
    ),
}


@pytest.mark.parametrize("what", list(BAD))
def test_what_does_not_fit_is_one_clear_error(tmp_path, what):
    tensors, settings, told = BAD[what]
    folder = tmp_path / "a" if tensors is None else folder_of(tmp_path / "a", tensors, **settings)
    with pytest.raises(SansiError, match=told) as caught:
        merged(ModelWeights(base_model(False)), folder)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_an_adapter_say_what_to_do(tmp_path):
    base = ModelWeights(base_model(False))
    (tmp_path / "run").mkdir()
    folder = folder_of(tmp_path / "run" / "checkpoint-9", {})
    with pytest.raises(SansiError, match=r"did you mean.*checkpoint-9"):
        merged(base, folder.parent)
    (folder / "adapter_model.safetensors").write_bytes(b"version https://git-lfs")
    with pytest.raises(SansiError, match="damaged"):
        merged(base, folder)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(SansiError, match="a pickle, which Sansi does not open"):
        merged(base, folder)
    save(base_model(False), tmp_path / "model")
    with pytest.raises(SansiError, match="give that as the model"):
        merged(base, tmp_path / "model")


def test_an_untrained_adapter_changes_nothing_and_says_so(tmp_path, caplog):
    tensors = {name: tensor * ("_A" in name) for name, tensor in factors(Q, ROWS, COLUMNS).items()}
    assert merged(ModelWeights(base_model(False)), folder_of(tmp_path / "a", tensors)).changed == ()
    assert "changes nothing" in caplog.text
