"""Messages, tokenizer, chat codec and stream parser. No torch."""

from sansi.text.codec import Codec, Mode, Prompt, Span, ThinkingIds, TrainingSample, select_mode
from sansi.text.foreign import ForeignPrompt, ForeignTemplate, TemplateLimits
from sansi.text.messages import AssistantMessage, Message, ToolCall, message_to_dict, read_messages
from sansi.text.parser import Content, Event, Reasoning, StreamParser, ToolCallDelta
from sansi.text.tokenizer import ControlTokens, StreamDecoder, Tokenizer

__all__ = [
    "AssistantMessage",
    "Codec",
    "Content",
    "ControlTokens",
    "Event",
    "ForeignPrompt",
    "ForeignTemplate",
    "Message",
    "Mode",
    "Prompt",
    "Reasoning",
    "Span",
    "StreamDecoder",
    "StreamParser",
    "TemplateLimits",
    "ThinkingIds",
    "Tokenizer",
    "ToolCall",
    "ToolCallDelta",
    "TrainingSample",
    "message_to_dict",
    "read_messages",
    "select_mode",
]
