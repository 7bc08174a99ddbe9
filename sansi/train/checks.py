"""What a user can have got wrong about model, batches and objective, seen before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sansi.base import SansiError
from sansi.base.shown import show
from sansi.data.batch import Batch
from sansi.model import ModelBundle, Transformer


def check_parts(model: Any, batches: Any, objective: Any) -> None:
    """Raise SansiError for what can be seen to be wrong before anything is made of it."""
    if not isinstance(model, Transformer):
        raise SansiError(
            f"the model is a {type(model).__name__}; give a sansi.model.Transformer, such as load(folder)",
            param="model",
        )
    places = {parameter.device for parameter in model.parameters()}
    if len(places) != 1 or next(iter(places)).type == "meta":
        shown = ", ".join(sorted(map(str, places))) or "nowhere"
        raise SansiError(f"the model's weights are on {shown}; move them to the one device to train on", param="model")
    for method in ("__iter__", "state_dict", "load_state_dict"):
        if not callable(getattr(batches, method, None)):
            raise SansiError(
                f"batches of type {type(batches).__name__} have no {method}(); give a dataset of sansi.data, or a "
                "producer with __iter__, state_dict and load_state_dict",
                param="batches",
            )
    if not callable(objective) or isinstance(objective, type):
        raise SansiError(
            f"the objective is {objective!r}; give one that can be called, such as NextToken()", param="objective"
        )
    largest = getattr(batches, "largest_id", None)
    if largest is not None:
        _check_id(int(largest), model.config.vocab_size)


def check_extras(bundle: Any, evaluate: Any, inputs: Any) -> None:
    """Raise SansiError for what else a run is given, if it is of another kind."""
    if bundle is not None and not isinstance(bundle, ModelBundle):
        raise SansiError(
            f"the bundle is a {type(bundle).__name__}; give a ModelBundle, such as ModelBundle.from_folder(folder)",
            param="bundle",
        )
    if evaluate is not None and not callable(evaluate):
        raise SansiError(f"evaluate is {evaluate!r}; give a function of the model", param="evaluate")
    if inputs is not None and not isinstance(inputs, Mapping):
        raise SansiError(f"inputs are a {type(inputs).__name__}; give digests or Paths by name", param="inputs")
    for name, value in (inputs or {}).items():
        if not isinstance(value, str | Path):
            raise SansiError(
                f'the input "{name}" is {show(value)}; give its digest as a text, or the Path of it',
                param="inputs",
            )


def plain_figures(figures: Any) -> dict[str, float]:
    """What an evaluation measured, as numbers for metrics.jsonl. Raises SansiError for anything else."""
    try:
        return {str(name): float(value) for name, value in figures.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise SansiError(
            f"evaluate returned {show(figures)}; it must be figures by name, such as {{'accuracy': 0.5}}",
            param="evaluate",
        ) from error


def check_batch(batch: Any, model: Transformer) -> None:
    """Raise SansiError for a batch that the model can not read."""
    if not isinstance(batch, Batch):
        raise SansiError(f"the producer yielded {type(batch).__name__} instead of sansi.data.Batch", param="batches")
    if not len(batch):
        return
    _check_id(int(batch.ids.max()), model.config.vocab_size)
    _check_id(int(batch.ids.min()), model.config.vocab_size)
    longest, room = batch.ids.shape[1] - 1, model.config.context_length
    if longest > room:
        raise SansiError(
            f'rows of {longest} tokens are longer than the context of the model, {room}; lower "sequence_length", or '
            "extend the context of the model (sansi.train.stages.extend_context)",
            param="sequence_length",
        )


def _check_id(number: int, vocab_size: int) -> None:
    if not 0 <= number < vocab_size:
        raise SansiError(
            f"the batches hold the token id {number}, but the model knows 0 to {vocab_size - 1} "
            f'("vocab_size" {vocab_size}); they were made with another tokenizer',
            param="batches",
        )
