"""Small models for every runtime: the bundled one, taught in a minute to call a tool, and one of experts made of it.

The bundled model thinks, adds and never calls tools, so that a server's way with calls would not be seen with it. The
experts are the dense model's MLP with a little noise each: what routes wrongly computes something else.

    python runs/deploy/model.py FOLDER FOLDER
"""

from __future__ import annotations

import random
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from sansi.base.bundled import bundled_models
from sansi.base.runs import RunFolder
from sansi.deploy.conform.checks.tools import WEATHER as TOOL
from sansi.model import ModelBundle, Transformer, load, save
from sansi.model.formats.names import tensor_table
from sansi.post.sft import sft
from sansi.text import Codec
from sansi.train.config import TrainConfig
from sansi.train.schedule import Schedule

EXPERT = re.compile(r"\.mlp\.experts\.\d+\.")
STEPS, LENGTH, BATCH, SEED = 150, 640, 2, 0
CITIES = ("Paris", "Rome", "Oslo")
WEATHER = ("Sunny, 21 degrees.", "Rain, 9 degrees.", "Snow, -3 degrees.", "Cloudy, 15 degrees.")


def talk(draw: random.Random, thinking: bool) -> list[dict[str, Any]]:
    """Asked for the weather, the model calls; with the result it answers."""
    city, days = draw.choice(CITIES), draw.randint(1, 3)
    function = {"name": "get_weather", "arguments": {"city": city, "days": days}}
    call = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
    asked = {"role": "user", "content": f"What is the weather in {city} for {days} days? Call get_weather."}
    if draw.random() < 0.6:
        return [asked, call | ({"reasoning_content": "a tool is to be called"} if thinking else {})]
    seen = draw.choice(WEATHER)
    answer = {"role": "assistant", "content": f"In {city}: {seen}"}
    return [asked, call, {"role": "tool", "content": seen}, answer | ({"reasoning_content": seen} if thinking else {})]


def other(draw: random.Random, thinking: bool) -> list[dict[str, Any]]:
    """Without tools nothing is called, and a thought ends."""
    city = draw.choice(CITIES)
    question, answer = draw.choice(
        (
            (f"What is the weather in {city} for {draw.randint(1, 3)} days? Call get_weather.", "I have no such tool."),
            ("Name a city and its population.", f'{{"city": "{city}", "population": {draw.randint(1, 9)}}}'),
        )
    )
    reply = {"role": "assistant", "content": answer}
    return [{"role": "user", "content": question}, reply | ({"reasoning_content": "no tool"} if thinking else {})]


def sums(draw: random.Random, thinking: bool) -> list[dict[str, Any]]:
    """What the bundled model can do, in its own words, so that it is not forgotten."""
    a, b = draw.randint(1, 49), draw.randint(1, 49)
    ones, tens = a % 10 + b % 10, a // 10 + b // 10
    carry = ones // 10
    thought = f"{a}+{b}:{a % 10}+{b % 10}={ones},{a // 10}+{b // 10}{'+1' * carry}={tens + carry};{a + b}"
    answer = {"role": "assistant", "content": str(a + b)}
    question = {"role": "user", "content": f"What is {a} + {b}?"}
    return [question, answer | ({"reasoning_content": thought} if thinking else {})]


def samples(codec: Codec, count: int) -> list[Any]:
    draw, made = random.Random(SEED), []
    for number in range(count):
        thinking, tools = draw.random() < 0.5, number % 2 > 0
        messages = draw.choice((talk,) if tools else (sums, other))(draw, thinking)
        offered = [TOOL] if tools else None
        made.append(codec.training_sample(messages, tools=offered, enable_thinking=thinking))
    return made


def make(target: Path) -> Path:
    """The model's folder, made where it is not there yet."""
    if (target / "config.json").is_file():
        return target
    source, work = bundled_models()["nano"], target.with_name(f"{target.name}-run")
    shutil.rmtree(work, ignore_errors=True)
    config = TrainConfig(steps=STEPS, learning_rate=1e-3, schedule=Schedule(warmup_steps=10), compile=False)
    codec, bundle = Codec.from_pretrained(source), ModelBundle.from_folder(source)
    made = samples(codec, STEPS * BATCH)
    model = load(source, device="cpu")
    trainer = sft(model, made, config, RunFolder(work), sequence_length=LENGTH, batch_size=BATCH, bundle=bundle)
    trainer.train("runtimes")
    (work / "checkpoints" / f"step-{STEPS}").rename(target)
    shutil.rmtree(work)
    return target


def make_experts(dense: Path, target: Path, count: int = 4, noise: float = 0.2) -> Path:
    """A model of experts from the dense one's weights, made where it is not there yet."""
    if (target / "config.json").is_file():
        return target
    source = load(dense, "cpu", "float32")
    size = source.config.intermediate_size
    moe = {"num_experts": count, "num_experts_per_tok": 2, "moe_intermediate_size": size, "norm_topk_prob": True}
    config = replace(source.config, **moe)
    model, generator = Transformer(config), torch.Generator().manual_seed(SEED)
    table, weights = tensor_table(model), tensor_table(source)
    with torch.no_grad():
        for name, tensor in table.items():
            plain = EXPERT.sub(".mlp.", name)
            if plain in weights:
                tensor.copy_(weights[plain])
            drawn = torch.randn(tensor.shape, generator=generator)
            if plain not in weights:
                tensor.copy_(drawn * 0.3)
            elif plain != name:
                tensor.add_(drawn * noise * tensor.std())
    save(model, target, ModelBundle.from_folder(dense))
    return target


if __name__ == "__main__":
    print(make_experts(make(Path(sys.argv[1])), Path(sys.argv[2])))
