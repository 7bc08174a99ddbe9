"""Documents that a model writes from those of a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sansi.data.synthesise import SynthesiseConfig, synthetic_corpus
from sansi.recipes.stages import Estimate, Inputs, Kind, Role, StageRun

SEEDS = Role("whose documents are the seeds; none for worked problems alone", ("corpus",), optional=True)


def make_synthetic(config: SynthesiseConfig, inputs: Inputs, run: StageRun) -> Path:
    seeds = inputs.get("corpus")
    answers = run.home.with_name(f"{run.home.name}.answers")  # beside the folder, which appears when it is whole
    report, asked = synthetic_corpus(run.path, config, seeds if seeds is not None else (), answers)
    if asked is not None:
        run.say(str(asked))
        run.record(prompt_tokens=asked.prompt_tokens, completion_tokens=asked.completion_tokens, cost=asked.cost)
    run.record(documents=report.documents, bytes=report.bytes)
    return run.path


def _size(config: SynthesiseConfig, before: Mapping[str, Estimate]) -> Estimate:
    each = len(config.prompts) * config.samples if config.endpoint is not None else 0
    asked = f"{config.documents * each:,} requests" if config.documents is not None and each else ""
    asked = asked or (f"{each} requests for each document" if each else "")
    problems = f"{config.reasoning:,} worked problems" if config.reasoning else ""
    return Estimate(", ".join(filter(None, (asked, problems))))


KINDS = (
    Kind(
        "synthesise",
        "has a model write documents from those of a corpus",
        SynthesiseConfig,
        make_synthetic,
        "corpus",
        {"corpus": SEEDS},
        estimate=_size,
    ),
)
