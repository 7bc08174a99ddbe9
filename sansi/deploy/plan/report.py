"""A plan in words and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from sansi.base.sizes import size_text
from sansi.deploy.plan.estimate import Receipt
from sansi.deploy.plan.plan import Plan


def described(plan: Plan) -> str:
    """Lines for a terminal."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    ask, memory = plan.ask, plan.memory
    count = f"{ask.count} x " if ask.count > 1 else ""
    verdict = "fits" if plan.fits else "does not fit" if not memory.fits else "does not run"
    yield f"{plan.model} in {plan.precision.name} on {count}{plan.device.title}: {verdict}"
    yield ""
    yield from _row("layout", f"{plan.layout}; legal TP sizes: {', '.join(map(str, plan.legal_splits))}")
    yield from _row("a device", f"{size_text(memory.total)} of {size_text(memory.usable)} usable")
    yield from _row("", _parts(plan))
    margin = f"{size_text(memory.left)} to spare" if memory.fits else f"{size_text(-memory.left)} too much"
    yield from _row("", margin)
    if plan.speed is not None:
        yield from _speed_lines(plan)
    for warning in plan.warnings:
        yield from _row("note", warning)
    for advice in plan.advice:
        yield from _row("instead", advice)


def _parts(plan: Plan) -> str:
    m, ask = plan.memory, plan.ask
    cached = f"KV cache {size_text(m.cache)} ({ask.concurrency} x {ask.context:,} tokens)"
    parts = [f"weights {size_text(m.weights)}", cached, f"activations {size_text(m.activations)}"]
    parts += [f"graphs {size_text(m.graphs)}"] if m.graphs else []
    return ", ".join([*parts, f"runtime {size_text(m.runtime)}"])


def _speed_lines(plan: Plan) -> Iterator[str]:
    speed, ask = plan.speed, plan.ask
    assert speed is not None
    yield from _row("first token", f"{_seconds(speed.first_token)} after {ask.context - ask.output:,} tokens of prompt")
    each = f"{_seconds(speed.per_token)} a token, {1 / speed.per_token:.4g} tokens/s for each request"
    yield from _row("then", each)
    yield from _row("in all", f"{plan.tokens_per_second:,.4g} tokens/s of answers, {ask.concurrency} at once")
    if plan.cost_per_million is not None:
        yield from _row("cost", f"{plan.cost_per_million:,.3g} for a million tokens of answers")
    yield from _row("error", f"expect ±{speed.typical_error:.0%}; fitted to {speed.basis}")
    for receipt in speed.receipts:
        yield from _row("nearest", _receipt(receipt))


def _receipt(receipt: Receipt) -> str:
    said = "slower" if receipt.error > 0 else "faster"
    measured = f"{receipt.what} measured {_seconds(receipt.measured)}"
    return f"{receipt.row}: {measured}, we say {abs(receipt.error):.1%} {said}"


def _row(name: str, text: str) -> Iterator[str]:
    yield f"  {name:<12}{text}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def as_dict(plan: Plan) -> dict[str, Any]:
    """The plan as plain values; sizes in bytes, times in seconds."""
    return {
        "model": plan.model,
        "ask": dataclasses.asdict(plan.ask),
        "device": dataclasses.asdict(plan.device),
        "format": plan.precision.name,
        "fits": plan.fits,
        "layout": dataclasses.asdict(plan.layout),
        "legal_tensor_parallel_sizes": list(plan.legal_splits),
        "memory_per_device": {**dataclasses.asdict(plan.memory), "total": plan.memory.total},
        "speed": dataclasses.asdict(plan.speed) if plan.speed else None,
        "tokens_per_second": plan.tokens_per_second,
        "cost_per_million_tokens": plan.cost_per_million,
        "warnings": list(plan.warnings),
        "advice": list(plan.advice),
    }
