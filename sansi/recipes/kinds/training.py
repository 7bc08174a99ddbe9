"""Pre-training, the longer context, and supervised fine-tuning: one loop, other batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sansi.base.config import idle, too_small
from sansi.base.errors import ConfigError, SansiError
from sansi.base.runs import RunFolder
from sansi.data.samples import SampleDataset, read_samples
from sansi.model import ModelBundle, ModelConfig, Transformer, load
from sansi.model.bundle import CARDS
from sansi.recipes.kinds.text import open_batches
from sansi.recipes.stages import Estimate, Inputs, Kind, Role, StageRun
from sansi.text import Codec
from sansi.train.loop import TrainConfig, Trainer
from sansi.train.objective import NextToken
from sansi.train.stages import extend_context

BATCHES = Role("what is read: packed tokens, or a mixture of them", ("tokens", "mixture"))


@dataclass(frozen=True, kw_only=True)
class Rows(TrainConfig):
    """What every training on rows of tokens has."""

    sequence_length: int
    """Tokens of a row."""
    batch_size: int
    """Rows of a batch."""

    def problems(self) -> list[str]:
        found = super().problems() + too_small(self, 1, "sequence_length", "batch_size")
        reason = 'is for evaluations in between, which a recipe has none of; put a stage "evaluate" behind this one'
        return found + idle(self, reason, "evaluate_every")

    @property
    def tokens(self) -> int:
        """Tokens that are read in all steps."""
        return self.steps * self.batch_size * self.sequence_length

    def misfit(self, shape: ModelConfig) -> str:
        """A sentence where the rows are longer than the model's context; else nothing."""
        if self.sequence_length <= shape.context_length:
            return ""
        return (
            f'"sequence_length" is {self.sequence_length}, but the model\'s context holds {shape.context_length} '
            "tokens; shorten the rows, or put a stage extend_context before this one"
        )


@dataclass(frozen=True, kw_only=True)
class Pretrain(Rows):
    """Learns to predict every token of packed text; a new model, or one that goes on."""

    preset: str = "nano"
    """Shape of a new model, by name (`sansi info NAME` shows it)."""
    shape: dict[str, Any] = field(default_factory=dict)
    """Fields of the shape that differ; the vocabulary is the tokenizer's unless it stands here."""

    def problems(self) -> list[str]:
        try:
            self.new_shape(1 << 16)
        except ConfigError as error:
            return super().problems() + error.problems
        except SansiError as error:
            return [*super().problems(), str(error)]
        return super().problems()

    def new_shape(self, vocab_size: int) -> ModelConfig:
        return ModelConfig.preset(self.preset, **{"vocab_size": vocab_size, **self.shape})


@dataclass(frozen=True, kw_only=True)
class ExtendContext(Rows):
    """Goes on with longer rows under a raised RoPE base."""

    rope_theta: float
    """The new base."""
    max_position_embeddings: int
    """The new context, in tokens."""

    def problems(self) -> list[str]:
        found = super().problems() + too_small(self, 1, "rope_theta", "max_position_embeddings")
        if self.sequence_length > self.max_position_embeddings:
            found.append(
                f'"sequence_length" ({self.sequence_length}) is longer than the context that '
                f'"max_position_embeddings" ({self.max_position_embeddings}) gives'
            )
        return found


@dataclass(frozen=True, kw_only=True)
class Sft(Rows):
    """Learns the assistant's tokens of chats. Samples longer than a row are left out and counted."""


def make_pretrained(config: Pretrain, inputs: Inputs, run: StageRun) -> Path:
    if "model" in inputs:
        return _train(config, load(inputs["model"], device=run.device, dtype="float32"), inputs, run)
    model = Transformer(config.new_shape(Codec.from_pretrained(inputs["tokenizer"]).vocab_size))
    model.init_weights(run.seed)  # on the CPU: the same weights wherever they are trained
    return _train(config, model.to(run.device), inputs, run)


def make_longer(config: ExtendContext, inputs: Inputs, run: StageRun) -> Path:
    model = extend_context(
        load(inputs["model"], device=run.device, dtype="float32"), config.rope_theta, config.max_position_embeddings
    )
    return _train(config, model.to(run.device), inputs, run)


def make_tuned(config: Sft, inputs: Inputs, run: StageRun) -> Path:
    samples = read_samples(inputs["samples"])
    rows = config.sequence_length, config.batch_size
    batches = SampleDataset(samples, *rows, seed=run.seed, too_long="drop", origin=inputs["samples"])
    run.say(f"{len(batches)} samples; {batches.dropped} were longer than a row and are left out")
    run.record(samples=len(batches), too_long=batches.dropped)
    return _train(config, load(inputs["model"], device=run.device, dtype="float32"), inputs, run, batches)


def _train(config: Rows, model: Transformer, inputs: Inputs, run: StageRun, batches: Any = None) -> Path:
    if misfit := config.misfit(model.config):
        raise SansiError(f"{run.name}: {misfit}")
    if batches is None:
        tokenizer = Codec.from_pretrained(inputs.get("model") or inputs["tokenizer"]).tokenizer
        rows = config.sequence_length, config.batch_size
        batches = open_batches(inputs["batches"], rows, run.seed, tokenizer)
    folder = RunFolder(run.path)
    settings = loop_config(config, TrainConfig)
    bundle = ModelBundle.from_folder(inputs.get("model") or inputs["tokenizer"]).without(CARDS)
    trainer = Trainer(model, batches, NextToken(), settings, folder, bundle, inputs=run.digests)
    trainer.train(run.name)
    run.record(steps=trainer.step, tokens=trainer.tokens, parameters=model.config.num_parameters())
    return folder.checkpoint(config.steps)


def loop_config(config: Any, cls: type[Any]) -> Any:
    """The part of a stage's configuration that is the loop's own."""
    return cls(**{item.name: getattr(config, item.name) for item in dataclasses.fields(cls)})


def _known_vocabulary(config: Pretrain, inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    found = []
    if not {"model", "tokenizer"} & set(inputs):
        found.append('the input "tokenizer" is missing, which a new model needs (one that goes on: "model")')
    if {"model", "tokenizer"} <= set(inputs):
        found.append('the input "tokenizer" is for a new model; that of the input "model" comes with it')
    if "model" in inputs and (config.shape or config.preset != Pretrain.preset):
        found.append('"preset" and "shape" are for a new model; the input "model" has its own')
    return found


def _training(config: Any, before: Mapping[str, Estimate]) -> Estimate:
    what = f"{config.steps:,} steps of {config.batch_size} x {config.sequence_length:,} tokens"
    return Estimate(what, tokens=config.tokens)


MODEL = Role("the model that goes on", ("model",))

KINDS = (
    Kind(
        "pretrain",
        "trains a new model, or goes on, on packed text",
        Pretrain,
        make_pretrained,
        "model",
        {
            "model": Role("the model that goes on; left out: a new one", ("model",), optional=True),
            "batches": BATCHES,
            "tokenizer": Role("the tokenizer of a new model", ("tokenizer", "model"), optional=True),
        },
        resumes=True,
        seeded=True,
        check=_known_vocabulary,
        estimate=_training,
    ),
    Kind(
        "extend_context",
        "goes on with longer rows under a raised RoPE base",
        ExtendContext,
        make_longer,
        "model",
        {"model": MODEL, "batches": BATCHES},
        resumes=True,
        seeded=True,
        estimate=_training,
    ),
    Kind(
        "sft",
        "fine-tunes on chats",
        Sft,
        make_tuned,
        "model",
        {"model": MODEL, "samples": Role("chats with loss masks", ("samples",))},
        resumes=True,
        seeded=True,
        estimate=_training,
    ),
)
