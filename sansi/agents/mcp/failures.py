"""Failures of MCP servers: one sentence each, with the server, the phase and the cause."""

from __future__ import annotations

from typing import Literal

from sansi.base import SansiError

Phase = Literal["configuration", "start", "list", "call"]


class MCPFailure(SansiError):
    """What an MCP server did not do. `str()` is a whole sentence."""

    def __init__(self, server: str, phase: Phase, cause: str, tool: str | None = None):
        self.server, self.phase, self.cause, self.tool = server, phase, cause, tool
        did = {
            "configuration": "cannot be started",
            "start": "did not start",
            "list": "did not list what it offers",
            "call": f'failed in the call of "{tool}"' if tool else "failed in a request",
        }
        super().__init__(f'MCP server "{server}" {did[phase]}: {cause}')


class DeadlinePassed(Exception):
    """No answer in time. The message says how long was waited, and why it may be."""
