"""Writers of other programs' formats, each by its definition and nothing of Sansi's: numpy loops where it may be slow.

A writer takes a matrix [N, K] float32 and gives the tensors that stand for it, and the values that they mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Written = tuple[dict[str, Tensor], Tensor]
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def fp8(weight: Tensor, block: int = 128, name: str = "weight_scale_inv") -> Written:
    rows, columns = weight.shape
    high, wide = -(-rows // block), -(-columns // block)
    scales, stored, meant = torch.zeros(high, wide), torch.zeros(weight.shape), torch.zeros(weight.shape)
    for r in range(high):
        for c in range(wide):
            at = (slice(r * block, (r + 1) * block), slice(c * block, (c + 1) * block))
            scales[r, c] = weight[at].abs().max().clamp(min=1e-6) / 448
            stored[at] = (weight[at] / scales[r, c]).to(torch.float8_e4m3fn).float()
            meant[at] = stored[at] * scales[r, c]
    return {"weight": stored.to(torch.float8_e4m3fn), name: scales}, meant


def _levels(weight: Tensor, bits: int, group: int, symmetric: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q [N, K], scales [N, G] float16 and zero points [N, G] of a plain rounding."""
    w = weight.numpy().reshape(weight.shape[0], -1, group)
    top = 2**bits - 1
    if symmetric:
        scales = np.maximum(np.abs(w).max(2) / (2 ** (bits - 1) - 0.5), 1e-4).astype(np.float16)
        zeros = np.full(scales.shape, 2 ** (bits - 1), np.int64)
    else:
        scales = np.maximum((w.max(2) - w.min(2)) / top, 1e-4).astype(np.float16)
        zeros = np.clip(np.round(-w.min(2) / scales.astype(np.float32)), 0, top).astype(np.int64)
    q = np.clip(np.round(w / scales[..., None].astype(np.float32)) + zeros[..., None], 0, top).astype(np.int64)
    return q.reshape(weight.shape), scales, zeros


def _meant(q: np.ndarray, scales: np.ndarray, zeros: np.ndarray, group: int) -> Tensor:
    wide = lambda a: np.repeat(a, group, axis=1)  # noqa: E731
    return torch.from_numpy(((q - wide(zeros)) * wide(scales.astype(np.float32))).astype(np.float32))


def _words(values: np.ndarray, bits: int, order: list[int] | None = None) -> Tensor:
    """[A, B] small numbers -> [A, B * bits / 32] int32, along the last axis; `order`: who sits in which place."""
    per_word = 32 // bits
    out = np.zeros((values.shape[0], values.shape[1] // per_word), np.uint64)
    for place in range(per_word):
        who = order[place] if order else place
        out |= values[:, who::per_word].astype(np.uint64) << np.uint64(bits * place)
    return torch.from_numpy(out.astype(np.uint32).view(np.int32).copy())


def awq(weight: Tensor, group: int = 128, zero_point: bool = True) -> Written:
    q, scales, zeros = _levels(weight, 4, group, symmetric=not zero_point)
    tensors = {
        "qweight": _words(q.T.copy(), 4, AWQ_ORDER),
        "qzeros": _words(zeros.T.copy(), 4, AWQ_ORDER),
        "scales": torch.from_numpy(scales.T.copy()),
    }
    if not zero_point:
        del tensors["qzeros"]
    return tensors, _meant(q, scales, zeros, group)


def gptq(
    weight: Tensor,
    bits: int = 4,
    group: int = 128,
    symmetric: bool = True,
    version: int = 1,
    order: Tensor | None = None,
) -> Written:
    """order [K]: inputs by falling importance, as desc_act sorts them; groups are made of neighbours in that order."""
    columns = weight.shape[1]
    group = columns if group == -1 else group
    sorted_ = weight if order is None else weight[:, order]
    q, scales, zeros = _levels(sorted_, bits, group, symmetric)
    meant, index = _meant(q, scales, zeros, group), torch.arange(columns, dtype=torch.int32) // group
    if order is not None:
        back = torch.argsort(order)
        q, meant, index = q[:, back.numpy()], meant[:, back], index[back]
    stored = (zeros - 1) % 2**bits if version == 1 else zeros
    tensors = {
        "qweight": _words(q, bits).T.contiguous(),
        "qzeros": _words(stored.T.copy(), bits),
        "scales": torch.from_numpy(scales.T.copy()),
        "g_idx": index.contiguous(),
    }
    return tensors, meant


def packed(
    weight: Tensor, bits: int = 4, group: int = 128, symmetric: bool = True, order: Tensor | None = None
) -> Written:
    """compressed-tensors' pack-quantized; order as in gptq."""
    group = weight.shape[1] if group == -1 else group
    sorted_ = weight if order is None else weight[:, order]
    q, scales, zeros = _levels(sorted_, bits, group, symmetric)
    meant, index = _meant(q, scales, zeros, group), torch.arange(weight.shape[1], dtype=torch.int32) // group
    if order is not None:
        back = torch.argsort(order)
        q, meant, index = q[:, back.numpy()], meant[:, back], index[back]
    tensors = {
        "weight_packed": _words(q, bits),
        "weight_scale": torch.from_numpy(scales),
        "weight_shape": torch.tensor(weight.shape),
    }
    tensors |= {} if symmetric else {"weight_zero_point": _words(zeros.T.copy(), bits).T.contiguous()}
    tensors |= {} if order is None else {"weight_g_idx": index}
    return tensors, meant


def plain_int8(weight: Tensor, group: int = -1, symmetric: bool = True) -> Written:
    """compressed-tensors' int-quantized."""
    group = weight.shape[1] if group == -1 else group
    q, scales, zeros = _levels(weight, 8, group, symmetric)
    signed = torch.from_numpy((q - 128).astype(np.int8))
    tensors = {"weight": signed, "weight_scale": torch.from_numpy(scales)}
    tensors |= {} if symmetric else {"weight_zero_point": torch.from_numpy((zeros - 128).astype(np.int8))}
    return tensors, _meant(q, scales, zeros, group)


def plain_fp8(weight: Tensor, whole: bool = False) -> Written:
    """compressed-tensors' float-quantized, one scale for each channel or for all."""
    largest = weight.abs().max() if whole else weight.abs().amax(1, keepdim=True)
    scales = (largest.clamp(min=1e-6) / 448).bfloat16()
    stored = (weight / scales.float()).clamp(-448, 448).to(torch.float8_e4m3fn)
    return {
        "weight": stored,
        "weight_scale": scales.reshape(-1, 1)[0] if whole else scales,
    }, stored.float() * scales.float()


def mlx(weight: Tensor, bits: int = 4, group: int = 64, dtype: torch.dtype = torch.float16) -> Written:
    w = weight.view(weight.shape[0], -1, group)
    low = w.amin(2)
    scales = ((w.amax(2) - low) / (2**bits - 1)).clamp(min=1e-4).to(dtype)
    biases = low.to(dtype)
    q = ((w - biases.float()[..., None]) / scales.float()[..., None]).round().clamp(0, 2**bits - 1)
    meant = (q * scales.float()[..., None] + biases.float()[..., None]).flatten(1)
    words = _words(q.flatten(1).numpy().astype(np.int64), bits).view(torch.uint32)
    return {"weight": words, "scales": scales, "biases": biases}, meant


def stack_experts(folder: Path) -> None:
    """Join the experts of each layer as MLX's files have them."""
    tensors: dict[str, Tensor] = {}
    experts: dict[str, dict[int, Tensor]] = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        start, found, rest = name.partition(".experts.")
        if not found:
            tensors[name] = tensor
            continue
        number, _, part = rest.partition(".")
        experts.setdefault(f"{start}.switch_mlp.{part}", {})[int(number)] = tensor
    for name, ones in experts.items():
        rows = [
            ones[number].view(torch.int32) if ones[number].dtype == torch.uint32 else ones[number]
            for number in sorted(ones)
        ]
        tensors[name] = torch.stack(rows).view(ones[0].dtype)
    save_file(tensors, folder / "model.safetensors")


def rewrite(
    folder: Path,
    target: Path,
    writer: Callable[[Tensor], Written],
    described: dict[str, Any],
    keep: tuple[str, ...] = (),
    outer: bool = False,
) -> dict[str, Tensor]:
    """Write the model in `folder` to `target` in another format: all projections and experts, as official files do.

    outer: routers, embedding and head as well.

    Returns the values that the written tensors mean, by their names on the hub.
    """
    target.mkdir(parents=True)
    for file in folder.iterdir():
        if file.is_file() and file.name not in ("model.safetensors", "config.json"):
            (target / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "quantization_config": described}))
    tensors, meant = {}, {}
    for name, weight in load_file(folder / "model.safetensors").items():
        ours = "_proj.weight" in name or (outer and weight.dim() == 2)
        if not ours or any(word in name for word in keep):
            tensors[name] = meant[name] = weight
            continue
        parts, meant[name] = writer(weight.float())
        tensors |= {f"{name.removesuffix('weight')}{part}": tensor for part, tensor in parts.items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, target / "model.safetensors")
    return meant


# ---- what the tensors of a format mean, for what Sansi writes --------------------------------------------------------


def tensors_of(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder's safetensors files."""
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def _numbers(words: Tensor, bits: int, order: list[int] | None = None) -> np.ndarray:
    """The inverse of `_words`."""
    per_word, held = 32 // bits, words.numpy().view(np.uint32)
    out = np.zeros((held.shape[0], held.shape[1] * per_word), np.int64)
    for place in range(per_word):
        who = order[place] if order else place
        out[:, who::per_word] = (held >> np.uint32(bits * place)) & np.uint32(2**bits - 1)
    return out


def read_fp8(tensors: dict[str, Tensor]) -> Tensor:
    stored, scales = tensors["weight"].float(), tensors["weight_scale_inv"]
    meant = torch.zeros(stored.shape)
    for r in range(scales.shape[0]):
        for c in range(scales.shape[1]):
            at = (slice(r * 128, (r + 1) * 128), slice(c * 128, (c + 1) * 128))
            meant[at] = stored[at] * scales[r, c]
    return meant


def read_mlx(tensors: dict[str, Tensor], bits: int) -> Tensor:
    q = _numbers(tensors["weight"].view(torch.int32), bits)
    scales, biases = tensors["scales"].float(), tensors["biases"].float()
    group = q.shape[1] // scales.shape[1]
    wide = [part.repeat_interleave(group, 1) for part in (scales, biases)]
    return torch.from_numpy(q).float() * wide[0] + wide[1]


def read_awq(tensors: dict[str, Tensor]) -> Tensor:
    q, zeros = (_numbers(tensors[part], 4, AWQ_ORDER) for part in ("qweight", "qzeros"))  # [K, N], [G, N]
    scales = tensors["scales"].numpy()
    return _meant(q.T, scales.T, zeros.T, q.shape[0] // scales.shape[0])


def read_gptq(tensors: dict[str, Tensor], bits: int = 4, version: int = 1) -> Tensor:
    """Files of the first version hold zero points less one."""
    q = _numbers(tensors["qweight"].T.contiguous(), bits)  # [N, K]
    group, stored = tensors["g_idx"].numpy(), _numbers(tensors["qzeros"], bits)
    zeros = ((stored + 1) % 2**bits if version == 1 else stored)[group].T
    scales = tensors["scales"].numpy().astype(np.float32)[group].T
    return torch.from_numpy(((q - zeros) * scales).astype(np.float32))


def read_packed(tensors: dict[str, Tensor], bits: int = 4) -> Tensor:
    q = _numbers(tensors["weight_packed"], bits) - 2 ** (bits - 1)
    scales = tensors["weight_scale"].float()
    assert tensors["weight_shape"].tolist() == list(q.shape)
    return torch.from_numpy(q).float() * scales.repeat_interleave(q.shape[1] // scales.shape[1], 1)
