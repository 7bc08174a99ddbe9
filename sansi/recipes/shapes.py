"""The shapes of the models that a recipe makes, as far as they are known before anything is made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sansi.base.bundled import bundled_models
from sansi.base.errors import SansiError
from sansi.model import ModelConfig
from sansi.model.formats.folders import read_config
from sansi.model.presets import preset_of
from sansi.recipes.kinds.training import ExtendContext, Pretrain, Rows
from sansi.recipes.records import StageRecord
from sansi.recipes.stages import Stage

USUAL_VOCABULARY = 151_936  # Qwen3's, where nothing says otherwise


def shapes_of(stages: Iterable[Stage]) -> dict[str, ModelConfig | None]:
    """By the name of the stage: of the model that it makes, or reads; None where it is not known, or there is none."""
    shapes: dict[str, ModelConfig | None] = {}
    vocabularies: dict[str, int] = {}
    for stage in stages:
        given = [name for role in ("tokenizer", "model") for name in stage.inputs.get(role, ())]
        vocab_size = next((vocabularies[name] for name in given if name in vocabularies), USUAL_VOCABULARY)
        vocabularies[stage.name] = getattr(stage.config, "vocab_size", vocab_size)
        before = [shapes[name] if name in shapes else _outside(name) for name in stage.inputs.get("model", ())]
        shapes[stage.name] = _shape(stage, next(iter(before), None), vocab_size)
    return shapes


def row_problems(stages: Iterable[Stage]) -> list[str]:
    """A sentence for each stage whose rows are longer than the context of its model."""
    stages, found = list(stages), []
    shapes = shapes_of(stages)
    for stage in stages:
        shape, config = shapes[stage.name], stage.config
        if shape and isinstance(config, Rows) and (misfit := config.misfit(shape)):
            found.append(f'stage "{stage.name}": {misfit}')
    return found


def _shape(stage: Stage, before: ModelConfig | None, vocab_size: int) -> ModelConfig | None:
    config = stage.config
    if isinstance(config, Pretrain) and "model" not in stage.inputs:
        return config.new_shape(vocab_size)
    if before is not None and isinstance(config, ExtendContext):
        return before.replace(rope_theta=config.rope_theta, max_position_embeddings=config.max_position_embeddings)
    return before


def _outside(name: str) -> ModelConfig | None:
    """Of a folder or a name; of a hub's model only if it is an official one."""
    folder = Path(name) if Path(name).is_absolute() else bundled_models().get(name.lower())
    try:
        if folder and (record := StageRecord.load(folder)):
            folder = folder / record.output
        if folder and (folder / "config.json").is_file():
            return read_config(folder)
        preset = None if folder else preset_of(name)
        return ModelConfig.preset(preset) if preset else None
    except SansiError:  # it is told when the stage is made
        return None
