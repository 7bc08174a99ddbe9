"""Which way attention within documents is fastest on the CPU: forward + backward in milliseconds, medians.

    OMP_NUM_THREADS=1 python bench/packed_attention.py [--heads 4 2 32] [--dtype float32] [--repeats 5]

One masked call for all rows; each document by scaled_dot_product_attention; documents of like length side by side,
padded on the right (under causal attention nobody looks at padding); and `sansi.model.attention`, each document by the
flash kernel in one operator. The ways take turns, 4,096 tokens at a time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from sansi.model.attention import Documents, _one_by_one, attend_documents
from torch import Tensor
from train_contenders import draw_lengths

Way = Callable[[Tensor, Tensor, Tensor], Tensor]
CASES = [(256, 60), (256, 256), (384, 110), (1024, 100), (1024, 1024), (4096, 100), (4096, 4096)]
TOKENS = 4096


def masked(documents: Documents) -> Way:
    mask = documents.mask  # made once a batch, outside of what is timed

    def way(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)

    return way


def one_by_one(documents: Documents) -> Way:
    def way(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        y = _one_by_one(*(x.transpose(1, 2).flatten(0, 1) for x in (q, k, v)), documents.cu_seqlens)
        return y.unflatten(0, (documents.rows, -1)).transpose(1, 2)

    return way


def side_by_side(documents: Documents) -> Way:
    groups = grouped(documents.lengths.numpy())

    def way(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        flat = [x.transpose(1, 2).flatten(0, 1) for x in (q, k, v)]
        parts, where = [], []
        for at, real in groups:
            padded = [x[at].transpose(1, 2) for x in flat]
            y = F.scaled_dot_product_attention(*padded, is_causal=True, enable_gqa=True)
            parts.append(y.transpose(1, 2)[real])
            where.append(at[real])
        order = torch.cat(where).argsort()
        return torch.cat(parts)[order].unflatten(0, (documents.rows, -1)).transpose(1, 2)

    return way


def grouped(lengths: np.ndarray) -> list[tuple[Tensor, Tensor]]:
    """For each group of documents of like length: the tokens [G, L], and which of them are not padding."""
    starts, order = np.cumsum(lengths) - lengths, np.argsort(-lengths, kind="stable")
    groups = []
    while len(order):
        longest = lengths[order[0]]
        members = order[lengths[order] >= min(longest / 1.25, longest - 16)]
        columns = np.arange(longest)
        at = starts[members][:, None] + np.minimum(columns, lengths[members][:, None] - 1)
        groups.append((torch.from_numpy(at), torch.from_numpy(columns < lengths[members][:, None])))
        order = order[len(members) :]
    return groups


def operator(documents: Documents) -> Way:
    return lambda q, k, v: attend_documents(q, k, v, documents)


WAYS = {"masked": masked, "one by one": one_by_one, "side by side": side_by_side, "operator": operator}


def measure(row_length: int, mean: int, heads: list[int], dtype: torch.dtype, repeats: int) -> str:
    rng, rows = np.random.default_rng(0), TOKENS // row_length
    documents = Documents.from_lengths([draw_lengths(row_length, mean, rng) for _ in range(rows)])
    counts = (heads[0], heads[1], heads[1])
    drawn = (torch.randn(rows, row_length, count, heads[2], dtype=dtype) for count in counts)
    inputs = [x.transpose(1, 2).requires_grad_() for x in drawn]
    ways = {name: make(documents) for name, make in WAYS.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            y = way(*inputs)
            torch.autograd.grad(y, inputs, torch.ones_like(y))
            times[name].append(time.perf_counter() - started)
    cells = [f"{1e3 * statistics.median(times[name][1:]):.0f}" for name in ways]
    return f"| {row_length} | {len(documents.lengths)} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=int, nargs=3, default=[4, 2, 32], help="query heads, key/value heads, head_dim")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print("| row | documents | " + " | ".join(WAYS) + " |\n" + "| --: " * (len(WAYS) + 2) + "|")
    for row_length, mean in CASES:
        dtype = getattr(torch, arguments.dtype)
        print(measure(row_length, mean, arguments.heads, dtype, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
