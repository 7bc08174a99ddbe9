"""`Agent`: a model with tools, whole or as a stream of events, from programs with and without an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sansi.agents.events import AgentEvent, Finished
from sansi.agents.forms import Ask
from sansi.agents.loop.asking import Settings
from sansi.agents.loop.calls import Emit, Gate
from sansi.agents.loop.conversation import Conversations
from sansi.agents.loop.driver import Driver
from sansi.agents.loop.limits import Limits
from sansi.agents.loop.run import AgentRun, RunFailed, RunState
from sansi.agents.loop.stop import Stop
from sansi.agents.running import run_loop
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.client import ChatClient
from sansi.text import Message, read_messages

Messages = Sequence[Message | Mapping[str, Any]]
Watch = Callable[[AgentEvent], None]


class Agent:
    """A model with tools. `options` go to the client at each completion (temperature, seed, ...).

    Every call that the model writes gets an observation and counts towards `max_calls`, mistaken ones too, so that a
    run always ends. At a cap the model is asked for its answer, without tools; `sansi.agents.loop.limits` says how.

    limits: the caps and the thinking budget of a run; `max_calls`, `max_tokens`, `max_seconds` and `thinking_budget`
    may be given by themselves. gate: who decides whether a call is made; None: all are. ask: asks the user what a tool,
    or the MCP server behind it, wants to know in the middle of a call; None: such questions are declined. folder: where
    whole results and files of tools go, a folder for each conversation; None: a temporary one, gone with the agent.
    """

    def __init__(
        self,
        client: ChatClient,
        tools: Iterable[Tool] = (),
        *,
        options: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        gate: Gate | None = None,
        ask: Ask | None = None,
        folder: str | Path | None = None,
        **caps: Any,
    ):
        self.tools = _by_name(tools)
        known = set(Limits.__dataclass_fields__)
        if unknown := sorted(caps.keys() - known):
            raise SansiError(f'unknown limit "{unknown[0]}"; known: {", ".join(sorted(known))}', param=unknown[0])
        self.limits = replace(limits or Limits(), **caps)
        self.client, self.options, self.gate, self.ask = client, dict(options or {}), gate, ask
        if self.limits.thinking_budget is not None and "thinking_budget" in self.options:
            raise SansiError("thinking_budget is given for the run and among the options; give one", param="options")
        self._conversations = Conversations(None if folder is None else Path(folder))

    def run(self, messages: Messages, *, conversation: str | None = None, stop: Stop | None = None) -> AgentRun:
        """Complete, call tools, and so on until an answer or a limit.

        Messages whose last reply has calls without results go on by answering them. Raises SansiError for wrong
        messages, and RunFailed, with what there was of the run, where the client raises one.
        """
        return _whole(self.stream(messages, conversation=conversation, stop=stop))

    async def arun(self, messages: Messages, *, conversation: str | None = None, stop: Stop | None = None) -> AgentRun:
        """As `run`, on the event loop of the caller."""
        run: AgentRun | None = None
        async for event in self.astream(messages, conversation=conversation, stop=stop):
            run = event.run if isinstance(event, Finished) else run
        return succeeded(run)

    def stream(
        self, messages: Messages, *, conversation: str | None = None, stop: Stop | None = None
    ) -> Generator[AgentEvent, None, None]:
        """The events of a run, the last one `Finished`, whose `run` is the AgentRun and whose `error` the client's.

        Closing the stream, or `stop.set()` from another thread, ends model and tools. Raises SansiError, at the call,
        for wrong messages.
        """
        return self.resume_stream(self._state(messages, conversation), stop=stop)

    def astream(
        self, messages: Messages, *, conversation: str | None = None, stop: Stop | None = None
    ) -> AsyncGenerator[AgentEvent, None]:
        """As `stream`, on the event loop of the caller. Async tools run on it, too."""
        return self.resume_astream(self._state(messages, conversation), stop=stop)

    def resume_stream(
        self, state: RunState, *, stop: Stop | None = None, watch: Watch | None = None
    ) -> Generator[AgentEvent, None, None]:
        """Go on from where a run is (`AgentRun.state`): one that paused, was stopped or failed.

        watch: called with each event at once, before what it tells of goes on; a SansiError of its ends the run.
        """
        return _from_thread(lambda own: self.resume_astream(state, stop=own, watch=watch), stop or Stop())

    async def resume_astream(
        self, state: RunState, *, stop: Stop | None = None, watch: Watch | None = None
    ) -> AsyncGenerator[AgentEvent, None]:
        """As `resume_stream`, on the event loop of the caller."""
        events: asyncio.Queue[AgentEvent] = asyncio.Queue()
        conversation = self._conversations.of(state.messages, state.conversation)
        settings = Settings(self.client, self.tools, self.options, self.limits, self.gate, self.ask)
        driver = Driver(settings, conversation, state, _emitter(events, watch), stop or Stop())
        running = asyncio.ensure_future(driver.run())
        running.add_done_callback(lambda _: events.put_nowait(_END))
        try:
            over = False
            while (event := await events.get()) is not _END:
                if not over:  # the thread of a tool that nobody waits for may still tell its progress
                    yield event
                over = over or isinstance(event, Finished)
            running.result()  # a bug of ours is raised, not swallowed
        finally:
            if not running.done():
                running.cancel()
                await asyncio.wait({running}, timeout=2.0)

    def _state(self, messages: Messages, conversation: str | None) -> RunState:
        chat = read_messages(messages)
        found = self._conversations.of(chat, conversation)
        return RunState(list(chat), found.id, tainted=found.tainted or any(m.tainted for m in chat))


_END: Any = object()


def _emitter(events: asyncio.Queue[AgentEvent], watch: Watch | None) -> Emit:
    """Shows events to `watch` and puts them into the queue, always on the thread of the running loop: tools tell their
    progress from threads of theirs."""
    loop, here = asyncio.get_running_loop(), threading.get_ident()

    def take(event: AgentEvent) -> None:
        if watch is not None:
            watch(event)
        events.put_nowait(event)

    def emit(event: AgentEvent) -> None:
        if threading.get_ident() == here:
            take(event)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(take, event)

    return emit


def _by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    tools = list(tools)
    for given in tools:
        if not isinstance(given, Tool):
            hint = "put @tool over the function, or use Tool.from_function"
            raise SansiError(f"tools must be Tools, not {given!r}; {hint}", param="tools")
    found = {tool.name: tool for tool in tools}
    if len(found) < len(tools):
        raise SansiError("two tools have the same name: " + ", ".join(tool.name for tool in tools), param="tools")
    return found


def _whole(events: Iterable[AgentEvent]) -> AgentRun:
    run: AgentRun | None = None
    for event in events:
        run = event.run if isinstance(event, Finished) else run
    return succeeded(run)


def succeeded(run: AgentRun | None) -> AgentRun:
    """The run. Raises RunFailed for one whose client failed."""
    assert run is not None
    if run.stopped_reason == "failed":
        raise RunFailed(SansiError(run.error or "the client failed"), run)
    return run


def _from_thread(start: Any, stop: Stop) -> Generator[AgentEvent, None, None]:
    """Events of a run that has a thread with an event loop of its own."""
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()

    async def pump() -> None:
        async for event in start(stop):
            events.put(event)

    def work() -> None:
        try:
            run_loop(pump())
            events.put(_END)
        except BaseException as error:
            events.put(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(work), name="agent", daemon=True)
    thread.start()
    ended = False
    try:
        while (event := events.get()) is not _END:
            if isinstance(event, BaseException):
                ended = True
                raise event
            yield event
        ended = True
    finally:
        if not ended:  # left early: model and tools end with it
            stop.set()
            thread.join(timeout=2.0)
