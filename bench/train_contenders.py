"""The contenders of bench/train.py, each in a process of its own that does some steps whenever it is told to.

    python bench/train_contenders.py NAME SHAPE

A line on stdin is the number of steps to do; the answer is a line of JSON: tokens, processor and wall seconds, and the
peak of resident memory since the first answer. The peak is asked of Linux (VmHWM, which clear_refs sets back).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

SHAPES: dict[str, dict[str, int]] = {
    "1M": {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 5, "head_dim": 32, "vocab_size": 1024},
    "6M": {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 7, "head_dim": 64, "vocab_size": 2048},
    "27M": {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8, "head_dim": 128, "vocab_size": 4096},
}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
ROWS = {"1M": 16, "6M": 8, "27M": 4}
LENGTH = 256
DOCUMENT = 100  # mean tokens of a document, where rows hold several
RATE = 1e-3
ENDLESS = 10**6


class Paced:
    """Called before each step: every so many steps it reports, and waits to be told how many come next."""

    def __init__(self, tokens_per_step: int, answers: TextIO):
        self.tokens, self.answers, self.left, self.done = tokens_per_step, answers, 0, 0
        self.started = (0.0, 0.0)

    def __call__(self) -> None:
        if self.left == 0:
            self._report()
            line = sys.stdin.readline()
            if not line.strip():
                os._exit(0)  # the contenders' loops have no other way out in the middle
            self.left = self.done = int(line)
            self.started = (time.process_time(), time.perf_counter())
        self.left -= 1

    def _report(self) -> None:
        if not self.done:
            return
        processor, wall = (now - then for now, then in zip(clocks(), self.started, strict=True))
        figures = {"tokens": self.done * self.tokens, "cpu": processor, "wall": wall, "peak_mib": peak_memory()}
        print(json.dumps(figures), file=self.answers, flush=True)
        Path("/proc/self/clear_refs").write_text("5")


def clocks() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def peak_memory() -> float:
    """MiB resident at most since it was last set back."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


class Rows:
    """Random tokens, the same for every contender; one document to a row, or several."""

    def __init__(self, shape: str, packed: bool = False):
        self.rows, self.vocabulary = ROWS[shape], SHAPES[shape]["vocab_size"]
        self.mean = DOCUMENT if packed else LENGTH + 1
        self.draw = np.random.default_rng(0)

    def ids(self) -> np.ndarray:
        """int64 [B, T+1]."""
        return self.draw.integers(0, self.vocabulary, (self.rows, LENGTH + 1))

    def lengths(self) -> list[list[int]]:
        """Of the documents of each row."""
        return [draw_lengths(LENGTH + 1, self.mean, self.draw) for _ in range(self.rows)]


def draw_lengths(row_length: int, mean: int, rng: np.random.Generator) -> list[int]:
    """Of the documents of one row; a mean as long as the row is one document."""
    if mean >= row_length:
        return [row_length]
    lengths: list[int] = []
    while (left := row_length - sum(lengths)) > 0:
        lengths.append(min(left, max(2, int(rng.gamma(2, mean / 2)))))
    return lengths


def model_of(shape: str) -> Any:
    from sansi.model import ModelConfig, Transformer

    rest = {"tie_word_embeddings": True, "max_position_embeddings": 2 * LENGTH}
    return Transformer(ModelConfig.preset("nano", **{**SHAPES[shape], **HEADS, **rest}))


def sansi(shape: str, pace: Paced, dtype: str = "float32", packed: bool = False, **options: Any) -> None:
    """The loop of this checkout, as it is."""
    from sansi.data.batch import Batch
    from sansi.train.loop import TrainConfig, Trainer
    from sansi.train.objective import NextToken
    from sansi.train.schedule import Schedule

    class Stream:
        rows = Rows(shape, packed)

        def __iter__(self) -> Iterator[Batch]:
            while True:
                pace()
                lengths = self.rows.lengths()
                mask = np.ones((self.rows.rows, LENGTH + 1), bool)
                for row, of_row in enumerate(lengths):
                    mask[row, np.cumsum([0, *of_row[:-1]])] = False
                ids = torch.from_numpy(self.rows.ids())
                yield Batch(ids, tuple(map(tuple, lengths)), torch.from_numpy(mask))

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            pass

    config = TrainConfig(
        steps=ENDLESS, learning_rate=RATE, optimizer="adamw", schedule=Schedule(warmup_steps=10), dtype=dtype,
        checkpoint_every=ENDLESS, **options,
    )  # fmt: skip
    Trainer(model_of(shape), Stream(), NextToken(), config, Path(tempfile.mkdtemp())).train()


def before(shape: str, pace: Paced, packed: bool = False) -> None:
    """The loop of commit 246cb2d, which PYTHONPATH has to lead to."""
    from sansi.base.runs import RunFolder
    from sansi.train.loop import TrainConfig, Trainer
    from sansi.train.schedule import Schedule

    class Stream:
        rows = Rows(shape, packed)

        def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
            while True:
                pace()
                lengths = self.rows.lengths()
                document = np.stack([np.repeat(np.arange(len(row)), row) for row in lengths]).astype(np.int32)
                mask = np.pad(document[:, 1:] == document[:, :-1], ((0, 0), (1, 0)))
                yield {"ids": self.rows.ids(), "document": document, "loss_mask": mask}

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            pass

    config = TrainConfig(
        steps=ENDLESS, learning_rate=RATE, optimizer="adamw", schedule=Schedule(warmup_steps=10),
        checkpoint_every=ENDLESS,
    )  # fmt: skip
    Trainer(model_of(shape), Stream(), config, RunFolder(Path(tempfile.mkdtemp()))).train()  # type: ignore[call-arg,arg-type]


def plain(shape: str, pace: Paced, dtype: str = "float32") -> None:
    """A loop written by hand around a compiled model."""
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    from plain_training import Model, optimizer_of

    model = Model({**SHAPES[shape], **HEADS}, LENGTH)
    optimizer, compiled, rows = optimizer_of(model, RATE), torch.compile(model, dynamic=False), Rows(shape)
    for step in range(ENDLESS):
        pace()
        ids = torch.from_numpy(rows.ids())
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = compiled(ids[:, :-1], ids[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 10 == 0:
            print(f"loss {loss.item():.3f}", file=sys.stderr)


def transformers(shape: str, pace: Paced, dtype: str = "float32", compile: bool = False) -> None:
    """Qwen3ForCausalLM in transformers' Trainer."""
    from transformers import Qwen3Config, Qwen3ForCausalLM, Trainer, TrainerCallback, TrainingArguments

    class Pacing(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            pace()

    class Data(torch.utils.data.IterableDataset):
        def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
            rows = Rows(shape)
            while True:
                for row in torch.from_numpy(rows.ids()[:, :-1]):
                    yield {"input_ids": row, "labels": row}

    config = Qwen3Config(**SHAPES[shape], **HEADS, tie_word_embeddings=True, max_position_embeddings=2 * LENGTH)
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(), max_steps=ENDLESS, per_device_train_batch_size=ROWS[shape], use_cpu=True,
        learning_rate=RATE, weight_decay=0.1, warmup_steps=10, optim="adamw_torch_fused", save_strategy="no",
        logging_steps=10, report_to="none", bf16=dtype == "bfloat16", torch_compile=compile, disable_tqdm=True,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config)
    Trainer(model=model, args=arguments, train_dataset=Data(), callbacks=[Pacing()]).train()


CONTENDERS: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    "sansi": (sansi, {}),
    "sansi bf16": (sansi, {"dtype": "bfloat16"}),
    "sansi, not compiled": (sansi, {"compile": False}),
    "sansi, packed": (sansi, {"packed": True}),
    "before": (before, {}),
    "before, packed": (before, {"packed": True}),
    "plain loop": (plain, {}),
    "plain loop bf16": (plain, {"dtype": "bfloat16"}),
    "transformers": (transformers, {}),
    "transformers bf16": (transformers, {"dtype": "bfloat16"}),
    "transformers, compiled": (transformers, {"compile": True}),
}


def main() -> None:
    name, shape = sys.argv[1:]
    pace = Paced(ROWS[shape] * LENGTH, answers=sys.stdout)
    sys.stdout = sys.stderr  # some of these loops print
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.manual_seed(0)
    work, options = CONTENDERS[name]
    work(shape, pace, **options)


if __name__ == "__main__":
    main()
