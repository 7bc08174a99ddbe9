"""What is asked in an evaluation must have been held out of all that its model learned from."""

from __future__ import annotations

from collections.abc import Sequence

from sansi.recipes.kinds.text import Pack
from sansi.recipes.stages import Stage


def leak_problems(stages: Sequence[Stage]) -> list[str]:
    """A sentence for each stage that may have drawn the very problems which an evaluation of its model asks."""
    by_name = {stage.name: stage for stage in stages}
    return [
        f'stage "{source.name}": what "{evaluation.name}" asks is not held out of it; add "{name}" to its "held_out"'
        for evaluation in stages
        if evaluation.kind.gives == "evaluation"
        for name in evaluation.inputs.get("problems", ())
        for source in _sources(evaluation, by_name)
        if _draws(source) and name not in source.inputs.get("held_out", ())
    ]


def _sources(stage: Stage, by_name: dict[str, Stage]) -> list[Stage]:
    """Every stage of the recipe that the model of an evaluation was made of."""
    found: dict[str, Stage] = {}
    names = list(stage.inputs.get("model", ()))
    while names:
        name = names.pop()
        if name in by_name and name not in found:
            found[name] = by_name[name]
            names += [given for role in by_name[name].inputs.values() for given in role]
    return list(found.values())


def _draws(stage: Stage) -> bool:
    """Whether it draws problems or texts to be learned from."""
    if stage.kind.name == "problems":
        return getattr(stage.config, "draw", "") == "training"
    if isinstance(stage.config, Pack):
        return stage.config.content == "exchanges"
    return "held_out" in stage.kind.inputs
