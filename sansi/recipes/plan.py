"""`--dry-run`: how every stage stands, and what the missing ones will take, as far as that can be known."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from sansi.base.sizes import size_text
from sansi.model import ModelConfig
from sansi.recipes.kinds.training import Rows
from sansi.recipes.runner import Runner, State
from sansi.recipes.shapes import shapes_of
from sansi.recipes.stages import Estimate, Stage

FLOPS_PER_TOKEN = 6  # of training, by parameter: two for the forward pass, four for the backward
GENERATED_PER_TOKEN = 8  # of sampling, by parameter: two, and small batches use a fraction of the machine
USED_SHARE = 0.3  # of what a large matrix product reaches; a small model reaches less
BYTES_PER_PARAMETER = 16  # weights, gradients and two moments in float32
BYTES_PER_ACTIVATION = 4


@dataclass(frozen=True)
class Line:
    """A stage in the plan."""

    stage: Stage
    state: str
    estimate: Estimate

    @property
    def is_open(self) -> bool:
        return self.state != "done"


def plan(runner: Runner, until: str | None = None, restart: Collection[str] = ()) -> str:
    """The plan as text. Nothing is made or moved. Raises SansiError as the runner does for what is foreign."""
    again = {stage.name for stage in runner.recipe.behind(restart)}
    lines = _lines(runner, runner.states(until), again)
    open_lines = [line for line in lines if line.is_open]
    seconds = sum(line.estimate.seconds or 0 for line in open_lines)
    memory = max((line.estimate.memory or 0 for line in open_lines), default=0)
    disk = sum(line.estimate.disk or 0 for line in open_lines)
    recipe = runner.recipe
    head = f"{recipe.name}: {recipe.about or 'no description'}\ninto {runner.out}, seed {recipe.seed}\n"
    needs = [f"{_size(memory)} of memory at the most"] * bool(memory) + [f"{_size(disk)} of disk"] * bool(disk)
    total = f"{len(open_lines)} of {len(lines)} stages to make: " + ", ".join([f"about {_time(seconds)}", *needs])
    return "\n".join([head, _table(lines), "", *_advice(lines), total])


def _lines(runner: Runner, states: list[State], again: Collection[str]) -> list[Line]:
    rate, lines = _flops(), []
    known: dict[str, Estimate] = {}
    shapes = shapes_of(state.stage for state in states)
    for state in states:
        stage = state.stage
        before = {role: known[names[0]] for role, names in stage.inputs.items() if names and names[0] in known}
        estimate = _costed(stage, stage.kind.estimate(stage.config, before), shapes[stage.name], rate)
        known[stage.name] = estimate
        lines.append(Line(stage, _state(state, again), estimate))
    return lines


def _state(state: State, again: Collection[str]) -> str:
    if state.stage.name in again:
        return "anew"
    if state.is_stale:
        return "stale: " + "; ".join(state.reasons)
    if state.is_done:
        return "done"
    return "begun" if state.record else "to make"


def _costed(stage: Stage, estimate: Estimate, shape: ModelConfig | None, rate: float) -> Estimate:
    """With time and memory for the stages that compute with a model."""
    if shape is None or estimate.tokens is None or stage.kind.gives not in ("model", "evaluation"):
        return estimate
    parameters, trains = shape.num_active_parameters(), isinstance(stage.config, Rows)
    work = FLOPS_PER_TOKEN if trains else GENERATED_PER_TOKEN
    seconds = work * parameters * estimate.tokens / (USED_SHARE * rate) + 5
    memory = shape.num_parameters() * BYTES_PER_PARAMETER + (_activations(stage.config, shape) if trains else 0)
    return replace(estimate, seconds=seconds, memory=memory, disk=3 * 4 * shape.num_parameters())


def _activations(config: Any, shape: ModelConfig) -> int:
    """Bytes that a step keeps for the backward pass: about 12 vectors and one FFN a layer, and the logits."""
    rows = min(config.batch_size, getattr(config, "micro_batch_size", None) or config.batch_size)
    per_layer = 12 * shape.hidden_size + 3 * shape.intermediate_size
    per_token = shape.num_hidden_layers * per_layer + 3 * shape.vocab_size
    return BYTES_PER_ACTIVATION * rows * config.sequence_length * per_token


def _flops() -> float:
    """Floating-point operations a second of matrix products on all threads; others that work here do not count."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        a, best = torch.ones(256, 256), math.inf
        for _ in range(20):
            started = time.thread_time()
            for _ in range(5):
                a @ a
            best = min(best, time.thread_time() - started)
    finally:
        torch.set_num_threads(threads)
    return threads * 5 * 2 * 256**3 / max(best, 1e-6)


def _table(lines: list[Line]) -> str:
    rows = [("stage", "kind", "what", "tokens", "time", "memory", "state")]
    for line in lines:
        e = line.estimate
        numbers = (_count(e.tokens), _time(e.seconds), _size(e.memory))
        rows.append((line.stage.name, line.stage.kind.name, e.what, *numbers, line.state))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return "\n".join("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]) for row in rows)


def _advice(lines: list[Line]) -> list[str]:
    stale = [line.stage.name for line in lines if line.state.startswith("stale")]
    return [f"{', '.join(stale)}: made otherwise; --restart {stale[0]} makes it anew\n"] if stale else []


def _count(tokens: int | None) -> str:
    if tokens is None:
        return "-"
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if tokens >= size:
            return f"{tokens / size:.1f}{unit}"
    return str(tokens)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _size(size: int | None) -> str:
    return size_text(size) if size else "-"
