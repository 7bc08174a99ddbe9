"""Which codec a model's chats need: Qwen3's own, which knows modes and tags, or the model's template."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from sansi.base.errors import SansiError
from sansi.text.codec import Codec, Prompt
from sansi.text.foreign import templates_in
from sansi.text.foreign_codec import ForeignChatPrompt, ForeignCodec
from sansi.text.tokenizer import Tokenizer

ChatCodec: TypeAlias = Codec | ForeignCodec
ChatPrompt: TypeAlias = Prompt | ForeignChatPrompt

SWITCH = "enable_thinking"


def open_codec(folder: str | Path) -> ChatCodec:
    """The codec of a model folder, by what its vocabulary and its template have.

    Qwen3's where all its control tokens are there and the template, if there is one, has the switch of its two modes;
    else the model's own template is rendered. Raises SansiError for a tokenizer that is missing or damaged.
    """
    tokenizer = Tokenizer.from_pretrained(folder)
    if tokenizer.has_control and _has_switch(Path(folder)):
        return Codec(tokenizer)
    return ForeignCodec.of_folder(Path(folder), tokenizer)


def _has_switch(folder: Path) -> bool:
    """Whether the template switches between two modes, as Qwen3's does; also where there is none."""
    try:
        return any(SWITCH in template for template in templates_in(folder).values())
    except SansiError:
        return True
