"""Why something failed, in words: the cause inside of groups of exceptions, and what it comes to for a user."""

from __future__ import annotations

import anyio
import httpx2
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from sansi.agents.mcp.dispatcher import ConnectionLost
from sansi.agents.mcp.foreign import one_line
from sansi.agents.mcp.repair import problem_of
from sansi.agents.mcp.traffic import Traffic


def leaf(error: BaseException) -> BaseException:
    """The cause inside of groups of exceptions: the first that is not a cancellation."""
    while isinstance(error, BaseExceptionGroup):
        inner = error.exceptions
        error = next((each for each in inner if not isinstance(each, anyio.get_cancelled_exc_class())), inner[0])
    return error


def speaks_of_back_channel(text: str) -> bool:
    """Whether an error says that a server had no way to ask its client: the official SDK's words for it."""
    return "no back-channel for server-initiated requests" in text


def words(error: BaseException, traffic: Traffic | None) -> str:
    """traffic: whose last words are told with it."""
    told = traffic.told() if traffic else ""
    if isinstance(error, ConnectionLost):
        return f"{error.cause}{told}"
    if isinstance(error, ValidationError):
        return f"its answer does not follow the protocol ({problem_of(error)}){told}"
    if isinstance(error, MCPError):
        return f"{one_line(error.message) or 'an error without a message'}{told}"
    if isinstance(error, httpx2.HTTPStatusError):
        return f"it answered HTTP {error.response.status_code}{told}"
    return f"{error or type(error).__name__}{told}"
