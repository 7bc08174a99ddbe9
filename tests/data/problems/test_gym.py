"""Every task of reasoning-gym: drawn at its lowest and its highest level, its own answer right and other ones not."""

from __future__ import annotations

import dataclasses
import json

import pytest
from sansi.base import SansiError
from sansi.data.problems import GymTask, Problem, evaluation_problems, get_task, gym, list_tasks, task_problems
from sansi.data.problems.gym_answers import EVALUATED, FORMULAS, SUMS
from sansi.data.problems.gym_levels import LEFT_OUT, NOTES, TOP_LEVELS
from sansi.data.problems.seeds import EVALUATION_SEED, TRAINING_SEED
from sansi.text import Message

NAMES = [info.name for info in list_tasks() if info.source == "reasoning-gym"]
LARGE_SEED = 100_999_999_999  # the last of the last training stream
SLOW = {
    *("knight_swap", "zebra_puzzles", "bf", "polynomial_multiplication", "sokoban", "intermediate_integration"),
    *("n_queens", "word_ladder", "number_sequence", "game_of_life", "arc_agi"),
}
NO_ANSWER = {"rush_hour", "boxnet"}  # they play what is proposed


def verdict(task, problem: Problem, answer: str):
    return task.verify(problem, Message("assistant", answer))


def marked(names):
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in names]


def check(task: GymTask, level: int, seeds) -> None:
    for seed in seeds:
        problem = task.problem(seed, level)
        assert (problem.task, problem.difficulty) == (task.name, level)
        assert problem.question and problem.asked.startswith(problem.question.rstrip())
        assert task.instruction in problem.asked
        stored = json.loads(json.dumps(dataclasses.asdict(problem)))  # as a recipe's stage keeps it
        problem = Problem(**{**stored, "context": tuple(stored["context"])})
        for wrong in ("zzz", "-987654321.5", ""):
            assert not verdict(task, problem, wrong).right
        if task.name not in NO_ANSWER and "Integral" not in problem.answer:
            for said in (problem.answer, f"I think it is <answer>{problem.answer}</answer>."):
                told = verdict(task, problem, said)
                assert (told.outcome, told.score, told.parts) == ("right", 1.0, {"score_answer": 1.0}), problem


def test_there_are_about_a_hundred_of_them_and_the_others_are_named():
    assert len(NAMES) >= 100
    assert not set(LEFT_OUT) & set(NAMES) and all(LEFT_OUT.values())
    for name, reason in LEFT_OUT.items():
        with pytest.raises(SansiError, match="is left out") as error:
            GymTask(name)
        assert reason in str(error.value)
    assert set(NOTES) | set(TOP_LEVELS) <= set(NAMES)


def test_the_gym_accepts_the_parameters_of_every_level():
    for name in NAMES:
        for level in range(gym.levels_of(name)):
            config = gym._config(name, level)
            if hasattr(config, "validate"):  # power_function has nothing to check
                config.validate()


@pytest.mark.parametrize("name", marked(NAMES))
def test_the_lowest_level(name):
    check(get_task(name), 0, (3, LARGE_SEED))


@pytest.mark.parametrize("name", marked(n for n in NAMES if gym.levels_of(n) > 1))
def test_the_highest_level(name):
    task = get_task(name)
    check(task, task.levels - 1, (5, LARGE_SEED))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_level(name):
    task = get_task(name)
    for level in range(task.levels):
        check(task, level, range(3))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in SLOW])
def test_a_seed_is_one_problem_whatever_was_drawn_before(name):
    task = get_task(name)
    first = task.problem(EVALUATION_SEED, 0)
    task.problem(TRAINING_SEED, 0)
    gym._dataset.cache_clear()
    assert task.problem(EVALUATION_SEED, 0) == first


def test_levels_are_the_curriculums_and_harder():
    task = get_task("chain_sum")
    longest = [max(len(task.problem(seed, level).question) for seed in range(20)) for level in (0, 5, task.levels - 1)]
    assert task.levels == 11 and longest == sorted(set(longest))
    for level in (-1, 11, "high", True, None):
        with pytest.raises(SansiError, match="its levels are 0 to 10"):
            task.problem(0, level)
    with pytest.raises(SansiError, match="seed must be"):
        task.problem(-1)


@pytest.mark.parametrize("name", sorted(EVALUATED | SUMS | FORMULAS))
def test_no_answer_is_run_as_a_program(name, tmp_path):
    """Their scorers evaluate what a model wrote."""
    task, trace = get_task(name), tmp_path / "trace"
    problem = task.problem(3)
    program = f"[open({str(trace)!r}, 'w').close()]"
    unquoted = "open(" + "+".join(f"chr({ord(c)})" for c in str(trace)) + ", chr(119))"
    for answer in (program, unquoted, f"exec({unquoted})", "__import__('os').getpid()", "x.__class__", "9**9**9**9"):
        assert verdict(task, problem, answer).outcome == "wrong", answer
    assert not trace.exists()


def test_marks_that_are_no_right_answer():
    halting = get_task("game_of_life_halting").problem(3)  # its scorer takes any word for False
    assert verdict(get_task("game_of_life_halting"), halting, "Maybe").outcome == "wrong"
    task = get_task("puzzle24")  # its scorer takes any four numbers
    problem = task.problem(1)
    assert sorted(problem.metadata["numbers"]) != [1, 1, 4, 6]
    assert verdict(task, problem, "6*4*1*1").outcome == "wrong"
    factors = get_task("prime_factorization")  # its scorer raises on what it can not read
    problem = factors.problem(3)
    told = verdict(factors, problem, f"{problem.answer} and more")
    assert (told.outcome, told.score) == ("malformed", 0.0)
    spelling = get_task("spell_backward").problem(LARGE_SEED, 4)  # partial credit that adds up to over 1
    told = verdict(get_task("spell_backward"), spelling, spelling.answer + " 9")
    assert told.outcome == "wrong" and told.score == 0.0 and told.parts["score_answer"] > 0.7


def test_evaluation_and_training_draw_from_their_own_seeds(monkeypatch):
    drawn: list[int] = []
    real = GymTask.problem
    monkeypatch.setattr(GymTask, "problem", lambda self, seed, d=0: drawn.append(seed) or real(self, seed, d))
    problems = evaluation_problems(["gcd", "lcm"], 6, 1)
    assert [p.task for p in problems] == ["gcd", "lcm"] * 6 and len({p.question for p in problems}) == 12
    assert max(drawn) < TRAINING_SEED
    drawn.clear()
    stream = task_problems({"gcd": 3, "lcm": 1, "chain_sum": 0}, 7, (0, 2))
    some = [next(stream) for _ in range(60)]
    assert min(drawn) >= TRAINING_SEED
    assert {p.task for p in some} == {"gcd", "lcm"} and {p.difficulty for p in some} == {0, 1, 2}
    again = task_problems({"gcd": 3, "lcm": 1, "chain_sum": 0}, 7, (0, 2), held_out={some[0].key})
    assert next(again) == some[1]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: get_task("gdc"), 'did you mean "gcd"'),
        (lambda: get_task("composite"), "no task"),
        (lambda: evaluation_problems(["gcd"], 0), "count must be"),
        (lambda: evaluation_problems([], 1), "with one at least"),
        (lambda: evaluation_problems("gcd", 1), "must be a list"),
        (lambda: evaluation_problems(["gcd", "gcd"], 1), "named twice"),
        (lambda: evaluation_problems(["gcd"], 1, 99), "levels are 0 to"),
        (lambda: evaluation_problems(["gcd"], 1, seed=TRAINING_SEED), "evaluation seed"),
        (lambda: task_problems(["gcd"], 1000), "training seed 1000"),
        (lambda: task_problems({"gcd": 0}, 0), "weights"),
        (lambda: task_problems({"gcd": -1}, 0), "weights"),
        (lambda: task_problems(["gcd"], 0, (2, 1)), "lowest comes first"),
    ],
)
def test_bad_input_is_named(act, message):
    with pytest.raises(SansiError, match=message):
        act()
