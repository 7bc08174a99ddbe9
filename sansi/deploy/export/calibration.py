"""The text that importance of inputs, AWQ and GPTQ are measured on, as ids."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.base.model_card import read_card
from sansi.chat import ChatModel
from sansi.deploy.export.reference import answered, chat_of, source_of
from sansi.engine import SamplingParams
from sansi.text import Tokenizer

LENGTH = 512
"""Tokens that are read at once."""
OWN = "own"
"""Instead of a file: what the model itself answers."""
OWN_ANSWER = 256


@dataclass(frozen=True)
class Calibration:
    """A text as a model reads it."""

    batches: tuple[Tensor, ...]
    """Ids [1, T]."""
    text: str
    """Where it is from: a file's name, or "own answers"."""
    sha256: str

    @property
    def tokens(self) -> int:
        return sum(ids.numel() for ids in self.batches)

    def to_dict(self) -> dict[str, Any]:
        return {"text": self.text, "sha256": self.sha256, "tokens": self.tokens}


def read_calibration(text: str, folder: Path, most: int, merge: Sequence[str] = ()) -> Calibration:
    """The text of a file, or (`OWN`) the model's answers in both modes, `most` tokens of it.

    Raises SansiError for a file that can not be read or is empty.
    """
    if text == OWN:
        with chat_of(folder, source_of(folder, merge), max_batch=8) as chat:
            return _own(chat, read_card(folder).examples_in(), most)
    try:
        data = Path(text).expanduser().read_bytes()
    except OSError as error:
        raise SansiError(f"--calibration {text}: {error.strerror}; give a text file, or own") from error
    ids = _ids(folder, data[: 16 * most].decode("utf-8", "replace"))[:most]
    if not ids:
        raise SansiError(f"--calibration {text}: there is no text in it; give a longer one, or own")
    pieces = tuple(torch.tensor([ids[at : at + LENGTH]]) for at in range(0, len(ids), LENGTH))
    return Calibration(pieces, Path(text).name, hashlib.sha256(data).hexdigest())


def _ids(folder: Path, text: str) -> list[int]:
    return Tokenizer.from_pretrained(folder).encode(text)


def _own(chat: ChatModel, examples: Sequence[str], most: int) -> Calibration:
    from sansi.deploy.export.proof import KINDS

    texts = [list(chat.codec.render([{"role": "user", "content": question}]).ids) for question in examples]
    for render in KINDS.values():
        try:
            texts += render(chat)
        except SansiError:  # a model without thoughts or tools has nothing to say there
            continue
    return _answers(chat, texts, most)


def _answers(chat: ChatModel, prompts: Sequence[list[int]], most: int) -> Calibration:
    """Answers to all prompts, again with other seeds until there are `most` tokens."""
    longest = min(OWN_ANSWER, chat.context_length // 2)
    fitting = [ids for ids in prompts if len(ids) + longest <= chat.context_length]
    if not fitting:
        raise SansiError("--calibration own: the model's context has no room for an answer; give a text file")
    found: list[Tensor] = []
    count, seed = 0, 0
    while count < most:
        params = [
            SamplingParams(seed=seed + i, max_tokens=longest, stop_ids=chat.codec.stop_ids) for i in range(len(fitting))
        ]
        for ids in answered(chat, fitting, params):
            found += [torch.tensor([ids[: most - count]])] if count < most else []
            count += len(ids)
        seed += len(fitting)
    digest = hashlib.sha256(repr([ids.tolist() for ids in found]).encode()).hexdigest()
    return Calibration(tuple(found), "own answers", digest)
