"""Which ids of a vocabulary are markup in what a model writes: the ends of a turn, the tags of thoughts and calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sansi.text.tokenizer import CONTROL_TEXT, Tokenizer


@dataclass(frozen=True)
class Markup:
    """What a parser reads as more than text. None: the vocabulary has no such token."""

    tags: Mapping[int, str]
    """All ids that are markup, and how they are spelled; what has no meaning where it stands becomes text."""
    stops: tuple[int, ...]
    """Ids that end the turn."""
    turn: int | None = None
    """What opens a turn."""
    think: int | None = None
    think_end: int | None = None
    tool_call: int | None = None
    tool_call_end: int | None = None
    bare_calls: bool = False
    """A turn that begins as a JSON object, without a tag, is a call."""
    arguments_key: str = "arguments"
    """What a call names its arguments."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Markup:
        """That of Qwen3. Raises SansiError for a vocabulary that lacks any of it."""
        control = tokenizer.control
        return cls(
            tags={getattr(control, name): text for name, text in CONTROL_TEXT.items()},
            stops=(control.im_end, control.endoftext),
            turn=control.im_start,
            think=control.think,
            think_end=control.think_end,
            tool_call=control.tool_call,
            tool_call_end=control.tool_call_end,
        )
