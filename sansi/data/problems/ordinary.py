"""Problems as people think them up: sums of two numbers, letters of one word, `x + 5 = 12`; in people's own words.

The gym's sequences hold few of these: its sums have four terms on average, its texts two words and more.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Collection, Iterator

from sansi.data.problems.families import FAMILIES, training_problems
from sansi.data.problems.solvers import solve
from sansi.data.problems.task import Problem
from sansi.data.problems.wordings import reword

WORDS = [
    "strawberry",
    "banana",
    "mississippi",
    "apple",
    "hello",
    "world",
    "cat",
    "dog",
    "tree",
    "house",
    "letter",
    "google",
    "computer",
    "language",
    "water",
    "school",
    "bottle",
    "summer",
    "winter",
    "coffee",
    "cookie",
    "window",
    "orange",
    "pepper",
    "butter",
    "cheese",
    "chocolate",
    "elephant",
    "tiger",
    "monkey",
    "giraffe",
    "kangaroo",
    "happiness",
    "success",
    "address",
    "committee",
    "bookkeeper",
    "balloon",
    "raspberry",
    "blueberry",
    "cranberry",
    "pineapple",
    "potato",
    "tomato",
    "onion",
    "garden",
    "flower",
    "river",
    "mountain",
    "ocean",
    "island",
    "forest",
    "desert",
    "planet",
    "galaxy",
    "universe",
    "science",
    "history",
    "music",
    "guitar",
    "piano",
    "violin",
    "drum",
    "football",
    "tennis",
    "soccer",
    "basketball",
    "hockey",
    "python",
    "java",
    "rust",
    "code",
    "program",
    "keyboard",
    "mouse",
    "screen",
    "phone",
    "internet",
    "model",
    "sansi",
    "qwen",
    "nano",
    "robot",
    "machine",
    "engine",
    "rocket",
    "train",
    "airplane",
    "bicycle",
    "car",
    "bus",
    "ship",
    "boat",
    "bridge",
    "road",
    "street",
    "city",
    "country",
    "village",
    "london",
    "paris",
    "berlin",
    "tokyo",
    "china",
    "america",
    "europe",
    "africa",
    "germany",
    "france",
    "italy",
    "spain",
    "monday",
    "tuesday",
    "sunday",
    "january",
    "december",
    "mother",
    "father",
    "sister",
    "brother",
    "friend",
    "teacher",
    "student",
    "doctor",
    "nurse",
    "lawyer",
    "engineer",
    "artist",
    "writer",
    "singer",
    "dancer",
    "actor",
    "king",
    "queen",
    "prince",
    "castle",
    "dragon",
    "magic",
    "wizard",
    "ghost",
    "monster",
    "hero",
    "love",
    "peace",
    "hope",
    "dream",
    "sleep",
    "morning",
    "evening",
    "night",
    "yesterday",
    "tomorrow",
    "always",
    "never",
    "maybe",
    "please",
    "thanks",
    "sorry",
    "level",
    "radar",
    "madam",
    "racecar",
    "noon",
    "civic",
    "kayak",
    "refer",
    "stats",
    "wow",
    "mom",
    "dad",
    "pop",
    "eye",
    "sun",
    "moon",
    "star",
    "sky",
    "rain",
    "snow",
    "wind",
    "storm",
    "fire",
    "earth",
    "bread",
    "milk",
    "sugar",
    "salt",
    "rice",
    "pasta",
    "pizza",
    "burger",
    "salad",
    "soup",
    "cake",
    "lemon",
    "cherry",
    "grape",
    "melon",
    "peach",
    "berry",
    "nut",
    "egg",
    "fish",
    "chicken",
    "beef",
    "turkey",
    "bacon",
    "green",
    "yellow",
    "purple",
    "black",
    "white",
    "silver",
    "golden",
    "reverse",
    "backward",
    "word",
    "test",
    "example",
    "parallel",
    "necessary",
    "accommodate",
    "occurrence",
    "millennium",
    "assassin",
    "possession",
    "tennessee",
    "intelligence",
    "information",
    "question",
    "answer",
]


MISLEADING = (
    *(
        "hello",
        "hello",
        "hi",
        "hey",
        "thanks",
        "bye",
        "help",
        "name",
        "sum",
        "add",
        "plus",
        "minus",
        "equation",
        "solve",
        "binary",
    ),
    *(
        "letter",
        "letters",
        "number",
        "code",
        "poem",
        "function",
        "story",
        "joke",
        "weather",
        "love",
        "spell",
        "write",
        "backwards",
    ),
    *(
        "reverse",
        "count",
        "python",
        "word",
        "who",
        "what",
        "how",
        "you",
        "please",
        "model",
        "nano",
        "sansi",
        "morning",
        "welcome",
    ),
)
"""Words that mean something else where they are not what a problem is about: a greeting, a thank you, a request."""
MISLEADING_SHARE = 0.1
SUMS_WEIGHT = 3.0  # sums are what most people try first


@functools.lru_cache(maxsize=1)
def dictionary() -> tuple[str, ...]:
    """Some thousands of words of 3 to 10 letters: those that the gym's spelling task draws from its own list."""
    from reasoning_gym.algorithmic.spell_backward import SpellBackwardConfig, SpellBackwardDataset

    return tuple(SpellBackwardDataset(SpellBackwardConfig()).words)


def ordinary_problem(family: str, rng: random.Random) -> Problem:
    """A problem as somebody would think it up, in one of the wordings of its family."""
    question = _MAKERS[family](rng)
    return reword(Problem(family, question, solve(family, question).answer, {}), rng)


def ordinary_problems(
    seed: int, families: tuple[str, ...] = (), held_out: Collection[tuple[str, ...]] = frozenset()
) -> Iterator[Problem]:
    """An endless, reproducible stream: two thirds thought up, a third the gym's problems in people's words.

    Problems whose `key` is in `held_out` are left out in every wording. Seeds as for `training_problems`.
    """
    names = families or tuple(FAMILIES)
    weights = [SUMS_WEIGHT if name == "chain_sum" else 1.0 for name in names]
    rng = random.Random(f"ordinary {seed}")
    gym = training_problems(seed, families)
    while True:
        problem = (
            reword(next(gym), rng) if rng.random() < 1 / 3 else ordinary_problem(rng.choices(names, weights)[0], rng)
        )
        if problem.key not in held_out:
            yield problem


def held_out_sums(count: int = 400) -> list[Problem]:
    """Sums and differences of two numbers up to 60 that no model of ours is trained on, in the gym's words."""
    rng = random.Random("held-out sums")
    pairs = dict.fromkeys((rng.randint(1, 60), rng.choice("+++-"), rng.randint(1, 60)) for _ in range(count))
    questions = [
        f"State the final answer to the following arithmetic problem: {a} {sign} {b} =" for a, sign, b in pairs
    ]
    return [Problem("chain_sum", q, solve("chain_sum", q).answer, {}) for q in questions]


def _small(rng: random.Random) -> int:
    return rng.randint(0, 20) if rng.random() < 0.4 else rng.randint(1, 99)


def _sum(rng: random.Random) -> str:
    count = rng.choices((2, 3, 4, 5), (75, 15, 6, 4))[0]
    terms = [_small(rng) for _ in range(count)]
    signs = rng.choices("+-", (11, 9), k=count - 1)
    rest = "".join(f" {sign} {term}" for sign, term in zip(signs, terms[1:], strict=True))
    return f"State the final answer to the following arithmetic problem: {terms[0]}{rest} ="


def _bits(rng: random.Random) -> str:
    power = rng.randint(0, 10)
    n = rng.choice((rng.randint(1, 2047), rng.randint(1, 255), rng.randint(1, 2047), 2**power, 2 * 2**power - 1))
    return f"How many 1 bits are there in the binary representation of the number {n}?"


def _gcd(rng: random.Random) -> str:
    factor = rng.randint(1, 33) if rng.random() < 0.6 else 1
    a, b = (factor * rng.randint(1, 100 // factor) for _ in range(2))
    if a == b:
        return _gcd(rng)
    return f"Find the Greatest Common Divisor (GCD) of these numbers: {a}, {b}. Give only the GCD as your final answer."


def _word(rng: random.Random, longest: int = 14) -> str:
    """A common word, one of the dictionary, or letters that look like a name nobody has seen."""
    kind = rng.random()
    if rng.random() < MISLEADING_SHARE:
        word = rng.choice(MISLEADING)
    elif kind < 0.35:
        word = rng.choice(WORDS)
    elif kind < 0.85:
        word = rng.choice(dictionary()).lower()
    else:
        vowels, others = "aeiou", "bcdfghjklmnpqrstvwxyz"
        pieces = (rng.choice(others) + rng.choice(vowels) + rng.choice(("", "", rng.choice(others))) for _ in range(4))
        word = "".join(itertools.islice(pieces, rng.randint(2, 4)))
    return word if 3 <= len(word) <= longest else _word(rng, longest)


def _letters(rng: random.Random) -> str:
    words = [_word(rng) for _ in range(1 if rng.random() < 0.7 else rng.randint(2, 6))]
    text = " ".join(words)
    if rng.random() < 0.2:
        text = text.capitalize()
    inside = rng.random() < 0.85
    letter = rng.choice(text.lower().replace(" ", "")) if inside else rng.choice("abcdefghijklmnopqrstuvwxyz")
    return f'How many times does the letter "{letter}" appear in the text: "{text}"?'


def _equation(rng: random.Random) -> str:
    name = "x" if rng.random() < 0.5 else rng.choice("abcdefghijklmnopqrstuvwyz")
    value = rng.randint(1, 12) if rng.random() < 0.88 else rng.randint(-12, 12)
    factor, constant = rng.choice((1, 1, rng.randint(2, 12))), rng.randint(1, 30 if rng.random() < 0.3 else 12)
    unknown = name if factor == 1 else f"{factor}*{name}"
    product = factor * value
    forms = [
        (f"{unknown} + {constant}", product + constant),
        (f"{unknown} - {constant}", product - constant),
        (f"{constant} + {unknown}", constant + product),
        (f"{constant} - {unknown}", constant - product),
    ]
    if factor > 1:
        forms.append((unknown, product))
    left, right = rng.choice(forms)
    return f"Solve for {name}: {left} = {right}"


def _reversal(rng: random.Random) -> str:
    word = _word(rng, longest=10)
    if rng.random() < 0.12:
        word = word.capitalize()
    return f"Spell this word backward (example: sun -> nus): {word}"


_MAKERS: dict[str, Callable[[random.Random], str]] = {
    "chain_sum": _sum,
    "count_bits": _bits,
    "gcd": _gcd,
    "letter_counting": _letters,
    "simple_equations": _equation,
    "spell_backward": _reversal,
}
