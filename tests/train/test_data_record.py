"""What a run writes down of its data: the documents of each step, as they were read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sansi.data import Mixture, PackedDataset, pack
from sansi.data.batch import Batch
from sansi.data.shards.folder import PackedFolder
from sansi.data.shards.record import steps_taken
from sansi.data.shards.steps import Steps
from tiny_training import VOCAB, make_trainer


class Letters:
    vocab_size, end_of_text_id = VOCAB, VOCAB - 1

    def encode(self, text: str) -> list[int]:
        return [ord(letter) - ord("a") for letter in text if letter.islower()]


class Recorded(PackedDataset):
    """Keeps what was yielded."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.yielded: list[Batch] = []

    def __next__(self) -> Batch:
        self.yielded.append(super().__next__())
        return self.yielded[-1]


def folder_of(path: Path, seed: int, **packing: int) -> Path:
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("abcdefgh"), int(rng.integers(1, 30)))) for _ in range(25)]
    pack(texts, Letters(), path, packing=packing)
    return path


def test_a_run_that_was_resumed_tells_what_every_step_read(tmp_path: Path):
    text = folder_of(tmp_path / "text", 0)
    yielded: list[Batch] = []
    for steps in (3, 7):
        data = Recorded(text, 16, 3, seed=5)
        make_trainer(tmp_path / "run", data=data, steps=steps, checkpoint_every=3, schedule={"warmup_steps": 1}).train()
        yielded += data.yielded
    opened, packed = Steps.of_run(tmp_path / "run"), PackedFolder(text)
    assert steps_taken(tmp_path / "run") == 7 == len(yielded) and opened.rows_per_step == 3
    for step, batch in enumerate(yielded, 1):
        places = torch.zeros(3, dtype=torch.int64)
        for one in opened.documents(step):
            at = int(places[one.row])
            ids = packed.ids(one.document)[one.begin : one.begin + one.tokens]
            assert batch.ids[one.row, at : at + one.tokens].tolist() == ids.tolist()
            places[one.row] += one.tokens
        assert all(int(size) == 17 or not batch.loss_mask[row, int(size) :].any() for row, size in enumerate(places))


def test_rows_of_a_mixture_that_several_batches_make_a_step_of(tmp_path: Path):
    parts = [folder_of(tmp_path / "cut", 0), folder_of(tmp_path / "rows", 1, sequence_length=16)]
    mixed = Mixture([(PackedDataset(part, 16, 2), weight) for part, weight in zip(parts, (0.6, 0.4), strict=True)])
    make_trainer(tmp_path / "run", data=mixed, gradient_accumulation_steps=2, steps=4).train()
    opened = Steps.of_run(tmp_path / "run")
    assert opened.rows_per_step == 4
    assert {one.folder.name for step in (1, 2) for one in opened.documents(step)} == {"cut", "rows"}
    assert mixed.rows == 16
