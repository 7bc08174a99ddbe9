"""What can not be right is not learned from: it is left out and counted, and many in a row stop the run."""

from __future__ import annotations

import math

import pytest
import torch
from sansi.base import SansiError
from sansi.train.guard import MOST_IN_A_ROW, WARM, SpikeGuard
from sansi.train.objective import Loss, NextToken
from tiny_training import make_trainer


def warmed(factor: float = 10.0, loss: float = 2.0) -> SpikeGuard:
    guard = SpikeGuard(factor)
    for step in range(WARM):
        assert guard.accepts(step, loss + 0.01 * (-1) ** step, 0.5 + 0.05 * (-1) ** step)
    return guard


@pytest.mark.parametrize(("loss", "norm"), [(2.0, 6.0), (5.0, 0.5), (2.0, 1e9)])
def test_a_spike_is_left_out(loss, norm):
    guard = warmed()
    assert not guard.accepts(30, loss, norm)
    assert guard.skipped == 1 and guard.accepts(31, 2.0, 0.5) and guard.in_a_row == 0


@pytest.mark.parametrize(("loss", "norm"), [(3.5, 0.5), (2.0, 5.0), (0.1, 0.0), (-3.0, 0.5)])
def test_what_is_merely_unusual_is_taken(loss, norm):
    assert warmed().accepts(30, loss, norm)


def test_losses_around_zero_have_their_own_spread():
    guard = warmed(loss=0.0)
    assert guard.accepts(30, 0.1, 0.5) and not guard.accepts(31, 0.5, 0.5)


def test_nothing_is_a_spike_before_there_is_a_usual_or_without_a_factor():
    assert SpikeGuard(10.0).accepts(1, 1e9, 1e9)
    assert warmed(factor=0.0).accepts(30, 1e9, 1e9)


def test_many_spikes_in_a_row_stop_the_run():
    guard = warmed()
    for step in range(MOST_IN_A_ROW - 1):
        assert not guard.accepts(step, 100.0, 0.5)
    with pytest.raises(SansiError, match=r"10 steps in a row .*medians 2.* and 0\.5.*spike_factor"):
        guard.accepts(99, 100.0, 0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("which", ["loss", "gradient"])
def test_what_is_not_finite_stops_the_run(value, which):
    with pytest.raises(SansiError, match=f"the {which} is not finite at step 7"):
        warmed(factor=0.0).accepts(7, *((value, 1.0) if which == "loss" else (1.0, value)))


class Spiking(NextToken):
    """An objective whose loss is a thousandfold at one call."""

    def __init__(self, at: int):
        super().__init__()
        object.__setattr__(self, "calls", [])
        object.__setattr__(self, "at", at)

    def __call__(self, model, batch, statistics):
        loss = super().__call__(model, batch, statistics)
        self.calls.append(1)
        return Loss(loss.sum * (1000.0 if len(self.calls) == self.at else 1.0), loss.count)


def test_a_spike_changes_no_weight_and_the_run_resumes_to_the_same(tmp_path):
    def train(folder, at, steps=WARM + 6, stop=None):
        trainer = make_trainer(
            folder,
            objective=Spiking(at),
            steps=steps,
            checkpoint_every=4,
            schedule={"decay_from": 1.0, "warmup_steps": 2},
        )
        usual, before = trainer._train_step, {}

        def step(stream):
            if trainer.step == stop:
                raise KeyboardInterrupt
            before.update({n: v.clone() for n, v in trainer.model.state_dict().items()})
            metrics = usual(stream)
            if trainer.step == WARM + 2:
                same = all(torch.equal(v, before[n]) for n, v in trainer.model.state_dict().items())
                assert same == (metrics.get("skipped") == 1)
                metrics["same"] = float(same)
            return metrics

        trainer._train_step = step
        if stop is None:
            return trainer.train().state_dict(), trainer
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
        return None

    whole, trainer = train(tmp_path / "whole", WARM + 3)
    assert trainer.guard.skipped == 1 and trainer.run.metrics()[-1]["skipped"] == 1
    train(tmp_path / "killed", WARM + 3, stop=WARM + 2)
    resumed, again = train(tmp_path / "killed", 3)  # the checkpoint is of step 20, the spike comes at step 23
    assert again.guard.state_dict() == trainer.guard.state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
