"""A killed run, started again, equals one that was never killed; what can not be resumed says why."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from sansi.base import SansiError
from sansi.base.runs import RunFolder
from sansi.model import ModelBundle, Transformer, load
from sansi.train import checkpoint
from sansi.train.loop import TrainConfig, Trainer
from sansi.train.objective import Loss, NextToken
from sansi.train.schedule import Schedule
from sansi.train.stages import extend_context
from tiny_training import batches, make_trainer, tiny_model

OPTIMIZERS = ["adamw", "muon"]


class Killed(BaseException):
    """Not an Exception, as the end of a process is none."""


def train_until(trainer: Trainer, step: int) -> None:
    """Train, and die in the middle of step `step` (0-based), after its gradients and before anything is stored."""
    usual = trainer.optimizer.step

    def dying(factor: float) -> None:
        if trainer.step == step:
            raise Killed
        usual(factor)

    trainer.optimizer.step = dying
    with pytest.raises(Killed):
        trainer.train()


def weights(model: Transformer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def history(folder: Path) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "tokens_per_second"} for row in RunFolder(folder).metrics()]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """By optimiser: the trainer at its end, and its folder."""
    made = {}
    for kind in OPTIMIZERS:
        folder = tmp_path_factory.mktemp(kind)
        made[kind] = (make_trainer(folder, kind), folder)
        made[kind][0].train()
    return made


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("kills", [[0], [1], [2], [5, 6], [3, 3, 4]])
def test_resumed_equals_uninterrupted_bit_for_bit(kind, kills, tmp_path, uninterrupted):
    for kill in kills:
        train_until(make_trainer(tmp_path, kind), kill)
    trainer = make_trainer(tmp_path, kind)
    assert trainer.step == kills[-1] // 2 * 2  # checkpoints come every second step
    trainer.train()
    whole, folder = uninterrupted[kind]
    assert_same(weights(whole.model), weights(trainer.model))
    assert_same(whole.optimizer.tensors(), trainer.optimizer.tensors())
    assert history(tmp_path) == history(folder)
    assert trainer.batches.state_dict() == whole.batches.state_dict()


def test_steps_change_the_model_and_lower_the_loss(uninterrupted):
    for trainer, folder in uninterrupted.values():
        assert not torch.equal(trainer.model.lm_head_weight, tiny_model().lm_head_weight)
        rows = history(folder)
        assert [row["step"] for row in rows] == list(range(1, 8))
        assert rows[-1]["loss"] < rows[0]["loss"]
        assert rows[-1]["tokens"] == 7 * 3 * 16


def test_dying_inside_a_save_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    def dying(*_):
        raise Killed

    train_until(make_trainer(tmp_path), 3)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoint, "write_json", dying)
        make_trainer(tmp_path).train()
    assert RunFolder(tmp_path).steps() == [2]
    assert make_trainer(tmp_path).step == 2


def test_the_last_step_has_a_checkpoint_and_two_are_kept(uninterrupted):
    _, folder = uninterrupted["muon"]
    assert RunFolder(folder).steps() == [6, 7]


def test_a_checkpoint_is_a_model_folder(uninterrupted):
    trainer, folder = uninterrupted["adamw"]
    loaded = load(RunFolder(folder).latest(), device="cpu")
    ids = torch.arange(10)[None]
    assert torch.equal(loaded(ids), trainer.model(ids)) and not loaded.training and not trainer.model.training


def test_a_bundle_is_part_of_a_checkpoint_and_must_stay(tmp_path):
    files = {"tokenizer.json": b"{}", "README.md": b"words"}
    make_trainer(tmp_path, bundle=ModelBundle(files, "old"), steps=1).train()
    assert (tmp_path / "checkpoints" / "step-1" / "tokenizer.json").read_text() == "{}"
    make_trainer(tmp_path, bundle=ModelBundle({**files, "README.md": b"other words"}, "old"), steps=1)
    with pytest.raises(SansiError, match=r"codec: 'old' there, 'new' here; files.tokenizer.json: "):
        make_trainer(tmp_path, bundle=ModelBundle({"tokenizer.json": b"[]"}, "new"), steps=1)


def test_a_finished_run_trains_no_further(tmp_path):
    make_trainer(tmp_path).train()
    again = make_trainer(tmp_path)
    before = weights(again.model)
    assert again.step == 7
    assert_same(before, weights(again.train()))


def test_what_can_not_be_resumed_says_why(tmp_path):
    make_trainer(tmp_path, "adamw").train()
    with pytest.raises(SansiError, match=r"other settings: optimizer: 'adamw' there, 'muon' here"):
        make_trainer(tmp_path, "muon")
    with pytest.raises(SansiError, match=r"model\.num_hidden_layers: 2 there, 1 here"):
        make_trainer(tmp_path, "adamw", model=tiny_model(num_hidden_layers=1))
    with pytest.raises(SansiError, match="other"):
        make_trainer(tmp_path, "adamw", data=batches().datasets[0])
    with pytest.raises(SansiError, match=r"objective\.z_loss_weight: 0\.0 there, 0\.1 here"):
        make_trainer(tmp_path, "adamw", objective=NextToken(z_loss_weight=0.1))
    with pytest.raises(SansiError, match=r"learning_rate: 0\.01 there, 0\.02 here"):
        make_trainer(tmp_path, "adamw", learning_rate=2e-2)
    with pytest.raises(SansiError, match=r"rows_per_step: 3 there, 6 here"):
        make_trainer(tmp_path, "adamw", gradient_accumulation_steps=2)
    file = tmp_path / "checkpoints" / "step-7" / "optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(SansiError, match=r"optimizer\.safetensors: missing or damaged .* delete .*step-7"):
        make_trainer(tmp_path, "adamw")


def test_a_gradient_that_is_not_finite_stops_the_run_and_keeps_the_weights(tmp_path):
    def broken(model, batch, statistics):
        return Loss(model(batch.ids).sum() * torch.inf, batch.targets)

    trainer = Trainer(tiny_model(), batches(), broken, TrainConfig(steps=3, compile=False), RunFolder(tmp_path))
    with pytest.raises(SansiError, match="loss is not finite at step 1; nothing of this step was applied"):
        trainer.train()
    assert_same(weights(trainer.model), weights(tiny_model()))


def test_every_impossible_setting_is_named_at_once():
    with pytest.raises(SansiError) as error:
        TrainConfig(steps=0, learning_rate=-1.0, checkpoint_every=0, weight_decay=-0.1)
    for name in ("steps", "learning_rate", "checkpoint_every", "weight_decay"):
        assert f'"{name}"' in str(error.value)
    with pytest.raises(SansiError, match=r'schedule: "warmup_steps" .*; "decay_from" '):
        TrainConfig(steps=1, schedule={"decay_from": 1.5, "warmup_steps": -1})


@pytest.mark.parametrize("values", [{"kind": "linear"}, {"kind": "constant"}, {"kind": "Cosine"}, {"final": math.nan}])
def test_a_schedule_that_is_none_is_refused(values):
    with pytest.raises(SansiError, match=next(iter(values))):
        Schedule(**values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extended_context_keeps_all_else(dtype):
    model = tiny_model().to(dtype).train()
    model.model.layers[0].eval()
    model.model.embed_tokens.weight.requires_grad_(False)
    model.model.norm.weight.role = "norm"
    model.model.layers[1].self_attn.float()  # mixed precision
    for compiled in (False, True):
        longer = extend_context(torch.compile(model, backend="eager") if compiled else model, 1e6, 256)
        assert type(longer) is type(model)
        for (name, mine), theirs in zip(longer.named_parameters(), model.parameters(), strict=True):
            same = (mine.dtype, mine.device, mine.requires_grad) == (theirs.dtype, theirs.device, theirs.requires_grad)
            assert same and mine is not theirs and torch.equal(mine, theirs), name
        assert [m.training for m in longer.modules()] == [m.training for m in model.modules()]
        assert longer.model.norm.weight.role == "norm"
        assert longer.rope_cos.dtype == model.rope_cos.dtype and longer.rope_cos.shape == (256, model.config.head_dim)
    assert model.config.max_position_embeddings != 256 and len(model.rope_cos) != 256


def test_extended_context_keeps_the_weights_and_takes_longer_texts():
    model = tiny_model()
    longer = extend_context(model, rope_theta=1e6, max_position_embeddings=256)
    assert_same(weights(model), weights(longer))
    assert (longer.config.rope_theta, longer.config.context_length) == (1e6, 256)
    assert longer(torch.ones(1, 200, dtype=torch.long)).shape == (1, 200, 31)
    ids = torch.arange(20)[None]
    assert not torch.equal(model(ids), longer(ids))  # the angles changed
    with pytest.raises(SansiError, match="neither may fall"):
        extend_context(model, rope_theta=1e6, max_position_embeddings=32)
    for wrong in (math.nan, "1e6", None):
        with pytest.raises(SansiError, match="rope_theta"):
            extend_context(model, rope_theta=wrong, max_position_embeddings=256)
