"""A small environment to start from: a till with a tool for prices and a customer who thinks again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from sansi.base.errors import SansiError, did_you_mean
from sansi.data.problems.answers import final_answer
from sansi.data.problems.environment import Episode, Step
from sansi.data.problems.task import Problem, Verdict, check_level, check_whole
from sansi.data.problems.verifiers import read_number
from sansi.text import Message

GOODS = ("apple", "bread", "cheese", "egg", "honey", "lemon", "milk", "pear")
SYSTEM = "You are at the till of a shop. Look up prices with the tool. Answer with the total in cents alone."


@dataclass(frozen=True)
class Till:
    """A customer buys some goods, whose prices only the tool `price` knows, asks for the total, and then takes more.

    Level n has n + 1 kinds of goods at first. Right is who has both totals right; `parts` has each of them, and how
    many prices were looked up.
    """

    name: str = "till"
    levels: int = 4

    def reset(self, seed: int, difficulty: int = 0) -> Episode:
        rng = random.Random(f"till {check_level(self, difficulty)} {check_whole('seed', seed)}")
        prices = {good: rng.randint(5, 99) for good in GOODS}
        basket = {good: rng.randint(1, 9) for good in rng.sample(GOODS, difficulty + 1)}
        more = {rng.choice(GOODS): rng.randint(1, 9)}
        first = sum(prices[good] * count for good, count in basket.items())
        both = first + sum(prices[good] * count for good, count in more.items())
        looked_up: list[str] = []

        def price(good: str) -> int:
            """The price of one piece of a good, in cents.

            Args:
                good: The good, in the singular: apple.
            """
            if good not in prices:
                raise SansiError(f'there is no "{good}"{did_you_mean(good, prices)}')
            looked_up.append(good)
            return prices[good]

        question = f"I take {_spelled(basket)}. What is the total?"
        context = ({"role": "system", "content": SYSTEM},)
        problem = Problem(self.name, question, [first, both], difficulty=difficulty, context=context)
        return Episode(problem, (price,), {"more": more, "said": [], "looked_up": looked_up})

    def step(self, episode: Episode, message: Message) -> Step:
        said = episode.state["said"]
        said.append(read_number(final_answer(message.content)))
        if len(said) < len(episode.problem.answer):
            return Step((Message("user", f"And with {_spelled(episode.state['more'])} more?"),))
        right = [found == total for found, total in zip(said, episode.problem.answer, strict=True)]
        parts = {"first": right[0], "both": right[1], "looked_up": len(set(episode.state["looked_up"]))}
        if all(right):
            return Step(verdict=Verdict(1.0, "right", parts))
        if None in said:
            return Step(verdict=Verdict(0.0, "malformed", parts, "no number in an answer"))
        return Step(verdict=Verdict(sum(right) / len(right), "wrong", parts))


def _spelled(goods: dict[str, int]) -> str:
    return " and ".join(f"{count} {good}{'s' if count > 1 else ''}" for good, count in goods.items())
