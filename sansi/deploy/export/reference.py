"""The source of an export as a model: to calibrate with, and to be compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from sansi.chat import ChatModel
from sansi.engine import Engine, SamplingParams
from sansi.model import Transformer, load
from sansi.model.adapters import Merged, merged
from sansi.model.formats.source import WeightSource, open_source
from sansi.model.formats.weights import fill_model
from sansi.text import open_codec


def source_of(folder: Path, merge: Sequence[str] = ()) -> WeightSource:
    """The weights of a model folder, with the adapters merged. Raises SansiError as `merged` does."""
    source = open_source(folder)
    return merged(source, merge) if merge else source


def model_of(folder: Path, source: WeightSource) -> Transformer:
    """The same as a module, in full."""
    if not isinstance(source, Merged):
        return load(folder, device="cpu")
    with torch.device("meta"):
        empty = Transformer(source.config)
    model = empty.to_empty(device="cpu")
    fill_model(model, source)
    return model.eval()


@contextmanager
def chat_of(folder: Path, source: WeightSource, max_batch: int = 4) -> Iterator[ChatModel]:
    """The same as somebody to talk to."""
    if isinstance(source, Merged):
        chat = ChatModel(Engine(model_of(folder, source), max_batch), open_codec(folder), folder.name)
    else:
        chat = ChatModel.from_pretrained(folder, device="cpu", max_batch=max_batch)
    with chat:
        yield chat


def answered(
    chat: ChatModel, prompts: Sequence[Sequence[int]], params: SamplingParams | Sequence[SamplingParams]
) -> list[list[int]]:
    """The ids of each prompt, and of what the model says to it: what a model is used for is what it is judged by."""
    answers = chat.engine.generate(prompts, params)
    return [[*ids, *answer.ids] for ids, answer in zip(prompts, answers, strict=True)]
