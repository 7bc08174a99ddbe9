"""Our GGUF files in llama.cpp, and llama.cpp's files here: the same logits, tokens and types, and no larger error."""

import json

import numpy as np
import pytest
import torch
from sansi.model import ModelBundle, load
from sansi.model.formats.gguf import folder_of, values
from sansi.model.formats.gguf.file import GgufFile
from sansi.model.formats.gguf.recipe import Recipe
from sansi.model.formats.gguf.rounding import round_rows
from sansi.model.formats.gguf.tokens import CUTS
from sansi.model.formats.gguf.write import planned, write_gguf
from sansi.model.formats.weights import ModelWeights
from sansi.text import Tokenizer
from test_gguf import BLOCKS, EXPERTS, MODELS, NANO, model, with_metadata
from tiny_models import random_ids, tiny_config, tiny_model

import llama_cpp
from llama_cpp import needs_llama_cpp

pytestmark = needs_llama_cpp
# It rounds activations as well: to bfloat16, or to int8 in groups of 32 or, beside the K types, of 256.
ROUNDED = {"F16": 4e-3, "BF16": 0.03, "Q8_0": 0.03, "Q4_0": 0.03, "Q4_K_M": 0.06, "Q5_K_M": 0.06, "Q6_K": 0.06}
FILES = tuple(ROUNDED)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("sansi.model.formats.gguf.folder.gguf_cache", lambda: tmp_path / "cache")


def relative(expected: torch.Tensor, found: np.ndarray) -> float:
    """Root of the mean squared difference over that of the mean square."""
    return ((expected - torch.from_numpy(found)).square().mean() / expected.square().mean()).sqrt().item()


def both(file, ids):
    """Logits of one file, ours with its exact values and llama.cpp's."""
    with torch.no_grad():
        ours = load(file, dtype="float32")(ids)[0]
    with llama_cpp.Llama(file) as other:
        return ours, other.logits(ids[0].tolist())


@pytest.mark.parametrize("name", ["tied", "yarn", "moe", "llama", "qwen2", "wide", "wide-moe"])
def test_llama_cpp_computes_the_same_with_our_files(name, tmp_path):
    full = model(name)
    write_gguf(full, tmp_path / "model.gguf", "F32")
    ids = random_ids(full.config, 1, 24)
    ours, theirs = both(tmp_path / "model.gguf", ids)
    assert relative(ours, theirs) < 2e-3  # its keys and values are float16
    with torch.no_grad():
        assert torch.equal(ours, full(ids)[0])


@pytest.mark.parametrize("kind", FILES)
def test_llama_cpp_reads_every_kind_of_our_files(kind, tmp_path):
    write_gguf(model("wide"), tmp_path / "model.gguf", kind)
    ours, theirs = both(tmp_path / "model.gguf", random_ids(model("wide").config, 1, 24))
    assert relative(ours, theirs) < ROUNDED[kind]


@pytest.mark.parametrize("kind", FILES)
def test_we_read_every_kind_of_llama_cpps_files(kind, tmp_path):
    write_gguf(model("wide"), tmp_path / "full.gguf", "F32")
    llama_cpp.quantize(tmp_path / "full.gguf", tmp_path / "model.gguf", kind)
    ours, theirs = both(tmp_path / "model.gguf", random_ids(model("wide").config, 1, 24))
    assert relative(ours, theirs) < ROUNDED[kind]


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q5_0", "Q4_K_M", "Q5_K_M", "Q6_K"])
@pytest.mark.parametrize("experts", [0, 4, 8])
def test_tensors_have_the_types_that_llama_cpp_gives_them(kind, experts, tmp_path):
    shape = {"hidden_size": 256, "intermediate_size": 288, "num_hidden_layers": 9, "vocab_size": 64}
    moe = {**EXPERTS, "num_experts": experts, "moe_intermediate_size": 256} if experts else {}
    full = tiny_model(tiny_config(**shape, **moe, tie_word_embeddings=not experts))
    write_gguf(full, tmp_path / "full.gguf", "F32")
    llama_cpp.quantize(tmp_path / "full.gguf", tmp_path / "model.gguf", kind)
    theirs = {name: stored.kind.name for name, stored in GgufFile(tmp_path / "model.gguf").tensors.items()}
    ours = {t.name: t.kind.name for t in planned(ModelWeights(full), Recipe.named(kind, full.config))}
    assert ours == theirs


@pytest.mark.parametrize("kind", BLOCKS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_our_rounding_is_no_worse_than_llama_cpps(kind, weighted):
    generator = np.random.default_rng(0)
    importance = np.exp(generator.normal(0, 1.5, 256)).astype(np.float32) if weighted else None
    trained = load(NANO, dtype="float32").state_dict()
    drawn = {
        "normal": generator.normal(0, 0.02, (48, 256)),
        "heavy tails": generator.standard_t(3, (48, 256)),
        "uniform": generator.uniform(-1, 1, (48, 256)),
        "positive": generator.uniform(0, 1, (48, 256)),
        **{f"trained {n}": w.reshape(-1, 256) for n, w in trained.items() if w.dim() == 2 and "layers.2." in n},
    }
    weights = 1.0 if importance is None else importance.astype(np.float64)
    for name, rows in drawn.items():
        rows = np.asarray(rows, dtype=np.float32)
        theirs = llama_cpp.quantize_rows(rows, kind.number, kind.row_bytes(256), importance)
        given = None if importance is None else torch.from_numpy(importance)
        ours = round_rows(torch.from_numpy(rows), kind, given).data.numpy().tobytes()
        missed = [
            (
                weights * np.square(values.floats(bytearray(data), kind, *rows.shape).numpy().astype(np.float64) - rows)
            ).sum()
            for data in (ours, theirs)
        ]
        assert missed[0] <= missed[1], name


@pytest.mark.parametrize("cut", CUTS)
def test_texts_become_the_same_tokens(cut, tmp_path):
    file = tmp_path / "nano.gguf"
    write_gguf(load(NANO), file, "Q8_0", ModelBundle.from_folder(NANO))
    with_metadata(file, tokenizer__ggml__pre=cut)
    tokenizer = Tokenizer.from_pretrained(folder_of(file))
    texts = [
        "Don't stop",
        "  two  spaces ",
        "x = 12345 + 6.7",
        "line\n\n  next\r\n\tend ",
        "naïve café 数学 नमस्ते",
        "!!! ?\n",
    ]
    with llama_cpp.Llama(file) as other:
        for text in texts:
            assert tokenizer.encode(text) == other.tokenize(text), text
        control = "<|im_start|>user\nhi<|im_end|>\n<think>"
        assert tokenizer.encode_parts(tokenizer.split_added(control)) == other.tokenize(control, special=True)
        ends = [token for token in range(other.vocab_size) if other.ends(token)]
        assert set(ends) >= {759, 761}


def test_a_file_in_parts_loads_in_llama_cpp(tmp_path):
    written = write_gguf(model("moe"), tmp_path / "moe.gguf", "Q8_0", split_bytes=60_000)
    assert len(written.files) > 1
    ours, theirs = both(written.files[0], random_ids(tiny_config(**MODELS["moe"]), 1, 8))
    assert relative(ours, theirs) < 0.2


def test_the_template_reaches_llama_cpp(tmp_path):
    write_gguf(load(NANO), tmp_path / "nano.gguf", "Q8_0", ModelBundle.from_folder(NANO))
    with llama_cpp.Llama(tmp_path / "nano.gguf") as other:
        assert other.template == json.loads((NANO / "tokenizer_config.json").read_text())["chat_template"]
