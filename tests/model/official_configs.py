"""config.json of the published Qwen3 models, as the hub has them; what most of them share is in `_SHARED`."""

from __future__ import annotations

from typing import Any

_SHARED: dict[str, Any] = {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "head_dim": 128,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "max_position_embeddings": 40960,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.51.0",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
_MOE: dict[str, Any] = {
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "norm_topk_prob": True,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "output_router_logits": False,
    "router_aux_loss_coef": 0.001,
}


def _dense(hidden: int, width: int, layers: int, heads: int, **changes: Any) -> dict[str, Any]:
    shape = {
        "hidden_size": hidden,
        "intermediate_size": width,
        "num_hidden_layers": layers,
        "max_window_layers": layers,
    }
    heads_of = {"num_attention_heads": heads, "num_key_value_heads": 8}
    kind = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}
    return {**_SHARED, **kind, **shape, **heads_of, **changes}


def _moe(hidden: int, width: int, layers: int, heads: int, expert: int, **changes: Any) -> dict[str, Any]:
    kind = {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe"}
    experts = {"moe_intermediate_size": expert, "num_key_value_heads": 4}
    return {**_dense(hidden, width, layers, heads), **_MOE, **kind, **experts, **changes}


_LLAMA_3: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 128000,
    "eos_token_id": [128001, 128008, 128009],
    "head_dim": 64,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "initializer_range": 0.02,
    "intermediate_size": 8192,
    "max_position_embeddings": 131072,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 16,
    "num_key_value_heads": 8,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.45.0.dev0",
    "use_cache": True,
    "vocab_size": 128256,
}
_SMOL: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 576,
    "initializer_range": 0.041666666666666664,
    "intermediate_size": 1536,
    "is_llama_config": True,
    "max_position_embeddings": 8192,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "pad_token_id": 2,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_interleaved": False,
    "rope_scaling": None,
    "rope_theta": 100000,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16", "fp16": "float16"}},
    "transformers_version": "4.42.3",
    "use_cache": True,
    "vocab_size": 49152,
}
_QWEN_2: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "hidden_act": "silu",
    "hidden_size": 3584,
    "initializer_range": 0.02,
    "intermediate_size": 18944,
    "max_position_embeddings": 32768,
    "max_window_layers": 28,
    "model_type": "qwen2",
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.1",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 152064,
}
_BASE = {"max_position_embeddings": 32768, "eos_token_id": 151643}
_LONG = {"max_position_embeddings": 262144, "rope_theta": 5000000}
_LONGER = {"max_position_embeddings": 262144, "rope_theta": 10000000}
_CODER = {
    **_LONGER,
    "qkv_bias": False,
    "use_qk_norm": True,
    "shared_expert_intermediate_size": 0,
    "router_aux_loss_coef": 0.0,
    "rope_scaling": None,
}
_TIED = {"tie_word_embeddings": True}
_RERANKER = {**_TIED, "vocab_size": 151669}
_R1_ROPE = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32768,
    "attn_factor": 0.8782488562869419,
}

OFFICIAL: dict[str, dict[str, Any]] = {
    "Qwen3-0.6B": _dense(1024, 3072, 28, 16, **_TIED),
    "Qwen3-0.6B-Base": _dense(1024, 3072, 28, 16, **_TIED, **_BASE),
    "Qwen3-1.7B": _dense(2048, 6144, 28, 16, **_TIED),
    "Qwen3-1.7B-Base": _dense(2048, 6144, 28, 16, **_TIED, **_BASE),
    "Qwen3-4B": _dense(2560, 9728, 36, 32, **_TIED),
    "Qwen3-4B-Base": _dense(2560, 9728, 36, 32, **_TIED, **_BASE),
    "Qwen3-4B-Instruct-2507": _dense(2560, 9728, 36, 32, **_TIED, **_LONG),
    "Qwen3-4B-Thinking-2507": _dense(2560, 9728, 36, 32, **_TIED, **_LONG),
    "Qwen3-8B": _dense(4096, 12288, 36, 32),
    "Qwen3-8B-Base": _dense(4096, 12288, 36, 32, **_BASE),
    "Qwen3-14B": _dense(5120, 17408, 40, 40),
    "Qwen3-14B-Base": _dense(5120, 17408, 40, 40, **_BASE),
    "Qwen3-32B": _dense(5120, 25600, 64, 64),
    "Qwen3-30B-A3B": _moe(2048, 6144, 48, 32, 768),
    "Qwen3-30B-A3B-Base": _moe(2048, 6144, 48, 32, 768, **_BASE),
    "Qwen3-30B-A3B-Instruct-2507": _moe(2048, 6144, 48, 32, 768, **_LONGER),
    "Qwen3-30B-A3B-Thinking-2507": _moe(2048, 6144, 48, 32, 768, **_LONGER),
    "Qwen3-235B-A22B": _moe(4096, 12288, 94, 64, 1536),
    "Qwen3-235B-A22B-Instruct-2507": _moe(4096, 12288, 94, 64, 1536, **_LONG),
    "Qwen3-235B-A22B-Thinking-2507": _moe(4096, 12288, 94, 64, 1536, **_LONG),
    "Qwen3-Coder-30B-A3B-Instruct": _moe(2048, 5472, 48, 32, 768, **_CODER, max_window_layers=28),
    "Qwen3-Coder-480B-A35B-Instruct": _moe(
        6144, 8192, 62, 96, 2560, **_CODER, num_experts=160, num_key_value_heads=8, max_window_layers=62
    ),
    "Qwen3-Embedding-0.6B": _dense(1024, 3072, 28, 16, **_RERANKER, **_BASE),
    "Qwen3-Embedding-4B": _dense(2560, 9728, 36, 32, **_TIED, vocab_size=151665, eos_token_id=151643),
    "Qwen3-Embedding-8B": _dense(4096, 12288, 36, 32, vocab_size=151665, eos_token_id=151643),
    "Qwen3-Reranker-0.6B": _dense(1024, 3072, 28, 16, **_RERANKER),
    "Qwen3-Reranker-4B": _dense(2560, 9728, 36, 32, **_TIED, vocab_size=151669),
    "Qwen3-Reranker-8B": _dense(4096, 12288, 36, 32, vocab_size=151669),
    "Qwen3Guard-Gen-8B": _dense(4096, 12288, 36, 32, max_position_embeddings=32768),
    "DeepSeek-R1-0528-Qwen3-8B": _dense(4096, 12288, 36, 32, max_position_embeddings=131072, rope_scaling=_R1_ROPE),
    # As transformers 5 writes them: another spelling of RoPE and dtype, and what it spells out.
    "Qwen3-8B of transformers 5": {
        **{
            key: value for key, value in _dense(4096, 12288, 36, 32).items() if key not in ("rope_theta", "torch_dtype")
        },
        "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"},
        "layer_types": ["full_attention"] * 36,
        "dtype": "bfloat16",
        "pad_token_id": None,
        "transformers_version": "5.0.0",
    },
    "Llama-3.2-1B-Instruct": _LLAMA_3,
    "SmolLM2-135M-Instruct": _SMOL,
    "Qwen2.5-7B-Instruct": _QWEN_2,
    # As its card tells to change it for long texts.
    "Qwen3-8B with YaRN": _dense(
        4096,
        12288,
        36,
        32,
        rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
    ),
}

_FP8 = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}
_AWQ = {"bits": 4, "group_size": 128, "modules_to_not_convert": None, "quant_method": "awq", "version": "gemm"}
_GPTQ = {"bits": 4, "checkpoint_format": "gptq", "desc_act": False, "group_size": 128, "quant_method": "gptq"}
_COMPRESSED = {"config_groups": {}, "format": "pack-quantized", "quant_method": "compressed-tensors"}
_NEXT = {"linear_num_key_heads": 16, "full_attention_interval": 4, "partial_rotary_factor": 0.25}

# What is not ours, and what the one sentence says.
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "Qwen3-8B-FP8": (_dense(4096, 12288, 36, 32, quantization_config=_FP8), r"quantised \(fp8\)"),
    "Qwen3-8B-AWQ": (_dense(4096, 12288, 36, 32, quantization_config=_AWQ), r"quantised \(awq\)"),
    "Qwen3-30B-A3B-GPTQ-Int4": (_moe(2048, 6144, 48, 32, 768, quantization_config=_GPTQ), r"quantised \(gptq\)"),
    "compressed": (_dense(4096, 12288, 36, 32, compression_config=_COMPRESSED), r"quantised \(compressed-tensors\)"),
    "Qwen3-8B-MLX-4bit": (
        _dense(4096, 12288, 36, 32, quantization={"group_size": 64, "bits": 4}),
        r"quantised \(mlx\)",
    ),
    "Mistral": ({"model_type": "mistral", "sliding_window": None}, "take a Qwen3, such as"),
    "Llama with all biases": ({**_LLAMA_3, "attention_bias": True}, '"attention_bias" is true'),
    "Qwen3-Next": ({**_moe(2048, 5120, 48, 16, 512), **_NEXT, "model_type": "qwen3_next"}, "in spite of its name"),
    "Qwen3-VL": ({"model_type": "qwen3_vl", "text_config": {}, "vision_config": {}}, "in spite of its name"),
    "Qwen3-Omni": ({"model_type": "qwen3_omni_moe"}, "in spite of its name"),
    "Qwen3.5": ({"model_type": "qwen3_5_moe"}, "in spite of its name"),
    "nothing": ({"architectures": ["Qwen3ForCausalLM"]}, '"model_type" is missing'),
    "a number": ({"model_type": 3}, '"model_type" is 3'),
    "capitals": ({"model_type": "Qwen3-MoE"}, 'write "qwen3_moe"'),
    "reward model": (
        {**_dense(4096, 12288, 36, 32), "architectures": ["Qwen3ForSequenceClassification"]},
        "another head",
    ),
    "draft model": ({**_dense(64, 96, 2, 4), "architectures": ["DFlashDraftModel"]}, "another head or layers"),
    "1M tokens": (
        _moe(2048, 6144, 48, 32, 768, dual_chunk_attention_config={"chunk_size": 262144, "local_size": 8192}),
        r"config\.json as it was published has none",
    ),
    "windows": (
        _dense(4096, 12288, 36, 32, use_sliding_window=True, sliding_window=4096, max_window_layers=28),
        "windows of attention",
    ),
    "dynamic": (_dense(4096, 12288, 36, 32, rope_scaling={"type": "dynamic", "factor": 2.0}), "not implemented"),
    "no factor": (
        _dense(4096, 12288, 36, 32, rope_scaling={"type": "yarn", "original_max_position_embeddings": 10240}),
        '"factor" is missing.*40,960 positions of 10,240 are a factor of 4',
    ),
    "strange": ({**_dense(4096, 12288, 36, 32), **{f"zz_{n}_zz": n for n in range(40)}}, '"zz_4_zz" and 35 more'),
}
