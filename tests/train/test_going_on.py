"""What a run may change when it goes on, what it may not, and that no death of a process leaves it in between."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sansi.base import SansiError
from sansi.base.runs import RunFolder
from sansi.data import PackedDataset
from tiny_training import VOCAB, batches, make_trainer, tiny_model

FLAT = {"warmup_steps": 2, "decay_from": 1.0}


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def history(folder: Path) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "tokens_per_second"} for row in RunFolder(folder).metrics()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    trainer = make_trainer(folder)
    trainer.train()
    return weights(trainer), trainer.optimizer.tensors(), history(folder)


@pytest.mark.parametrize(
    "place", ["rename", *(pytest.param(place, marks=pytest.mark.slow) for place in ("weights", "clean", "log"))]
)
def test_a_process_that_is_killed_leaves_a_run_that_goes_on(place, tmp_path, whole):
    script = Path(__file__).with_name("dying.py")
    step = {"log": 5}.get(place, 6)
    done = subprocess.run([sys.executable, script, tmp_path, place, str(step)], capture_output=True, timeout=600)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert RunFolder(tmp_path).steps() == ([2, 4, 6] if place == "clean" else [2, 4])
    trainer = make_trainer(tmp_path)
    trainer.train()
    assert same(weights(trainer), whole[0]) and same(trainer.optimizer.tensors(), whole[1])
    assert history(tmp_path) == whole[2]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-6", "step-7"]


def test_a_checkpoint_that_is_half_gone_is_named(tmp_path):
    make_trainer(tmp_path, steps=2).train()
    (tmp_path / "checkpoints" / "step-2" / "trainer.json").write_text('{"step": 2,')
    with pytest.raises(SansiError, match=r"trainer\.json.*delete .*step-2 to go on at the checkpoint before"):
        make_trainer(tmp_path, steps=2)
    (tmp_path / "checkpoints" / "step-2" / "trainer.json").write_text('{"step": 2, "tokens": 3}')
    with pytest.raises(SansiError, match="another version of Sansi"):
        make_trainer(tmp_path, steps=2)


def test_a_record_without_one_of_its_fields_is_named(tmp_path):
    make_trainer(tmp_path, steps=2).train()
    file = tmp_path / "checkpoints" / "step-2" / "trainer.json"
    whole = json.loads(file.read_text())
    for name in ("step", "steps", "tokens", "batches", "guard", "random", "settings"):
        file.write_text(json.dumps({key: value for key, value in whole.items() if key != name}))
        with pytest.raises(SansiError, match=f'trainer.json is damaged: "{name}" is missing; delete .*step-2'):
            make_trainer(tmp_path, steps=2)
        file.write_text(json.dumps({**whole, name: "2"}))
        with pytest.raises(SansiError, match=f'"{name}" is "2"; delete'):
            make_trainer(tmp_path, steps=2)


# ---- what may change ------------------------------------------------------------------------------------------------


def test_how_work_is_laid_out_and_written_may_change(tmp_path, whole, monkeypatch):
    monkeypatch.setattr(
        torch, "compile", lambda function, **options: function
    )  # asked for, and importing it takes long
    make_trainer(tmp_path, steps=7, checkpoint_every=3).train()
    step_6 = tmp_path / "checkpoints" / "step-7"
    assert step_6.exists()
    for change in (
        {"checkpoint_every": 1, "log_every": 5, "evaluate_every": 3},
        {"micro_batch_size": 1, "compile": True},
    ):
        make_trainer(tmp_path, **change)


def test_a_plateau_can_be_made_longer_and_a_decay_can_not(tmp_path):
    make_trainer(tmp_path / "flat", steps=4, schedule=FLAT).train()
    longer = make_trainer(tmp_path / "flat", steps=6, schedule=FLAT)
    longer.train()
    at_once = make_trainer(tmp_path / "at once", steps=6, schedule=FLAT)
    at_once.train()
    assert same(weights(longer), weights(at_once))
    for steps, schedule in ((4, {"decay_from": 0.5}), (4, {"kind": "cosine"})):
        folder = tmp_path / str(schedule)
        make_trainer(folder, steps=steps, schedule=schedule).train()
        with pytest.raises(SansiError, match=r"steps: 4 there, 6 here: the learning rates of the 4 steps"):
            make_trainer(folder, steps=6, schedule=schedule)


def test_a_step_may_be_cut_otherwise_if_it_has_as_many_rows(tmp_path):
    text = [np.random.default_rng(0).integers(1, VOCAB, 900)]

    def make(folder, rows, accumulated):
        data = PackedDataset(text, 16, rows)
        return make_trainer(folder, data=data, gradient_accumulation_steps=accumulated, steps=4, schedule=FLAT)

    at_once = make(tmp_path / "at once", 4, 1).train().state_dict()
    interrupted = make(tmp_path / "parts", 4, 1)
    usual = interrupted._train_step
    interrupted._train_step = lambda stream: usual(stream) if interrupted.step < 2 else (_ for _ in ()).throw(OSError())
    with pytest.raises(OSError):
        interrupted.train()
    resumed = make(tmp_path / "parts", 2, 2)
    assert resumed.step == 2
    for name, value in resumed.train().state_dict().items():
        torch.testing.assert_close(value, at_once[name], rtol=1e-4, atol=1e-5)


# ---- what may not --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rate": 1.0}, "learning_rate: 0.01 there, 1.0 here"),
        ({"weight_decay": 0.0}, "weight_decay: 0.1 there, 0.0 here"),
        ({"schedule": FLAT}, "schedule.decay_from: 0.5 there, 1.0 here"),
        (
            {"max_grad_norm": 2.0, "adam_beta1": 0.5},
            "adam_beta1: 0.9 .*; max_grad_norm: 1.0 there, 2.0 here",
        ),
        ({"inputs": {"teacher": "sha256:2"}}, "inputs.teacher: 'sha256:1' there, 'sha256:2' here"),
        ({"inputs": {}}, r"inputs.teacher: 'sha256:1' there, \(absent\) here"),
    ],
)
def test_a_run_does_not_go_on_with_something_else(change, words, tmp_path):
    inputs = {"teacher": "sha256:1"}
    make_trainer(tmp_path, steps=2, inputs=inputs).train()
    model = tiny_model(seed=7)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(SansiError, match=words):
        make_trainer(tmp_path, model=model, **{"steps": 2, "inputs": inputs, **change})
    assert same(before, model.state_dict())  # nothing was taken up


def test_other_frozen_parameters_are_another_run(tmp_path):
    make_trainer(tmp_path, steps=2).train()
    model = tiny_model()
    model.model.embed_tokens.weight.requires_grad_(False)
    with pytest.raises(SansiError, match=r"frozen: \[\] there, \['model.embed_tokens.weight'\] here"):
        make_trainer(tmp_path, model=model, steps=2)


def test_an_input_is_known_by_its_content(tmp_path):
    (tmp_path / "input" / "deep").mkdir(parents=True)
    (tmp_path / "input" / "deep" / "file").write_text("one")
    inputs = {"data": tmp_path / "input"}
    make_trainer(tmp_path / "run", steps=2, inputs=inputs).train()
    (tmp_path / "input").rename(tmp_path / "moved")
    with pytest.raises(SansiError, match="no such file or folder, but it is an input"):
        make_trainer(tmp_path / "run", steps=2, inputs=inputs)
    make_trainer(tmp_path / "run", steps=2, inputs={"data": tmp_path / "moved"})
    (tmp_path / "moved" / "deep" / "file").write_text("two")
    with pytest.raises(SansiError, match=r"inputs\.data: "):
        make_trainer(tmp_path / "run", steps=2, inputs={"data": tmp_path / "moved"})


def test_the_record_holds_what_the_run_was(tmp_path):
    trainer = make_trainer(tmp_path, steps=2, inputs={"teacher": "sha256:1"})
    trainer.train()
    record = json.loads((trainer.run.latest() / "trainer.json").read_text())
    assert (record["step"], record["steps"], record["tokens"], record["world_size"]) == (2, 2, 96, 1)
    settings = record["settings"]
    assert settings["objective"] == {
        "kind": "NextToken",
        "balance_weight": None,
        "router_z_loss_weight": 0.0,
        "z_loss_weight": 0.0,
    }
    assert settings["model"]["hidden_size"] == 16 and settings["rows_per_step"] == 3 and settings["dtype"] == "float32"
    assert set(record["random"][0]) == {"python", "numpy", "torch", "cuda"}


# ---- evaluation and random numbers ---------------------------------------------------------------------------------


def test_evaluation_in_between_is_logged_and_changes_nothing(tmp_path, whole):
    seen = []

    def evaluate(model):
        assert not model.training and not torch.is_grad_enabled()
        seen.append(trainer.step)
        random.random(), torch.rand(3)
        return {"accuracy": torch.tensor(0.5), "questions": 3}

    trainer = make_trainer(tmp_path, evaluate=evaluate, evaluate_every=3)
    state = random.getstate()
    trainer.train()
    assert seen == [3, 6, 7] and random.getstate() == state
    assert same(weights(trainer), whole[0])
    rows = [row for row in RunFolder(tmp_path).metrics() if "accuracy" in row]
    assert rows == [{"step": step, "accuracy": 0.5, "questions": 3.0} for step in seen]


@pytest.mark.parametrize("figures", [None, 0.5, {"accuracy": "high"}, {"accuracy": [1, 2]}])
def test_an_evaluation_returns_figures_by_name(figures, tmp_path):
    with pytest.raises(SansiError, match=r"evaluate returned .* figures by name"):
        make_trainer(tmp_path, steps=1, evaluate=lambda model: figures).train()


def test_random_numbers_go_on_where_they_were(tmp_path):
    """A producer that draws from the global generators gets the same draws after a resume."""

    class Noisy:
        def __init__(self):
            self.drawn = []

        def __iter__(self):
            while True:
                self.drawn.append((random.random(), np.random.rand(), torch.rand(()).item()))
                yield next(data)

        def state_dict(self):
            return data.state_dict()

        def load_state_dict(self, state):
            data.load_state_dict(state)

    text = [np.random.default_rng(0).integers(1, VOCAB, 900)]
    data = PackedDataset(text, 16, 2)
    torch.manual_seed(3)
    first = Noisy()
    make_trainer(tmp_path, data=first, steps=4, schedule=FLAT).train()
    expected = [random.random(), np.random.rand(), torch.rand(()).item()]
    data = PackedDataset(text, 16, 2)
    again = Noisy()
    make_trainer(tmp_path, data=again, steps=5, schedule=FLAT).train()
    assert list(again.drawn[0]) == expected


class Stopping:
    """Batches of `data` that end after some, as a process does that is killed."""

    def __init__(self, data, after: int):
        self.data, self.after = data, after

    def __iter__(self):
        for number, batch in enumerate(self.data):
            if number == self.after:
                raise KeyboardInterrupt
            yield batch

    def state_dict(self):
        return self.data.state_dict()

    def load_state_dict(self, state):
        self.data.load_state_dict(state)


def test_a_run_that_was_killed_before_its_first_checkpoint_says_what_differs(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        make_trainer(tmp_path, data=Stopping(batches(), 1)).train()
    assert RunFolder(tmp_path).latest() is None
    with pytest.raises(
        SansiError, match=r"has no checkpoint yet: learning_rate: 0\.01 there, 0\.5 here.*beginning\.json"
    ):
        make_trainer(tmp_path, data=Stopping(batches(), 9), learning_rate=0.5)
    with pytest.raises(SansiError, match="other data"):
        make_trainer(tmp_path, data=Stopping(PackedDataset([np.arange(1, 20)], 16, 3), 9))
    with pytest.raises(SansiError, match=r"hidden_size: 16 there, 8 here"):
        make_trainer(tmp_path, data=Stopping(batches(), 9), model=tiny_model(hidden_size=8))
    trainer = make_trainer(tmp_path, data=Stopping(batches(), 99), micro_batch_size=3)  # as later on
    trainer.train()
    assert same(weights(trainer), whole[0])
    (tmp_path / "beginning.json").write_text("{}")
    make_trainer(tmp_path, data=Stopping(batches(), 99))  # the checkpoint counts from now on


def test_a_run_that_fails_in_its_first_step_leaves_nothing_to_go_on_with(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make_trainer(tmp_path, data=Stopping(batches(), 0)).train()
    make_trainer(tmp_path, learning_rate=0.5)


def test_a_damaged_beginning_is_named(tmp_path):
    RunFolder(tmp_path)
    (tmp_path / "beginning.json").write_text('{"batches": 1}')
    with pytest.raises(SansiError, match=r"beginning\.json is damaged; delete .*beginning\.json to begin anew"):
        make_trainer(tmp_path)
