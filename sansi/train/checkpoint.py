"""Training checkpoints: a Hugging Face folder, and beside the weights what an optimiser needs to go on. No pickle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sansi.base import SansiError
from sansi.base.files import atomic_folder, read_json, write_json
from sansi.base.runs import RunFolder
from sansi.model import ModelBundle, Transformer, load, save
from sansi.train.optim import Optimizer

ExtraFiles = Callable[[Path], None]
"""Writes what makes a checkpoint complete (tokenizer, template) into the folder it is given."""


class Checkpointer:
    """Saves and restores model, optimiser and a JSON state as `checkpoints/step-N` of a run, whole or not at all."""

    def __init__(
        self, run: RunFolder, model: Transformer, optimizer: Optimizer, extra_files: ExtraFiles | None, keep: int = 2
    ):
        self.run, self.model, self.optimizer = run, model, optimizer
        self.extra_files, self.keep = extra_files, keep

    def save(self, step: int, state: dict[str, Any]) -> Path:
        target = self.run.checkpoint(step)
        with atomic_folder(target) as draft:
            if self.extra_files:
                self.extra_files(draft)
            save(self.model, draft, ModelBundle.from_folder(draft))
            tensors = {name: value.contiguous() for name, value in self.optimizer.tensors().items()}
            save_file(tensors, draft / "optimizer.safetensors")
            write_json(draft / "trainer.json", {"step": step, **state})
        self.run.keep_last(self.keep)
        return target

    def resume(self) -> dict[str, Any] | None:
        """Restore the newest checkpoint and return its state, `step` included; None in a fresh run.

        Raises SansiError when a file of it is damaged, or when it belongs to another model or optimiser.
        """
        latest = self.run.latest()
        if latest is None:
            return None
        state = read_json(latest / "trainer.json")
        saved = load(latest, device="cpu", dtype="float32")
        if unlike := saved.config.differences(self.model.config):
            raise SansiError(
                f"{latest} holds a model of another shape ({'; '.join(unlike)}); give the run another name"
            )
        self.model.load_state_dict(saved.state_dict())
        self.optimizer.load_tensors(_read_tensors(latest / "optimizer.safetensors"))
        return state


def _read_tensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise SansiError(
            f"{file}: missing or damaged ({error}); delete {file.parent} to go on at the checkpoint before it"
        ) from error
