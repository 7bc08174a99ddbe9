"""The measurements that others have published, as rows of what was run and what came out.

`published/h20_speed.csv` is the official speed benchmark of the Qwen3 repository (Apache-2.0), `measured_serving.csv`
comes from aiconfigurator (Apache-2.0), each row of `other_devices.csv` names its source.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from sansi.deploy.plan.precision import Precision, precision_called
from sansi.model.config import ModelConfig
from sansi.model.presets import preset_of

OUTPUT = 2048
"""Tokens that each row of the official benchmark makes after its input."""


@dataclass(frozen=True)
class H20Row:
    """A row of the official benchmark: batch 1, on as many H20 as it says."""

    model: str
    engine: str
    input_length: int
    precision: Precision
    gpus: int
    seconds: float
    """Of the whole run: (input + 2,048) / published tokens per second."""
    memory: int | None
    """Bytes; of Transformers alone."""

    @property
    def config(self) -> ModelConfig:
        return ModelConfig.preset(self.model)

    def __str__(self) -> str:
        gpus = f"{self.gpus} x H20" if self.gpus > 1 else "H20"
        return f"{self.model} {self.precision.name}, input {self.input_length:,}, {self.engine} on {gpus}"


@dataclass(frozen=True)
class ServingRow:
    """Requests under load, all of one length."""

    model: str
    device: str
    engine: str
    precision: Precision
    input_length: int
    output_length: int
    concurrency: int
    tp: int
    first_token: float
    """Seconds."""
    per_token: float
    """Seconds."""

    @property
    def config(self) -> ModelConfig:
        return ModelConfig.preset(self.model)

    def __str__(self) -> str:
        load = f"{self.input_length:,} in, {self.output_length:,} out, {self.concurrency} at once"
        return f"{self.model} {self.precision.name}, {self.engine} on {self.tp} x {self.device}, {load}"


@dataclass(frozen=True)
class LocalRow:
    """One stream on a Mac, a phone, a consumer's GPU or a CPU."""

    model: str
    device: str
    engine: str
    precision: Precision
    context: int
    """Tokens before those that were decoded."""
    prefill: float | None
    """Tokens a second."""
    decode: float | None
    source: str

    @property
    def config(self) -> ModelConfig:
        return ModelConfig.preset(self.model)

    def __str__(self) -> str:
        return f"{self.model} {self.precision.name}, {self.engine} on {self.device} ({self.source})"


@dataclass(frozen=True)
class HereRow:
    """Our own engine on a CPU, with what that machine's memory and products gave in the same run."""

    model: str
    precision: Precision
    read_gbs: float
    float32_gflops: float
    prefill: float
    """Tokens a second."""
    decode: float
    source: str

    @property
    def config(self) -> ModelConfig:
        return ModelConfig.preset(self.model)

    def __str__(self) -> str:
        return f"{self.model} {self.precision.name} ({self.source})"


@cache
def here_rows() -> tuple[HereRow, ...]:
    return tuple(
        HereRow(
            row["model"],
            precision_called(row["precision"]),
            float(row["read_gbs"]),
            float(row["float32_gflops"]),
            float(row["prefill_tok_s"]),
            float(row["decode_tok_s"]),
            row["source"],
        )
        for row in _read("sansi.csv")
    )


@cache
def h20_rows() -> tuple[H20Row, ...]:
    return tuple(_h20_row(row) for row in _read("h20_speed.csv") if row["total_tok_s"] != "-")


@cache
def serving_rows() -> tuple[ServingRow, ...]:
    return tuple(_serving_row(row) for row in _read("measured_serving.csv"))


@cache
def local_rows() -> tuple[LocalRow, ...]:
    """Those whose hardware and format are known to `DEVICES` and `PRECISIONS`; of split set-ups none."""
    rows = (_local_row(row) for row in _read("other_devices.csv"))
    return tuple(row for row in rows if row)


def _read(name: str) -> list[dict[str, str]]:
    text = (files("sansi.deploy.plan") / "published" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _h20_row(row: dict[str, str]) -> H20Row:
    length = int(row["input_len"])
    memory = int(row["mem_mb"]) * 2**20 if row["mem_mb"].isdigit() else None
    seconds = (length + OUTPUT) / float(row["total_tok_s"])
    precision = precision_called(row["precision"])
    return H20Row(row["model"], row["engine"], length, precision, int(row["h20_gpus"]), seconds, memory)


_SYSTEMS = {"h100_sxm": "h100", "h200_sxm": "h200", "gb200": "gb200"}


def _serving_row(row: dict[str, str]) -> ServingRow:
    model = row["model"].split("/")[1]
    named = row["precision"] or ("fp8" if model.endswith("-FP8") else "bf16")
    return ServingRow(
        model.removesuffix("-FP8"),
        _SYSTEMS[row["system"]],
        row["backend"],
        precision_called(named),
        int(row["isl"]),
        int(row["osl"]),
        int(row["batch"]),
        int(row["tp"]),
        float(row["ttft_ms"]) / 1e3,
        float(row["tpot_ms"]) / 1e3,
    )


_HARDWARE = (
    ("M4 Max", "m4-max"),
    ("M3 Pro", "m3-pro"),
    ("M3 Ultra", "m3-ultra"),
    ("M4 Pro", "m4-pro"),
    ("M1 Max", "m1-max"),
    ("RTX 5090 32GB", "rtx5090"),
    ("RTX 3090 24GB", "rtx3090"),
    ("RTX 3060", "rtx3060"),
    ("RX 7900 XT", "rx7900xt"),
    ("RTX 5070", "rtx5070"),
    ("RTX 2080", "rtx2080"),
    ("GTX 1050 Ti", "gtx1050ti"),
    ("Ryzen 7950X", "ryzen-7950x"),
    ("EPYC 9355 CPU", "epyc-9355"),
    ("2x Xeon Gold 6138", "xeon-6138x2"),
    ("OnePlus 15", "sd8-elite-2"),
    ("Galaxy A05s", "sd680"),
    ("Snapdragon X Elite", "x-elite"),
    ("iPad Pro 11 M5", "ipad-m5"),
)
"""How hardware is called in the rows, and here."""
_FORMATS = (
    ("bf16", "bf16"),
    ("q8", "mlx-8bit"),
    ("q6", "mlx-6bit"),
    ("q5", "mlx-5bit"),
    ("q4", "mlx-4bit"),
    ("4bit", "mlx-4bit"),
    ("Q4_K_M", "q4_k_m"),
    ("Q8_0", "q8_0"),
    ("Q6_K", "q6_k"),
    ("mix-IQ6_K", "q6_k"),
    ("IQ4_XS", "q4_0"),
    ("Q4_1", "q4_0"),
    ("Q4", "q4_k_m"),
)


def _local_row(row: dict[str, str]) -> LocalRow | None:
    hardware, stated = row["hardware"], row["precision"]
    device = next((ours for theirs, ours in _HARDWARE if hardware.startswith(theirs)), None)
    named = next((ours for theirs, ours in _FORMATS if stated.startswith(theirs)), None)
    split = "+" in hardware or "offload" in row["engine"]
    model = preset_of(row["model"].replace("-Instruct", "").replace("-2507", ""))
    if device is None or named is None or model is None or split:
        return None
    prefill, decode = (float(row[name]) if row[name] else None for name in ("prefill_tok_s", "decode_tok_s"))
    context = _context(row["context_batch"])
    return LocalRow(model, device, row["engine"], precision_called(named), context, prefill, decode, row["source"])


def _context(stated: str) -> int:
    """Tokens before the decoded ones, of "p2048 g128 b1" or "pp512 tg128 @8192"; a short prompt where none is told."""
    for word in stated.split():
        if word.startswith("@") and word[1:].isdigit():
            return int(word[1:])
    for word in stated.split():
        if word.startswith("p") and word[1:].isdigit():
            return int(word[1:])
    return 64
