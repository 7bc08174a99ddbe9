"""The kinds of stages: each is one frozen configuration and one function `(config, inputs, run) -> folder`.

A file holds a family of them; what a kind is called, reads and leaves stands in the `KINDS` of its file.
"""

from __future__ import annotations

from collections.abc import Mapping

from sansi.recipes.kinds import evaluation, models, reinforcement, synthetic, tasks, text, training, weighing
from sansi.recipes.stages import Kind

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for family in (text, weighing, synthetic, tasks, training, reinforcement, evaluation, models)
    for kind in family.KINDS
}

NOT_BUILT: Mapping[str, str] = {
    "candidates": "answers can be drawn from the worked solutions of the kind samples only",
    "distill": "there is no loss on a teacher's distribution",
    "reward_model": "rewards come from verifiers only, see the kind grpo",
    "dpo": "there is no loss on preferences; the kinds sft and grpo train on answers and on rewards",
    "merge": "weights of several models can not be averaged",
    "gate": "an evaluation can not stop a recipe; the kind evaluate leaves the figures",
}
"""Kinds that the design has and Sansi has not yet, and what is missing."""
