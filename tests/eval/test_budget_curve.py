"""The curve: overruns counted from the ids, its table and files, and a whole measurement of a tiny random model."""

from __future__ import annotations

import json

import pytest
from graded_answers import graded, result
from sansi.base import SansiError, load_config
from sansi.eval import budget_curve
from sansi.eval.budget_curve import BudgetCurve, BudgetPoint, markdown_table, own_thinking_tokens, plot, table_rows
from sansi.eval.problem_set import Score
from sansi.eval.training_plot import plot_training
from sansi.text import Codec

from tiny_checkpoint import make_checkpoint

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="module")
def codec(folder) -> Codec:
    return Codec.from_pretrained(folder)


def thought(codec: Codec, own: int, ending: str, phrase: int | None = None) -> dict:
    """What a served prompt opens and the model continues: `own` tokens with the prompt's line break, then an ending."""
    tags = codec.thinking_ids
    forced = tags.end_sequence.index(tags.end) if phrase is None else phrase
    endings = {"natural": (tags.end, 7, 8), "cut": (*tags.end_sequence, 7, 8), "broken off": tags.end_sequence[:forced]}
    ids = [9] * (own - 1) + list(endings[ending])
    return {"prompt_ids": (5, tags.start, 6), "ids": ids, "phrase": 0 if ending == "natural" else forced}


@pytest.mark.parametrize("ending", ["natural", "cut", "broken off"])
@pytest.mark.parametrize("own", [1, 2, 9])
def test_own_tokens_are_those_before_the_end_and_before_the_phrase(codec, own, ending):
    assert own_thinking_tokens(codec, result(**thought(codec, own, ending))) == own
    assert own_thinking_tokens(codec, result(**thought(codec, own, "broken off", phrase=3))) == own


def test_own_tokens_where_the_prompt_opens_no_thought(codec):
    start, end = codec.thinking_ids.start, codec.thinking_ids.end
    closed, model_opens = (5, start, 6, end, 6), (4, start, 9, 9, end, 7)
    assert own_thinking_tokens(codec, result(prompt_ids=closed, ids=(7, 8))) == 0
    assert own_thinking_tokens(codec, result(prompt_ids=(5,), ids=(7, 8))) == 0
    assert own_thinking_tokens(codec, result(prompt_ids=(5,), ids=model_opens)) == 2
    assert own_thinking_tokens(codec, result(prompt_ids=closed, ids=model_opens)) == 2  # opened again: it counts


def test_a_claim_to_have_forced_what_was_not_forced_is_not_believed(codec):
    honest = thought(codec, 9, "natural")
    assert own_thinking_tokens(codec, result(**{**honest, "phrase": 5})) == 9


def test_one_token_over_the_budget_is_an_overrun_and_the_phrase_is_none(codec):
    answers = [
        graded("gcd", True, reasoning_tokens=8, **thought(codec, 8, "natural")),
        graded("gcd", True, reasoning_tokens=8, **thought(codec, 9, "natural")),
        graded("gcd", False, reasoning_tokens=60, **thought(codec, 8, "cut")),
        graded("gcd", False, reasoning_tokens=60, **thought(codec, 9, "cut")),
    ]
    point = budget_curve._point(codec, 8, answers)
    assert (point.budget, point.overruns, point.mode_followed, point.score.accuracy) == (8, 2, 1.0, 0.5)
    assert point.own_tokens == (8 + 9 + 8 + 9) / 4
    assert budget_curve._point(codec, None, answers).overruns == 0
    at_zero = budget_curve._point(codec, 0, answers)
    assert (at_zero.overruns, at_zero.mode_followed) == (4, 0.0)


def curve(budgets=(0, 8, None), model="tiny") -> BudgetCurve:
    score = Score.of([graded("gcd", True, reasoning_tokens=3), graded("chain_sum", False)])
    points = [BudgetPoint(budget, score, own_tokens=3.0, overruns=0, mode_followed=1.0) for budget in budgets]
    return BudgetCurve(model, 1, points, {"/think": 1.0, "/no_think": 0.5})


def test_table_by_hand():
    rows = table_rows(curve())
    assert rows[0] == ["budget", "accuracy", "± SE", "thought tokens", "overruns", "chain_sum", "gcd"]
    assert rows[1] == ["0", "50.0%", "28.9", "3", "0", "0", "100"]
    assert [row[0] for row in rows[1:]] == ["0", "8", "unlimited"]
    assert markdown_table([["a", "b"], ["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_a_picture_of_two_curves_has_one_axis_of_budgets(tmp_path):
    plot([curve(), curve(model="other")], tmp_path / "two.png", ["ours", "theirs"])
    assert (tmp_path / "two.png").read_bytes().startswith(PNG)
    with pytest.raises(SansiError, match="other was measured at other budgets than tiny"):
        plot([curve(), curve((0, 16, None), "other")], tmp_path / "no.png")


@pytest.mark.parametrize(
    ("curves", "named", "message"),
    [
        ([], {}, "nothing to plot"),
        (curve(), {}, "must be a list"),
        ([curve(budgets=())], {}, "has no points"),
        ([curve()], {"labels": ["a", "b"]}, "need 1 labels, not 2"),
        ([curve()], {"path": "x.nope"}, "can not be written to"),
        ([curve()], {"path": "taken/x.png"}, "can not be written to"),
    ],
)
def test_a_plot_of_nothing_or_nowhere_is_refused(tmp_path, curves, named, message):
    (tmp_path / "taken").touch()
    with pytest.raises(SansiError, match=message):
        plot(curves, tmp_path / named.pop("path", "x.png"), **named)


def test_training_curves_of_nothing_are_refused(tmp_path):
    with pytest.raises(SansiError, match="nothing to plot"):
        plot_training({}, tmp_path / "x.png")


def test_what_nobody_knows_is_a_dash_and_a_gap(tmp_path):
    score = Score.of([graded("gcd", None)])
    unknown = BudgetCurve("tiny", 1, [BudgetPoint(0, score, 0.0, 0, 1.0)], {})
    assert table_rows(unknown)[1] == ["0", "–", "–", "0", "0", "–"]
    plot([unknown], tmp_path / "gap.png")


@pytest.mark.parametrize("bad", ["a file", "below a file", "a folder in a file's place", "no name", "no disk"])
def test_an_output_that_can_not_be_is_refused_before_anything_is_measured(folder, tmp_path, monkeypatch, bad):
    monkeypatch.setattr(budget_curve, "ask", None)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "there" / "budget_curve.json").mkdir(parents=True)
    places = {"a file": "file", "below a file": "file/out", "a folder in a file's place": "there", "no disk": "new"}
    if bad == "no disk":
        monkeypatch.setattr("sansi.eval.outputs.LEAST_FREE", 1 << 80)
    with pytest.raises(SansiError) as error:
        budget_curve.run(str(folder), problems=2, out=str(tmp_path / places[bad]) if bad in places else "")
    assert error.value.param == "out"
    assert (tmp_path / "file").read_text() == "mine"


def test_a_whole_measurement(folder, codec, tmp_path, capsys):
    options = {"problems": 6, "budgets": [8, 0, 4], "max_tokens": 160, "batch": 4}
    measured = budget_curve.run(str(folder), out=str(tmp_path / "out"), **options)
    assert [point.budget for point in measured.points] == [0, 4, 8, None]
    assert all(point.score.problems == 6 and point.overruns == 0 for point in measured.points)
    assert all(point.mode_followed == 1.0 for point in measured.points)  # the hard switch is none of the model's
    zero, *thinking, _ = measured.points
    assert zero.score.reasoning_tokens == 0 and zero.score.end_reasons == {"None": 6}
    assert all(point.score.end_reasons.get("budget", 0) > 0 for point in thinking)
    assert set(measured.soft_switch_followed) == {"/think", "/no_think"}

    stored = json.loads((tmp_path / "out" / "budget_curve.json").read_text())
    assert load_config(BudgetCurve, stored) == measured
    assert (tmp_path / "out" / "budget_curve.md").read_text() == markdown_table(table_rows(measured))
    answers = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    assert [a["budget"] for a in answers] == [0] * 6 + [4] * 6 + [8] * 6 + [None] * 6
    assert (tmp_path / "out" / "budget_curve.png").read_bytes().startswith(PNG)
    shown, watched = capsys.readouterr()
    assert watched == ""  # one bar, for who watches a terminal; nothing in a log file
    assert "accuracy over thinking budgets" in shown and "letter_counting" in shown
    assert "…" not in shown  # it fits a terminal of 80 columns
    assert budget_curve.run(str(folder), **{**options, "batch": 3}) == measured


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"problems": 0}, "problems", "at least 1, not 0"),
        ({"problems": "5"}, "problems", "at least 1, not '5'"),
        ({"batch": 0}, "batch", "at least 1, not 0"),
        ({"budgets": [8, -1]}, "budgets", "at least 0, not -1"),
        ({"budgets": ["8"]}, "budgets", "at least 0, not '8'"),
        ({"budgets": 8}, "budgets", "must be a list"),
        ({"seed": "1"}, "seed", "out of range"),
        ({"seed": 1_000_000_000, "problems": 1}, "seed", "out of range"),
    ],
)
def test_bad_input_is_named(folder, options, param, message):
    with pytest.raises(SansiError, match=message) as error:
        budget_curve.run(str(folder), **options)
    assert error.value.param == param


def test_an_unknown_folder_is_named(tmp_path):
    with pytest.raises(SansiError, match="no such folder"):
        budget_curve.run(str(tmp_path / "nothing"))


def test_training_curves_of_every_kind_of_stage(tmp_path):
    runs = {
        "s1": [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "stage_seconds": 1.5}],
        "grpo": [{"step": 1, "reward": 0.5}, {"step": 2, "reward": 0.6, "held_out_accuracy": 0.7}],
        "empty": [],
        "fusion": [{"step": 1, "loss": 1.0}],
    }
    plot_training(runs, tmp_path / "plots" / "training.png")
    assert (tmp_path / "plots" / "training.png").read_bytes().startswith(PNG)
