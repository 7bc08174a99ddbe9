"""What makes a run what it is, as plain JSON; and what differs when it is opened again.

May change when a run goes on, as it leaves the gradients of the whole batch as they are: how often something is
written, logged or measured (`checkpoint_every`, `log_every`, `evaluate_every`), and how the work is laid out
(`compile`, `micro_batch_size`, `gradient_checkpointing`; the number of ranks and `gradient_accumulation_steps`, as
long as a step has as many rows as before). `steps` may change as long as the learning rates of the steps that were
taken stay what they were: on the plateau of "wsd" a run can be made longer, in its decay or under "cosine" it can not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sansi.base import SansiError
from sansi.base.config import config_to_dict
from sansi.base.differences import ABSENT, changes, flat
from sansi.base.digests import file_sha256
from sansi.base.marker import MARKER
from sansi.train.config import TrainConfig

FREE = (
    "checkpoint_every",
    "log_every",
    "evaluate_every",
    "compile",
    "micro_batch_size",
    "gradient_checkpointing",
    "gradient_accumulation_steps",
    "steps",
    "dtype",
)
"""Fields of a TrainConfig that are no settings by themselves: six may change, the others are seen to apart."""


def plain(value: Any) -> Any:
    """The value as JSON gives it back: tuples as lists, keys as text, anything else by its description."""
    return json.loads(json.dumps(value, default=repr))


def run_settings(
    config: TrainConfig, objective: Any, model: nn.Module, inputs: Mapping[str, str | Path]
) -> dict[str, Any]:
    """What must stay the same when the run goes on, apart from model, data and bundle, which tell for themselves."""
    return {
        **{name: value for name, value in config_to_dict(config).items() if name not in FREE},
        "objective": _objective_settings(objective),
        "frozen": [name for name, parameter in model.named_parameters() if not parameter.requires_grad],
        "inputs": {name: digest(value) for name, value in inputs.items()},
    }


def digest(value: str | Path) -> str:
    """The digest itself, or that of a file's or a folder's content. Raises SansiError when there is no such path."""
    if isinstance(value, str):
        return value
    if not value.exists():
        raise SansiError(f"{value}: no such file or folder, but it is an input of the run", param="inputs")
    found = hashlib.sha256()
    files = [value] if value.is_file() else sorted(p for p in value.rglob("*") if p.is_file() and p.name != MARKER)
    for file in files:
        name = file.relative_to(value).as_posix() if value.is_dir() else ""
        found.update(f"{name}\0{file_sha256(file)}\n".encode())
    return found.hexdigest()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """'field: old there, new here' for each setting that differs, nested ones with their path."""
    return changes(flat(old), flat(new), _shown)


def check_steps(config: TrainConfig, old_steps: int, taken: int) -> str | None:
    """What is wrong with going on to `config.steps` after `taken` steps of a run that was planned for `old_steps`."""
    new, factor = config.steps, config.schedule.factor
    if new == old_steps:
        return None
    if all(factor(step, old_steps) == factor(step, new) for step in range(taken)):
        return None
    return (
        f"steps: {old_steps} there, {new} here: the learning rates of the {taken} steps that were taken would have "
        'been others (a "wsd" schedule can be made longer on its plateau, and with a "warmup_steps" that was given)'
    )


def _objective_settings(objective: Any) -> dict[str, Any]:
    """Its name and, of a dataclass, its fields."""
    kind = objective if hasattr(objective, "__qualname__") else type(objective)
    fields = dataclasses.fields(objective) if dataclasses.is_dataclass(objective) else ()
    return {"kind": kind.__qualname__, **{field.name: getattr(objective, field.name) for field in fields}}


def _shown(value: Any) -> str:
    return value if value is ABSENT else reprlib.repr(value)
