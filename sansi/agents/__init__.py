"""Tools, and the loop that lets a model call them, over any `ChatClient`: an HTTP server or a model in this process."""

from sansi.agents.calculator import calculator
from sansi.agents.client import AssistantReply, ChatClient, HTTPChatClient, InProcessChatClient, Usage
from sansi.agents.loop import Agent, AgentRun, CallRecord
from sansi.agents.tools import Observation, Tool

__all__ = [
    "Agent",
    "AgentRun",
    "AssistantReply",
    "CallRecord",
    "ChatClient",
    "HTTPChatClient",
    "InProcessChatClient",
    "Observation",
    "Tool",
    "Usage",
    "calculator",
]
