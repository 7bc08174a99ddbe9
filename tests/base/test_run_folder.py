import json

import pytest
from sansi.base import SansiError
from sansi.base.files import atomic_folder, read_json
from sansi.base.runs import RunFolder

CONFIG = {"lr": 0.1, "betas": (0.9, 0.95), "name": "三思"}


def save(run: RunFolder, step: int) -> None:
    with atomic_folder(run.checkpoint(step)) as draft:
        (draft / "weights").write_text(str(step))


def test_a_new_run_keeps_its_configuration(tmp_path):
    RunFolder(tmp_path / "runs" / "a", CONFIG)
    assert read_json(tmp_path / "runs" / "a" / "config.json") == {**CONFIG, "betas": [0.9, 0.95]}


def test_the_same_configuration_resumes(tmp_path):
    first = RunFolder(tmp_path, CONFIG)
    first.log(1, loss=2.0)
    save(first, 1)
    again = RunFolder(tmp_path, dict(CONFIG))
    assert again.metrics() == [{"step": 1, "loss": 2.0}]
    assert again.latest() == first.checkpoint(1)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**CONFIG, "lr": 0.2}, "lr: 0.1 there, 0.2 here"),
        ({"lr": 0.1, "name": "三思"}, "betas: "),
        ({**CONFIG, "seed": None}, "seed: (absent) there, None here"),
    ],
)
def test_another_configuration_is_a_conflict_that_names_the_keys(tmp_path, config, words):
    RunFolder(tmp_path, CONFIG)
    with pytest.raises(SansiError) as caught:
        RunFolder(tmp_path, config)
    assert words in str(caught.value)
    assert str(caught.value).count(" there, ") == 1
    assert read_json(tmp_path / "config.json")["lr"] == 0.1


def test_a_run_can_be_read_without_its_configuration(tmp_path):
    RunFolder(tmp_path, CONFIG).log(3, loss=1.0)
    assert RunFolder(tmp_path).metrics() == [{"step": 3, "loss": 1.0}]


def test_a_damaged_configuration_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(SansiError, match=r"config\.json"):
        RunFolder(tmp_path, CONFIG)


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(SansiError, match="is a file"):
        RunFolder(tmp_path / "a")


def test_a_resumed_run_s_metrics_win(tmp_path):
    run = RunFolder(tmp_path)
    for step in (1, 2, 3):
        run.log(step, loss=float(step))
    run.log(2, score=0.5)  # other keys: another row
    for step in (2, 3, 4):
        run.log(step, loss=10.0 * step)
    assert run.metrics() == [
        {"step": 1, "loss": 1.0},
        {"step": 2, "loss": 20.0},
        {"step": 2, "score": 0.5},
        {"step": 3, "loss": 30.0},
        {"step": 4, "loss": 40.0},
    ]


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_line_cut_short_by_a_crash_costs_only_itself(tmp_path, cut):
    run = RunFolder(tmp_path)
    run.log(1, loss=1.0)
    run.log(2, loss=2.0)
    data = run.metrics_file.read_bytes()
    run.metrics_file.write_bytes(data[:-cut])
    again = RunFolder(tmp_path)
    again.log(2, loss=2.5)
    again.log(3, loss=3.0)
    assert [(row["step"], row["loss"]) for row in again.metrics()] == [(1, 1.0), (2, 2.5), (3, 3.0)]


def test_each_metric_is_a_line_of_json(tmp_path):
    run = RunFolder(tmp_path)
    run.log(1, note="a\nb")
    run.log(2)
    assert [json.loads(line) for line in run.metrics_file.read_text().splitlines()] == [
        {"step": 1, "note": "a\nb"},
        {"step": 2},
    ]


def test_steps_are_numbers_and_whole_checkpoints_only(tmp_path):
    run = RunFolder(tmp_path)
    assert (run.steps(), run.latest(), run.metrics()) == ([], None, [])
    for step in (10, 9, 100):
        save(run, step)
    (run.checkpoints / "step-final").mkdir()
    with pytest.raises(RuntimeError), atomic_folder(run.checkpoint(200)):
        raise RuntimeError
    (run.checkpoints / ".step-300.abc").mkdir()  # what a killed save leaves
    assert run.steps() == [9, 10, 100]
    assert run.latest() == run.checkpoint(100)


@pytest.mark.parametrize(("count", "kept"), [(0, []), (1, [3]), (2, [2, 3]), (5, [1, 2, 3])])
def test_keep_last(tmp_path, count, kept):
    run = RunFolder(tmp_path)
    for step in (1, 2, 3):
        save(run, step)
    run.keep_last(count)
    assert run.steps() == kept


def test_what_is_no_run_is_named(tmp_path):
    run = RunFolder(tmp_path, CONFIG)
    run.metrics_file.write_text('{"step": 1}\n{"step": 2, "lo')  # a crash cut the last line short
    assert run.metrics() == [{"step": 1}]
    for line in ("3", "[]", '{"loss": 1}', '{"step": "1"}'):
        run.metrics_file.write_text(line + "\n")
        with pytest.raises(SansiError, match=r"metrics\.jsonl: .* is no row with a step"):
            run.metrics()
    run.checkpoints.mkdir()
    (run.checkpoints / "step-3").write_text("a file")
    assert run.steps() == [] and run.latest() is None
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(SansiError, match="is not the configuration of a run"):
        RunFolder(tmp_path, CONFIG)


def test_a_checkpoint_with_somebodys_file_is_kept(tmp_path):
    run = RunFolder(tmp_path)
    for step in (1, 2, 3, 4):
        save(run, step)
    (run.checkpoint(2) / "notes.txt").write_text("dear")
    with pytest.warns(UserWarning, match=r"this checkpoint is kept: .*step-2 holds files .*notes\.txt"):
        run.keep_last(1)
    assert run.steps() == [2, 4]
