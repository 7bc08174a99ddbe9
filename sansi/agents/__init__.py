"""Tools, and the loop that lets a model call them, over any `ChatClient`: an HTTP server or a model in this process."""

from sansi.agents.context import ToolContext
from sansi.agents.events import AgentEvent
from sansi.agents.loop import (
    Agent,
    AgentRun,
    CallRecord,
    Gate,
    Limits,
    Pending,
    PlannedCall,
    RunFailed,
    RunReport,
    RunState,
    Stop,
)
from sansi.agents.observation import Attachment, Observation, Result
from sansi.agents.tool import Effect, Tool, tool, tools_of
from sansi.agents.tools.calculator import calculator

__all__ = [
    "Agent",
    "AgentEvent",
    "AgentRun",
    "Attachment",
    "CallRecord",
    "Effect",
    "Gate",
    "Limits",
    "Observation",
    "Pending",
    "PlannedCall",
    "Result",
    "RunFailed",
    "RunReport",
    "RunState",
    "Stop",
    "Tool",
    "ToolContext",
    "calculator",
    "tool",
    "tools_of",
]
