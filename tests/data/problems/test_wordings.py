"""People's own words: the same problem, the same answer, in many forms; and problems as people think them up."""

import itertools
import random
import re

import pytest
from sansi.data.phrases import choose, draw, fill
from sansi.data.problems import (
    FAMILIES,
    evaluation_set,
    held_out_sums,
    is_right,
    operands,
    ordinary_problem,
    ordinary_problems,
    reword,
    solve,
)
from sansi.data.problems.wordings import chinese_number, number_words, typo


def test_choices_and_slots():
    rng = random.Random(0)
    drawn = {choose("[a|b[c|d]]e", rng) for _ in range(100)}
    assert drawn == {"ae", "bce", "bde"}
    assert fill("<a> and <b>", {"a": "<b>", "b": "2"}) == "<b> and 2"
    assert {draw("<x>!", {"x": ("[1|2]", "<y>"), "y": ("3",)}, rng) for _ in range(60)} == {"1!", "2!", "3!"}


def test_numbers_in_words():
    assert [number_words(n) for n in (0, 7, 13, 20, 42, 99)] == [
        "zero",
        "seven",
        "thirteen",
        "twenty",
        "forty-two",
        "ninety-nine",
    ]
    assert [chinese_number(n) for n in (0, 7, 10, 13, 20, 42)] == ["零", "七", "十", "十三", "二十", "四十二"]


def test_a_typo_leaves_the_slots_alone():
    rng = random.Random(1)
    for _ in range(200):
        slips = typo("calculate <e> and <list> please", rng)
        assert "<e>" in slips and "<list>" in slips and slips != ""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reworded_problem_is_the_same_problem(family):
    rng = random.Random(family)
    frames = set()
    for problem in evaluation_set(60, families=(family,)):
        for _ in range(5):
            other = reword(problem, rng)
            assert (other.key, other.answer, other.question) == (problem.key, problem.answer, problem.question)
            assert other.asked == other.wording != problem.asked and is_right(other, problem.answer)
            frames.add(re.sub(r"\W+", " ", re.sub(r"\d+", "#", other.asked.lower().replace(problem.key[-1], "@"))))
    assert len(frames) >= 100  # of 300


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_asked_about_stands_in_the_wording(family):
    rng = random.Random(family)
    for _ in range(300):
        problem = ordinary_problem(family, rng)
        facts = [fact.lower() for fact in operands(family, problem.question)]
        asked = problem.asked.lower()
        if family in ("letter_counting", "spell_backward"):
            assert all(fact in asked for fact in facts)
        elif family != "chain_sum":  # numbers of sums may be in words
            numbers = re.findall(r"\d+", " ".join(facts))
            assert set(numbers) <= set(re.findall(r"\d+", asked.replace(",", "") if family == "count_bits" else asked))


@pytest.mark.parametrize("family", FAMILIES)
def test_ordinary_problems_are_within_what_the_family_asks(family):
    rng = random.Random(0)
    for _ in range(200):
        problem = ordinary_problem(family, rng)
        assert solve(family, problem.question).answer == problem.answer and is_right(problem, problem.answer)
        assert not is_right(problem, problem.answer + "1")


def test_sums_come_in_chinese_too():
    asked = [ordinary_problem("chain_sum", random.Random(i)).asked for i in range(300)]
    chinese = [text for text in asked if re.search("[\u4e00-\u9fff]", text)]
    assert 40 < len(chinese) < 120 and any("加" in text for text in chinese)


def test_what_is_held_out_comes_in_no_wording():
    hidden = frozenset(p.key for p in held_out_sums())
    assert len(hidden) > 300 and held_out_sums() == held_out_sums()
    free = itertools.islice(ordinary_problems(0, ("chain_sum",)), 3000)
    assert any(p.key in hidden for p in free)
    kept = itertools.islice(ordinary_problems(0, ("chain_sum",), hidden), 3000)
    assert not any(p.key in hidden for p in kept)


def test_a_key_does_not_depend_on_spaces_names_or_order():
    (problem,) = evaluation_set(1, families=("gcd",))
    a, b = operands("gcd", problem.question)
    turned = problem.question.replace(f"{a}, {b}", f"{b}, {a}")
    assert type(problem)("gcd", turned, problem.answer, {}).key == problem.key
    with_x, with_y = (type(problem)("simple_equations", f"Solve for {v}: 3*{v} + 1 = 22", "7", {}) for v in "xy")
    assert with_x.key == with_y.key
