"""A tokenizer and a policy that half knows what to say, made in a second."""

from __future__ import annotations

from pathlib import Path

import torch
from sansi.base.runs import RunFolder
from sansi.chat import ChatModel
from sansi.data import SampleDataset
from sansi.data.problems import Problem
from sansi.engine import Engine
from sansi.model import ModelConfig, Transformer
from sansi.text import Codec, Tokenizer
from sansi.text.codec import BUDGET_PHRASE
from sansi.train.loop import TrainConfig, Trainer
from sansi.train.objective import NextToken
from sansi.train.schedule import Schedule

YES = Problem("gcd", "Say it.", "yes", {})
NEVER = Problem("gcd", "Say it.", "never", {})


def make_codec() -> Codec:
    """Bytes and a few merges; the phrase that closes a cut thought is short."""
    return Codec(Tokenizer.train([f"user\nassistant\nsystem\n{BUDGET_PHRASE}\n/think /no_think"] * 8, 400))


def make_model(codec: Codec, seed: int = 0, scale: float = 1.0) -> Transformer:
    shape = {"intermediate_size": 64, "max_position_embeddings": 256}
    return small_model(codec.tokenizer.vocab_size, seed, scale, **shape).eval()


def small_model(vocab_size: int, seed: int = 0, scale: float = 5.0, **overrides: int) -> Transformer:
    """`scale` multiplies the matrices: above 1, the model has opinions."""
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "max_position_embeddings": 64}
    model = Transformer(ModelConfig.preset("nano", vocab_size=vocab_size, **{**shape, **overrides}))
    model.init_weights(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale if parameter.ndim > 1 else 1.0)
    return model


def make_policy(codec: Codec, folder: Path) -> Transformer:
    """Thinks "hm" to "Say it.", and answers "yes" as often as "no"."""
    samples = [
        codec.training_sample(
            [
                {"role": "user", "content": YES.question},
                {"role": "assistant", "reasoning_content": "hm", "content": word},
            ],
            enable_thinking=True,
        )
        for word in ("yes", "no")
    ]
    longest = max(len(sample.ids) for sample in samples)
    config = TrainConfig(
        steps=60, learning_rate=1e-2, optimizer="adamw", schedule=Schedule(warmup_steps=5), compile=False
    )
    batches = SampleDataset(samples, longest - 1, 2)  # a batch is both samples, a row each
    return Trainer(make_model(codec), batches, NextToken(), config, RunFolder(folder)).train()


def chat_with(model: Transformer, codec: Codec) -> ChatModel:
    return ChatModel(Engine(model, max_batch=64), codec, "policy")
