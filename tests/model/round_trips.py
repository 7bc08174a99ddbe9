"""Every format that Sansi writes, who else reads it, and how far logits may be: `docs/deployment.md` shows the table.

A difference is that of a token's logits over their size (both as 2-norms), of the token in the middle: with experts,
one that lies between two of them may go to the other. The models are tiny, dense and of experts, and their random
weights five times the usual size, which tells formats apart far more strongly than trained weights do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SHAPE: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "head_dim": 64,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 256, "norm_topk_prob": True}
MODELS: dict[str, dict[str, Any]] = {"dense": {**SHAPE, "tie_word_embeddings": True}, "moe": {**SHAPE, **EXPERTS}}


@dataclass(frozen=True)
class RoundTrip:
    """A format, and the most that logits may differ."""

    name: str
    """As `--to` and `--kind` take it."""
    loss: float
    """From the full model's."""
    kernels: float
    """Of Sansi's CPU kernels from the file's own values: beside rounded weights they round activations to int8."""
    readers: tuple[str, ...]
    """That are not ours."""
    options: tuple[tuple[str, Any], ...] = ()
    """Of the writer of a folder."""

    @property
    def format(self) -> str:
        return self.name.split()[0]

    @property
    def kind(self) -> str:
        return self.name.partition(" ")[2]


GGUF = ("gguf-py", "llama.cpp")
TRIPS = (
    RoundTrip("hf fp32", 0.0, 1e-5, ("transformers",)),
    RoundTrip("hf bf16", 0.012, 1e-5, ("transformers",), (("dtype", "bfloat16"),)),
    RoundTrip("fp8", 0.15, 0.04, ("transformers",)),
    RoundTrip("awq int4", 0.5, 0.03, ("definition",)),
    RoundTrip("gptq int4", 0.4, 0.03, ("definition",), (("bits", 4),)),
    RoundTrip("gptq int8", 0.03, 0.03, ("definition",), (("bits", 8),)),
    RoundTrip("compressed-tensors int4", 0.55, 0.03, ("transformers",), (("scheme", "W4A16"),)),
    RoundTrip("compressed-tensors int8", 0.03, 0.03, ("transformers",), (("scheme", "W8A16"),)),
    RoundTrip("compressed-tensors fp8", 0.15, 0.04, ("transformers, activations too",), (("scheme", "FP8_DYNAMIC"),)),
    RoundTrip("mlx 4bit", 0.6, 0.03, ("MLX",), (("bits", 4), ("dtype", "float16"))),
    RoundTrip("mlx 8bit", 0.03, 0.03, ("MLX",), (("bits", 8), ("dtype", "float16"))),
    RoundTrip("gguf F16", 0.0015, 1e-5, GGUF),
    RoundTrip("gguf BF16", 0.01, 1e-5, GGUF),
    RoundTrip("gguf Q8_0", 0.03, 0.03, GGUF),
    RoundTrip("gguf Q6_K", 0.12, 0.03, GGUF),
    RoundTrip("gguf Q5_K_M", 0.22, 0.03, GGUF),
    RoundTrip("gguf Q4_K_M", 0.42, 0.03, GGUF),
    RoundTrip("gguf Q4_0", 0.45, 0.03, GGUF),
)

READERS: dict[str, tuple[float, str]] = {
    "transformers": (
        2e-5,
        "opens the folder; quantised weights it dequantises, compressed-tensors by the package of that name",
    ),
    "transformers, activations too": (0.15, "opens the folder, and rounds activations to float8 as the format asks"),
    "gguf-py": (2e-5, "names and values by it, logits by transformers"),
    "llama.cpp": (0.06, "the whole model; it rounds activations too; `make formats` fetches it"),
    "MLX": (2e-5, "values by its kernels on the CPU, logits by transformers"),
    "definition": (2e-5, "values by a few lines that follow the format's definition, logits by transformers"),
}
"""Most that a reader's logits may differ from Sansi's of the same file, and what it does."""


def table() -> str:
    """For docs/deployment.md."""
    lines = ["| format | loses at most | our CPU kernels | read by |", "| --- | --: | --: | --- |"]
    for trip in TRIPS:
        lines.append(f"| `{trip.name}` | {trip.loss:g} | {trip.kernels:g} | Sansi; {'; '.join(trip.readers)} |")
    lines += ["", "| reader | differs at most | what it does |", "| --- | --: | --- |"]
    lines += [f"| {name} | {bound:g} | {about} |" for name, (bound, about) in READERS.items()]
    return "\n".join(lines) + "\n"
