"""Messages, tokenizer, chat codec and stream parser. No torch."""

from sansi.text.choice import ChatCodec, ChatPrompt, open_codec
from sansi.text.codec import Codec, Prompt, ThinkingIds, TrainingSample
from sansi.text.foreign import ForeignPrompt, ForeignTemplate, TemplateLimits
from sansi.text.foreign_codec import ForeignCodec
from sansi.text.messages import AssistantMessage, Message, ToolCall, message_to_dict, read_messages
from sansi.text.mode import Mode, select_mode
from sansi.text.parser import ClosingPhrase, Content, Event, Reasoning, StreamParser, ToolCallDelta
from sansi.text.render import Span
from sansi.text.spelled import without_thought
from sansi.text.template import NO_THINK_FLAG, THINK_FLAG
from sansi.text.tokenizer import ControlTokens, StreamDecoder, Tokenizer

__all__ = [
    "NO_THINK_FLAG",
    "THINK_FLAG",
    "AssistantMessage",
    "ChatCodec",
    "ChatPrompt",
    "ClosingPhrase",
    "Codec",
    "Content",
    "ControlTokens",
    "Event",
    "ForeignCodec",
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
    "open_codec",
    "read_messages",
    "select_mode",
    "without_thought",
]
