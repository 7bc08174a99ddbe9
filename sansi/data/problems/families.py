"""The problem families of the nano recipe: which tasks of reasoning-gym, at which difficulty, from which seeds."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.data.problems.draws import distinct, stream
from sansi.data.problems.seeds import EVALUATION_SEED, check_evaluation_seed, first_training_seed
from sansi.data.problems.task import Problem, check_whole


@dataclass(frozen=True)
class Family:
    """A task of reasoning-gym at one difficulty."""

    name: str
    parameters: dict[str, Any]
    """Difficulty, as reasoning-gym names it."""
    about: str
    """What one problem looks like, for documentation."""


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "chain_sum",
            {"min_terms": 2, "max_terms": 6, "min_digits": 1, "max_digits": 2},
            "2 to 6 terms of 1 or 2 digits",
        ),
        Family("count_bits", {"min_n": 1, "max_n": 2047}, "numbers up to 2,047"),
        Family("gcd", {"min_numbers": 2, "max_numbers": 2, "max_value": 100}, "2 numbers up to 100"),
        Family("letter_counting", {"min_words": 2, "max_words": 8}, "2 to 8 words of a story"),
        Family(
            "simple_equations",
            {"max_terms": 4, "max_value": 12, "operators_weights": [0.5, 0.5, 0.0]},
            "one unknown, 2 to 4 terms, values up to 12",
        ),
        Family("spell_backward", {}, "words of 3 to 10 letters"),
    )
}


@functools.lru_cache(maxsize=64)
def _dataset(family: str, seed: int) -> Any:
    import reasoning_gym

    if family not in FAMILIES:
        raise SansiError(f'unknown problem family "{family}"{did_you_mean(family, FAMILIES)}', param="family")
    return reasoning_gym.create_dataset(family, seed=seed, size=1 << 30, **FAMILIES[family].parameters)


def generate(family: str, seed: int, index: int) -> Problem:
    """Problem `index` of the family's sequence that starts at `seed`."""
    check_whole("seed", seed), check_whole("index", index)
    item = _dataset(family, seed)[index]
    return Problem(family, item["question"], item["answer"], item["metadata"])


def evaluation_set(count: int, seed: int = EVALUATION_SEED, families: tuple[str, ...] = ()) -> list[Problem]:
    """`count` distinct problems, the families in turn, drawn from gym seeds that no training draws from.

    Two seeds may give the same question: give their keys to `training_problems` as `held_out`.
    Raises SansiError for a seed of the training's range, and for a count that a family has not enough questions for.
    """
    check_evaluation_seed(seed)
    check_whole("count", count)
    return distinct({name: functools.partial(generate, name, seed) for name in families or FAMILIES}, count)


def training_problems(
    seed: int, families: tuple[str, ...] = (), held_out: Collection[tuple[str, ...]] = frozenset()
) -> Iterator[Problem]:
    """An endless, reproducible stream of problems in random order of families, without those whose `key` is held out.

    Streams of different seeds (0 to 999) do not overlap in gym seeds, nor with `evaluation_set`.
    """
    start = first_training_seed(seed)
    return stream(
        {n: functools.partial(generate, n, start) for n in families or FAMILIES}, f"families {seed}", held_out
    )
