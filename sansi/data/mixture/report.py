"""What a search for weights found, for people: tables in Markdown and one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sansi.base.files import write_text
from sansi.data.mixture.annotations import Annotations
from sansi.data.mixture.features import Floats
from sansi.data.mixture.regret import Regret
from sansi.data.mixture.search import Outcome
from sansi.data.mixture.weights import DocumentWeights

REPORT_FILE, PLOT_FILE = "report.md", "effects.png"
SHOWN = 15  # rows of a table of shares
MOST_SETS = 8  # that have a column of their own


def write_report(
    folder: Path, found: DocumentWeights, outcome: Outcome, annotations: Annotations, about: Mapping[str, str]
) -> None:
    """Write `report.md` and `effects.png`. annotations: of the corpus; about: lines for its head."""
    weights = found.of_annotations(annotations)
    parts = [
        "# Weights of documents",
        *(f"- {name}: {value}" for name, value in about.items()),
        "",
        "## Compared",
        *_compared(outcome),
        "",
        "## What each feature is worth",
        f"![effects with their intervals]({PLOT_FILE})",
        "",
        *_effects(found, outcome),
        "",
        *_spread(weights, annotations),
    ]
    for axis in found.space.axes:
        if any(isinstance(value, str) for value in annotations.column(axis)):
            parts += ["", f"## Read by {axis}", *_shares(axis, weights, annotations)]
    write_text(folder / REPORT_FILE, "\n".join(parts) + "\n")
    _plot(folder / PLOT_FILE, found, outcome)


def effect_intervals(outcome: Outcome) -> tuple[Floats, Floats]:
    """Ends of the intervals that hold 95% of the effects, [features], of fits to resampled proxies."""
    slopes = outcome.fit.slopes(outcome.optimum.exposure, outcome.optimum.concentration)
    low, high = np.quantile([slope.effects for slope in slopes], [0.025, 0.975], axis=0)
    return low, high


def verdict(outcome: Outcome) -> str:
    """Whether the fitted weights helped the proxies, in a sentence."""
    if not outcome.candidates:
        return "The weights were not compared with the corpus as it is."
    base = outcome.candidates[0]
    if outcome.strength == 0:
        return "No strength of the fitted weights was better than the corpus as it is: all weights are equal."
    best = next(c for c in outcome.candidates if c.strength == outcome.strength)
    regret = Regret.of(best.losses, base.losses)
    certain = "" if regret.high is not None and regret.high < 0 else "; the interval holds 0, so this may be chance"
    return f"Against the corpus as it is the proxies need {regret} bits per byte{certain}."


def _compared(outcome: Outcome) -> list[str]:
    if not outcome.candidates:
        return [verdict(outcome)]
    base, best = outcome.candidates[0], min(outcome.candidates, key=lambda c: c.loss)
    sets = list(base.by_set)
    shown = sets if len(sets) <= MOST_SETS else []
    rows = [
        "| weights | bits per byte | against proportional | regret | as varied as |"
        + "".join(f" {s} |" for s in shown),
        f"|---|--:|--:|--:|--:|{'--:|' * len(shown)}",
    ]
    for one in outcome.candidates:
        cells = [one.name + (" (kept)" if one.strength == outcome.strength else ""), f"{one.loss:.4f}"]
        cells += [str(Regret.of(one.losses, base.losses)) if one is not base else "-", f"{one.loss - best.loss:.4f}"]
        cells += [f"{100 * np.exp(-one.concentration):.0f}%", *(f"{one.by_set[name]:.4f}" for name in shown)]
        rows.append("| " + " | ".join(cells) + " |")
    seeds = len(base.losses)
    text = (
        f"Each is the mean of {seeds} proxies with seeds that the fit did not see; intervals hold 95% (Student's t, in "
        "pairs). Regret is against the best of them. As varied as: share of the corpus, read evenly."
    )
    return [verdict(outcome), "", *rows, "", text]


def _effects(found: DocumentWeights, outcome: Outcome) -> list[str]:
    fit, slope = outcome.fit, outcome.optimum.slope
    sets = list(outcome.proxies[0][1])
    shown = range(len(sets) if len(sets) <= MOST_SETS else 0)
    heads = ["feature", "effect, bits per byte", "95%", "coefficient of the weight", *(sets[i] for i in shown)]
    rows = ["| " + " | ".join(heads) + " |", f"|---|--:|--:|--:|{'--:|' * len(shown)}"]
    lows, highs = effect_intervals(outcome)
    for number, (term, coefficient) in enumerate(zip(found.space.terms, found.coefficients, strict=True)):
        cells = [term.name, f"{slope.effects[number]:+.4f}", f"[{lows[number]:+.4f}, {highs[number]:+.4f}]"]
        cells += [f"{coefficient.value:+.3f}", *(f"{fit.coefficients.effects[i, number]:+.3f}" for i in shown)]
        rows.append("| " + " | ".join(cells) + " |")
    prices = [one.price for one in fit.slopes(outcome.optimum.exposure, outcome.optimum.concentration)]
    low, high = np.quantile(prices, [0.025, 0.975])
    price = f"{slope.price:+.4f} bits per byte a nat [{low:+.4f}, {high:+.4f}]"
    behind = "Behind them: effect on the logarithm of the loss of each set. " if shown else ""
    return [
        *rows,
        "",
        "Effects are of a mean over what is read that is one deviation higher, near the fitted weights; below 0 helps. "
        f"{behind}Price of concentration: {price}. Leave-one-out error {fit.error:.4f} bits per byte, "
        f"{100 * max(0.0, fit.explained):.0f}% of the variance "
        f"explained, ridge penalty {fit.penalty:.2g}.",
    ]


def _spread(weights: Floats, annotations: Annotations) -> list[str]:
    sizes = annotations.sizes.astype(float)
    edges = [0.0, 0.05, 0.5, 1.0, 2.0, float("inf")]
    names = ("hardly ever (below 0.05)", "0.05 to 0.5", "0.5 to 1", "1 to 2", "2 and more")
    rows = [
        "## How often documents are read",
        "| times | documents | bytes of the corpus | bytes read |",
        "|---|--:|--:|--:|",
    ]
    read = weights * sizes
    for name, low, high in zip(names, edges[:-1], edges[1:], strict=True):
        inside = (weights >= low) & (weights < high)
        shares = [100 * part[inside].sum() / part.sum() for part in (sizes, read)]
        rows.append(f"| {name} | {int(inside.sum()):,} | {shares[0]:.1f}% | {shares[1]:.1f}% |")
    return rows


def _shares(axis: str, weights: Floats, annotations: Annotations) -> list[str]:
    """What part of the corpus, and of what is read, has each word of the axis; the largest first."""
    sizes = annotations.sizes.astype(float)
    names = np.array(["-" if value is None else str(value) for value in annotations.column(axis)])
    shares = {
        name: [float(part[names == name].sum() / part.sum()) for part in (sizes, weights * sizes)]
        for name in set(names)
    }
    rows = [f"| {axis} | of the corpus | of what is read |", "|---|--:|--:|"]
    order = sorted(shares.items(), key=lambda item: (-item[1][0], item[0]))
    rows += [f"| {name} | {100 * before:.1f}% | {100 * after:.1f}% |" for name, (before, after) in order[:SHOWN]]
    return rows + ([f"| {len(order) - SHOWN} more | | |"] if len(order) > SHOWN else [])


def _plot(path: Path, found: DocumentWeights, outcome: Outcome) -> None:
    """Effects with intervals, and what the fit predicts of each proxy beside what was measured."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    effects, names = outcome.optimum.slope.effects, found.space.names
    order = np.argsort(effects)[::-1]
    lows, highs = effect_intervals(outcome)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 1.6 + 0.28 * max(len(names), 8)), dpi=120)
    places = np.arange(len(order))
    left.hlines(places, lows[order], highs[order], color="tab:blue", alpha=0.5)
    left.plot(effects[order], places, "o", color="tab:blue")
    left.axvline(0, color="grey", linewidth=0.8)
    left.set_yticks(places, [names[number] for number in order])
    left.set_xlabel("effect (bits per byte; left helps)")
    right.plot(outcome.predicted, outcome.losses, "o", color="tab:blue")
    ends = [
        float(min(outcome.losses.min(), outcome.predicted.min())),
        float(max(outcome.losses.max(), outcome.predicted.max())),
    ]
    right.plot(ends, ends, color="grey", linewidth=0.8)
    right.set(xlabel="predicted (bits per byte)", ylabel="measured", title="proxies")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
