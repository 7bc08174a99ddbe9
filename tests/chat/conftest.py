"""A chat whose words are certain, and one whose words are random; a tokenizer made on the spot."""

from __future__ import annotations

import pytest
from sansi.chat import ChatModel
from sansi.engine import Engine
from sansi.model import ModelConfig, Transformer
from sansi.text import Codec, Tokenizer
from scripted_model import Scripted

PHRASE = "Considering the limited time by the user, I have to give the solution based on the thinking directly now."
TEXTS = [PHRASE, "What is 1 + 1? The answer is 2.", "user assistant system think"] * 3


@pytest.fixture(scope="module")
def codec():
    return Codec(Tokenizer.train(TEXTS, 400))


@pytest.fixture
def config(codec):
    return ModelConfig.preset("nano", vocab_size=codec.tokenizer.vocab_size, num_hidden_layers=1, hidden_size=32)


@pytest.fixture
def scripted(codec, config):
    """A chat whose model says what it is told to: `scripted.say(thought, answer)`."""
    model = Scripted(config, codec.control.im_end)
    with ChatModel(Engine(model, prefix_cache=False, max_prefill_tokens=4096), codec, "scripted") as chat:

        def say(thought: str, answer: str) -> None:
            model.script = [
                *codec.tokenizer.encode(thought),
                codec.control.think_end,
                *codec.tokenizer.encode("\n\n" + answer),
            ]

        chat.say, chat.model = say, model
        yield chat


@pytest.fixture
def untrained(codec, config):
    with ChatModel(Engine(Transformer(config)), codec, "untrained") as chat:
        yield chat
