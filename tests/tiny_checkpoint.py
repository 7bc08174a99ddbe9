"""A whole checkpoint folder in a fraction of a second: a tokenizer trained on a few lines, and a small random model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LINES = ["What is 12 + 30? The answer is 42.", "Think, then act: 1 2 3 4 5 6 7 8 9 0."]


def make_checkpoint(folder: Path, **more: Any) -> Path:
    from sansi.model import ModelConfig, Transformer, save
    from sansi.text import Codec, Tokenizer

    tokenizer = Tokenizer.train(LINES, 300)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, **more}
    model = Transformer(ModelConfig.preset("nano", vocab_size=tokenizer.vocab_size, **shape))
    model.init_weights(0)
    save(model, folder)
    Codec(tokenizer).save(folder)
    return folder
