"""How fast a run is: tokens per second, and of a processor whose peak is known the share of it that is used (MFU)."""

from __future__ import annotations

import time

import torch

from sansi.model import ModelConfig

PEAK_BFLOAT16 = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H800": 989e12,
    "H20": 148e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "L4": 121e12,
}
"""Dense bfloat16 operations per second, of the vendors' data sheets; the first name that the device's holds counts."""


def flops_per_token(config: ModelConfig, sequence_length: int) -> float:
    """Of forward and backward (Chowdhery et al. 2022, "PaLM", appendix B, with causal attention counted by half).

    Every active parameter but the embedding table is multiplied once forward and twice backward. Documents shorter than
    the row have less attention than this.
    """
    head = config.vocab_size * config.hidden_size
    attention = config.num_hidden_layers * config.num_attention_heads * config.head_dim * sequence_length
    return 6.0 * (config.num_active_parameters(embedding=False) + head) + 6.0 * attention


def peak_flops(device: torch.device, dtype: torch.dtype) -> float | None:
    """Operations per second that the device could do; None where nobody has written it down."""
    if device.type != "cuda" or dtype != torch.bfloat16:
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for known, peak in PEAK_BFLOAT16.items() if known in name), None)


class Throughput:
    """Counts the tokens of a process since it was made; `ranks` devices share the work."""

    def __init__(self, config: ModelConfig, device: torch.device, dtype: torch.dtype, ranks: int = 1):
        self._config, self._peak, self._ranks = config, peak_flops(device, dtype), ranks
        self._started, self._tokens, self._flops = time.perf_counter(), 0, 0.0

    def add(self, tokens: int, sequence_length: int) -> None:
        self._tokens += tokens
        self._flops += tokens * flops_per_token(self._config, sequence_length)

    @property
    def tokens_per_second(self) -> float:
        return self._tokens / max(time.perf_counter() - self._started, 1e-9)

    def metrics(self) -> dict[str, float]:
        """`tokens_per_second`, and `mfu` where the peak is known."""
        rate = {"tokens_per_second": float(round(self.tokens_per_second))}
        if self._peak:
            seconds = max(time.perf_counter() - self._started, 1e-9)
            rate["mfu"] = round(self._flops / seconds / (self._peak * self._ranks), 4)
        return rate
