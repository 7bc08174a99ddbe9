"""Training checkpoints: one record, whole or not at all, of all that a run needs to go on. No pickle.

`checkpoints/step-N` is a Hugging Face folder with float32 weights, which opens as it is, and beside it

    optimizer.safetensors   the optimiser's state by parameter name
    trainer.json            step, place in the data, random state, and the settings that made the run what it is

Until the first of them there is `beginning.json` in the run's folder: the settings, and the place in the data where
the run began. So a run that was killed early is not gone on with by other settings in silence either.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sansi.base import SansiError, config_to_dict
from sansi.base.codec_file import GENERATION_CONFIG
from sansi.base.files import atomic_folder, read_json, write_json
from sansi.base.runs import RunFolder
from sansi.base.shown import show
from sansi.model import ModelBundle, Transformer, save
from sansi.model.bundle import CARDS
from sansi.model.formats.hf import load_weights
from sansi.train.optim import Optimizer
from sansi.train.settings import differences, plain

FORMAT = 1
SETTINGS, BEGINNING = "settings", "beginning.json"
FIELDS = {"step": int, "steps": int, "tokens": int, "batches": dict, "guard": dict, "random": list, SETTINGS: dict}
"""What every record has."""


class Checkpointer:
    """Saves and restores model, optimiser and a JSON state as `checkpoints/step-N` of a run, whole or not at all.

    settings: what must be the same when the run goes on; a difference is an error that names each field. bundle: what
    makes a model folder complete; its digests and the codec's hash are settings too.
    """

    def __init__(
        self,
        run: RunFolder,
        model: Transformer,
        optimizer: Optimizer,
        bundle: ModelBundle | None = None,
        settings: Mapping[str, Any] | None = None,
        keep: int = 2,
    ):
        self.run, self.model, self.optimizer, self.bundle, self.keep = run, model, optimizer, bundle, keep
        self.settings = plain({**(settings or {}), "model": _shape(model), **_bundle_settings(bundle)})

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write the record of `step`. Raises SansiError when it can not be written; nothing of it is left then."""
        target = self.run.checkpoint(step)
        try:
            with atomic_folder(target) as draft:
                save(self.model, draft, self.bundle)
                tensors = {name: value.contiguous() for name, value in self.optimizer.tensors().items()}
                save_file(tensors, draft / "optimizer.safetensors")
                write_json(draft / "trainer.json", {"format": FORMAT, "step": step, **state, SETTINGS: self.settings})
        except (OSError, SafetensorError) as error:
            before = self.run.latest()
            raise SansiError(
                f"the checkpoint of step {step} could not be written to {target} ({error}), and nothing of it is kept; "
                "make room or allow writing there, then start again: the run goes on at "
                f"{before.name if before else 'its beginning'}"
            ) from error
        self.run.keep_last(self.keep)
        return target

    def save_beginning(self, batches: Mapping[str, Any]) -> None:
        """Write down what the run is begun with, unless that is done. batches: their state before the first step."""
        if not self._beginning.is_file():
            write_json(self._beginning, {"format": FORMAT, "batches": batches, SETTINGS: self.settings})

    def read_beginning(self) -> dict[str, Any] | None:
        """The batches' state at the beginning of a run that has no checkpoint yet; None in a fresh run.

        Raises SansiError when the record is damaged, or names what differs when the run was begun with other settings.
        """
        if not self._beginning.is_file():
            return None
        advice = f"delete {self._beginning} to begin anew"
        state = read_json(self._beginning, advice=advice)
        if not isinstance(state, dict) or not all(isinstance(state.get(name), dict) for name in ("batches", SETTINGS)):
            raise SansiError(f"{self._beginning} is damaged; {advice}")
        if found := differences(state[SETTINGS], self.settings):
            raise SansiError(
                f"{self.run.path} was begun with other settings, and has no checkpoint yet: {'; '.join(found)}. Go on "
                f"with the old ones, give the run another name, or {advice}"
            )
        return state["batches"]

    @property
    def _beginning(self) -> Path:
        return self.run.path / BEGINNING

    def read(self) -> dict[str, Any] | None:
        """The state that was saved with the newest checkpoint, `step` included; None in a fresh run.

        Raises SansiError when the record is damaged, or names what differs when it was made with other settings.
        """
        latest = self.run.latest()
        if latest is None:
            return None
        state = read_json(latest / "trainer.json", advice=_older(latest))
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            found = state.get("format") if isinstance(state, dict) else None
            raise SansiError(
                f"{latest / 'trainer.json'} is of another version of Sansi (format {found}, here {FORMAT}); its model "
                "can be loaded as any other: start a run of another name from it"
            )
        _check_record(latest, state)
        self._check(latest, state[SETTINGS])
        return state

    def restore(self) -> None:
        """Give model and optimiser the state of the newest checkpoint. Raises SansiError when it is damaged."""
        latest = self.run.latest()
        assert latest is not None
        tensors = _read_tensors(latest / "optimizer.safetensors")
        load_weights(self.model, latest)
        self.optimizer.load_tensors(tensors)

    def _check(self, latest: Path, saved: Mapping[str, Any]) -> None:
        if found := differences(saved, self.settings):
            raise SansiError(
                f"{latest} was made with other settings: {'; '.join(found)}. Go on with the old ones, or give the run "
                "another name"
            )


def _check_record(folder: Path, state: Mapping[str, Any]) -> None:
    """Raise SansiError where a field that every record has is missing, or of another kind."""
    for name, kind in FIELDS.items():
        value = state.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            shown = "is missing" if name not in state else f"is {show(value)}"
            raise SansiError(f'{folder / "trainer.json"} is damaged: "{name}" {shown}; {_older(folder)}')


def _shape(model: Transformer) -> dict[str, Any]:
    """The model's configuration, less the ids that only other programs read from it."""
    return {key: value for key, value in config_to_dict(model.config).items() if not key.endswith("_token_id")}


def _bundle_settings(bundle: ModelBundle | None) -> dict[str, Any]:
    """The codec and the tokenizer's files. Cards and how to sample may change while a run goes on."""
    if bundle is None:
        return {}
    digests = bundle.without((*CARDS, "model_card.json", GENERATION_CONFIG)).digests
    return {"codec": bundle.codec_hash, "files": dict(digests)}


def _read_tensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise SansiError(f"{file}: missing or damaged ({error}); {_older(file.parent)}") from error


def _older(folder: Path) -> str:
    return f"delete {folder} to go on at the checkpoint before it"
