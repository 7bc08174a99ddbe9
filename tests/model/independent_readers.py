"""Readers of what we write that are not ours: each gives the weights of a file by their names on the hub, as float32.

gguf-py and MLX read with their own code; transformers dequantises FP8 and compressed-tensors. AWQ and GPTQ have no
reader that installs without a GPU, so theirs are a few lines by the definition of the format, in `foreign_formats.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from foreign_formats import read_awq, read_gptq, tensors_of
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

EXPERT = re.compile(r"\.experts\.(\d+)\.")


def described(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


@torch.no_grad()
def logits(model: Any, ids: Tensor) -> Tensor:
    return model(ids).logits.float()


def transformers_model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def computed(weights: Mapping[str, Tensor], config: Mapping[str, Any], ids: Tensor, scratch: Path) -> Tensor:
    """The logits [B, T, V] that transformers computes of these weights."""
    scratch.mkdir()
    plain = {key: value for key, value in config.items() if not key.startswith("quantization")}
    (scratch / "config.json").write_text(json.dumps({**plain, "torch_dtype": "float32"}))
    save_file({n: t.float().contiguous() for n, t in weights.items()}, scratch / "model.safetensors", {"format": "pt"})
    return logits(transformers_model(scratch), ids)


# ---- GGUF, by gguf-py ------------------------------------------------------------------------------------------------


def gguf_py(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and config.json; gguf-py knows what a tensor of the hub is called in a file."""
    import gguf

    reader = gguf.GGUFReader(file)
    say = {name: entry.contents() for name, entry in reader.fields.items() if name.partition(".")[0] != "tokenizer"}
    stored = {tensor.name: tensor for tensor in reader.tensors}
    arch = next(number for number, name in gguf.MODEL_ARCH_NAMES.items() if name == say["general.architecture"])
    config = _config(say, "output.weight" not in stored, stored["token_embd.weight"].shape[1])
    called = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    found = {}
    for name in _names_of(config):
        expert = EXPERT.search(name)
        theirs = called.get_name(EXPERT.sub(".experts.", name), try_suffixes=(".weight", ".bias"))
        tensor = stored[str(theirs)]
        values = torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())
        found[name] = values[int(expert[1])] if expert else values
    return found, config


def _config(say: Mapping[str, Any], tied: bool, vocab_size: int) -> dict[str, Any]:
    kind = say["general.architecture"]
    keys = {
        "hidden_size": "embedding_length",
        "num_hidden_layers": "block_count",
        "intermediate_size": "feed_forward_length",
        "num_attention_heads": "attention.head_count",
        "num_key_value_heads": "attention.head_count_kv",
        "head_dim": "attention.key_length",
        "rms_norm_eps": "attention.layer_norm_rms_epsilon",
        "rope_theta": "rope.freq_base",
        "max_position_embeddings": "context_length",
        "num_experts": "expert_count",
        "num_experts_per_tok": "expert_used_count",
        "moe_intermediate_size": "expert_feed_forward_length",
    }
    found = {ours: say[f"{kind}.{theirs}"] for ours, theirs in keys.items() if f"{kind}.{theirs}" in say}
    moe = {"norm_topk_prob": True} if "num_experts" in found else {}
    named = {"model_type": "qwen3_moe" if moe else "qwen3", "tie_word_embeddings": tied, "vocab_size": int(vocab_size)}
    return {**found, **moe, **named}


def _names_of(config: Mapping[str, Any]) -> list[str]:
    """The tensors of a model of Qwen3's design on the hub."""
    names = ["model.embed_tokens.weight", "model.norm.weight"]
    names += [] if config["tie_word_embeddings"] else ["lm_head.weight"]
    mlp = [f"mlp.{part}_proj" for part in ("gate", "up", "down")]
    if "num_experts" in config:
        experts = [f"mlp.experts.{i}" for i in range(config["num_experts"])]
        mlp = ["mlp.gate", *(f"{expert}.{part}_proj" for expert in experts for part in ("gate", "up", "down"))]
    parts = [*(f"self_attn.{part}" for part in ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm")), *mlp]
    parts += ["input_layernorm", "post_attention_layernorm"]
    return names + [f"model.layers.{i}.{part}.weight" for i in range(config["num_hidden_layers"]) for part in parts]


# ---- folders ---------------------------------------------------------------------------------------------------------


def mlx(folder: Path) -> dict[str, Tensor]:
    """By MLX's own kernels on the CPU."""
    import mlx.core as mx

    loaded = {n: a for file in sorted(folder.glob("*.safetensors")) for n, a in mx.load(str(file)).items()}
    config = described(folder)
    about = config.get("quantization") or config["quantization_config"]
    found = {}
    for name, array in loaded.items():
        stem = name.removesuffix(".weight")
        if name.endswith((".scales", ".biases")):
            continue
        if f"{stem}.scales" in loaded:
            own = about.get(stem) or about
            parts = (array, *(loaded[f"{stem}.{part}"].astype(mx.float32) for part in ("scales", "biases")))
            array = mx.dequantize(*parts, group_size=own["group_size"], bits=own["bits"])
        found[name] = torch.from_numpy(np.array(array.astype(mx.float32)))
    return unstacked(found)


def unstacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MLX's files hold the experts of a layer in one tensor."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if ".switch_mlp." not in name:
            found[name] = tensor
            continue
        found |= {name.replace(".switch_mlp.", f".experts.{i}."): expert for i, expert in enumerate(tensor)}
    return found


def awq(folder: Path) -> dict[str, Tensor]:
    return _of_words(folder, read_awq)


def gptq(folder: Path) -> dict[str, Tensor]:
    about = described(folder)["quantization_config"]
    version = 1 if about.get("checkpoint_format", "gptq") == "gptq" else 2
    return _of_words(folder, partial(read_gptq, bits=about["bits"], version=version))


def _of_words(folder: Path, read: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors_of(folder).items():
        stem, _, part = name.rpartition(".")
        if part in ("qweight", "qzeros", "scales", "g_idx"):
            parts.setdefault(stem, {})[part] = tensor
        else:
            found[name] = tensor
    return found | {f"{stem}.weight": read(tensors) for stem, tensors in parts.items()}
