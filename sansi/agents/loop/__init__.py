"""The agent loop: the model calls tools and is told what came of it, until it answers or reaches a limit."""

from sansi.agents.loop.agent import Agent
from sansi.agents.loop.calls import Gate
from sansi.agents.loop.limits import Limits
from sansi.agents.loop.run import AgentRun, CallRecord, Pending, PlannedCall, RunFailed, RunReport, RunState
from sansi.agents.loop.stop import Stop

__all__ = [
    "Agent",
    "AgentRun",
    "CallRecord",
    "Gate",
    "Limits",
    "Pending",
    "PlannedCall",
    "RunFailed",
    "RunReport",
    "RunState",
    "Stop",
]
