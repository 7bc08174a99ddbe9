"""Matrix products with packed weights, at the shapes of the 0.6B model, against torch and the memory's bandwidth.

    python bench/gemm.py [--isa avx512] [--threads 2] [--rows 1 8 16 512] [--kinds int4 int4a int6 bf16] [--rounds 5]
    python bench/gemm.py --cpu-time   # one thread by its CPU time: on a machine that is busy with other work

A decoder reads each weight once a step, so no weight may come from a cache: copies of it, 128 MiB or more, are taken in
turn. All contenders of a shape run by turns, `--rounds` times, and the median counts. "of read" is the speed against a
plain loop that only reads the same packed bytes, in the same round. Peers: torch's float32 product, and its int4
product (`_weight_int4pack_mm_for_cpu`, groups of 32, bfloat16 activations).
"""

from __future__ import annotations

import argparse
import ctypes
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from sansi.base.cores import available_cores
from sansi.model.kernels import FLOATS, GROUP, KINDS, LEVELS, Arena, PackedWeight, pack
from sansi.model.kernels.cpu.build import load_kernels
from torch import Tensor

SHAPES = {  # name -> outputs, inputs, as the engine fuses them
    "qkv": (4096, 1024),
    "o": (1024, 2048),
    "gate_up": (6144, 1024),
    "down": (1024, 3072),
    "head": (151_936, 1024),
}
OUT_OF_CACHE = 128 << 20
PEERS = {"torch fp32": 32, "torch int4": 5.0}  # bits per weight; int4 has a bf16 scale and zero for each group
HEAD_ROWS = 16  # prompts send one row each to the LM head, not all their tokens
LEAST_SECONDS = 0.05  # of one timing

Run = Callable[[int], object]
"""Does so many products."""


@dataclass(frozen=True)
class Contender:
    run: Run
    repeats: int
    share: float = 1.0
    """Of the time of one run that counts: reading is timed over all copies at once."""

    @classmethod
    def of(cls, run: Run, least: int = 1) -> Contender:
        run(1)
        start = time.perf_counter()
        run(1)
        return cls(run, max(least, int(LEAST_SECONDS / (time.perf_counter() - start)) + 1))

    def seconds(self, clock: Callable[[], float]) -> float:
        """Of one product."""
        start = clock()
        self.run(self.repeats)
        return (clock() - start) / self.repeats * self.share


@dataclass(frozen=True)
class Timing:
    seconds: float
    nbytes: int
    flops: int

    @property
    def gigabytes(self) -> float:
        return self.nbytes / self.seconds / 1e9

    @property
    def gigaflops(self) -> float:
        return self.flops / self.seconds / 1e9


def packed(weight: Tensor, kind: str) -> PackedWeight:
    """Any bytes for the kinds that only files bring: their values do not change what a product costs."""
    if kind in FLOATS or kind in LEVELS:
        return pack(weight, kind, search=False)
    one = PackedWeight.zeros(kind, *weight.shape)
    one.data.random_(256)
    one.scales.random_(4)  # fp16 of these bytes is finite, and no sum becomes subnormal
    return one


class Ours:
    """Products with one kind of weight, `copies` of which lie one after the other."""

    def __init__(self, library: ctypes.CDLL, weight: Tensor, kind: str, threads: int):
        library.sansi_gemm.restype = library.sansi_read.restype = ctypes.c_double
        self.library, self.threads = library, threads
        one = packed(weight, kind)
        self.kind, self.n, self.k, self.nbytes = kind, *weight.shape, one.nbytes
        self.copies = max(1, OUT_OF_CACHE // one.nbytes)
        self.data, self.scales = _repeat(one, self.copies)

    def product(self, rows: int) -> Contender:
        x, y = torch.randn(rows, self.k), torch.empty(rows, self.n)
        sizes = [ctypes.c_int64(v) for v in (self.n, self.k, rows)]

        def run(repeats: int) -> None:
            self.library.sansi_gemm(
                *(KINDS[self.kind], sizes[0], sizes[1], _at(self.data), _at(self.scales), self.copies),
                *(_at(x), sizes[2], sizes[1], _at(y), sizes[0], 0, self.threads, repeats),
            )

        return Contender.of(run, self.copies if rows == 1 else 1)

    def read(self) -> Contender:
        """Reads as many bytes as one weight has."""
        size = ctypes.c_int64(len(self.data))
        run = lambda repeats: self.library.sansi_read(_at(self.data), size, self.threads)  # noqa: E731
        return Contender(run, 1, self.nbytes / len(self.data))


def torch_product(weight: Tensor, rows: int, int4: bool) -> Contender:
    x = torch.randn(rows, weight.shape[1])
    product = _int4_product(weight, x.bfloat16()) if int4 else _float_product(weight, x)
    return Contender.of(lambda repeats: [product(number) for number in range(repeats)])


def _float_product(weight: Tensor, x: Tensor) -> Callable[[int], Tensor]:
    copies = [weight.clone() for _ in range(max(1, OUT_OF_CACHE // weight.nbytes))]
    return lambda number: torch.nn.functional.linear(x, copies[number % len(copies)])


def _int4_product(weight: Tensor, x: Tensor) -> Callable[[int], Tensor]:
    n, k = weight.shape
    levels = torch.randint(0, 16, (n, k), dtype=torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 1)
    scales = torch.ones(k // GROUP, n, 2, dtype=torch.bfloat16)
    copies = [packed.clone() for _ in range(max(1, OUT_OF_CACHE // packed.nbytes))]
    multiply = torch.ops.aten._weight_int4pack_mm_for_cpu
    return lambda number: multiply(x, copies[number % len(copies)], GROUP, scales)


def _repeat(one: PackedWeight, copies: int) -> tuple[Tensor, Tensor]:
    """The bytes of the weight and of its scales, `copies` times, in the memory that the engine uses."""
    arena = Arena()
    parts = (one.data, one.scales.flatten().view(torch.uint8))
    repeated = [arena.take(copies * len(part)) for part in parts]
    for target, part in zip(repeated, parts, strict=True):
        target.view(copies, -1)[:] = part
    return repeated[0], repeated[1]


def _at(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def measure(contenders: dict[str, Contender], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median seconds of each, all in each round, so that what slows the machine slows them alike.

    In an order by chance: torch's threads keep a core for a while after their work, which slows whoever comes next.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name in random.sample(list(contenders), len(contenders)):
            found[name].append(contenders[name].seconds(clock))
    return {name: median(seconds) for name, seconds in found.items()}


def report(
    shape: str, weight: Tensor, rows: int, ours: dict[str, Ours], rounds: int, clock: Callable[[], float]
) -> None:
    contenders = {kind: each.product(rows) for kind, each in ours.items()}
    contenders |= {f"read {kind}": each.read() for kind, each in ours.items() if rows == 1}
    contenders |= {name: torch_product(weight, rows, name == "torch int4") for name in PEERS}
    seconds = measure(contenders, rounds, clock)
    for kind in [*ours, *PEERS]:
        nbytes = ours[kind].nbytes if kind in ours else int(weight.numel() * PEERS[kind] / 8)
        timing = Timing(seconds[kind], nbytes, 2 * weight.numel() * rows)
        read = f"{seconds[f'read {kind}'] / timing.seconds:4.0%} of read" if f"read {kind}" in seconds else " " * 12
        print(
            f"{shape:8} {rows:4} rows  {kind:10} {timing.seconds * 1e6:9.0f} us {timing.gigabytes:6.1f} GB/s {read} "
            f"{timing.gigaflops:7.1f} GFLOP/s  {seconds['torch fp32'] / timing.seconds:6.2f} x torch fp32",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--isa")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 16, 512])
    parser.add_argument("--kinds", nargs="+", default=list(reversed(KINDS)), choices=list(KINDS))
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu-time", action="store_true")
    arguments = parser.parse_args()
    clock = time.thread_time if arguments.cpu_time else time.perf_counter
    threads = 1 if arguments.cpu_time else arguments.threads
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    kernels = load_kernels(arguments.isa)
    print(f"{kernels.isa}, {threads} threads, torch {torch.__version__}; medians of {arguments.rounds}")
    for name in arguments.shapes:
        n, k = SHAPES[name]
        weight = torch.randn(n, k)
        ours = {kind: Ours(kernels.library, weight, kind, threads) for kind in arguments.kinds}
        for rows in arguments.rows:
            if name != "head" or rows <= HEAD_ROWS:
                report(name, weight, rows, ours, arguments.rounds, clock)


if __name__ == "__main__":
    main()
