"""The nano recipe at a minuscule size: every stage, killed again and again, ends as if it had never been killed."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import random
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sansi.base import SansiError, config_to_dict
from sansi.base.files import read_json, write_json
from sansi.base.model_card import read_card
from sansi.base.runs import RunFolder
from sansi.chat import ChatModel
from sansi.data import TokenShard
from sansi.data.documents import Document, text_sha256, write_documents
from sansi.eval import budget_curve
from sansi.model import ModelConfig, load
from sansi.post.rollouts import Rollouts
from sansi.train.loop import Trainer

RECIPE = Path(__file__).resolve().parents[1] / "runs" / "nano" / "recipe.py"
STAGES = ("s1-general", "s2-reasoning", "s3-long-context", "cold-start", "grpo", "fusion", "polish")
TINY_MODEL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}


class Killed(BaseException):
    """Not an Exception, as the end of a process is none."""


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    """The script as a module, its model smaller still."""
    spec = importlib.util.spec_from_file_location("nano_recipe", RECIPE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["nano_recipe"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    module.ModelConfig = SimpleNamespace(preset=functools.partial(ModelConfig.preset, **TINY_MODEL))
    return module


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A corpus folder of one made source: long documents and short ones."""
    folder, rng = tmp_path_factory.mktemp("corpus"), random.Random(0)
    words = ("river", "stones", "letter", "window", "morning", "history", "answer", "the", "a", "of", "in", "finds")
    texts = [" ".join(rng.choices(words, k=size)) + "." for size in (1200, 40) * 6]
    (folder / "documents").mkdir()
    facts: dict[str, Any] = {"source": "made", "licence": "CC0-1.0", "kind": "prose", "quality": 1.0}
    facts |= {"language": "en", "detected_language": "en"}
    documents = [Document(id=f"made/{i}", text=t, sha256=text_sha256(t), **facts) for i, t in enumerate(texts)]
    write_documents(folder / "documents" / "made.jsonl", documents)
    report = {"name": "made", "package": "made", "version": "1", "licence": "CC0-1.0", "sha256": None}
    counts = {"languages": 1, "documents": len(texts), "bytes": sum(map(len, texts)), "held_out": 0}
    write_json(folder / "manifest.json", {"languages": 1, "sources": [report | counts]})
    return folder


@pytest.fixture
def make(recipe, corpus):
    def made(out: Path, **sizes: Any) -> Any:
        tiny = {"held_out": 6, "validation": 6, "tokenizer_problems": 40, "s3_tokens": 6000}
        tiny |= {"rl_questions": 2, "rl_pool": 1, "rl_max_tokens": 48, "max_tokens": 48}
        return recipe.Nano(recipe.Recipe().scaled(0), out, corpus, False, recipe.Sizes(**{**tiny, **sizes}))

    return made


def run_until(nano: Any, ablation: bool, kind: type | ModuleType, method: str, call: int) -> None:
    """Run the recipe and die at the given call (1-based) of a method."""
    usual, calls = getattr(kind, method), itertools.count(1)

    def dying(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            raise Killed
        return usual(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(kind, method, dying)
        nano.run(ablation)


def written(out: Path) -> dict[str, int]:
    """When each checkpoint's weights were written."""
    return {str(f): f.stat().st_mtime_ns for f in out.glob("*/checkpoints/*/model.safetensors")}


def test_a_killed_recipe_goes_on_and_ends_as_an_uninterrupted_one(make, tmp_path, capsys):
    whole = make(tmp_path / "whole")
    whole.run(ablation=False)
    check_complete(tmp_path / "whole")

    kills = [
        (Trainer, "_train_step", 2),  # inside the first stage
        (Trainer, "_train_step", 6),  # inside the third
        (Rollouts, "_begin_round", 2),
        (Trainer, "_train_step", 1),  # at the start of fusion
        (budget_curve, "_follows", 1),  # in the evaluation
    ]
    out, before = tmp_path / "killed", {}
    for kind, method, call in kills:
        run_until(make(out), False, kind, method, call)
        assert before.items() <= written(out).items()  # what was finished is not made again
        before = written(out)
    make(out).run(ablation=True)
    assert before.items() <= written(out).items()
    check_complete(out)
    check_ablation(out)
    assert_same_weights(out / "model", tmp_path / "whole" / "model")
    answers = [(folder / "evaluation" / "answers.jsonl").read_text() for folder in (out, tmp_path / "whole")]
    assert answers[0] == answers[1]
    assert "== fusion-without-cuts" in capsys.readouterr().out

    with pytest.raises(SansiError, match="another configuration"):
        make(out, held_out=7)


def assert_same_weights(first: Path, second: Path) -> None:
    ours, theirs = (load(folder, device="cpu").state_dict() for folder in (first, second))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def check_complete(out: Path) -> None:
    """Every stage ran for its two steps; what it leaves is there and can be talked to."""
    for stage in STAGES:
        run = RunFolder(out / stage)
        steps = 4 if stage == "grpo" else 2  # two updates a round
        assert run.steps()[-1] == steps
        assert any("stage_seconds" in row for row in run.metrics()), stage
        figure = "reward" if stage == "grpo" else "loss"
        assert [row["step"] for row in run.metrics() if figure in row][-1] == steps
        assert (run.latest() / "tokenizer.json").is_file()
    assert [load(RunFolder(out / s).latest(), device="cpu").config.context_length for s in STAGES[1:3]] == [256, 1024]
    for file in ("report.md", "plots/training.png", "evaluation/budget_curve.png", "evaluation/budget_curve.json"):
        assert (out / file).stat().st_size > 0, file
    report = (out / "report.md").read_text()
    assert all(f"| {stage} |" in report for stage in STAGES) and "after GRPO" in report and "| unlimited |" in report
    curve = read_json(out / "evaluation" / "budget_curve.json")
    assert [p["budget"] for p in curve["points"]] == [*budget_curve.BUDGETS, None]
    assert {p["score"]["problems"] for p in curve["points"]} == {6} and not any(p["overruns"] for p in curve["points"])
    model = out / "model"
    assert read_json(model / "recipe.json").items() <= read_json(out / "config.json").items()
    card = read_card(model)
    assert len(card.examples["en"]) >= 6 and len(card.examples["zh"]) >= 6 and card.description_in("zh")
    with ChatModel.from_pretrained(model, device="cpu") as chat:
        assert chat.presets.source == "generation_config.json" and chat.presets.thinking.temperature == 0.3
        assert chat.complete([{"role": "user", "content": "What is 1 + 1?"}]).usage.completion_tokens > 0


def check_ablation(out: Path) -> None:
    assert (out / "evaluation" / "ablation.png").is_file()
    assert (out / "evaluation-without-cuts" / "budget_curve.json").is_file()
    ours, other = (load(out / name, device="cpu").state_dict() for name in ("model", "model-without-cuts"))
    assert any(not torch.equal(value, other[name]) for name, value in ours.items())


def test_the_usual_run_folder_names_the_recipe_alone(recipe, corpus, tmp_path):
    """Run folders made before there were sizes stay open: their config.json is the recipe's numbers."""
    recipe.Nano(recipe.Recipe(), tmp_path, corpus, sizes=recipe.Sizes())
    assert read_json(tmp_path / "config.json") == config_to_dict(recipe.Recipe())


def test_no_question_of_the_evaluation_is_trained_on(make, recipe, tmp_path):
    nano = make(tmp_path, held_out=600, validation=200)
    hidden = {p.key for p in [*nano.held_out, *nano.validation]}
    assert len(hidden) >= 780
    seeds = (
        recipe.SEED_TOKENIZER,
        recipe.SEED_S2,
        recipe.SEED_COLD_START,
        recipe.SEED_RL,
        recipe.SEED_FUSION,
        recipe.SEED_POLISH,
    )
    assert len(set(seeds)) == 6
    for seed in seeds:
        drawn = {p.key for p in nano.first_problems(seed, 1000)}
        assert not drawn & hidden
    # Without the filter some would be: small families repeat their questions.
    unfiltered = itertools.islice(recipe.training_problems(recipe.SEED_S2), 2000)
    assert {p.key for p in unfiltered} & hidden


def test_scaled_steps_and_split_documents(recipe):
    small = recipe.Recipe().scaled(0.01)
    assert (small.s1_steps, small.s2_steps, small.rl_steps) == (8, 40, 2)
    assert small.learning_rate == recipe.Recipe().learning_rate
    shard = TokenShard.from_documents([[1] * 5, [2] * 2, [3] * 4], np.uint16)
    long, short = recipe.split_by_length(shard, 4)
    assert long.tokens.tolist() == [1] * 5 + [3] * 4 and long.starts.tolist() == [0, 5]
    assert short.tokens.tolist() == [2, 2]
