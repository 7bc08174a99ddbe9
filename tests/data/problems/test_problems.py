"""Solvers against the gym's own scoring; disjoint training and evaluation questions."""

import itertools

import pytest
from sansi.base import SansiError
from sansi.data.problems import FAMILIES, draws, evaluation_set, generate, is_right, solve, training_problems
from sansi.data.problems.seeds import TRAINING_SEED
from sansi.data.problems.solvers import add_step


@pytest.mark.parametrize("family", FAMILIES)
def test_solvers_are_right_and_end_in_the_answer(family):
    for index in range(500):
        problem = generate(family, 7_000_000, index)
        solution = solve(family, problem.question)
        assert is_right(problem, solution.answer), problem
        assert not is_right(problem, solution.answer + "1"), problem
        assert solution.thought.strip()


@pytest.mark.parametrize(
    "total, term, line",
    [
        (47, 38, "47+38:7+8=15,4+3+1=8;85"),
        (12, -34, "12-34=-(34-12):4-2=2,3-1=2;-22"),
        (-22, 47, "-22+47=(47-22):7-2=5,4-2=2;25"),
        (-22, -15, "-22-15=-(22+15):2+5=7,2+1=3;-37"),
        (9, 8, "9+8=17"),
    ],
)
def test_add_step_shows_its_columns(total, term, line):
    assert add_step(total, term) == line


def test_every_column_of_every_sum_is_true():
    for total, term in itertools.product(range(-150, 600, 7), range(-99, 100, 3)):
        line = add_step(total, term)
        assert line.endswith(str(total + term))
        for column in line.split(":")[-1].split(";")[0].split(",") if ":" in line else []:
            if "=" in column:
                left, right = column.split("=")
                assert eval(left) == int(right), line


def test_evaluation_is_reproducible_distinct_and_kept_out_of_training():
    problems = evaluation_set(60)
    assert problems == evaluation_set(60)
    assert len({p.question for p in problems}) == 60
    assert {p.task for p in problems} == set(FAMILIES)
    held_out = frozenset(p.key for p in training_problems_head(0, 30))
    seen = {p.key for p in training_problems_head(0, 200, held_out)}
    assert not seen & held_out
    assert not {p.question for p in training_problems_head(1, 200)} >= seen


def training_problems_head(seed, count, held_out=frozenset()):
    return list(itertools.islice(training_problems(seed, held_out=held_out), count))


def test_bad_input_is_named():
    with pytest.raises(SansiError, match='did you mean "gcd"'):
        generate("gdc", 0, 0)
    with pytest.raises(SansiError, match="does not read as expected"):
        solve("gcd", "What is love?")
    with pytest.raises(SansiError, match="out of range"):
        next(training_problems(1000))
    for seed in (-1, TRAINING_SEED):
        with pytest.raises(SansiError, match=f"evaluation seed {seed} is out of range"):
            evaluation_set(1, seed)


def test_an_evaluation_larger_than_a_family_is_an_error_and_no_endless_search(monkeypatch):
    monkeypatch.setattr(draws, "MOST_REPEATS", 30)
    assert len(evaluation_set(500, families=("count_bits",))) == 500
    with pytest.raises(SansiError, match="count_bits has too few different questions for 3000"):
        evaluation_set(3000, families=("count_bits",))  # there are 2,047
