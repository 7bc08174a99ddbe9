"""What a user can get wrong ends in one sentence, before the first step where it can be seen then."""

from __future__ import annotations

import logging
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from sansi.base import SansiError
from sansi.base.runs import RunFolder
from sansi.data import Batch, PackedDataset
from sansi.train.config import TrainConfig
from sansi.train.loop import Trainer
from sansi.train.objective import NextToken
from sansi.train.schedule import Schedule
from tiny_training import VOCAB, batches, make_trainer, tiny_model


def refused(match: str):
    return pytest.raises(SansiError, match=match)


def test_a_run_folder_is_a_folder_or_its_path(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert make_trainer(str(tmp_path / "text")).run.path == tmp_path / "text"
    for folder, words in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "below", "is a file, so there can be"),
    ):
        with refused(words):
            make_trainer(folder)
    for wrong in (None, 3, "", ["runs"]):
        with refused("a run is given by its path, not by"):
            make_trainer(wrong)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_folder_that_can_not_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)  # root may write everywhere
    with refused("can not be written"):
        make_trainer(tmp_path)


def test_ids_beyond_the_vocabulary_are_named_before_the_first_step(tmp_path):
    model = tiny_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for wrong in (VOCAB, 99):
        text = np.arange(400) % VOCAB
        text[7] = wrong
        with refused(rf'the token id {wrong}, but the model knows 0 to {VOCAB - 1} \("vocab_size" {VOCAB}\)'):
            make_trainer(tmp_path, model=model, data=PackedDataset([text], 399, 1)).train()
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_a_producer_that_knows_its_largest_id_is_refused_when_the_trainer_is_made(tmp_path):
    data = batches()
    data.largest_id = VOCAB
    with refused(f"token id {VOCAB}"):
        make_trainer(tmp_path, data=data)


def test_rows_longer_than_the_context(tmp_path):
    data = PackedDataset([np.arange(400) % VOCAB], 65, 1)
    with refused("rows of 65 tokens are longer than the context of the model, 64"):
        make_trainer(tmp_path, data=data).train()


def test_batches_that_end_or_are_none(tmp_path):
    class Finite:
        def __init__(self, items):
            self.items = items

        def __iter__(self):
            return iter(self.items)

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            pass

    one = next(iter(batches()))
    with refused("the batches ended before step 2 of 7"):
        make_trainer(tmp_path / "a", data=Finite([one])).train()
    with refused("the batches ended before step 1 of 7"):
        make_trainer(tmp_path / "b", data=Finite([])).train()
    with refused("yielded dict instead of sansi.data.Batch"):
        make_trainer(tmp_path / "c", data=Finite([{"ids": 1}])).train()
    for wrong in ([one], None, iter([one])):
        with refused("state_dict"):
            Trainer(tiny_model(), wrong, NextToken(), TrainConfig(steps=1), tmp_path / "d")


def test_an_objective_is_one_that_can_be_called(tmp_path):
    for wrong in (NextToken, None, "next token"):
        with refused(r"such as NextToken\(\)"):
            Trainer(tiny_model(), batches(), wrong, TrainConfig(steps=1), tmp_path)
    with refused("training configuration: must be of type TrainConfig"):
        Trainer(tiny_model(), batches(), NextToken(), RunFolder(tmp_path), TrainConfig(steps=1))


@pytest.mark.parametrize("values", [{"learning_rate": float("nan")}, {"steps": "3"}, {"dtype": "float16"}])
@pytest.mark.parametrize("more", [{}, {"schedule": {"kind": "wsd"}}])
def test_impossible_values_are_named(values, more):
    with refused(next(iter(values))):
        TrainConfig(**{"steps": 1, **values, **more})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("micro_batch_size", 0),
        ("gradient_accumulation_steps", 0),
        ("adam_beta1", 1.0),
        ("adam_beta2", -0.1),
        ("muon_momentum", 1.5),
        ("adam_epsilon", 0.0),
        ("spike_factor", -1.0),
        ("evaluate_every", -1),
        ("max_grad_norm", 0.0),
    ],
)
def test_values_out_of_range_are_named(name, value):
    with refused(f'"{name}" must be .*{value}'):
        TrainConfig(steps=1, **{name: value})


@pytest.mark.parametrize("weight", [float("nan"), -1.0, "much", float("inf")])
@pytest.mark.parametrize("name", ["balance_weight", "router_z_loss_weight", "z_loss_weight"])
def test_weights_of_the_objective_are_checked(name, weight):
    with refused(name):
        NextToken(**{name: weight})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bundle": "checkpoints/nano"}, r"the bundle is a str; give a ModelBundle"),
        ({"evaluate": 3}, "evaluate is 3; give a function"),
        ({"inputs": ["corpus"]}, "inputs are a list; give digests or Paths by name"),
        ({"inputs": {"corpus": 3}}, 'the input "corpus" is 3; give its digest'),
    ],
)
def test_what_else_a_run_is_given_is_checked_when_the_trainer_is_made(given, words, tmp_path):
    with refused(words):
        make_trainer(tmp_path, **given)


def test_a_model_without_weights_or_in_two_places(tmp_path):
    model = tiny_model()
    model.model.norm.weight = torch.nn.Parameter(torch.empty(16, device="meta"))
    with refused("the model's weights are on cpu, meta; move them to the one device"):
        make_trainer(tmp_path, model=model)
    with refused("weights are on meta"):
        make_trainer(tmp_path, model=tiny_model().to("meta"))


def test_a_model_of_another_kind_is_refused(tmp_path):
    with refused("the model is a Linear"):
        make_trainer(tmp_path, model=torch.nn.Linear(3, 3))


def test_a_warm_up_longer_than_the_run_is_told(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="sansi"):
        make_trainer(tmp_path / "a", steps=50, schedule=Schedule(warmup_steps=100))
    assert "warm-up of 100 steps is longer than the run of 50: the learning rate gets to 41% of its peak" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="sansi"):
        make_trainer(tmp_path / "b", steps=50, schedule=Schedule())
    assert not caplog.text and Schedule().highest(50) == 1.0


# ---- a full disk ----------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_keeps_the_checkpoint_before_and_says_so(tmp_path):
    trainer = make_trainer(tmp_path, steps=4)
    usual = trainer.checkpointer.save

    def save(step, state):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096 if step == 4 else soft, hard))  # no file may grow longer
        try:
            return usual(step, state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    trainer.checkpointer.save = save
    with refused(r"checkpoint of step 4 could not be written .* nothing of it is kept; make room .* goes on at step-2"):
        trainer.train()
    assert trainer.run.steps() == [2]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-2"]
    assert make_trainer(tmp_path, steps=4).train() is not None
    assert RunFolder(tmp_path).steps() == [2, 4]


def test_metrics_that_can_not_be_written_are_told(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with refused(r"metrics\.jsonl can not be written .*No space left"):
        make_trainer(tmp_path).train()


# ---- batches --------------------------------------------------------------------------------------------------------


def batch(**changes):
    values = {
        "ids": torch.arange(12).view(2, 6),
        "documents": ((4, 2), (6,)),
        "loss_mask": torch.tensor([[0, 1, 1, 1, 0, 1], [0, 0, 0, 0, 0, 1]]).bool(),
    }
    return Batch(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ids": torch.zeros(2, 6)}, r'"ids" is float32 \[2, 6\]'),
        ({"ids": torch.zeros(6, dtype=torch.int64)}, r'"ids" is int64 \[6\]'),
        ({"loss_mask": torch.ones(2, 6)}, "loss_mask"),
        ({"loss_mask": torch.ones(2, 5, dtype=torch.bool)}, "loss_mask"),
        ({"loss_mask": torch.ones(2, 6, dtype=torch.bool)}, "first token of a document"),
        ({"documents": ((4, 2),)}, "1 rows, the ids of 2"),
        ({"documents": ((4, 3), (6,))}, r"row 0 have lengths \[4, 3\]"),
        ({"documents": ((6,), (6, 0))}, r"row 1 have lengths \[6, 0\]"),
        ({"weights": -torch.ones(2, 6)}, '"weights" has values below 0'),
        ({"weights": torch.full((2, 6), torch.nan)}, "not finite"),
        ({"advantages": torch.ones(2, 5)}, '"advantages"'),
        ({"rewards": torch.ones(3)}, '"rewards"'),
        ({"teacher_ids": torch.ones(1, 6, 4, dtype=torch.int64)}, '"teacher_ids"'),
    ],
)
def test_a_batch_that_does_not_fit_itself_is_refused(changes, words):
    with refused(words):
        batch(**changes)


def test_a_batch_moves_and_is_cut_with_all_that_it_holds():
    whole = batch(weights=torch.rand(2, 6), rewards=torch.tensor([1.0, 2.0]), teacher_ids=torch.ones(2, 6, 3).long())
    first, second = whole.split(5)
    assert (len(first), len(second), first.targets + second.targets) == (1, 1, whole.targets)
    assert second.documents == ((6,),) and second.rewards.tolist() == [2.0] and second.teacher_ids.shape == (1, 6, 3)
    turned = whole.rows([1, 0]).to("cpu")
    assert torch.equal(turned.ids, whole.ids.flip(0)) and turned.documents == ((6,), (4, 2))
    assert torch.equal(turned.relevant, whole.relevant.flip(0)) and whole.relevant.all()
    assert whole.tokens == 10 and whole.target_weight == pytest.approx(float((whole.weights * whole.loss_mask).sum()))
    with refused("parts"):
        whole.split(0)
