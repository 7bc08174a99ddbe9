"""How the memory of a device is shared between weights, cache and activations: planned before anything is loaded."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from sansi.base.device import DeviceLike, DtypeLike, resolve_device, resolve_dtype
from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.base.sizes import size_text
from sansi.engine.batch import BLOCK
from sansi.engine.blocks import blocks_for
from sansi.model import ModelConfig
from sansi.model.formats.files import stored_bytes
from sansi.model.formats.folders import described_in, model_folder, read_config
from sansi.model.formats.quantized import stored_kinds
from sansi.model.formats.source import open_source

CPU_SHARE = 0.6  # of the free memory, for everything: other programs live here too
GPU_SHARE = 0.9
CPU_POSITIONS = 4096  # positions per request that the cache is sized for on a CPU, where memory is not ours alone
WEIGHT_BITS = {"int8": 8.5, "int4": 4.5}  # groups of 32 with a float16 scale
STEP_TOKENS = {"cpu": 512, "cuda": 8192}  # what one step reads: more is faster in all, but those who decode wait for it
SCORED_ELEMENTS = 2**23  # logits of a step beside those that give the next tokens: 32 MiB
SAMPLER_COPIES = 8  # of the logits, at most: themselves, sorted with 8 bytes of order, cumulated, counts of penalties


@dataclass(frozen=True)
class MemoryPlan:
    """What goes where. Sizes in bytes."""

    device: str
    weights: int
    block_bytes: int
    """Keys and values of one block of 16 positions."""
    num_blocks: int
    activations: int
    """Largest intermediate results of one step, estimated."""
    budget: int
    """All that the engine may use."""
    free: int
    """What the device had free, the weights of this model counted as free."""
    max_batch: int
    context_length: int
    asked_context: int
    """What was asked for; more than `context_length` where the cache could not hold one such request."""

    @property
    def cache(self) -> int:
        return self.num_blocks * self.block_bytes

    @property
    def positions(self) -> int:
        """Tokens that the cache holds."""
        return self.num_blocks * BLOCK

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.activations

    def __str__(self) -> str:
        per_token = self.block_bytes / BLOCK
        rows = [
            ("weights", self.weights, ""),
            ("KV cache", self.cache, f"{self.num_blocks:,} blocks of {BLOCK} tokens, {size_text(per_token)} a token"),
            ("activations", self.activations, "estimated, largest step"),
            ("total", self.total, f"of {size_text(self.budget)} allowed; {size_text(self.free)} free on {self.device}"),
        ]
        lines = [f"  {name:<12}{size_text(size):>10}  {note}".rstrip() for name, size, note in rows]
        fits = f"{self.positions / self.context_length:.1f} requests of the full {self.context_length:,}"
        lines.append(f"  {'requests':<12}{self.max_batch:>10}  at once at most; the cache holds {fits} tokens")
        if self.context_length < self.asked_context:
            lines.append(
                f"  context cut from {self.asked_context:,} to {self.context_length:,} tokens: more does not fit"
            )
        return "\n".join(["memory plan", *lines])


@dataclass(frozen=True)
class Sizes:
    """What one model needs on a backend."""

    weights: int
    block_bytes: int
    activations: int


def sizes_of(config: ModelConfig, dtype: torch.dtype, quantize: str | None, step_tokens: int, rows: int) -> Sizes:
    """From the configuration alone. step_tokens: tokens of the largest step; rows: rows of logits in it."""
    element = torch.empty(0, dtype=dtype).element_size()
    cache_element = 2 if quantize else element  # keys and values are float16 beside quantised weights
    block = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * BLOCK * cache_element
    return Sizes(weight_bytes(config, quantize, element), block, activations_of(config, step_tokens, rows))


def weight_bytes(config: ModelConfig, quantize: str | None, element: int = 2) -> int:
    """What the weights take; element: bytes of a value that is not quantised."""
    linear = config.num_parameters(embedding=False)
    embedding = config.num_parameters() - linear
    bits = WEIGHT_BITS.get(quantize or "", 8 * element)
    outer_bits = WEIGHT_BITS["int8"] if quantize else 8 * element
    return int((linear * bits + embedding * outer_bits) / 8)


def activations_of(config: ModelConfig, step_tokens: int, rows: int) -> int:
    """What one step needs beside weights and cache, as the native forward reserves it, in float32.

    Buffers of all stages at once for each token, a quarter more as they grow by that, and the logits: those of the
    requests SAMPLER_COPIES times (filters, penalties), those of drafts and scored prompts twice.
    """
    hidden, heads = config.hidden_size, config.num_attention_heads * config.head_dim
    qkv = heads + 2 * config.num_key_value_heads * config.head_dim
    chosen = config.num_experts_per_tok if config.is_moe else 0
    widest = max(config.intermediate_size, chosen * config.moe_intermediate_size)
    experts = 2 * chosen * hidden + config.num_experts if config.is_moe else 0
    quantised = max(hidden, heads, widest, chosen * hidden) * 1.25 / 4  # int8, and a scale for each group
    per_token = 2 * hidden + qkv + heads + 3 * widest + experts + quantised
    logits = (SAMPLER_COPIES * rows + 2 * scored_rows(config.vocab_size)) * config.vocab_size
    return int(4 * (1.25 * step_tokens * per_token + logits))


def scored_rows(vocab_size: int) -> int:
    """Most rows of logits in one step for drafts and for prompts whose log-probabilities are wanted."""
    return max(BLOCK, SCORED_ELEMENTS // vocab_size)


def plan_memory(
    config: ModelConfig,
    dtype: torch.dtype,
    quantize: str | None,
    device: torch.device | str,
    max_batch: int,
    context_length: int | None = None,
    memory: int | float | None = None,
    step_tokens: int = 512,
    stored: int | None = None,
    num_blocks: int | None = None,
) -> MemoryPlan:
    """The plan for a model that is not loaded yet; arguments as `share_out`.

    stored: bytes of the weights on disk, where they may be kept as they are.
    """
    device = torch.device(device)
    sizes = sizes_of(config, dtype, quantize, step_tokens, max_batch)
    if stored is not None:
        sizes = dataclasses.replace(sizes, weights=min(sizes.weights, stored))
    free = free_memory(device)
    return share_out(sizes, device, free, config.context_length, max_batch, context_length, memory, num_blocks)


@dataclass(frozen=True)
class Stored:
    """Weights as they lie in a folder, or on a hub."""

    config: ModelConfig
    nbytes: int
    """Of all files with weights."""
    kind: str | None = None
    """ "int8" or "int4" where they are quantised already."""
    widened: bool = False
    """Quantised in a form that no kernel takes: they take more memory than their files."""


def stored_in(folder: str | Path) -> Stored:
    """What a model folder holds. Raises SansiError as `read_config`."""
    folder = model_folder(folder)
    kinds = stored_kinds(folder)
    widened = kinds is None and bool(described_in(folder)) and not open_source(folder).kinds
    return Stored(read_config(folder), stored_bytes(folder), kinds[0] if kinds else None, widened)


def plan_checkpoint(
    stored: Stored,
    device: DeviceLike = "auto",
    dtype: DtypeLike = "auto",
    max_batch: int = 64,
    *,
    quantize: str | None = None,
    backend: str = "auto",
    memory: int | float | None = None,
    context_length: int | None = None,
    max_prefill_tokens: int | None = None,
    num_blocks: int | None = None,
) -> MemoryPlan:
    """The plan for weights that nobody has read yet, or even fetched; arguments and errors as `share_out`."""
    place = resolve_device(device)
    as_they_are = place.type == "cpu" and backend != "torch"  # native keeps bfloat16 and quantised weights so
    return plan_memory(
        stored.config,
        resolve_dtype(dtype, place),
        (stored.kind if as_they_are else None) or quantize,
        place,
        max_batch,
        context_length,
        memory,
        max_prefill_tokens or step_tokens_of(place),
        stored.nbytes if as_they_are and not stored.widened else None,
        num_blocks,
    )


def step_tokens_of(device: torch.device) -> int:
    """Tokens of the largest step."""
    return STEP_TOKENS.get(device.type, STEP_TOKENS["cpu"])


def share_out(
    sizes: Sizes,
    device: torch.device,
    free: int,
    model_context: int,
    max_batch: int,
    context_length: int | None = None,
    memory: int | float | None = None,
    num_blocks: int | None = None,
) -> MemoryPlan:
    """Fit weights, activations and as much cache as is useful into `memory`.

    free: bytes that the model could use, its weights included. context_length: None takes the model's, or less where
    that does not fit. memory: bytes for everything, or the share of `free` when 1 or less. num_blocks: blocks of the
    cache, whatever fits (for tests). Raises SansiError with the numbers when the model or one context does not fit.
    """
    budget = _budget(memory, free, device)
    asked = context_length or model_context
    if asked > model_context:
        raise SansiError(
            f"context_length {asked:,} is more than the {model_context:,} tokens that the model has positions for",
            param="context_length",
        )
    left = budget - sizes.weights - sizes.activations
    if num_blocks is None:
        if left < sizes.block_bytes:
            raise SansiError(
                f"the model does not fit: weights take {size_text(sizes.weights)}, activations "
                f"{size_text(sizes.activations)} and one cache block {size_text(sizes.block_bytes)}, but "
                f"{size_text(budget)} of {size_text(free)} free on {device} may be used; quantise the weights, "
                "or allow more memory",
                param="memory",
            )
        per_request = asked if device.type != "cpu" else min(asked, CPU_POSITIONS)
        useful = max(max_batch * blocks_for(per_request), blocks_for(asked))
        num_blocks = min(left // sizes.block_bytes, useful)
    fits = num_blocks * BLOCK
    if fits < asked and context_length is not None:
        raise SansiError(
            f"one context of {asked:,} tokens takes {size_text(blocks_for(asked) * sizes.block_bytes)} of cache, but "
            f"{size_text(num_blocks * sizes.block_bytes)} are left ({fits:,} tokens); lower context_length, quantise "
            "the weights, or allow more memory",
            param="context_length",
        )
    return MemoryPlan(
        device=str(device),
        weights=sizes.weights,
        block_bytes=sizes.block_bytes,
        num_blocks=num_blocks,
        activations=sizes.activations,
        budget=budget,
        free=free,
        max_batch=max_batch,
        context_length=min(asked, fits),
        asked_context=asked,
    )


def _budget(memory: int | float | None, free: int, device: torch.device) -> int:
    share = CPU_SHARE if device.type == "cpu" else GPU_SHARE
    if memory is None:
        return int(free * share)
    if isinstance(memory, bool) or not isinstance(memory, int | float) or not 0 < memory < math.inf:
        raise SansiError(f"memory must be a number of bytes, or a share up to 1, not {show(memory)}", param="memory")
    if memory > max(free, 1):
        raise SansiError(
            f"memory is {size_text(memory)}, but {size_text(free)} are free on {device}; give less, or a share up to 1",
            param="memory",
        )
    return int(free * memory) if memory <= 1 else int(memory)


def free_memory(device: torch.device) -> int:
    """Bytes that a program could still take, without swapping, within the limits of its control group."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = [_meminfo(), _control_group()]
    known = [value for value in found if value is not None]
    return min(known) if known else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def control_group_limit(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that the control group at the mount allows, as a container sees its own; None without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = int((root / name).read_text())
        except (OSError, ValueError):  # not there, or "max"
            continue
        return limit if limit < 2**60 else None  # version 1 writes a huge number for none
    return None


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _control_group(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """What is left of the memory limits of this process's control group and of those around it, if there are any."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        lines = [["", "", "/"], ["", "memory", "/"]]
    left = [_left(root, ("memory.max", "memory.current"), path) for _, kinds, path in lines if not kinds]
    names = "memory.limit_in_bytes", "memory.usage_in_bytes"  # version 1
    left += [_left(root / "memory", names, path) for _, kinds, path in lines if "memory" in kinds.split(",")]
    return min((value for value in left if value is not None), default=None)


def _left(mount: Path, names: tuple[str, str], path: str) -> int | None:
    """The least that any group from the one at `path` up to `mount` leaves; a container may show `mount` alone."""
    inner = mount / path.lstrip("/")
    found = []
    for folder in (inner, *(parent for parent in inner.parents if parent.is_relative_to(mount))):
        limit, used = (folder / name for name in names)
        try:
            left = int(limit.read_text()) - int(used.read_text())
        except (OSError, ValueError):  # not there, or "max"
            continue
        found.append(max(0, left + _reclaimable(folder / "memory.stat")))
    return min(found, default=None)


def _reclaimable(statistics: Path) -> int:
    """Bytes of the page cache that the system would give to a program that asks: they count as used, too."""
    try:
        fields = dict(line.split() for line in statistics.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(fields.get("total_inactive_file", fields.get("inactive_file", 0)))
