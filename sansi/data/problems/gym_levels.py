"""What is special about single tasks of reasoning-gym: parameters, levels that are left out, and why."""

from __future__ import annotations

from typing import Any

LEFT_OUT = {
    "composite": "it mixes other tasks; draw from several tasks instead",
}
"""Tasks that are not offered, each with its reason."""

FIXED: dict[str, dict[str, Any]] = {
    "word_ladder": {"size": 20_000},  # as many as its check allows; items beyond are drawn all the same
}
"""Parameters that a level does not set and the gym's defaults do not fit."""

TOP_LEVELS: dict[str, int] = {
    "rubiks_cube": 3,  # the gym's own check refuses its size 7
    "jugs": 1,  # its search for a solution takes minutes
}
"""The highest level, where the curriculum's own can not be drawn or takes too long."""

NOTES: dict[str, str] = {}

FLOORS: dict[str, dict[str, int]] = {
    "knight_swap": {"min_nodes": 6, "max_nodes": 6},  # its lowest level has 4, which its own check refuses
}
"""Least values of parameters that a level sets too low."""

DATASET_PER_SEED = {"acre": 5, "gsm_symbolic": 1, "list_functions": 1}
"""Tasks that choose or draw all their problems beforehand: for each seed a dataset is made, the smallest there is."""

SMALL_SEEDS = {"pool_matrix"}
"""Tasks whose generator takes seeds below 2**32 alone: larger ones are folded, and training seeds may meet."""

EXAMPLES = {
    "graph_color": "possible_answer",
    "propositional_logic": "example_answer",
    "rubiks_cube": "example_correct_answer",
}
"""Where the metadata hold one right answer, of tasks whose items have none; rush_hour has neither."""
