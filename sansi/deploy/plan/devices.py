"""Hardware in figures, from the data sheets of its makers; none of them was measured by us but `here`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sansi.base.errors import SansiError, did_you_mean

Kind = Literal["server", "gpu", "mac", "phone", "cpu"]
"""server: data-centre GPUs, which vLLM and SGLang run on; the others run one stream by llama.cpp, MLX or Sansi."""


@dataclass(frozen=True)
class Device:
    """One GPU, chip or machine."""

    name: str
    title: str
    kind: Kind
    memory_gb: float
    """10^9 bytes, as sold. Of shared memory what programs get is less: see `usable`."""
    bandwidth: float
    """GB/s that its memory gives at most."""
    tflops: float
    """Dense products in bfloat16 (float16 where there is none), 10^12 per second."""
    fp8_tflops: float | None = None
    """The same in FP8; None: no unit for it."""
    link: float = 0.0
    """GB/s to its neighbours, one direction; 0: alone."""
    fp8_weights: bool = True
    """Whether FP8 files run at all: before compute capability 8.0 there is no kernel for them."""

    @property
    def memory(self) -> int:
        """Bytes. Vendors of GPUs sell 80 GB where there are 80 GiB or close to it; memory is counted as they do."""
        return int(self.memory_gb * (2**30 if self.kind in ("server", "gpu") else 1e9))

    @property
    def usable(self) -> int:
        """Bytes for one model server: what its engine takes by default, or what the system leaves."""
        share = {"server": 0.9, "gpu": 0.9, "mac": 0.75, "phone": 0.5, "cpu": 0.8}[self.kind]
        return int(self.memory * share)


def _server(name: str, title: str, *figures: float | None, **more: bool) -> Device:
    memory, bandwidth, tflops, fp8, link = figures
    assert memory is not None and bandwidth is not None and tflops is not None and link is not None
    return Device(name, title, "server", memory, bandwidth, tflops, fp8, link, **more)


_ALL = (
    _server("h20", "NVIDIA H20 96 GB", 96, 4000, 148, 296, 450),
    _server("h20-141g", "NVIDIA H20 141 GB", 141, 4800, 148, 296, 450),
    _server("h100", "NVIDIA H100 SXM 80 GB", 80, 3350, 989, 1979, 450),
    _server("h200", "NVIDIA H200 SXM 141 GB", 141, 4800, 989, 1979, 450),
    _server("b200", "NVIDIA B200 180 GB", 180, 8000, 2250, 4500, 900),
    _server("gb200", "NVIDIA GB200, one GPU of 186 GB", 186, 8000, 2500, 5000, 900),
    _server("a100", "NVIDIA A100 SXM 80 GB", 80, 2039, 312, None, 300),
    _server("a100-40g", "NVIDIA A100 SXM 40 GB", 40, 1555, 312, None, 300),
    _server("l40s", "NVIDIA L40S 48 GB", 48, 864, 362, 733, 32),
    _server("l20", "NVIDIA L20 48 GB", 48, 864, 119.5, 239, 32),
    _server("ascend-910b", "Huawei Ascend 910B 64 GB", 64, 1600, 376, None, 196, fp8_weights=False),
    Device("rtx5090", "GeForce RTX 5090 32 GB", "gpu", 32, 1792, 210, 419, 32),
    Device("rtx4090", "GeForce RTX 4090 24 GB", "gpu", 24, 1008, 165, 330, 32),
    Device("rtx4080", "GeForce RTX 4080 16 GB", "gpu", 16, 717, 97.5, 195, 32),
    Device("rtx3090", "GeForce RTX 3090 24 GB", "gpu", 24, 936, 71, None, 32),
    Device("rtx3060", "GeForce RTX 3060 12 GB", "gpu", 12, 360, 25.5, None, 16),
    Device("rtx5070", "GeForce RTX 5070 12 GB", "gpu", 12, 672, 61.7, 123, 32),
    Device("rtx2080", "GeForce RTX 2080 8 GB", "gpu", 8, 448, 40, None, 16, fp8_weights=False),
    Device("gtx1050ti", "GeForce GTX 1050 Ti 4 GB", "gpu", 4, 112, 2.1, None, 16, fp8_weights=False),
    Device("rx7900xt", "Radeon RX 7900 XT 20 GB", "gpu", 20, 800, 103, None, 32, fp8_weights=False),
    Device("m1-max", "Apple M1 Max 64 GB", "mac", 64, 400, 10.4),
    Device("m2-ultra", "Apple M2 Ultra 192 GB", "mac", 192, 800, 27.2),
    Device("m3-pro", "Apple M3 Pro 36 GB", "mac", 36, 150, 7.4),
    Device("m3-ultra", "Apple M3 Ultra 256 GB", "mac", 256, 819, 21.5),
    Device("m4-pro", "Apple M4 Pro 24 GB", "mac", 24, 273, 9.2),
    Device("m4-max", "Apple M4 Max 64 GB", "mac", 64, 546, 18.4),
    Device("m4-max-128g", "Apple M4 Max 128 GB", "mac", 128, 546, 18.4),
    Device("ipad-m5", "Apple iPad Pro M5", "phone", 12, 153, 8.0),
    Device("sd8-elite-2", "phone, Snapdragon 8 Elite Gen 5 (SM8850)", "phone", 16, 85, 4.0),
    Device("sd680", "phone, Snapdragon 680", "phone", 4, 17, 0.2),
    Device("x-elite", "laptop, Snapdragon X Elite", "phone", 32, 135, 4.6),
    Device("ryzen-7950x", "AMD Ryzen 9 7950X, two channels of DDR5", "cpu", 64, 83, 2.4),
    Device("epyc-9355", "AMD EPYC 9355, 12 channels of DDR5-6000", "cpu", 768, 576, 6.0),
    Device("xeon-6138x2", "two Intel Xeon Gold 6138, DDR4-2666", "cpu", 768, 256, 3.0),
)
DEVICES: Mapping[str, Device] = MappingProxyType({device.name: device for device in _ALL})


def device_called(name: str) -> Device:
    """The device of that name, however it is spelt ("RTX 4090", "H100-SXM"). Raises SansiError with the nearest."""
    wanted = _plain(name)
    if found := next((d for d in _ALL if _plain(d.name) == wanted or _plain(d.title) == wanted), None):
        return found
    raise SansiError(f'unknown device "{name}"{did_you_mean(name.lower(), DEVICES)}', param="gpu")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]|nvidia|geforce|apple|sxm|pcie", "", name.lower())
