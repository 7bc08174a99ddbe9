"""Reasoning RL on problems with a verifier."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sansi.base.config import idle, too_small
from sansi.base.runs import RunFolder
from sansi.chat import ChatModel
from sansi.model import ModelBundle, load
from sansi.model.bundle import CARDS
from sansi.post.grpo import GRPO, GRPOConfig
from sansi.recipes.kinds.evaluation import Asking, accuracy, known
from sansi.recipes.kinds.tasks import problems_of, read_problems
from sansi.recipes.kinds.training import MODEL, loop_config
from sansi.recipes.stages import Estimate, Inputs, Kind, Role, StageRun
from sansi.text import Codec


@dataclass(frozen=True, kw_only=True)
class Grpo(GRPOConfig):
    """Group-relative policy optimisation on problems with a verifier."""

    evaluate_every: int = 20
    """Rounds between measurements on the validation problems, where there are any."""
    asking: Asking = field(default_factory=Asking)
    """How the validation problems are asked."""

    def problems(self) -> list[str]:
        return super().problems() + too_small(self, 1, "evaluate_every")


def make_reasoner(config: Grpo, inputs: Inputs, run: StageRun) -> Path:
    codec, model = Codec.from_pretrained(inputs["model"]), load(inputs["model"], device=run.device, dtype="float32")
    folder, validation = RunFolder(run.path), inputs.get("validation")
    measure = functools.partial(_measure, asking=config.asking, folder=validation) if validation else None
    GRPO(
        model,
        codec,
        read_problems(inputs["problems"]),
        loop_config(config, GRPOConfig),
        folder,
        bundle=ModelBundle.from_folder(inputs["model"]).without(CARDS),
        evaluate=measure,
        evaluate_every=config.evaluate_every,
    ).train()
    updates = config.steps * config.updates_per_step
    run.record(rounds=config.steps, steps=updates, parameters=model.config.num_parameters())
    return folder.checkpoint(updates)


def _measure(chat: ChatModel, asking: Asking, folder: Path) -> float:
    return known(accuracy(chat, read_problems(folder), asking).accuracy)


def _unmeasured(config: Grpo, inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    reason = 'is for measuring, which needs the input "validation"'
    return [] if "validation" in inputs else idle(config, reason, "evaluate_every", "asking")


def _rounds(config: Grpo, before: Mapping[str, Estimate]) -> Estimate:
    rollouts = config.steps * config.questions_per_step * config.group_size
    what = f"{config.steps} rounds of {config.questions_per_step} questions x {config.group_size} answers"
    return Estimate(what, tokens=rollouts * config.max_tokens // 3)


KINDS = (
    Kind(
        "grpo",
        "reinforcement learning on problems with a verifier",
        Grpo,
        make_reasoner,
        "model",
        {
            "model": MODEL,
            "problems": Role("what is asked", ("problems",)),
            "validation": Role("what the policy is measured on now and then", ("problems",), optional=True),
        },
        resumes=True,
        seeded=True,
        check=_unmeasured,
        estimate=_rounds,
        judged=lambda config, inputs: problems_of(inputs, "problems", "validation"),
    ),
)
