"""A chat whose words are certain, and one whose words are random; a tokenizer made on the spot."""

from __future__ import annotations

import pytest
import torch
from sansi.chat import ChatModel
from sansi.engine import Engine
from sansi.model import ModelConfig, Transformer
from sansi.text import Codec, Tokenizer

PHRASE = "Considering the limited time by the user, I have to give the solution based on the thinking directly now."
TEXTS = [PHRASE, "What is 1 + 1? The answer is 2.", "user assistant system think"] * 3


class Scripted(Transformer):
    """Wants to say `script`, id by id, from wherever its prompt ends; then the end of the turn."""

    def __init__(self, config: ModelConfig, stop: int):
        super().__init__(config)
        self.script: list[int] = []
        self._stop, self._start = stop, 0

    def hidden(self, ids, positions=None, attention=None, cache=None):
        kv = torch.zeros(ids.shape[0], 1, ids.shape[1], 1)
        cache.update(0, kv, kv)
        if positions is None:
            self._start = ids.shape[1]
            return self._wish(torch.zeros_like(ids))
        return self._wish(positions - self._start + 1)

    def _wish(self, steps):
        wanted = [self.script[s] if s < len(self.script) else self._stop for s in steps.flatten().tolist()]
        return torch.nn.functional.one_hot(torch.tensor(wanted), self.config.vocab_size).view(*steps.shape, -1) * 50.0

    @property
    def lm_head_weight(self):
        return torch.eye(self.config.vocab_size)


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
