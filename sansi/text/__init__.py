"""Messages, tokenizer, chat codec and stream parser. No torch."""

from sansi.text.codec import Codec, Mode, Prompt, ThinkingIds, TrainingSample, select_mode
from sansi.text.messages import AssistantMessage, Message, ToolCall, message_to_dict, read_messages
from sansi.text.tokenizer import ControlTokens, Tokenizer

__all__ = [
    "AssistantMessage",
    "Codec",
    "ControlTokens",
    "Message",
    "Mode",
    "Prompt",
    "ThinkingIds",
    "Tokenizer",
    "ToolCall",
    "TrainingSample",
    "message_to_dict",
    "read_messages",
    "select_mode",
]
