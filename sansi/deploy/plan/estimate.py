"""Speed of one way to run a model, with the published rows that are nearest to it and how wrong we are about those."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sansi.deploy.plan.devices import DEVICES, Device
from sansi.deploy.plan.published import H20Row, LocalRow, ServingRow, here_rows
from sansi.deploy.plan.speed import (
    SERVING_ENGINES,
    Calibration,
    Load,
    first_calibration,
    first_terms,
    h20_calibration,
    h20_prompt_terms,
    h20_step_terms,
    local_calibration,
    local_first_calibration,
    local_prompt_terms,
    local_step_terms,
    token_calibration,
    token_terms,
)
from sansi.deploy.plan.work import Work

NEAREST = 3


@dataclass(frozen=True)
class Receipt:
    """A published measurement beside what we would have said."""

    row: str
    what: str
    """ "run", "token" or "first token"."""
    measured: float
    """Seconds."""
    error: float
    """Predicted / measured - 1."""


@dataclass(frozen=True)
class Estimate:
    """Seconds, and where they come from."""

    first_token: float
    per_token: float
    """Between two tokens of one request."""
    basis: str
    """Which measurements the figures were fitted to, and how far this case is from them."""
    typical_error: float
    """Mean of |predicted / measured - 1| over rows of models that the fit has not seen; over all rows where
    they are of two models only."""
    receipts: tuple[Receipt, ...]

    def request_seconds(self, output_length: int) -> float:
        """Of one request, first token and all."""
        return self.first_token + self.per_token * (output_length - 1)


def estimate(work: Work, device: Device, load: Load) -> Estimate:
    """The speed of `load` on `load.tp` of these devices."""
    if device.name == "here":
        return _here(work, device, load)
    if device.kind != "server":
        return _local(work, device, load)
    return _h20(work, device, load) if device.name.startswith("h20") else _serving(work, device, load)


def _h20(work: Work, device: Device, load: Load) -> Estimate:
    found = h20_calibration()
    steps = load.output_length
    prompt = found.fit.seconds(h20_prompt_terms(work, device, load))
    step = found.fit.seconds(h20_step_terms(work, device, load, steps)) / steps
    first = prompt * _waiting(load.concurrency) + step
    token = step + prompt * (load.concurrency - 1) / load.output_length  # others' prompts are read in between
    basis = "the official benchmark: one request at a time, SGLang on H20"
    if load.concurrency > 1:
        basis += f"; {load.concurrency} at once are further than any row goes"
    rows = _nearest(found, work, load, "run", lambda row: row.engine == "SGLang")
    return Estimate(first, token, basis, found.unseen_error, rows)


def _serving(work: Work, device: Device, load: Load) -> Estimate:
    engine = load.engine if load.engine in SERVING_ENGINES else SERVING_ENGINES[0]
    load = Load(load.input_length, load.output_length, load.concurrency, load.tp, engine)
    tokens, firsts = token_calibration(), first_calibration()
    first, token = (
        firsts.fit.seconds(first_terms(work, device, load)),
        tokens.fit.seconds(token_terms(work, device, load)),
    )
    basis = "Qwen3-32B and 235B-A22B under load, on H100, H200 and GB200"
    if device.name not in {row.device for row, _, _ in tokens.rows if isinstance(row, ServingRow)}:
        basis += f"; {device.title} has no row, its data sheet stands in"
    receipts = _nearest(tokens, work, load, "token") + _nearest(firsts, work, load, "first token")
    return Estimate(first, token, basis, max(tokens.unseen_error, firsts.unseen_error), receipts)


def _local(work: Work, device: Device, load: Load) -> Estimate:
    tokens, firsts = local_calibration(), local_first_calibration()
    context = load.input_length + load.output_length // 2
    first = firsts.fit.seconds(local_prompt_terms(work, device, load.input_length))
    token = tokens.fit.seconds(local_step_terms(work, device, context)) * load.concurrency
    basis = f"one stream on hardware of this kind ({device.kind}), llama.cpp and MLX"
    if load.concurrency > 1:
        basis += "; several requests take turns"
    receipts = _nearest(tokens, work, load, "token", lambda row: _is_on(row, device))
    receipts = receipts or _nearest(tokens, work, load, "token", lambda row: DEVICES[row.device].kind == device.kind)
    return Estimate(first, token, basis, tokens.unseen_error, receipts)


def _here(work: Work, device: Device, load: Load) -> Estimate:
    """By the shares of this machine's rates that our own engine was measured to reach."""
    rows = here_rows()
    row = next((r for r in rows if (r.precision.bits < 16) == (work.precision.bits < 16)), rows[0])
    other = Work(row.config, row.precision)
    read_share = row.decode * (other.read_bytes() + other.head_bytes()) / (row.read_gbs * 1e9)
    product_share = row.prefill * other.flops(1) / (row.float32_gflops * 1e9)
    context = load.input_length + load.output_length / 2
    read = work.read_bytes(load.concurrency) + work.head_bytes() + work.kv_bytes * context * load.concurrency
    products = product_share * device.tflops * 1e12
    step = max(read / (read_share * device.bandwidth * 1e9), work.flops(load.concurrency) / products)
    prompt = (work.flops(load.input_length) + work.attention_flops(load.input_length)) / products
    basis = (
        f"this machine's memory ({device.bandwidth:.0f} GB/s) and products ({device.tflops * 1e3:.0f} GFLOP/s), just "
        f"measured, and the shares of them that Sansi reached with {row}"
    )
    return Estimate(prompt * _waiting(load.concurrency) + step, step, basis, 0.3, ())


def _waiting(concurrency: int) -> float:
    """Prompts that a first token waits for on average, when all come at once."""
    return (concurrency + 1) / 2


def _is_on(row: Any, device: Device) -> bool:
    return isinstance(row, LocalRow) and row.device == device.name


def _nearest(
    found: Calibration, work: Work, load: Load, what: str, wanted: Callable[[Any], bool] = lambda row: True
) -> tuple[Receipt, ...]:
    rows = [entry for entry in found.rows if wanted(entry[0])]
    rows.sort(key=lambda entry: _distance(entry[0], work, load))
    return tuple(Receipt(str(row), what, sec, found.error_of(terms, sec)) for row, terms, sec in rows[:NEAREST])


def _distance(row: H20Row | ServingRow | LocalRow, work: Work, load: Load) -> float:
    """How unlike a row is to what is asked: a factor of two in anything counts one."""
    config = row.config
    apart = _factor(config.num_active_parameters(), work.config.num_active_parameters())
    apart += _factor(config.num_parameters(), work.config.num_parameters())
    apart += _factor(row.precision.bits, work.precision.bits) * 2
    if isinstance(row, LocalRow):
        return apart
    apart += _factor(row.input_length, load.input_length) / 2
    if isinstance(row, ServingRow):
        apart += _factor(row.concurrency, load.concurrency) + _factor(row.tp, load.tp)
        return apart + (row.engine != load.engine)
    return apart + _factor(row.gpus, load.tp)


def _factor(one: float, other: float) -> float:
    return abs(math.log2(max(one, 1) / max(other, 1)))
