"""Curves of a recipe's stages, for people who would rather look than read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sansi.base import SansiError
from sansi.eval.outputs import save_figure


def plot_training(runs: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """One panel per stage: the reward over the steps, or the loss where there is no reward.

    Raises SansiError for no stages, and for a path that no picture can be written to.
    """
    if not runs:
        raise SansiError("there is nothing to plot; give the metrics of one stage at least", param="runs")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = 3
    rows = -(-len(runs) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 2.8 * rows), dpi=130, squeeze=False)
    for panel, (name, metrics) in zip(axes.flat, runs.items(), strict=False):
        _draw(panel, name, metrics)
    for panel in list(axes.flat)[len(runs) :]:
        panel.set_visible(False)
    figure.tight_layout()
    save_figure(figure, path)


def _draw(panel: Any, name: str, metrics: list[dict[str, Any]]) -> None:
    what = "reward" if any("reward" in row for row in metrics) else "loss"
    points = [(row["step"], row[what]) for row in metrics if what in row]
    panel.plot(*zip(*points, strict=True), linewidth=1)
    held_out = [(row["step"], row["held_out_accuracy"]) for row in metrics if "held_out_accuracy" in row]
    if held_out:
        panel.plot(*zip(*held_out, strict=True), marker="o", label="held-out accuracy")
        panel.legend()
    panel.set(title=name, xlabel="step", ylabel=what)
    panel.grid(alpha=0.3)
