"""Accuracy over thinking budgets: the picture that says whether thinking pays, and whether the budget holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sansi.base import SansiError
from sansi.base.files import write_json, write_text
from sansi.base.progress import Bar, progress_bar
from sansi.chat import ChatModel, ChatOptions, ChatResult
from sansi.data.problems import Problem, evaluation_set
from sansi.data.problems.seeds import EVALUATION_SEED
from sansi.data.problems.task import check_problems, check_whole
from sansi.eval.outputs import check_output, save_figure, write_records
from sansi.eval.problem_set import Graded, Score, ask
from sansi.text import NO_THINK_FLAG, THINK_FLAG, ChatCodec

BUDGETS = (0, 8, 16, 32, 64, 128, 256)
FILES = ("budget_curve.json", "budget_curve.md", "answers.jsonl", "budget_curve.png")
SWITCHED = 500  # problems that the soft switch is measured on


@dataclass(frozen=True)
class BudgetPoint:
    """The score at one budget; `budget` None is a thought without a limit."""

    budget: int | None
    score: Score
    own_tokens: float
    """Mean tokens of the model's own in a thought: without the phrase that closes a cut one."""
    overruns: int
    """Thoughts with more tokens of the model's own than the budget."""
    mode_followed: float
    """Share of answers in the mode asked for: a thought where one was due, none where none was."""


@dataclass(frozen=True)
class BudgetCurve:
    model: str
    seed: int | None
    """Of the problems; None where they were given."""
    points: list[BudgetPoint]
    soft_switch_followed: dict[str, float]
    """Share of answers that follow /think and /no_think when the switch is left to the model."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(
    folder: str,
    problems: int | Sequence[Problem] = 1000,
    budgets: Sequence[int] | None = None,
    out: str | None = None,
    seed: int = EVALUATION_SEED,
    batch: int = 128,
    max_tokens: int | None = None,
    name: str | None = None,
    device: str = "auto",
    adapter: str | None = None,
) -> BudgetCurve:
    """Measure the curve of a model folder on held-out problems, print its table and write plot and data to `out`.

    problems: how many are drawn by the seed, or the problems themselves. max_tokens: of thought and answer together;
    None: what the context leaves. name: what the model is called; None: as its folder. adapter: a PEFT folder that
    answers in the model's place. Raises SansiError for a bad folder, budget or seed, and before anything is measured
    for an `out` that can not be written to.
    """
    questions = _questions(problems, seed)
    check_whole("batch", batch, 1)
    budgets = _budgets(BUDGETS if budgets is None else budgets)
    if out is not None:
        check_output(out, FILES, needs_plot=True)
    chat = ChatModel.from_pretrained(folder, device=device, max_batch=batch, adapter=adapter)
    try:
        check_thinks(chat, "model")
        flags = (THINK_FLAG, NO_THINK_FLAG)
        total = len(questions) * (len(budgets) + 1) + len(questions[:SWITCHED]) * len(flags)
        with progress_bar("", total, lines=False) as bar:
            answers = {budget: _ask_at(chat, questions, budget, max_tokens, bar) for budget in [*budgets, None]}
            followed = {flag: _follows(chat, questions[:SWITCHED], flag, max_tokens, bar) for flag in flags}
        curve = BudgetCurve(
            model=name or chat.name,
            seed=None if isinstance(problems, Sequence) else seed,
            points=[_point(chat.codec, budget, graded) for budget, graded in answers.items()],
            soft_switch_followed=followed,
        )
    finally:
        chat.engine.close()
    Console().print(_table(curve))
    if out is not None:
        _write(curve, answers, Path(out))
    return curve


def check_thinks(chat: ChatModel, param: str, asked: bool = True) -> None:
    """Raise SansiError where a thought is asked of a model that has no thinking mode."""
    if asked and not chat.thinks:
        reason = "has no thinking mode, so no thought is to be bound; `sansi eval run` without a budget measures it"
        raise SansiError(f"{param}: {chat.name} {reason}", param=param)


def _budgets(budgets: Sequence[int]) -> list[int]:
    if isinstance(budgets, str) or not isinstance(budgets, Sequence):
        raise SansiError(f"budgets must be a list of thinking budgets in tokens, not {budgets!r:.80}", param="budgets")
    for budget in budgets:
        check_whole("budgets", budget)
    return sorted(set(budgets))


def _questions(problems: Any, seed: int) -> list[Problem]:
    if isinstance(problems, Sequence) and not isinstance(problems, str):
        return check_problems(problems)
    check_whole("problems", problems, 1)
    return evaluation_set(problems, seed)


def _ask_at(
    chat: ChatModel, questions: list[Problem], budget: int | None, max_tokens: int | None, bar: Bar
) -> list[Graded]:
    bar.describe(f"budget {_label(budget)}")
    options = ChatOptions(enable_thinking=budget != 0, thinking_budget=budget or None, max_tokens=max_tokens)
    return ask(chat, questions, options, progress=bar)


def _point(codec: ChatCodec, budget: int | None, graded: list[Graded]) -> BudgetPoint:
    limit = math.inf if budget is None else budget
    thought = [g.result.usage.reasoning_tokens > 0 for g in graded]
    own = [own_thinking_tokens(codec, g.result) if t else 0 for g, t in zip(graded, thought, strict=True)]
    return BudgetPoint(
        budget=budget,
        score=Score.of(graded),
        own_tokens=sum(own) / len(own),
        overruns=sum(tokens > limit for tokens in own),
        mode_followed=sum(t == (budget != 0) for t in thought) / len(thought),
    )


def own_thinking_tokens(codec: ChatCodec, result: ChatResult) -> int:
    """Tokens of the thought that the model chose: what a budget bounds, what the prompt holds of it included.

    Counted from the ids, because the engine's own count is what is to be checked. Taken off are a line break right
    after the tag, and those tokens alone that spell the phrase that closes a cut thought.
    """
    tags = codec.thinking_ids
    if tags is None:
        return 0
    before = result.prompt_ids[_index_after_last(result.prompt_ids, tags.start) :]
    if tags.start in result.prompt_ids and tags.end not in before:
        inside = (*before, *result.ids)
    else:
        inside = result.ids[_index_after_last(result.ids, tags.start) :]
    inside = inside[1:] if inside and inside[0] in tags.framing else inside
    thought = inside[: inside.index(tags.end)] if tags.end in inside else inside
    phrase = tags.end_sequence[: result.report.closing_phrase_tokens]
    return len(thought) - (len(phrase) if thought[len(thought) - len(phrase) :] == phrase else 0)


def _index_after_last(ids: tuple[int, ...], wanted: int) -> int:
    """The index behind the last `wanted`; the end where there is none."""
    return max((i + 1 for i, id_ in enumerate(ids) if id_ == wanted), default=len(ids))


def _follows(chat: ChatModel, questions: list[Problem], flag: str, max_tokens: int | None, bar: Bar) -> float:
    """How often the model itself follows a soft switch: nothing is prefilled and nothing is enforced."""
    bar.describe(f"switch {flag}")
    options = ChatOptions(soft_switch="model", max_tokens=max_tokens)
    graded = ask(chat, questions, options, suffix=f" {flag}", progress=bar)
    thought = [bool((g.result.message.reasoning_content or "").strip()) for g in graded]
    return sum(t == (flag == THINK_FLAG) for t in thought) / len(thought)


def _label(budget: int | None) -> str:
    return "unlimited" if budget is None else str(budget)


def table_rows(curve: BudgetCurve) -> list[list[str]]:
    """The README's table: header first."""
    families = sorted(curve.points[0].score.by_family)
    rows = [["budget", "accuracy", "± SE", "thought tokens", "overruns", *families]]
    for p in curve.points:
        rows.append(
            [
                _label(p.budget),
                percent(p.score.accuracy, 1, "%"),
                percent(p.score.standard_error, 1),
                f"{p.own_tokens:.0f}",
                str(p.overruns),
                *(percent(p.score.by_family[f]) for f in families),
            ]
        )
    return rows


def percent(share: float | None, digits: int = 0, sign: str = "") -> str:
    """A share as a table has it; a dash where nothing is known of it."""
    return "–" if share is None else f"{100 * share:.{digits}f}{sign}"


def markdown_table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]) + "\n"


def _table(curve: BudgetCurve) -> Table:
    rows = table_rows(curve)
    switches = ", ".join(f"{flag} {100 * share:.1f}%" for flag, share in curve.soft_switch_followed.items())
    hard = 100 * min(p.mode_followed for p in curve.points)
    table = Table(
        title=f"{curve.model}: accuracy over thinking budgets",
        caption=f"hard switch followed {hard:.1f}%; soft switch left to the model: {switches}",
        box=None,
        pad_edge=False,
    )
    head, *lines = zip(*rows, strict=True)  # a column per budget: a line per budget is wider than a terminal
    for column in head:
        table.add_column(column, justify="left" if column == head[0] else "right")
    for line in lines:
        table.add_row(*line)
    return table


def _write(curve: BudgetCurve, answers: dict[int | None, list[Graded]], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "budget_curve.json", curve.to_dict())
    write_text(out / "budget_curve.md", markdown_table(table_rows(curve)))
    records = [{"budget": budget, **g.to_dict()} for budget, graded in answers.items() for g in graded]
    write_records(out / "answers.jsonl", records)
    plot([curve], out / "budget_curve.png")


def plot(curves: Sequence[BudgetCurve], path: Path | str, labels: Sequence[str] | None = None) -> None:
    """Accuracy with standard errors over the budget, budgets evenly spaced because they double.

    Raises SansiError for no curves, curves without points or over different budgets, labels that are not one for each
    curve, and a path that no picture can be written to.
    """
    _check_curves(curves)
    labels = [c.model for c in curves] if labels is None else labels
    if len(labels) != len(curves):
        raise SansiError(f"{len(curves)} curves need {len(curves)} labels, not {len(labels)}", param="labels")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    budgets = [p.budget for p in curves[0].points]
    figure, axes = plt.subplots(figsize=(7, 4.2), dpi=150)
    for curve, label in zip(curves, labels, strict=True):
        values = [_plotted(p.score.accuracy) for p in curve.points]
        errors = [_plotted(p.score.standard_error) for p in curve.points]
        axes.errorbar(range(len(values)), values, yerr=errors, marker="o", capsize=3, label=label)
    axes.set_xticks(range(len(budgets)), [_label(budget) for budget in budgets])
    axes.set(xlabel="thinking budget (tokens)", ylabel="right answers (%)", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    save_figure(figure, path)


def _check_curves(curves: Sequence[BudgetCurve]) -> None:
    if isinstance(curves, BudgetCurve) or not isinstance(curves, Sequence):
        raise SansiError(f"curves must be a list of BudgetCurve, not {curves!r:.80}", param="curves")
    if not curves:
        raise SansiError("there is nothing to plot; give one curve at least", param="curves")
    if empty := [c.model for c in curves if not c.points]:
        raise SansiError(f"the curve of {empty[0]} has no points; there is nothing to plot", param="curves")
    budgets = [p.budget for p in curves[0].points]
    if other := [c.model for c in curves if [p.budget for p in c.points] != budgets]:
        raise SansiError(f"{other[0]} was measured at other budgets than {curves[0].model}; plot them apart")


def _plotted(share: float | None) -> float:
    return math.nan if share is None else 100 * share  # a gap in the line
