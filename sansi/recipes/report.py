"""What the stages of a recipe say of themselves, as Markdown: blocks for a card, and a report of all of them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import write_text
from sansi.base.runs import RunFolder
from sansi.data.problems import FAMILIES
from sansi.eval.budget_curve import BudgetCurve, markdown_table, table_rows
from sansi.eval.training_plot import plot_training
from sansi.recipes.history import History, described
from sansi.recipes.kinds.evaluation import known, read_accuracy, read_curve
from sansi.recipes.records import StageRecord
from sansi.recipes.stages import Inputs

BLOCK = re.compile(r"(<!-- nano:(\w+) -->\n).*?(<!-- /nano:\2 -->)", re.DOTALL)
PLOT_FILE = "training.png"


class Facts:
    """The figures of a model's making, from the records and the diaries of its stages."""

    def __init__(self, history: History, inputs: Inputs, folder: Path):
        """folder: of the stages, whose diaries (`metrics.jsonl`) lie in it."""
        self.history = history
        self.trained = [record for record in history.stages if (folder / record.name / "metrics.jsonl").is_file()]
        self.metrics = {record.name: RunFolder(folder / record.name).metrics() for record in self.trained}
        self.curve = read_curve(inputs["curve"]) if "curve" in inputs else None
        self.accuracies = [read_accuracy(inputs[role]) for role in ("before", "after") if role in inputs]

    def blocks(self) -> dict[str, str]:
        """By name, each ending in a line break; what was not measured is not there."""
        found = {"families": families(), "made": self.made(), "stages": self.stages()}
        if self.curve:
            found |= {"curve": markdown_table(table_rows(self.curve)), "switches": switches(self.curve)}
        return found | ({"gain": self.gain()} if len(self.accuracies) == 2 else {})

    def made(self) -> str:
        names = {record.recipe for record in self.history.stages}
        seeds = {record.seed for record in self.trained}
        commits = ", ".join(f"{record.name} `{record.commit}`" for record in self.trained)
        recipe, seed = ", ".join(sorted(names)), ", ".join(map(str, sorted(seeds, key=str)))
        return (
            f"Made by the recipe `{recipe}` (`sansi make {recipe}`), seed {seed}; its stages at commits: {commits}.\n"
        )

    def stages(self) -> str:
        lines = ["| stage | steps | tokens | minutes | last loss or reward |", "| --- | --: | --: | --: | --: |"]
        return "\n".join([*lines, *(self._line(record) for record in self.trained)]) + "\n"

    def _line(self, record: StageRecord) -> str:
        last: dict[str, Any] = {}
        for row in self.metrics[record.name]:
            last |= row
        tokens = f"{record.facts['tokens'] / 1e6:.1f}M" if "tokens" in record.facts else "rollouts"
        figure = f"loss {last['loss']:.3f}" if "reward" not in last else f"reward {last['reward']:.3f}"
        return f"| {record.name} | {last['step']} | {tokens} | {record.seconds / 60:.1f} | {figure} |"

    def gain(self) -> str:
        (before, error_before), (after, error_after) = (
            (known(score.accuracy), known(score.standard_error)) for score in self.accuracies
        )
        error, gained = math.hypot(error_before, error_after), after - before
        count = self.accuracies[1].problems
        points = f"{100 * gained:+.1f} ± {100 * error:.1f} points on {count:,} problems, one seed"
        return (
            f"Held-out thinking accuracy: {100 * before:.1f}% after the cold start, {100 * after:.1f}% after GRPO "
            f"({points}). The cold start is short on purpose: a long one learns more from the solvers than RL can add "
            "(docs/LOG.md).\n"
        )


def families() -> str:
    return "\n".join(f"- `{f.name}`: {f.about} (`{f.parameters}`)" for f in FAMILIES.values()) + "\n"


def switches(curve: BudgetCurve) -> str:
    hard = min(point.mode_followed for point in curve.points)
    soft = ", ".join(f"`{flag}` {100 * share:.1f}%" for flag, share in curve.soft_switch_followed.items())
    overruns = sum(point.overruns for point in curve.points)
    return (
        f"Hard switch followed: {100 * hard:.1f}% (the server enforces it). Soft switch at the end of the question, "
        f"left to the model, first 500 problems: {soft}. Budgets exceeded: {overruns} times.\n"
    )


def fill(text: str, blocks: Mapping[str, str], known: frozenset[str] = frozenset()) -> str:
    """The text with every marked block replaced. Raises SansiError for a mark that no block has.

    known: marks that somebody else fills; they stay as they are.
    """

    def replace(found: re.Match[str]) -> str:
        if found[2] in blocks:
            return found[1] + blocks[found[2]] + found[3]
        if found[2] in known:
            return found[0]
        raise SansiError(f'no figures called "{found[2]}"; there are {", ".join(blocks)}')

    return BLOCK.sub(replace, text)


def write_report(title: str, facts: Facts, folder: Path) -> None:
    """`report.md` in the folder, and the curves of the training beside it."""
    lines = [f"# {title}", "", facts.stages()]
    if facts.metrics:
        plot_training(facts.metrics, folder / PLOT_FILE)
        lines += [f"![training]({PLOT_FILE})", ""]
    if len(facts.accuracies) == 2:
        lines += [facts.gain()]
    if facts.curve:
        lines += [markdown_table(table_rows(facts.curve)), switches(facts.curve)]
    lines += ["## Every stage", "", *(f"- {line}" for line in described(facts.history)), ""]
    write_text(folder / "report.md", "\n".join(lines))
