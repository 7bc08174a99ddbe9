"""Compile every kernel, as the backend launches it, for an H100 that is not there; print what the compiler says.

Run as a program, in a process where Triton is not interpreted. Launches are caught and compiled instead.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import triton
from sansi.model.kernels.gpu import attention, experts, fused
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

TYPES = {
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.float8_e4m3fn: "*fp8e4nv",
    torch.int32: "*i32",
    torch.int64: "*i64",
}
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
BF16, FP8 = torch.bfloat16, torch.float8_e4m3fn
found: list[dict] = []


def compile_instead(self: JITFunction, *args, grid, warmup, **kwargs) -> None:
    given = dict(zip(self.arg_names, args, strict=False))
    given |= {name: kwargs.pop(name) for name in self.arg_names if name in kwargs}
    signature, constants, divisible = {}, {}, {}
    for place, parameter in enumerate(self.params):
        value = given[parameter.name]
        if parameter.is_constexpr:
            signature[parameter.name], constants[parameter.name] = "constexpr", value
            continue
        is_tensor = isinstance(value, torch.Tensor)
        signature[parameter.name] = TYPES[value.dtype] if is_tensor else "fp32" if isinstance(value, float) else "i32"
        if is_tensor or (isinstance(value, int) and value % 16 == 0 and not parameter.do_not_specialize):
            divisible[(place,)] = [["tt.divisibility", 16]]
    kernel = triton.compile(
        ASTSource(self, signature, constants, divisible), target=GPUTarget("cuda", 90, 32), options=kwargs
    )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        usage = subprocess.run([CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    registers, stack = re.search(r"REG:(\d+) STACK:(\d+)", usage).groups()  # type: ignore[union-attr]
    found.append(
        {
            "name": self.__name__,
            "arguments": " ".join(str(v.dtype)[6:] for v in given.values() if isinstance(v, torch.Tensor)),
            "registers": int(registers),
            "stack": int(stack),
            "shared": kernel.metadata.shared,
            "wgmma": kernel.asm["ptx"].count("wgmma.mma_async"),
            "mma": kernel.asm["ptx"].count("mma.sync"),
        }
    )


def launch_all() -> None:
    """Shapes of Qwen3-0.6B, and the experts of Qwen3-30B-A3B."""
    heads, kv_heads, head_dim, tokens = 16, 8, 128, 4
    integers = torch.zeros(4, dtype=torch.int32)
    tables = torch.zeros(4, 32, dtype=torch.int32)
    norm, rotation = torch.zeros(head_dim, dtype=BF16), torch.zeros(64, head_dim)
    for dtype in (BF16, FP8):
        pages = torch.zeros(2, kv_heads, 16, head_dim, dtype=dtype)
        cache = attention.Cache(pages, pages, torch.ones(2, kv_heads) if dtype == FP8 else None)
        qkv = torch.zeros(tokens, (heads + 2 * kv_heads) * head_dim, dtype=BF16)
        q = fused.norm_rope_and_store(qkv, (norm, norm), 1e-6, (rotation, rotation), integers, integers, tables, cache)
        for parts in (1, 2):
            attention.attend_singles(q, cache, tables, integers, integers, integers, parts, q)
        attention.attend_chunks(q, cache, tables, integers, integers, integers, integers, q)
    x = torch.zeros(tokens, 1024, dtype=BF16)
    fused.add_rms_norm(x, x, x[0], 1e-6)
    fused.silu_mul(x)
    weight = torch.zeros(128, 64, 2048, dtype=BF16)  # fewer outputs than any model's: they only make the grid
    for visits in (32, 8192):
        rows = torch.zeros(visits, dtype=torch.int64)
        experts.grouped_linear(x.new_zeros(4, 2048), rows, weight, torch.zeros(128, dtype=torch.int32))


if __name__ == "__main__":
    JITFunction.run = compile_instead  # type: ignore[method-assign]
    launch_all()
    json.dump(found, sys.stdout)
