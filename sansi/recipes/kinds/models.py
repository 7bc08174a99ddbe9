"""What becomes of a trained model: a folder that serves, smaller weights, a card with its figures."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sansi.base.config import Config
from sansi.base.files import write_json, write_text
from sansi.base.model_card import CARD_FILE, EVALUATION_FILE
from sansi.chat.presets import Preset
from sansi.model import ModelBundle, load, save
from sansi.model.quantize import quantize
from sansi.recipes.history import History, history_of
from sansi.recipes.kinds.evaluation import CURVE_FILE
from sansi.recipes.records import RECORD_FILE
from sansi.recipes.report import Facts, fill, write_report
from sansi.recipes.stages import Inputs, Kind, Role, StageRun
from sansi.text import Codec

BLOCKS_FILE = "blocks.json"


@dataclass(frozen=True, kw_only=True)
class Export(Config):
    """A Hugging Face folder that serves: weights, tokenizer, template, sampling presets, what it says of itself."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the weights."""
    thinking: dict[str, float] = field(default_factory=dict)
    """Sampling preset of the thinking mode, where it differs from the published one."""
    non_thinking: dict[str, float] = field(default_factory=dict)
    """Sampling preset of the other mode."""
    generation: dict[str, Any] = field(default_factory=dict)
    """More keys of generation_config.json, for other programs."""

    def problems(self) -> list[str]:
        found = []
        for name in ("thinking", "non_thinking"):
            try:
                Preset(**getattr(self, name))
            except ValueError as error:
                found.append(f"{name}: {error}")
        return found


def make_export(config: Export, inputs: Inputs, run: StageRun) -> Path:
    model, codec = load(inputs["model"], "cpu", config.dtype), Codec.from_pretrained(inputs["model"])
    presets = {"thinking": config.thinking, "non-thinking": config.non_thinking}
    generation = {"do_sample": True, **codec.generation_config, **config.thinking, **config.generation}
    if any(presets.values()):
        generation["sansi_presets"] = {mode: values for mode, values in presets.items() if values}
    bundle = ModelBundle.from_folder(inputs["model"])
    if "card" in inputs:
        bundle = bundle.with_files({CARD_FILE: inputs["card"].read_bytes()})
    save(model, run.path, bundle, generation_config=generation)
    _write_history(inputs, run)
    run.record(parameters=model.config.num_parameters())
    return run.path


def _write_history(inputs: Inputs, run: StageRun) -> None:
    """An exported folder may be taken anywhere, so it carries the records of all stages before it."""
    if history := history_of(inputs.all("model")[0].origin):
        history.save(run.path)


@dataclass(frozen=True)
class Quantize(Config):
    """Smaller weights, for inference on the CPU."""

    matrices: Literal["int4", "int8"] = "int4"
    """Of the matrices of the layers."""
    outer: Literal["int4", "int8"] = "int8"
    """Of embedding and LM head."""


def make_quantized(config: Quantize, inputs: Inputs, run: StageRun) -> Path:
    source = inputs["model"]
    weights = quantize(str(source), config.matrices, config.outer)
    weights.save(run.path, ModelBundle.from_folder(source).without(["README.md"]))
    _write_history(inputs, run)
    run.say(f"{weights.bits_per_weight:.2f} bits a weight")
    return run.path


@dataclass(frozen=True)
class Publish(Config):
    """The exported folder with its card filled with the figures of its making, and a report of all stages."""

    title: str = ""
    """Of the report; left out: the stage's name."""
    later: tuple[str, ...] = ()
    """Blocks of the card that are filled afterwards, by hand or by a script."""


def make_published(config: Publish, inputs: Inputs, run: StageRun) -> Path:
    source, origin = inputs["model"], inputs.all("model")[0].origin
    shutil.copytree(source, run.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(RECORD_FILE, ".*"))
    history = history_of(origin) or History(())
    history.save(run.path)
    facts = Facts(history, inputs, origin.parent)
    blocks = facts.blocks()
    write_json(run.path / BLOCKS_FILE, blocks)
    if "card" in inputs:
        card = inputs["card"].read_text(encoding="utf-8")
        write_text(run.path / "README.md", fill(card, blocks, frozenset(config.later)))
    if "curve" in inputs:
        shutil.copyfile(inputs["curve"] / CURVE_FILE, run.path / EVALUATION_FILE)
    write_report(config.title or run.name, facts, run.path)
    return run.path


EXPORTED = Role("the model", ("model",))

KINDS = (
    Kind(
        "export",
        "writes a folder that serves, and opens in other programs",
        Export,
        make_export,
        "model",
        {"model": EXPORTED, "card": Role("model_card.json: what the model says of itself", ("file",), optional=True)},
    ),
    Kind(
        "quantize",
        "rounds the weights to int4 or int8",
        Quantize,
        make_quantized,
        "model",
        {"model": EXPORTED},
    ),
    Kind(
        "publish",
        "puts the figures into the card and writes a report",
        Publish,
        make_published,
        "model",
        {
            "model": EXPORTED,
            "card": Role("the card as Markdown, with marked blocks for figures", ("file",), optional=True),
            "curve": Role("its accuracy over thinking budgets", ("evaluation",), optional=True),
            "before": Role("accuracy before the reinforcement learning", ("evaluation",), optional=True),
            "after": Role("accuracy after it", ("evaluation",), optional=True),
        },
    ),
)
