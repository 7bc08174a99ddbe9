"""GGUF files: written, opened, and the same model on both sides; checked against gguf-py where it has a word."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from sansi.base.errors import SansiError
from sansi.model import ModelBundle, load
from sansi.model.formats.gguf import blocks, folder_of, values
from sansi.model.formats.gguf.encoding import encode
from sansi.model.formats.gguf.file import GgufFile
from sansi.model.formats.gguf.recipe import MIXTURES, Recipe
from sansi.model.formats.gguf.rounding import round_rows, round_slowly
from sansi.model.formats.gguf.tokens import CUTS
from sansi.model.formats.gguf.write import write_gguf
from sansi.model.formats.importance import measure_importance
from sansi.model.formats.source import open_source
from sansi.model.formats.weights import ModelWeights
from sansi.model.kernels import PackedWeight, unpack
from sansi.model.native import NativeModel
from sansi.text import Tokenizer
from tiny_models import LLAMA3, YARN, random_ids, tiny_config, tiny_model

NANO = Path(__file__).resolve().parents[2] / "checkpoints" / "nano"
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True}
WIDE = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 2, "vocab_size": 64}
MODELS = {
    "tied": {"hidden_size": 64, "intermediate_size": 96, "tie_word_embeddings": True},
    "yarn": {"hidden_size": 64, "rope_scaling": YARN},
    "moe": {"hidden_size": 64, **EXPERTS},
    "llama": {"hidden_size": 64, "qk_norm": False, "rope_scaling": LLAMA3},
    "qwen2": {"hidden_size": 64, "qk_norm": False, "attention_bias": True},
    "odd": {"hidden_size": 48, "intermediate_size": 80},  # rows that are no multiple of 32
    "wide": {**WIDE},
    "wide-moe": {**WIDE, **EXPERTS, "moe_intermediate_size": 256},
}
BLOCKS = [kind for kind in blocks.TYPES.values() if kind not in values.PLAIN]
# Of the weights of a normal distribution, about what each type leaves of them.
ERRORS = {
    "Q4_0": 0.09,
    "Q4_1": 0.08,
    "Q5_0": 0.045,
    "Q5_1": 0.04,
    "Q8_0": 0.006,
    "Q4_K": 0.08,
    "Q5_K": 0.04,
    "Q6_K": 0.02,
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Folders of files go nowhere else; the kernels stay where they are built."""
    monkeypatch.setattr("sansi.model.formats.gguf.folder.gguf_cache", lambda: tmp_path / "cache")


def model(name: str):
    return tiny_model(tiny_config(**MODELS[name]))


def random_blocks(kind: blocks.BlockType, rows: int = 5, columns: int = 512) -> np.ndarray:
    """Any bytes are a block, but for scales that are not finite."""
    generator = np.random.default_rng(kind.number)
    data = generator.integers(0, 256, (rows, columns // kind.values, kind.nbytes), dtype=np.uint8)
    places = {"Q6_K": (208,), "Q4_0": (0,), "Q5_0": (0,), "Q8_0": (0,)}.get(kind.name, (0, 2))
    for at in places:
        halves = generator.normal(0, 0.1, (rows, columns // kind.values, 1)).astype(np.float16)
        data[..., at : at + 2] = halves.view(np.uint8)
    return data


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BLOCKS, ids=lambda kind: kind.name)
def test_blocks_are_read_as_gguf_py_reads_them(kind):
    gguf = pytest.importorskip("gguf", reason="gguf-py is not installed")
    data = random_blocks(kind)
    expected = gguf.quants.dequantize(data.reshape(len(data), -1), gguf.GGMLQuantizationType[kind.name])
    found = values.floats(bytearray(data.tobytes()), kind, len(data), 512)
    assert np.array_equal(found.numpy(), expected)


@pytest.mark.parametrize("kind", BLOCKS, ids=lambda kind: kind.name)
def test_blocks_are_written_as_they_are_read(kind):
    data = torch.from_numpy(random_blocks(kind))
    assert torch.equal(encode(values.parts(data, kind), kind), data.flatten(1))


@pytest.mark.parametrize("kind", BLOCKS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_rounding_by_cpp_and_by_torch_find_the_same(kind, weighted):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(19, 512, generator=generator) * 0.02
    rows[3], rows[4, :32] = 0.0, 1e-9
    importance = torch.randn(512, generator=generator).exp() if weighted else None
    fast, slow = round_rows(rows, kind, importance), round_slowly(rows, kind, importance)
    errors = []
    for found in (fast, slow):
        back = values.floats(bytearray(found.data.numpy().tobytes()), kind, *rows.shape)
        assert found.missed == pytest.approx((back - rows).double().square().sum().item(), rel=1e-4)
        errors.append(((back - rows).square() * (1 if importance is None else importance)).sum().item())
        assert (found.missed / found.total) ** 0.5 < ERRORS[kind.name] * (1.5 if weighted else 1)
    assert errors[0] == pytest.approx(errors[1], rel=0.01)


@pytest.mark.parametrize("name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_rounding_is_no_worse_than_that_of_gguf_py(name):
    gguf = pytest.importorskip("gguf", reason="gguf-py is not installed")
    generator = np.random.default_rng(0)
    shape = (32, 256)
    draws = (generator.normal(0, 0.02, shape), generator.uniform(-1, 1, shape), generator.standard_t(3, shape))
    for rows in draws:
        rows = rows.astype(np.float32)
        kind = gguf.GGMLQuantizationType[name]
        theirs = gguf.quants.dequantize(gguf.quants.quantize(rows, kind), kind)
        ours = round_rows(torch.from_numpy(rows), blocks.TYPES[name])
        assert ours.missed <= np.square(theirs.astype(np.float64) - rows).sum()


def test_importance_moves_the_error_to_where_it_does_not_matter():
    rows = torch.randn(16, 512, generator=torch.Generator().manual_seed(0))
    importance = torch.ones(512)
    importance[::7] = 100.0
    for kind in (blocks.Q4_0, blocks.Q4_K, blocks.Q6_K):
        plain, weighted = (
            (values.floats(bytearray(round_rows(rows, kind, w).data.numpy().tobytes()), kind, 16, 512) - rows).square()
            for w in (None, importance)
        )
        assert weighted[:, ::7].sum() < 0.8 * plain[:, ::7].sum()
        assert weighted.sum() > plain.sum()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_a_weight_that_no_block_can_hold_is_told(value, tmp_path):
    broken = model("tied")
    with torch.no_grad():
        broken.model.layers[1].mlp.up_proj.weight[3, 5] = value
    with pytest.raises(SansiError, match=r"layers.1.mlp.up_proj.*can not be rounded to Q8_0"):
        write_gguf(broken, tmp_path / "x.gguf", "Q8_0")
    assert not list(tmp_path.iterdir())


# ---- whole models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MIXTURES)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_survives_the_way_through_a_file(name, kind, tmp_path):
    full = model(name)
    written = write_gguf(full, tmp_path / f"{name}.gguf", kind)
    source = open_source(tmp_path / f"{name}.gguf")
    assert source.config.differences(full.config) == []
    assert source.format.name == f"gguf {kind}"
    assert source.format.bits == pytest.approx(written.bits)
    back = load(tmp_path / f"{name}.gguf", dtype="float32")
    ids = random_ids(full.config, 1, 12)
    with torch.no_grad():
        expected, found = full(ids), back(ids)
    error = ((expected - found).square().mean() / expected.square().mean()).sqrt().item()
    allowed = {"F32": 0.0, "F16": 2e-3, "BF16": 0.03, "Q8_0": 0.04, "Q6_K": 0.1}.get(kind, 0.4)
    if "moe" in name and kind not in ("F32", "F16"):  # a token between two experts may go to the other one
        allowed = 1.0
    assert error <= allowed, error
    table = {t.name: t for t in written.tensors}
    assert all(table[n].kind == stored.kind.name for n, stored in GgufFile(tmp_path / f"{name}.gguf").tensors.items())


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M", "Q5_0"])
@pytest.mark.parametrize("name", ["tied", "wide"])
def test_kernels_compute_with_the_values_of_the_file(name, kind, tmp_path):
    file = tmp_path / "model.gguf"
    write_gguf(model(name), file, kind)
    native, back = NativeModel.from_pretrained(file), load(file, dtype="float32")
    ids = random_ids(back.config, 1, 16)[0].to(torch.int32)
    steps = torch.arange(16, dtype=torch.int32)
    native.allocate(2)
    table = torch.zeros(1, 1, dtype=torch.int32)
    ends = torch.tensor([0, 16], dtype=torch.int32)
    found = native.forward(ids, steps, ends, torch.tensor([16], dtype=torch.int32), table, steps)
    with torch.no_grad():
        expected = back(ids[None].long())[0]
    error = ((expected - found).square().mean() / expected.square().mean()).sqrt().item()
    assert error < (0.03 if kind[0] == "Q" else 1e-3)  # activations are rounded to int8 beside rounded weights
    assert native.kind == (f"gguf {kind}" if open_source(file).kinds else None)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q5_0", "Q4_1", "Q5_1", "Q4_K_M", "Q5_K_M", "Q6_K"])
@pytest.mark.parametrize("name", ["wide", "moe"])
def test_what_kernels_take_as_it_is_has_the_values_of_the_file(name, kind, tmp_path):
    write_gguf(model(name), tmp_path / "model.gguf", kind)
    source = open_source(tmp_path / "model.gguf")
    kinds = {stored.kind.name for stored in source.file.tensors.values()}
    assert source.kinds or kinds.isdisjoint({"Q8_0", "Q4_0", "Q5_0"})
    attention = "model.layers.0.self_attn"
    for names in ([f"{attention}.q_proj.weight", f"{attention}.k_proj.weight"], *([n] for n in source.kinds)):
        if source.kinds.get(names[0]) is None or source.kinds[names[0]] != source.kinds.get(names[-1]):
            continue
        shapes = [source.shapes[n] for n in names]
        packed = PackedWeight.zeros(source.kinds[names[0]], sum(s[0] for s in shapes), shapes[0][1])
        source.fill(names, packed)
        expected = torch.cat([source.rows(n, 0, s[0]) for n, s in zip(names, shapes, strict=True)])
        assert torch.equal(unpack(packed), expected)


def test_a_file_can_be_rounded_again(tmp_path):
    write_gguf(model("tied"), tmp_path / "model.gguf", "F16")
    assert NativeModel.from_pretrained(tmp_path / "model.gguf", quantize="int8").kind == "int8"
    write_gguf(open_source(tmp_path / "model.gguf"), tmp_path / "small.gguf", "Q4_0")
    assert GgufFile(tmp_path / "small.gguf").kind == "Q4_0"


def test_a_file_in_parts_is_the_same_model(tmp_path):
    full = model("moe")
    whole = write_gguf(full, tmp_path / "whole.gguf", "Q8_0")
    parts = write_gguf(full, tmp_path / "parts.gguf", "Q8_0", split_bytes=60_000)
    assert len(parts.files) > 2
    assert parts.files[0].name == f"parts-00001-of-{len(parts.files):05}.gguf"
    assert [t.name for t in parts.tensors] == [t.name for t in whole.tensors]
    for file in parts.files[:2]:  # any of them stands for all
        source = open_source(file)
        for name, shape in source.shapes.items():
            assert torch.equal(source.rows(name, 0, shape[0]), open_source(whole.files[0]).rows(name, 0, shape[0]))
    parts.files[1].unlink()
    with pytest.raises(SansiError, match=rf"00002-of-0000{len(parts.files)}.gguf is not beside it"):
        open_source(parts.files[0])


def test_the_mixtures_give_each_tensor_its_type():
    config = tiny_config(**{**WIDE, "num_hidden_layers": 16}, tie_word_embeddings=True)
    recipe = Recipe.named("q4_k_m", config)
    kinds = [recipe.kind_of(f"blk.{layer}.attn_v.weight", (256, 256)).name for layer in range(16)]
    six = [layer for layer, kind in enumerate(kinds) if kind == "Q6_K"]
    assert six == [0, 1, 4, 7, 10, 13, 14, 15]
    assert [recipe.kind_of(f"blk.{layer}.ffn_down.weight", (256, 256)).name for layer in range(16)] == kinds
    assert recipe.kind_of("token_embd.weight", (64, 256)).name == "Q6_K"
    assert recipe.kind_of("blk.3.attn_norm.weight", (256,)).name == "F32"
    assert recipe.kind_of("blk.3.attn_q.weight", (256, 96)).name == "Q5_0"  # rows no multiple of 256
    assert recipe.kind_of("blk.3.attn_q.weight", (256, 80)).name == "F16"  # nor of 32
    assert Recipe.named("Q5_K_M", config).kind_of("blk.3.attn_q.weight", (256, 96)).name == "Q5_1"
    with pytest.raises(SansiError, match='unknown kind of GGUF file "Q4_K_X"; did you mean "Q4_K_M"'):
        Recipe.named("Q4_K_X", config)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"norm_topk_prob": False}, '"norm_topk_prob" is false'),
        ({"decoder_sparse_step": 2}, "layer 0 is dense among layers of experts"),
    ],
)
def test_models_that_gguf_has_no_words_for_are_refused(changes, told, tmp_path):
    with pytest.raises(SansiError, match=told):
        write_gguf(tiny_model(tiny_config(**{**MODELS["moe"], **changes})), tmp_path / "x.gguf", "Q8_0")


def test_nothing_is_replaced_unasked(tmp_path):
    file = tmp_path / "x.gguf"
    file.write_bytes(b"mine")
    with pytest.raises(SansiError, match="is there already"):
        write_gguf(model("tied"), file, "Q8_0")
    assert file.read_bytes() == b"mine"
    write_gguf(model("tied"), file, "Q8_0", overwrite=True)
    with pytest.raises(SansiError, match=r"let its name end in \.gguf"):
        write_gguf(model("tied"), tmp_path / "x.bin", "Q8_0")


# ---- tokenizer and sampling ------------------------------------------------------------------------------------------


def test_the_bundle_comes_back_from_a_file(tmp_path):
    bundle = ModelBundle.from_folder(NANO)
    full = load(NANO)
    write_gguf(full, tmp_path / "nano.gguf", "Q8_0", bundle)
    folder = folder_of(tmp_path / "nano.gguf")
    assert Tokenizer.from_pretrained(folder).hash == Tokenizer.from_pretrained(NANO).hash
    ours, theirs = (json.loads((f / "tokenizer_config.json").read_text()) for f in (folder, NANO))
    assert ours["chat_template"] == theirs["chat_template"]
    assert ours["eos_token"] == theirs["eos_token"]
    kept = json.loads((folder / "generation_config.json").read_text())
    assert kept == json.loads((NANO / "generation_config.json").read_text())
    metadata = GgufFile(tmp_path / "nano.gguf").metadata
    assert metadata["general.sampling.top_k"] == 20
    assert metadata["general.sampling.temp"] == pytest.approx(0.3)
    assert metadata["tokenizer.ggml.pre"] == "qwen2"
    assert metadata["general.license"] == "apache-2.0"


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize(("data", "told"), [(b'{"a": ', "not valid JSON"), (b"[]", "not a JSON object")])
def test_a_damaged_file_of_the_bundle_is_told(name, data, told, tmp_path):
    bundle = ModelBundle.from_folder(NANO).with_files({name: data})
    with pytest.raises(SansiError, match=f"^{name}: {told}"):
        write_gguf(load(NANO), tmp_path / "model.gguf", "Q8_0", bundle)


def with_metadata(file: Path, **changes):
    """The file with other entries of metadata; None removes one."""
    from sansi.model.formats.gguf.container import Planned, Typed, aligned, head

    read = GgufFile(file)
    entries = {**read.metadata, **{key.replace("__", "."): value for key, value in changes.items()}}
    kept = {key: value for key, value in entries.items() if value is not None}
    if "tokenizer.ggml.token_type" in kept:
        kept["tokenizer.ggml.token_type"] = Typed(kept["tokenizer.ggml.token_type"], "i")
    tensors = [Planned(t.name, t.kind, t.shape) for t in read.tensors.values()]
    data = []
    for stored in read.tensors.values():
        raw = bytes(read.read(stored, 0, stored.nbytes // stored.row_bytes))
        data.append(raw + bytes(aligned(len(raw)) - len(raw)))
    file.write_bytes(head(kept, tensors) + b"".join(data))
    return file


@pytest.fixture
def nano_file(tmp_path):
    file = tmp_path / "nano.gguf"
    write_gguf(load(NANO), file, "Q8_0", ModelBundle.from_folder(NANO))
    return file


def test_sampling_of_other_programs_files_is_taken_over(nano_file):
    with_metadata(nano_file, sansi__generation_config=None)
    kept = json.loads((folder_of(nano_file) / "generation_config.json").read_text())
    assert {**kept, "eos_token_id": set(kept["eos_token_id"])} == {
        "temperature": 0.3,
        "top_k": 20,
        "top_p": 0.95,
        "do_sample": True,
        "eos_token_id": {759, 761},
    }


@pytest.mark.parametrize("cut", CUTS)
def test_texts_are_cut_as_the_file_says(cut, nano_file):
    folder = folder_of(with_metadata(nano_file, tokenizer__ggml__pre=cut))
    tokenizer = Tokenizer.from_pretrained(folder)
    text = "Don't  count 12345 नमस्ते!!\n\n x"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    again = ModelBundle.from_folder(folder)
    from sansi.model.formats.gguf.tokens import tokenizer_metadata

    assert tokenizer_metadata(again.files, 768)["tokenizer.ggml.pre"] == cut


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tokenizer__ggml__pre": "qwen3"}, '"tokenizer.ggml.pre" is "qwen3"'),
        ({"tokenizer__ggml__pre": "tekken"}, '"tokenizer.ggml.pre" is "tekken"'),
        ({"tokenizer__ggml__pre": None}, '"tokenizer.ggml.pre" is missing'),
        ({"tokenizer__ggml__model": "llama"}, '"tokenizer.ggml.model" is "llama"'),
        ({"tokenizer__ggml__merges": ["ab"]}, '"ab" is no merge'),
        (
            {"general__architecture": "gemma3"},
            'architecture "gemma3"; those that run here: qwen3, qwen3moe, qwen2, llama',
        ),
        ({"general__type": "adapter"}, 'is no model but "adapter"'),
        ({"qwen3__block_count": None}, '"qwen3.block_count" is missing'),
        ({"qwen3__block_count": 4}, "not in the model: blk.4"),
        ({"qwen3__block_count": 6}, "missing: blk.5"),
        ({"qwen3__feed_forward_length": [3, 4, 5, 6, 7]}, "the same number in each of its layers"),
        ({"qwen3__embedding_length": 64}, "has shape"),
        ({"qwen3__attention__scale": 0.5}, '"qwen3.attention.scale" is 0.5'),
        ({"qwen3__expert_count": 4}, "of mixtures, only qwen3moe"),
        ({"qwen3__rope__dimension_count": 16}, '"qwen3.rope.dimension_count" is 16'),
        ({"qwen3__rope__scaling__type": "longrope", "qwen3__rope__scaling__factor": 4.0}, '"rope_type" is "longrope"'),
    ],
)
def test_what_a_file_can_not_be_opened_for_is_one_sentence(changes, told, nano_file):
    with pytest.raises(SansiError, match=told):
        open_source(with_metadata(nano_file, **changes))


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.1, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_told_so(share, nano_file):
    data = nano_file.read_bytes()
    nano_file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SansiError, match=r"(cut off|damaged|too few).*copy or download it again"):
        open_source(nano_file)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: b"GGML" + data[4:], "is no GGUF file: it begins with b'GGML'"),
        (lambda data: data[:4] + struct.pack("<I", 1) + data[8:], "GGUF of version 1"),
        (lambda data: data[:4] + struct.pack(">I", 3) + data[8:], "big-endian"),
        (lambda data: data[:16] + struct.pack("<Q", 2**40) + data[24:], "can not be"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\n" + bytes(100), "git lfs pull"),
        (lambda data: data.replace(b"attn_q.weight" + struct.pack("<IQQI", 2, 128, 128, 8),
                                   b"attn_q.weight" + struct.pack("<IQQI", 2, 128, 128, 10)), "stored as Q2_K"),
        (lambda data: data.replace(b"attn_q.weight" + struct.pack("<IQQI", 2, 128, 128, 8),
                                   b"attn_q.weight" + struct.pack("<IQQI", 2, 128, 128, 99)), "stored as number 99"),
    ],
)  # fmt: skip
def test_files_that_are_none_of_ours_are_told_so(change, told, nano_file):
    nano_file.write_bytes(change(nano_file.read_bytes()))
    with pytest.raises(SansiError, match=told):
        open_source(nano_file)


def test_any_damaged_byte_of_the_head_gives_a_sentence_or_a_model(nano_file):
    data, generator = nano_file.read_bytes(), np.random.default_rng(0)
    for at in generator.integers(0, 30_000, 60):
        broken = bytearray(data)
        broken[at] ^= 1 << int(generator.integers(8))
        nano_file.write_bytes(broken)
        try:
            open_source(nano_file)
        except SansiError as error:
            assert "\n" not in str(error)


def test_a_folder_is_made_once_and_anew_when_the_file_changes(nano_file):
    first = folder_of(nano_file)
    stamp = (first / "config.json").stat().st_mtime_ns
    assert folder_of(nano_file) == first
    assert (first / "config.json").stat().st_mtime_ns == stamp
    with_metadata(nano_file, general__name="another")
    second = folder_of(nano_file)
    assert second != first
    nano_file.unlink()
    with pytest.raises(SansiError, match="is no longer there"):
        open_source(second)


def test_a_folder_of_one_file_stands_for_it_and_of_several_tells_which(nano_file):
    folder = nano_file.parent / "models"
    folder.mkdir()
    nano_file.rename(folder / "nano-Q8_0.gguf")
    assert open_source(folder).format.name == "gguf Q8_0"
    write_gguf(open_source(folder), folder / "nano-Q4_K_M.gguf", "Q4_K_M")
    with pytest.raises(SansiError, match=r"holds 2 GGUF files \(Q4_K_M, Q8_0\); say which, e.g. .*models:Q4_K_M"):
        open_source(folder)


def test_files_of_one_kind_are_told_apart_by_their_names():
    from sansi.model.formats.gguf.choice import choose

    names = ["a-Q4_0.gguf", "b-Q4_0.gguf", "b-Q8_0.gguf", "x/c-F16-00001-of-00002.gguf"]
    for label, at in (("b-q4_0", 1), ("Q8_0", 2), ("f16", 3), ("a-Q4_0.gguf", 0)):
        assert choose(names, label, "here") == names[at]
    with pytest.raises(SansiError, match=r"holds 4 GGUF files \(F16, Q8_0, a-Q4_0, b-Q4_0\)"):
        choose(names, None, "here")
    with pytest.raises(SansiError, match='has no GGUF file "Q4_0"'):
        choose(names, "Q4_0", "here")


def test_an_interrupted_file_leaves_nothing(tmp_path):
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_gguf(model("tied"), tmp_path / "x.gguf", "Q8_0", progress=stop)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_before_the_work(tmp_path, monkeypatch):
    from sansi.model.formats.gguf import write

    monkeypatch.setattr(write.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(SansiError, match=r"and 10 B are free there; make room"):
        write_gguf(model("tied"), tmp_path / "x.gguf", "Q8_0")


# ---- where models are named ------------------------------------------------------------------------------------------


def test_a_file_is_a_model_wherever_one_is_named(nano_file):
    from sansi.chat import ChatModel
    from sansi.cli.models import find_local

    found = find_local(str(nano_file))
    assert (found.name, found.folder) == ("nano", str(folder_of(nano_file)))
    folder = nano_file.parent / "models"
    folder.mkdir()
    for kind in ("Q8_0", "Q4_0"):
        write_gguf(open_source(nano_file), folder / f"nano-{kind}.gguf", kind, ModelBundle.from_folder(NANO))
    assert find_local(f"{folder}:q4_0").name == "nano-Q4_0"
    with pytest.raises(SansiError, match=r'has no GGUF file "Q5_K_M".*there are: Q4_0, Q8_0'):
        find_local(f"{folder}:Q5_K_M")
    with ChatModel.from_pretrained(nano_file, device="cpu", max_batch=1) as chat:
        assert chat.name == "nano"
        assert "7" in chat.complete([{"role": "user", "content": "3+4?"}]).message.content


# ---- importance ------------------------------------------------------------------------------------------------------


def uneven(**overrides):
    """A model in which some inputs are a hundred times as large as others."""
    full = tiny_model(tiny_config(**{**WIDE, "intermediate_size": 64, **overrides}))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in full.named_parameters():
            if name.endswith("layernorm.weight") or name == "model.norm.weight":
                parameter.copy_(torch.randn(len(parameter), generator=generator).mul(1.5).exp())
    return full


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_K_M"])
def test_rounding_by_importance_keeps_the_outputs_nearer(kind, tmp_path):
    full = uneven()
    importance = measure_importance(full, [random_ids(full.config, 4, 64, seed=n) for n in range(4)])
    ids, errors = random_ids(full.config, 4, 64, seed=9), []
    for given in (None, importance):
        write_gguf(full, tmp_path / "x.gguf", kind, importance=given, overwrite=True)
        with torch.no_grad():
            errors.append((load(tmp_path / "x.gguf", dtype="float32")(ids) - full(ids)).square().mean().item())
    assert errors[1] < 0.8 * errors[0]


def test_importance_is_the_mean_square_of_what_comes_in():
    full = tiny_model(tiny_config(**MODELS["tied"]))
    ids = random_ids(full.config, 2, 16)
    seen = {}
    hook = full.model.layers[1].mlp.down_proj.register_forward_pre_hook(lambda module, given: seen.update(x=given[0]))
    with torch.no_grad():
        hidden = full.hidden(ids)
    hook.remove()
    found = measure_importance(full, [ids[:1], ids[1:]])
    assert found.tokens == 32
    assert set(found.inputs) == {n for n, shape in ModelWeights(full).shapes.items() if len(shape) == 2}
    name = "model.layers.1.mlp.down_proj.weight"
    torch.testing.assert_close(found.inputs[name], seen["x"].square().flatten(0, 1).mean(0), rtol=1e-4, atol=1e-6)
    head = found.inputs["model.embed_tokens.weight"]  # which is the LM head's too
    torch.testing.assert_close(head, hidden.square().flatten(0, 1).mean(0), rtol=1e-4, atol=1e-6)


def test_experts_without_tokens_lean_on_the_others_and_are_told(tmp_path):
    full = tiny_model(tiny_config(**MODELS["moe"]))
    with torch.no_grad():
        for layer in full.model.layers:
            layer.mlp.gate.weight[3] = 0.0
            layer.mlp.gate.weight[:3] = layer.mlp.gate.weight[:3].abs()  # of inputs above 0 the last comes last
            layer.post_attention_layernorm.weight.abs_()
            layer.mlp.gate.register_forward_pre_hook(lambda module, given: (given[0].abs(),))
    found = measure_importance(full, [random_ids(full.config, 2, 32)])
    assert set(found.unseen) == {f"model.layers.{n}.mlp.experts.3" for n in range(3)}
    assert sum(found.visits.values()) == 3 * 2 * 64
    starved = found.inputs["model.layers.0.mlp.experts.3.up_proj.weight"]
    others = torch.stack([found.inputs[f"model.layers.0.mlp.experts.{e}.up_proj.weight"] for e in range(3)])
    assert (starved > others.amin(0) - 1e-6).all() and (starved < others.amax(0) + 1e-6).all()
    write_gguf(full, tmp_path / "x.gguf", "Q4_0", importance=found)
    assert GgufFile(tmp_path / "x.gguf").metadata["sansi.importance.tokens"] == 64


def test_no_text_is_no_importance():
    with pytest.raises(SansiError, match="there is no text"):
        measure_importance(model("tied"), [])
