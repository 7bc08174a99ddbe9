"""What `bench/engine.py` asks of every contender, how an answer becomes a figure, and the most that physics allows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sansi.model import ModelConfig

Metric = Literal["prefill", "decode", "output", "milliseconds", "seconds", "megabytes"]
UNITS = {"prefill": "tok/s", "decode": "tok/s", "output": "tok/s", "milliseconds": "ms", "seconds": "s"}
UNITS["megabytes"] = "MB"


@dataclass(frozen=True)
class Case:
    """Requests that are all there at the start; greedy, ids in and ids out, exactly `new_tokens` each."""

    name: str
    title: str
    metric: Metric
    requests: int = 1
    prompt: int = 16
    """Tokens of each prompt, the shared prefix included."""
    new_tokens: int = 1
    prefix: int = 0
    """Tokens that all prompts begin with."""
    spread: bool = False
    """Lengths of the common bench: both lengths uniform from 100/1024 of the given ones up."""
    stream: bool = True
    tune_as: str | None = None
    """Take the contender's variant that was the fastest in this other case; None: try all here, first."""

    @property
    def unit(self) -> str:
        return UNITS[self.metric]

    @property
    def less_is_better(self) -> bool:
        return self.metric in ("milliseconds", "seconds", "megabytes")

    def scaled(self, factor: float) -> Case:
        """For rehearsals: shorter prompts and answers, fewer requests. The case itself for 1."""
        return (
            self
            if factor == 1
            else replace(
                self,
                prompt=max(8, int(self.prompt * factor)),
                prefix=int(self.prefix * factor),
                new_tokens=1 if self.new_tokens == 1 else max(4, int(self.new_tokens * factor)),
                requests=min(self.requests, 4),
            )
        )

    def make(self, round_: int, vocab_size: int) -> dict[str, Any]:
        """The same prompts for every contender, other ones in each round, so that no cache of prefixes helps."""
        rng = random.Random(f"{self.name} {round_}")
        top = min(vocab_size, 100_000) - 16
        shared = [rng.randrange(top) for _ in range(self.prefix)]
        lengths = [self._length(rng, self.prompt) - self.prefix for _ in range(self.requests)]
        prompts = [shared + [rng.randrange(top) for _ in range(length)] for length in lengths]
        new_tokens = [self._length(rng, self.new_tokens) for _ in range(self.requests)]
        return {"prompts": prompts, "new_tokens": new_tokens, "stream": self.stream}

    def _length(self, rng: random.Random, most: int) -> int:
        return rng.randint(max(1, most * 100 // 1024), most) if self.spread else most


CASES = (
    Case("check", "first 16 tokens", "output", prompt=64, new_tokens=16),
    Case("prefill_512", "prefill 512", "prefill", prompt=512),
    Case("decode_b1", "decode, batch 1", "decode", new_tokens=65),
    Case("decode_b8", "decode, batch 8", "decode", requests=8, new_tokens=49),
    Case("decode_b16", "decode, batch 16", "decode", requests=16, new_tokens=49),
    Case("first_token", "time to first token, 128-token prompt", "milliseconds", prompt=128),
    Case("prefill_4096", "prefill 4,096", "prefill", prompt=4096, tune_as="prefill_512"),
    Case(
        "shared",
        "16 questions on a shared 1,000-token prefix, 64 tokens each, end to end",
        "seconds",
        requests=16,
        prompt=1024,
        prefix=1000,
        new_tokens=64,
        tune_as="decode_b16",
    ),
    Case(
        "common",
        "the common bench ÷ 8 (32 requests, 12–128 tokens in and out), output",
        "output",
        requests=32,
        prompt=128,
        new_tokens=128,
        spread=True,
        tune_as="decode_b16",
    ),
    # Peak of a fresh process: a context of 4,096, a prompt of 512, 64 new tokens.
    Case("memory", "peak memory", "megabytes", prompt=512, new_tokens=64, tune_as="decode_b1"),
)
NANO_CASES = (
    Case("check", "first 16 tokens", "output", prompt=64, new_tokens=16),
    Case("nano_b1", "nano, batch 1", "output", prompt=8, new_tokens=400, stream=False),
    Case("nano_b32", "nano, batch 32", "output", requests=32, prompt=8, new_tokens=400, stream=False),
)


def figure(case: Case, asked: Mapping[str, Any], times: Sequence[Sequence[float]]) -> float:
    """The case's figure from the seconds at which each request's tokens came."""
    first = max(tokens[0] for tokens in times)
    end = max(tokens[-1] for tokens in times)
    if case.metric == "prefill":
        return sum(map(len, asked["prompts"])) / first
    if case.metric == "milliseconds":
        return first * 1000
    if case.metric == "seconds":
        return end
    if case.metric == "output":
        return sum(asked["new_tokens"]) / end
    # Tokens that came after every request had its first: nothing of the prefill is in it.
    return sum(at > first for tokens in times for at in tokens) / (end - first)


def common_bench(requests: int = 256, longest: int = 1024) -> dict[str, Any]:
    """The bench that small engines publish: random ids, both lengths uniform from 100 to 1,024, Python's seed 0.

    With the default sizes 142,827 tokens go in and 133,966 come out.
    """
    rng, least = random.Random(0), longest * 100 // 1024
    prompts = [[rng.randint(0, 10_000) for _ in range(rng.randint(least, longest))] for _ in range(requests)]
    return {"prompts": prompts, "new_tokens": [rng.randint(least, longest) for _ in range(requests)]}


def limit(
    metric: Metric,
    asked: Mapping[str, Any],
    config: ModelConfig,
    weight_bytes: int,
    rates: Mapping[str, float],
    prefix: int = 0,
) -> float:
    """What the machine's memory and arithmetic allow at best, in the metric's unit.

    A step reads the weights it needs once, and the keys and values (16 bits) of every context; a token costs two
    operations a weight, and attention in the prompt; a shared prefix counts once. The rates are of the same run: the
    fastest product measured (8-bit products could be twice as fast), and the fastest read.
    """
    lengths, new = [len(p) for p in asked["prompts"]], asked["new_tokens"]
    flops = sum(_prefill_flops(config, n - prefix, prefix) for n in lengths)
    flops += _prefill_flops(config, prefix, 0)
    rate, bandwidth = max(v for k, v in rates.items() if k.endswith("_gflops")) * 1e9, rates["read_gbs"] * 1e9
    prefill = flops / rate
    prefill = max(prefill, weight_bytes * _read_share(config, sum(lengths)) / bandwidth)
    decode = 0.0
    for step in range(1, max(new)):
        contexts = [n + step for n, count in zip(lengths, new, strict=True) if count > step]
        read = weight_bytes * _read_share(config, len(contexts)) + sum(contexts) * _kv_bytes(config)
        decode += max(read / bandwidth, 2 * config.num_active_parameters() * len(contexts) / rate)
    if metric == "prefill":
        return sum(lengths) / prefill
    if metric == "milliseconds":
        return prefill * 1000
    if metric == "seconds":
        return prefill + decode
    if metric == "megabytes":
        return (weight_bytes + 4096 * _kv_bytes(config)) / 1e6
    if metric == "output":
        return sum(new) / (prefill + decode)
    return sum(n - 1 for n in new) / decode


def _prefill_flops(config: ModelConfig, tokens: int, before: int) -> float:
    layers, width = config.num_hidden_layers, config.num_attention_heads * config.head_dim
    attended = tokens * before + tokens * tokens / 2
    return 2 * config.num_active_parameters(embedding=False) * tokens + 4 * layers * width * attended


def _kv_bytes(config: ModelConfig) -> int:
    return 2 * 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim


def _read_share(config: ModelConfig, tokens: int) -> float:
    """Share of the weights that a step over so many tokens reads: of the experts, those that some token visits."""
    if not config.is_moe:
        return 1.0
    total = config.num_parameters()
    resident = config.replace(num_experts_per_tok=1).num_active_parameters()
    one = (config.num_active_parameters() - resident) / max(1, config.num_experts_per_tok - 1)
    visited = config.num_experts * (1 - (1 - config.num_experts_per_tok / config.num_experts) ** tokens)
    return (resident + (visited - 1) * one) / total
