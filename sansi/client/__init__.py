"""Whoever can complete a chat: any OpenAI-compatible endpoint, or a model of this process. No torch."""

from sansi.client.chat_client import ChatClient, Delta, StreamingClient, deltas_of
from sansi.client.http import HTTPChatClient
from sansi.client.in_process import InProcessChatClient
from sansi.client.reply import AssistantReply, Usage
from sansi.client.streaming import Server
from sansi.client.token_count import TokenCount, TokenCounter, chars_within, estimated_tokens

__all__ = [
    "AssistantReply",
    "ChatClient",
    "Delta",
    "HTTPChatClient",
    "InProcessChatClient",
    "Server",
    "StreamingClient",
    "TokenCount",
    "TokenCounter",
    "Usage",
    "chars_within",
    "deltas_of",
    "estimated_tokens",
]
