"""Codec and engine as one: messages in; messages, and a report of what was done, out."""

from sansi.chat.model import ChatModel
from sansi.chat.options import ChatOptions, ChatResult, ChatUsage, Report, TextResult, Tokens, tokens_per_second
from sansi.chat.presets import Preset, Presets

__all__ = [
    "ChatModel",
    "ChatOptions",
    "ChatResult",
    "ChatUsage",
    "Preset",
    "Presets",
    "Report",
    "TextResult",
    "Tokens",
    "tokens_per_second",
]
