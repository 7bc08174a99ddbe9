"""A model on tasks: drawn, asked, judged, counted; mistakes are told before anything is loaded."""

from __future__ import annotations

import json
import types

import pytest
from sansi.base import SansiError
from sansi.data.problems import Problem, Verdict
from sansi.eval import task_run
from sansi.eval.task_run import level_of, table_rows

from tiny_checkpoint import make_checkpoint


class Echo:
    """Right is what is said first; a task without a hash, as a dataclass that is not frozen is."""

    name, levels, trusted = "echo", 2, True
    __hash__ = None  # type: ignore[assignment]

    def problem(self, seed, difficulty=0):
        return Problem("echo", f"Say {seed}", str(seed), difficulty=difficulty)

    def verify(self, problem, message):
        if difficulty := problem.difficulty:
            raise RuntimeError(f"no verdict at {difficulty}")
        return Verdict(0.0, "wrong")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


def test_a_whole_run(folder, tmp_path, capsys):
    report = task_run.run(
        str(folder), ["gcd", Echo()], 3, "highest", 0, str(tmp_path / "out"), max_tokens=24, instruction=False
    )
    assert [(t.task, t.difficulty, t.score.problems) for t in report.tasks] == [("gcd", 3, 3), ("echo", 1, 3)]
    gcd, echo = (t.score for t in report.tasks)
    assert echo.accuracy is None or "cut" in echo.outcomes
    assert sum(report.total.outcomes.values()) == 6 and gcd.accuracy == 0.0
    rows = table_rows(report)
    assert [row[0] for row in rows] == ["task", "gcd", "echo", "all"]
    assert "gcd" in capsys.readouterr().out
    answers = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    assert [a["task"] for a in answers] == ["gcd"] * 3 + ["echo"] * 3 and "answer>" not in answers[0]["question"]
    assert json.loads((tmp_path / "out" / "tasks.json").read_text())["total"]["problems"] == 6


def test_a_model_that_never_learned_the_instruction_is_told_of(folder, capsys):
    for instruction in (True, False):
        task_run.run(str(folder), ["gcd"], 2, None, 0, max_tokens=4, instruction=instruction)
        assert ("--no-instruction" in capsys.readouterr().out) == instruction


def test_verifiers_that_failed_are_told_with_their_reasons(capsys):
    failed = Verdict(None, "unknown", detail="raised: KeyError: 'colour'")
    answers = [types.SimpleNamespace(verdict=failed)] * 2 + [types.SimpleNamespace(verdict=Verdict(0.0, "wrong"))]
    task_run._tell_unknown(answers)
    task_run._tell_unknown(answers[2:])
    assert capsys.readouterr().out == "2 unknown, in no percentage: raised: KeyError: 'colour'\n"


def test_levels_in_words():
    task = types.SimpleNamespace(name="x", levels=5)
    assert [level_of(task, word) for word in ("lowest", "highest", 3)] == [0, 4, 3]
    with pytest.raises(SansiError, match="must be a level, lowest or highest"):
        level_of(task, "hard")


@pytest.mark.parametrize(
    ("tasks", "fields", "message"),
    [
        (["gdc"], {}, 'did you mean "gcd"'),
        ([], {}, "one task at least"),
        ("gcd", {}, "must be a list"),
        (["gcd", "gcd"], {}, "named twice"),
        (["gcd"], {"difficulty": 9}, "levels are 0 to 3"),
        (["gcd"], {"difficulty": "9a"}, "must be a level"),
        (["gcd"], {"thinking_budget": -1}, "at least 0, not -1"),
        (["gcd"], {"count": 0}, "count must be"),
        (["gcd"], {"out": ""}, "out is empty"),
        (["nothing.jsonl"], {}, "can not be read"),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(tasks, fields, message):
    with pytest.raises(SansiError, match=message):
        task_run.run("/no/such/folder", tasks, **fields)
