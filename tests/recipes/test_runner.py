"""What is missing is made, what is killed goes on, and what was made otherwise is said and never taken in silence."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import small_recipe as small_recipe_module
from sansi.base import SansiError
from sansi.base.files import read_json
from sansi.data.problems import FAMILIES
from sansi.recipes.digests import read_content
from sansi.recipes.history import described, history_of, result_in
from sansi.recipes.kinds import KINDS
from sansi.recipes.kinds.evaluation import Evaluate
from sansi.recipes.kinds.reinforcement import Grpo
from sansi.recipes.kinds.tasks import Problems
from sansi.recipes.records import StageRecord
from sansi.recipes.runner import Runner
from sansi.recipes.stages import Given, Inputs
from small_recipe import Killed, Letters, Steps, judging_recipe, kill_at, made, small_recipe

ALL = ["first", "first end", "apart", "apart end", "second", "second end", "steps 0", "steps 1", "steps 2"]


@pytest.fixture(autouse=True)
def nothing_made():
    made.clear()


def digests(out: Path) -> dict[str, str]:
    names = [stage.name for stage in small_recipe().stages]
    return {name: record.digest for name in names if (record := StageRecord.load(out / name)) and record.done}


def refusal(runner: Runner, **options) -> str:
    with pytest.raises(SansiError) as caught:
        runner.run(**options)
    return str(caught.value)


def test_a_recipe_is_made_once(tmp_path, capsys):
    Runner(small_recipe(), tmp_path).run()
    assert made == ALL
    assert (tmp_path / "second" / "text").read_text() == "ab"
    made.clear()
    Runner(small_recipe(), tmp_path).run()
    assert made == []
    assert capsys.readouterr().out.count(": done") == 4


def test_a_record_tells_what_a_stage_was_made_of(tmp_path):
    Runner(small_recipe(seed=5), tmp_path).run()
    record = read_json(tmp_path / "steps" / "stage.json")
    assert record["config"] == {"steps": 3} and record["seed"] == 5 and record["output"] == "result"
    (given,) = record["inputs"]["before"]
    assert given["digest"] == StageRecord.load(tmp_path / "second").digest and given["path"] == "../second"
    assert StageRecord.load(tmp_path / "second").facts == {"letters": 2}
    assert StageRecord.load(tmp_path / "second").seed is None  # the recipe's seed is nothing to it


def test_until_makes_no_more(tmp_path):
    Runner(small_recipe(), tmp_path).run(until="apart")
    assert made == ALL[:4]
    Runner(small_recipe(), tmp_path).run()
    assert made == ALL


@pytest.mark.parametrize("place", ALL)
def test_killed_anywhere_it_goes_on_to_the_same_digests(tmp_path, place):
    Runner(small_recipe(), tmp_path / "whole").run()
    kill_at(place)
    with pytest.raises(Killed):
        Runner(small_recipe(), tmp_path / "killed").run()
    made.clear()
    Runner(small_recipe(), tmp_path / "killed").run()
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    begun = place.removesuffix(" end")  # a folder that appears whole or not at all begins anew
    assert made[0] == begun and len(made) == len(ALL) - ALL.index(begun)


@pytest.mark.parametrize(
    ("changes", "seed", "told"),
    [
        ({"first": Letters("a", 2)}, 0, "first (count: 1 there, 2 here)"),
        ({"second": Letters("x")}, 0, 'second (text: "b" there, "x" here)'),
        ({"steps": Steps(4)}, 0, "steps (steps: 3 there, 4 here)"),
        ({}, 1, "steps (seed: 0 there, 1 here)"),
    ],
)
def test_a_changed_value_is_named_and_nothing_is_made(tmp_path, changes, seed, told):
    Runner(small_recipe(), tmp_path).run()
    before, _ = digests(tmp_path), made.clear()
    message = refusal(Runner(small_recipe(seed, **changes), tmp_path))
    assert told in message and "--restart" in message
    assert made == [] and digests(tmp_path) == before


def test_only_stages_that_are_there_are_said_to_be_moved(tmp_path):
    Runner(small_recipe(), tmp_path).run(until="first")
    message = refusal(Runner(small_recipe(first=Letters("c")), tmp_path))
    assert "--restart first moves it aside and makes it anew" in message


def test_a_stage_that_was_begun_with_other_values_is_stale_too(tmp_path):
    kill_at("steps 1")
    with pytest.raises(Killed):
        Runner(small_recipe(), tmp_path).run()
    assert "steps (steps: 3 there, 9 here)" in refusal(Runner(small_recipe(steps=Steps(9)), tmp_path))


def test_restart_moves_aside_and_makes_what_stands_behind_anew(tmp_path):
    Runner(small_recipe(), tmp_path).run()
    old = {name: (tmp_path / name / "stage.json").read_text() for name in ("first", "second", "steps")}
    made.clear()
    Runner(small_recipe(first=Letters("c")), tmp_path).run(restart=["first"])
    assert made == [place for place in ALL if "apart" not in place]
    assert (tmp_path / "second" / "text").read_text() == "cb"
    for name, text in old.items():  # nothing is deleted
        assert (tmp_path / f"{name}.old-1" / "stage.json").read_text() == text
    Runner(small_recipe(first=Letters("d")), tmp_path).run(restart=["first"])
    assert (tmp_path / "first.old-2").is_dir()


def test_a_restart_that_was_killed_goes_on_without_restart(tmp_path):
    Runner(small_recipe(), tmp_path).run()
    kill_at("second")
    with pytest.raises(Killed):
        Runner(small_recipe(first=Letters("c")), tmp_path).run(restart=["first"])
    made.clear()
    Runner(small_recipe(first=Letters("c")), tmp_path).run()
    assert made == ALL[4:]


def test_a_result_that_was_changed_afterwards_is_not_used(tmp_path):
    Runner(small_recipe(), tmp_path).run()
    (tmp_path / "first" / "text").write_text("q")
    assert "first (its result was changed after it was made: text has another content" in refusal(
        Runner(small_recipe(), tmp_path)
    )
    (tmp_path / "first" / "text").write_text("a")  # as it was, at another time
    Runner(small_recipe(), tmp_path).run()
    (tmp_path / "first" / "notes").write_text("mine")  # beside it
    Runner(small_recipe(), tmp_path).run()
    (tmp_path / "first" / "text").unlink()
    assert "text is missing" in refusal(Runner(small_recipe(), tmp_path))


def test_an_input_from_outside_is_pinned_by_its_content(tmp_path):
    file = tmp_path / "given" / "text"
    file.parent.mkdir()
    file.write_text("o")
    Runner(small_recipe(outside=file.parent), tmp_path / "out").run()
    assert (tmp_path / "out" / "first" / "text").read_text() == "oa"
    file.write_text("o")  # touched only
    Runner(small_recipe(outside=file.parent), tmp_path / "out").run()
    file.write_text("p")
    message = refusal(Runner(small_recipe(outside=file.parent), tmp_path / "out"))
    assert f'first (input before: "{file.parent}" has another content)' in message
    file.unlink()
    file.parent.rmdir()
    assert "no such input any more" in refusal(Runner(small_recipe(outside=file.parent), tmp_path / "out"))


def test_a_stage_that_is_made_again_to_the_same_content_makes_nothing_stale(tmp_path):
    Runner(small_recipe(), tmp_path).run()
    os.rename(tmp_path / "first", tmp_path / "elsewhere")
    made.clear()
    Runner(small_recipe(), tmp_path).run()
    assert made == ["first", "first end"]


def test_a_folder_of_somebody_else_is_refused_and_kept(tmp_path):
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "notes.txt").write_text("mine")
    assert "second was not made by a recipe" in refusal(Runner(small_recipe(), tmp_path))
    assert "second was not made by a recipe" in refusal(Runner(small_recipe(), tmp_path), restart=["second"])
    assert (tmp_path / "second" / "notes.txt").read_text() == "mine" and made == []
    (tmp_path / "file").write_text("")
    with pytest.raises(SansiError, match="is a file where the stages' folders are to be"):
        Runner(small_recipe(), tmp_path / "file")


def test_a_stage_that_was_killed_while_it_wrote_its_record_is_made(tmp_path):
    """The folder is there, and in it no more than the draft of stage.json."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / ".stage.json.123.456").write_text("{")
    Runner(small_recipe(), tmp_path).run()
    assert made == ALL


def test_unknown_stages_are_named_with_the_nearest(tmp_path):
    runner = Runner(small_recipe(), tmp_path)
    for options in ({"until": "secnd"}, {"restart": ["secnd"]}):
        assert refusal(runner, **options) == 'small has no stage "secnd"; did you mean "second"?'


def test_two_runners_do_not_share_a_folder(tmp_path):
    program = """
        import sys
        from filelock import FileLock
        with FileLock(sys.argv[1]):
            print("held", flush=True)
            sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        assert "another sansi make works in" in refusal(Runner(small_recipe(), tmp_path))
        other.kill()  # the lock goes with its owner
        other.wait()
    Runner(small_recipe(), tmp_path).run()


def test_a_folder_that_can_not_be_written_is_told_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)  # root may write everywhere
    for out in (tmp_path, tmp_path / "below"):
        assert "can not be written: you may not write" in refusal(Runner(small_recipe(), out))
    assert made == []


def test_a_checkpoint_tells_its_history(tmp_path):
    Runner(small_recipe(), tmp_path).run()
    for folder in (tmp_path / "steps", tmp_path / "steps" / "result"):
        history = history_of(folder)
        assert [record.name for record in history.stages] == ["first", "second", "steps"]
    assert described(history)[1].startswith("second (letters of first): 2 letters, ")
    history.save(tmp_path / "elsewhere")  # as an exported folder carries it
    assert history_of(tmp_path / "elsewhere").to_dict() == history.to_dict()


def test_the_folder_of_all_stages_tells_them_in_order(tmp_path):
    kill_at("steps 1")
    with pytest.raises(Killed):
        Runner(small_recipe(), tmp_path).run()
    assert [stage.name for stage in history_of(tmp_path).stages] == ["first", "apart", "second", "steps"]
    assert result_in(tmp_path) == tmp_path
    assert [": not done" in line for line in described(history_of(tmp_path))] == [False, False, False, True]
    (tmp_path / "recipe.json").write_text("[]")
    assert history_of(tmp_path) is None


@pytest.mark.parametrize("stage", ["second", "steps"])
def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(tmp_path, monkeypatch, stage):
    room = small_recipe_module.work

    def full(place):
        if place.startswith(stage):
            raise OSError(errno.ENOSPC, "No space left on device")
        room(place)

    monkeypatch.setattr(small_recipe_module, "work", full)
    assert f"{stage}: the disk is full; make room where {tmp_path}" in refusal(Runner(small_recipe(), tmp_path))
    monkeypatch.setattr(small_recipe_module, "work", room)
    Runner(small_recipe(), tmp_path).run()
    assert made == ALL


def test_a_history_reads_each_record_once(tmp_path, monkeypatch):
    Runner(small_recipe(), tmp_path).run()
    read: list[str] = []
    load = StageRecord.load
    monkeypatch.setattr(StageRecord, "load", lambda folder: read.append(folder.name) or load(folder))
    history_of(tmp_path / "steps")
    assert sorted(read) == ["first", "second", "steps"]  # not twice as many with each stage behind


def test_history_goes_on_into_what_another_recipe_made(tmp_path):
    Runner(small_recipe(), tmp_path / "one").run()
    given = tmp_path / "one" / "second"
    Runner(small_recipe(outside=given), tmp_path / "two").run()
    assert (tmp_path / "two" / "first" / "text").read_text() == "aba"
    names = [record.name for record in history_of(tmp_path / "two" / "first").stages]
    assert names == ["first", "second", "first"]


def test_what_two_inputs_have_in_common_is_told_once(tmp_path):
    Runner(small_recipe(), tmp_path / "one").run()
    recipe = small_recipe(outside=tmp_path / "one" / "second")
    given = [str(tmp_path / "one" / name) for name in ("second", "first")]
    stages = (replace(recipe.stages[0], inputs={"before": given}), *recipe.stages[1:])
    Runner(replace(recipe, stages=stages), tmp_path / "two").run()
    names = [record.name for record in history_of(tmp_path / "two" / "first").stages]
    assert names == ["first", "second", "first"]


def test_digests_are_of_names_and_contents(tmp_path):
    for name, text in {"a": "1", "b/c": "2", ".hidden": "3", "metrics.jsonl": "4", "x.png": "5"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    content = read_content(tmp_path)
    assert sorted(content.files) == ["a", "b/c"]
    assert type(content).from_dict(json.loads(json.dumps(content.to_dict()))) == content
    (tmp_path / "a").rename(tmp_path / "d")
    other = read_content(tmp_path)
    assert other.digest != content.digest and content.differences(other) == ["a is missing", "d is new"]


def test_ranks_of_torchrun_are_sent_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "not under torchrun" in refusal(Runner(small_recipe(), tmp_path))


def write_verifier(file: Path, body: str) -> None:
    """Anew, as another process would find it."""
    file.write_text(f"def check(problem, message):\n    {body}\n")
    for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == str(file)]:
        del sys.modules[name]


def test_a_verifier_with_other_code_makes_stale_what_it_judged(tmp_path):
    verifier, problems = tmp_path / "mine.py", tmp_path / "mine.jsonl"
    write_verifier(verifier, "return message.content == problem.answer")
    lines = [{"question": "ab?", "answer": "ab", "verifier": f"{verifier}:check"}, {"question": "b?", "answer": "b"}]
    problems.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    runner = Runner(judging_recipe(problems), tmp_path / "out")
    runner.run()
    assert (tmp_path / "out" / "judged" / "marks").read_text() == "[1.0, 0.0]"
    assert set(StageRecord.load(tmp_path / "out" / "judged").verifiers) == {f"{verifier}:check", "exact"}
    write_verifier(verifier, "return message.content == problem.answer  # the same, said with a word more")
    runner.run()
    write_verifier(verifier, "return message.content != problem.answer")
    assert f'judged (the verifier "{verifier}:check" has other code' in refusal(runner)
    assert made == ["judged"]
    runner.run(restart=["judged"])
    assert (tmp_path / "out" / "judged" / "marks").read_text() == "[0.0, 0.0]"


def test_a_verifier_that_is_gone_costs_nothing_that_is_done(tmp_path):
    verifier, problems = tmp_path / "mine.py", tmp_path / "mine.jsonl"
    write_verifier(verifier, "return True")
    problems.write_text(json.dumps({"question": "?", "answer": "ab", "verifier": f"{verifier}:check"}))
    Runner(judging_recipe(problems), tmp_path / "out").run()
    write_verifier(verifier, "return False")
    verifier.unlink()
    Runner(judging_recipe(problems), tmp_path / "out").run()
    assert made == ["judged"]


def test_every_kind_that_asks_verifiers_names_them(tmp_path):
    file = tmp_path / "problems" / "problems.jsonl"
    file.parent.mkdir()
    plain = {"metadata": {}, "difficulty": None, "context": [], "verifier": None}
    file.write_text(json.dumps({"task": "mine", "question": "?", "answer": "1", **plain}))
    given = {role: [Given(role, file.parent)] for role in ("problems", "validation", "model")}
    for name, config, count in (
        ("evaluate", Evaluate(), 1),
        ("grpo", Grpo(steps=1, questions_per_step=1), 2),
        ("problems", Problems(count=3), len(FAMILIES)),
        ("problems", Problems(count=3, tasks=("gcd", "leg_counting")), 2),
    ):
        judged = KINDS[name].judged(config, Inputs(given))
        assert len(judged) == count
    assert not KINDS["problems"].judged(Problems(count=3), Inputs({}))
