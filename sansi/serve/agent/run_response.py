"""A run as a response: its events one by one, or what came of it as one object. Who leaves stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from sansi.agents import AgentEvent, AgentRun
from sansi.agents.events import ApprovalAsked, Finished, MessageAdded, ObservationMade, message_to_json
from sansi.agents.loop.replies import results_of
from sansi.serve.agent.server_tools import Running
from sansi.serve.api.errors import ClientGone
from sansi.serve.api.framing import EVENTS
from sansi.serve.http.request_log import Record
from sansi.serve.http.streaming_response import EventStream, WatchedResponse, what_is_told

READ_SECONDS = 60.0  # in which a client takes an event, the system's buffers being full
SHOWN = "/v1/agent/shown/"
"""Where clients get all of a call that a question shows in part."""


def question_for_client(question: Mapping[str, Any]) -> dict[str, Any]:
    """A question whose `whole` is an address of this server, not a path."""
    whole = question["whole"]
    return {**question, "whole": SHOWN + Path(whole).name.removesuffix(".txt") if whole else ""}


def event_for_client(event: AgentEvent) -> dict[str, Any]:
    told = event.to_json()
    if isinstance(event, ApprovalAsked):
        told["details"] = question_for_client(event.details)
    return told


def _results(run: AgentRun) -> list[Any]:
    """Results of a paused run's last reply that are there, so that who goes on does not make the calls again."""
    held = run.state.held if run.state is not None and run.pending else {}
    calls = [call for call in run.messages[-1].tool_calls if call.id in held]
    return [message_to_json(message) for message in results_of(calls, held)]


async def _send(stream: EventStream, value: Mapping[str, Any]) -> None:
    """Raises ClientGone for a client that reads nothing: it would keep one of its runs for as long as it likes."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            await stream.send(EVENTS.chunk(value))
    except TimeoutError:
        raise ClientGone from None


class RunResponse(WatchedResponse):
    """Sends a run's events. `start` begins the run; `ended` is called whatever happens."""

    def __init__(
        self,
        running: Running,
        start: Callable[[], AsyncIterator[AgentEvent]],
        stream: bool,
        record: Record,
        ended: Callable[[], None],
    ):
        super().__init__(stream)
        self._running, self._start, self._record, self._ended = running, start, record, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()

    def _gone(self) -> None:
        self._running.stop.set()

    async def _send_events(self, send: Send) -> None:
        stream = EventStream(send, EVENTS)
        try:
            async with stream.open():
                await _send(stream, {"kind": "run", "id": self._running.id})
                async with aclosing(self._start()) as events:  # type: ignore[type-var]
                    async for event in events:
                        await _send(stream, event_for_client(event))
        except ClientGone:
            raise
        except Exception as error:
            await stream.end(EVENTS.chunk(what_is_told(error, self._record)[0]))
        else:
            await stream.end(EVENTS.end)

    async def _whole(self) -> dict[str, Any]:
        messages: list[Any] = []
        pending: list[Any] = []
        attachments: dict[str, Any] = {}
        told: dict[str, Any] = {}
        async with aclosing(self._start()) as events:  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, MessageAdded):
                    messages.append(event.to_json()["message"])
                elif isinstance(event, ObservationMade) and event.attachments:
                    attachments[event.id] = event.to_json()["attachments"]
                elif isinstance(event, Finished):
                    told = event.to_json()
                    pending = [question_for_client(each.question.to_json()) for each in event.run.pending]
                    messages += _results(event.run)
        del told["kind"]
        return {
            "object": "agent.run",
            "id": self._running.id,
            **told,
            "messages": messages,
            "pending": pending,
            "attachments": attachments,
        }
