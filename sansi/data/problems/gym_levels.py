"""What is special about single tasks of reasoning-gym: parameters, levels that are left out, and why."""

from __future__ import annotations

LEFT_OUT = {
    "codeio": "drawing a problem runs a program of its data in this process, which prints and opens files",
    "composite": "it mixes other tasks; draw from several tasks instead",
}
"""Tasks that are not offered, each with its reason."""

TOP_LEVELS: dict[str, tuple[int, str]] = {
    "caesar_cipher": (1, "it rotates by more than the letters there are, which its own check refuses"),
    "jugs": (0, "with four jugs and more the gym's own solutions do not hold"),
    "rubiks_cube": (0, "the gym has no solutions of larger cubes"),
    "survo": (1, "it empties more cells than its smallest board has, which its own check refuses"),
    "zebra_puzzles": (3, "larger puzzles take minutes to draw"),
}
"""The highest level of curricula that have higher ones, and why those are left out."""

NOTES: dict[str, str] = {
    "knight_swap": "drawing a problem takes about 2 s",
    "zebra_puzzles": "drawing a problem takes some seconds at the highest level",
    "intermediate_integration": "at level 4 the gym's expected answer is an integral left standing, which is not taken",
    "rush_hour": "the gym names no right answer; moves are played",
    "boxnet": "the gym names no right answer; plans are played",
    "bf": "drawing a problem takes about 2 s at the highest level",
}
"""What a user should know."""

FLOORS: dict[str, dict[str, int]] = {
    "knight_swap": {"min_nodes": 6, "max_nodes": 6},  # its lowest level has 4, which its own check refuses
    "modulo_grid": {"max_target": 1},  # its second level has 0, which its own check refuses
    "sokoban": {"max_w": 7, "max_h": 7},  # on 6 by 6 it looks for a puzzle for minutes
}
"""Least values of parameters that a level sets too low."""

DATASET_PER_SEED = {"acre": 5, "gsm_symbolic": 1, "list_functions": 1, "word_ladder": 1}
"""Tasks that choose or draw all their problems beforehand: for each seed a dataset is made, the smallest there is."""

SMALL_SEEDS = {"pool_matrix"}
"""Tasks whose generator takes seeds below 2**32 alone: larger ones are folded, and training seeds may meet."""

EXAMPLES = {
    "graph_color": "possible_answer",
    "propositional_logic": "example_answer",
    "rubiks_cube": "example_correct_answer",
}
"""Where the metadata hold one right answer, of tasks whose items have none; rush_hour has neither."""

NOISY = {"bf"}
"""Tasks that print while a problem is drawn."""

TUPLES = {"arc_agi", "rearc"}
"""Tasks whose scorers compare an answer with tuples in the metadata, which are lists in a file."""
