"""How long things take: three fits, one for each kind of measurement that has been published.

H20: the official benchmark, one request at a time under SGLang. Serving: many requests at once on H100, H200, GB200.
Local: one stream on Macs, phones, consumer GPUs and CPUs. Bytes count in seconds of the device's full bandwidth and
operations in seconds of its full rate, so that the weights of a fit say how far from the data sheet one gets, and a
device without rows can be told from one with: that is an extrapolation, and `Estimate.basis` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeVar

from sansi.deploy.plan.devices import DEVICES, Device
from sansi.deploy.plan.fit import Fit, Terms, mean_error
from sansi.deploy.plan.precision import Precision
from sansi.deploy.plan.published import (
    OUTPUT,
    H20Row,
    LocalRow,
    ServingRow,
    h20_rows,
    local_rows,
    serving_rows,
)
from sansi.deploy.plan.work import Work

R = TypeVar("R", H20Row, ServingRow, LocalRow)
SERVING_ENGINES = ("vllm", "sglang", "trtllm")


@dataclass(frozen=True)
class Load:
    """What is asked of the devices."""

    input_length: int
    output_length: int
    concurrency: int = 1
    tp: int = 1
    engine: str = "vllm"


# ---- H20: the official benchmark -------------------------------------------------------------------------------------


def h20_step_terms(work: Work, device: Device, load: Load, steps: int) -> dict[str, float]:
    """Terms of `steps` decoding steps after `input_length` tokens."""
    read = _read_class(work.precision)
    expert_kernels = work.config.is_moe and read == "awq"  # whose cost is their number, not their bytes
    context = load.input_length * steps + steps * (steps + 1) / 2
    layer_steps = work.layers * steps
    per_byte = 1 / (device.bandwidth * 1e9) / load.tp
    terms = {
        f"read {read}": work.read_bytes(load.concurrency) * steps * per_byte,
        "read keys and values": work.kv_bytes * context * load.concurrency * per_byte,
        "read head": work.head_bytes() * steps * per_byte,
        "layer": layer_steps,
        "layer of quantised weights": layer_steps if work.precision.bits < 16 else 0,
        "layer of experts": layer_steps if work.config.is_moe else 0,
        "layer of int4 experts": layer_steps if expert_kernels else 0,
        "layer in parts": layer_steps if load.tp > 1 else 0,
    }
    if load.concurrency > 1:
        name, rate = _product_rate(work.precision, device)
        terms[name] = work.flops(load.concurrency * steps) / rate / load.tp
    return terms


def h20_prompt_terms(work: Work, device: Device, load: Load) -> dict[str, float]:
    """Terms of reading one prompt."""
    name, rate = _product_rate(work.precision, device)
    return {
        name: work.flops(load.input_length) / rate / load.tp,
        "attention of prompts": work.attention_flops(load.input_length) / (device.tflops * 1e12) / load.tp,
    }


def h20_terms(row: H20Row) -> Terms:
    work, device, load = Work(row.config, row.precision), DEVICES["h20"], Load(row.input_length, OUTPUT, 1, row.gpus)
    return {**h20_step_terms(work, device, load, OUTPUT), **h20_prompt_terms(work, device, load)}


def _read_class(precision: Precision) -> str:
    """Kernels of how many bits read the weights."""
    if precision.bits >= 16:
        return "bf16"
    return "awq" if precision.bits < 7 else "fp8" if precision.products == "fp8" else "gptq-int8"


def _product_rate(precision: Precision, device: Device) -> tuple[str, float]:
    """The term of matrix products, and operations a second of the units that make them."""
    if precision.products == "fp8" and device.fp8_tflops:
        return "fp8 products", device.fp8_tflops * 1e12
    return "bf16 products", device.tflops * 1e12


# ---- serving: many at once -------------------------------------------------------------------------------------------


def token_terms(work: Work, device: Device, load: Load) -> dict[str, float]:
    """Terms of the time between two tokens of a request while others are read and answered beside it."""
    _, rate = _product_rate(work.precision, device)
    per_byte = 1 / (device.bandwidth * 1e9) / load.tp
    requests = load.concurrency
    tokens = requests * (1 + load.input_length / load.output_length)  # of a step: one each, and a share of new prompts
    terms = {
        "read weights": work.read_bytes(requests) * per_byte,
        "read keys and values": work.kv_bytes * (load.input_length + load.output_length / 2) * requests * per_byte,
        "products": work.flops(tokens) / rate / load.tp,
        f"layer of {load.engine}": work.layers,
        f"request of {load.engine}": requests,
        "layer of experts": work.layers if work.config.is_moe else 0,
    }
    if load.tp > 1:
        terms["layer in parts"] = work.layers
        terms["exchange"] = _exchange(work, device, tokens)
    return terms


def first_terms(work: Work, device: Device, load: Load) -> dict[str, float]:
    """Terms of the wait for the first token: the own prompt, and those that came with it."""
    _, rate = _product_rate(work.precision, device)
    prompt = work.flops(load.input_length) / rate / load.tp
    return {
        "products": prompt,
        f"queue of {load.engine}": prompt * load.concurrency,
        f"layer of {load.engine}": work.layers,
        "layer of experts": work.layers if work.config.is_moe else 0,
        "exchange": _exchange(work, device, load.input_length) if load.tp > 1 else 0,
    }


def _exchange(work: Work, device: Device, tokens: float) -> float:
    """Seconds of sums over devices: two in a layer, of bfloat16."""
    return tokens * work.config.hidden_size * 2 * 2 * work.layers / (device.link * 1e9) if device.link else 0.0


def _serving(row: ServingRow) -> tuple[Work, Device, Load]:
    load = Load(row.input_length, row.output_length, row.concurrency, row.tp, row.engine)
    return Work(row.config, row.precision), DEVICES[row.device], load


def serving_token_terms(row: ServingRow) -> Terms:
    return token_terms(*_serving(row))


def serving_first_terms(row: ServingRow) -> Terms:
    return first_terms(*_serving(row))


# ---- local: one stream -----------------------------------------------------------------------------------------------


def local_step_terms(work: Work, device: Device, context: int) -> dict[str, float]:
    """Terms of one decoded token."""
    per_byte = 1 / (device.bandwidth * 1e9)
    return {
        f"read on {device.kind}": (work.read_bytes() + work.head_bytes()) * per_byte,
        "read keys and values": work.kv_bytes * context * per_byte,
        f"layer on {device.kind}": work.layers,
        f"layer of experts on {device.kind}": work.layers if work.config.is_moe else 0,
    }


def local_prompt_terms(work: Work, device: Device, tokens: int) -> dict[str, float]:
    """Terms of reading a prompt."""
    flops = work.flops(tokens) + work.attention_flops(tokens)
    return {f"products on {device.kind}": flops / (device.tflops * 1e12)}


def local_terms(row: LocalRow) -> Terms:
    return local_step_terms(Work(row.config, row.precision), DEVICES[row.device], row.context)


def local_first_terms(row: LocalRow) -> Terms:
    return local_prompt_terms(Work(row.config, row.precision), DEVICES[row.device], max(row.context, 512))


# ---- the fits --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calibration:
    """One fit with the rows it was made of."""

    fit: Fit
    rows: tuple[tuple[H20Row | ServingRow | LocalRow, Terms, float], ...]
    """(row, terms, seconds measured)."""

    @property
    def error(self) -> float:
        """Mean of |predicted / measured - 1| over its rows."""
        return mean_error(self.fit, [(terms, seconds) for _, terms, seconds in self.rows])

    @cached_property
    def unseen_error(self) -> float:
        """The same over rows of models that the fit has not seen; over all rows where they are of two models only."""
        counts = Counter(row.model for row, _, _ in self.rows)
        if len(counts) < 3:  # a fit of one model says nothing of another
            return self.error
        return sum(self.without(model).error * count for model, count in counts.items()) / len(self.rows)

    def error_of(self, terms: Terms, measured: float) -> float:
        return self.fit.seconds(terms) / measured - 1

    @classmethod
    def of(cls, rows: tuple[R, ...], terms: Callable[[R], Terms], seconds: Callable[[R], float]) -> Calibration:
        kept = tuple((row, terms(row), seconds(row)) for row in rows)
        return cls(Fit.of([(terms_, seconds_) for _, terms_, seconds_ in kept]), kept)

    def without(self, model: str) -> Calibration:
        """The fit that has not seen a model."""
        seen = [(terms, seconds) for row, terms, seconds in self.rows if row.model != model]
        return Calibration(Fit.of(seen), tuple(row for row in self.rows if row[0].model == model))


@cache
def h20_calibration() -> Calibration:
    rows = tuple(row for row in h20_rows() if row.engine == "SGLang")
    return Calibration.of(rows, h20_terms, lambda row: row.seconds)


@cache
def token_calibration() -> Calibration:
    return Calibration.of(serving_rows(), serving_token_terms, lambda row: row.per_token)


@cache
def first_calibration() -> Calibration:
    return Calibration.of(serving_rows(), serving_first_terms, lambda row: row.first_token)


@cache
def local_calibration() -> Calibration:
    rows = tuple(row for row in local_rows() if row.decode)
    return Calibration.of(rows, local_terms, lambda row: 1 / (row.decode or 1.0))


@cache
def local_first_calibration() -> Calibration:
    rows = tuple(row for row in local_rows() if row.prefill)
    return Calibration.of(rows, local_first_terms, lambda row: max(row.context, 512) / (row.prefill or 1.0))
