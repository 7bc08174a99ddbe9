"""What a model can do: accuracy on held-out problems, and over thinking budgets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sansi.base.config import Config, idle, load_config, too_small
from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json
from sansi.chat import ChatModel, ChatOptions
from sansi.data.problems import Problem
from sansi.eval import budget_curve
from sansi.eval.budget_curve import BUDGETS, SWITCHED, BudgetCurve
from sansi.eval.problem_set import Score, ask
from sansi.recipes.kinds.tasks import problems_of, read_problems
from sansi.recipes.stages import Estimate, Inputs, Kind, Role, StageRun

ACCURACY_FILE, CURVE_FILE = "accuracy.json", "budget_curve.json"
USUAL_COUNT = 1000  # problems, in estimates


@dataclass(frozen=True)
class Asking(Config):
    """How problems are asked in thinking mode."""

    temperature: float = 0.3
    """0 is greedy."""
    max_tokens: int | None = None
    """Of thought and answer together; left out: what the context leaves."""

    def problems(self) -> list[str]:
        return too_small(self, 0, "temperature") + too_small(self, 1, "max_tokens")


@dataclass(frozen=True, kw_only=True)
class Evaluate(Config):
    """Asks problems that training never saw."""

    measure: Literal["accuracy", "budget_curve"] = "accuracy"
    """Right answers after a thought without a limit to the given problems; or over thinking budgets."""
    asking: Asking = field(default_factory=Asking)
    """How they are asked; the curve takes the model's own sampling presets, and of this the longest answer."""
    budgets: tuple[int, ...] = BUDGETS
    """Of the curve, in tokens; one without a limit is always measured."""
    labels: tuple[str, ...] = ()
    """With other curves among the inputs, what each is called in the picture: this one first."""

    def problems(self) -> list[str]:
        return [f'"budgets" are 0 or more, not {budget}' for budget in self.budgets if budget < 0]


def make_evaluation(config: Evaluate, inputs: Inputs, run: StageRun) -> Path:
    problems = read_problems(inputs["problems"])
    if config.measure == "accuracy":
        return _accuracy(config, problems, inputs, run)
    curve = budget_curve.run(
        str(inputs["model"]),
        problems,
        list(config.budgets),
        str(run.path),
        max_tokens=config.asking.max_tokens,
        name=inputs.all("model")[0].name,
        device=run.device,
    )
    others = [read_curve(given.path) for given in inputs.all("beside")]
    if others:
        budget_curve.plot([curve, *others], run.path / "beside.png", list(config.labels) or None)
    run.record(problems=len(problems), budgets=len(config.budgets) + 1)
    return run.path


def _accuracy(config: Evaluate, problems: list[Problem], inputs: Inputs, run: StageRun) -> Path:
    with ChatModel.from_pretrained(inputs["model"], device=run.device, max_batch=256) as chat:
        score = accuracy(chat, problems, config.asking)
    write_json(run.path / ACCURACY_FILE, dataclasses.asdict(score))
    share = known(score.accuracy)
    run.record(problems=len(problems), accuracy=round(share, 4), unknown=score.outcomes.get("unknown", 0))
    run.say(f"{100 * share:.1f}% of {len(problems):,} problems are right")
    return run.path


def known(figure: float | None) -> float:
    """A figure of a score. Raises SansiError where every verifier failed, so that there is none."""
    if figure is None:
        raise SansiError("no answer could be judged: the verifiers of all problems failed; accuracy.json counts them")
    return figure


def accuracy(chat: ChatModel, problems: Sequence[Problem], asking: Asking) -> Score:
    """Of answers after a thought without a limit."""
    options = ChatOptions(enable_thinking=True, temperature=asking.temperature, max_tokens=asking.max_tokens)
    return Score.of(ask(chat, list(problems), options))


def read_accuracy(folder: Path) -> Score:
    return load_config(Score, read_json(Path(folder) / ACCURACY_FILE), str(Path(folder) / ACCURACY_FILE))


def read_curve(folder: Path) -> BudgetCurve:
    return load_config(BudgetCurve, read_json(Path(folder) / CURVE_FILE), str(Path(folder) / CURVE_FILE))


def _fitting(config: Evaluate, inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    curves = 1 + len(inputs.get("beside", ()))
    found = []
    if config.measure == "accuracy" and "beside" in inputs:
        found.append('the input "beside" is for the measure "budget_curve"')
    if config.measure == "accuracy":
        return found + idle(config, 'is for the measure "budget_curve"', "budgets", "labels")
    found += idle(config.asking, 'is for the measure "accuracy"; the curve takes the model\'s presets', "temperature")
    if config.labels and len(config.labels) != curves:
        found.append(f'"labels" are {len(config.labels)}, and {curves} curves are drawn')
    return found


def _answers(config: Evaluate, before: Mapping[str, Estimate]) -> Estimate:
    asked = before.get("problems", Estimate()).count or USUAL_COUNT
    curve = config.measure == "budget_curve"
    answers = asked * (len(config.budgets) + 1) + 2 * min(asked, SWITCHED) if curve else asked
    return Estimate(f"{config.measure}, {answers:,} answers", tokens=60 * answers)


KINDS = (
    Kind(
        "evaluate",
        "measures accuracy, or accuracy over thinking budgets",
        Evaluate,
        make_evaluation,
        "evaluation",
        {
            "model": Role("the model that is asked", ("model",)),
            "problems": Role("what is asked, and was held out of all that the model learned from", ("problems",)),
            "beside": Role("curves to draw beside this one", ("evaluation",), many=True, optional=True),
        },
        check=_fitting,
        estimate=_answers,
        judged=lambda config, inputs: problems_of(inputs, "problems"),
    ),
)
