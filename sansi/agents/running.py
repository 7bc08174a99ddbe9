"""Running one call: a deadline, cancellation, and whatever goes wrong as an observation without a traceback."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from sansi.agents.context import ToolContext
from sansi.agents.forms import Ask, Question, Reply, reply_to
from sansi.agents.observation import Observation, head_and_tail, read_result
from sansi.agents.stopwatch import Stopwatch
from sansi.base import SansiError
from sansi.client.chat_client import on_thread

T = TypeVar("T")
EXTENSIONS = 10  # progress begins the deadline anew, up to so many timeouts in all
PATIENCE = 1.0  # seconds that tasks have to end once they are cancelled


class Runnable(Protocol):
    """What is needed of a Tool."""

    @property
    def name(self) -> str: ...
    @property
    def function(self) -> Any: ...
    @property
    def max_result_chars(self) -> int: ...
    @property
    def origin(self) -> str: ...
    @property
    def tainted(self) -> bool: ...
    @property
    def takes_context(self) -> str | None: ...


async def observe(tool: Runnable, typed: Mapping[str, Any], context: ToolContext, timeout: float) -> Observation:
    """The observation of one call, within `timeout` seconds. Raises nothing but the cancellation of who waits for it.

    Python can not stop a thread: one that is late goes on, its context says that nobody waits, its result is dropped.
    """
    deadline = _Deadline(timeout)
    watched = deadline.watching(context)
    work = asyncio.ensure_future(_outcome(tool, typed, watched))
    try:
        while not work.done() and (left := deadline.left()) > 0:
            await asyncio.wait({work}, timeout=left)
        if work.done():
            return work.result()
    finally:
        if not work.done():
            watched.cancelled.set()
            work.cancel()
    return Observation(f"error: no result within {deadline.told}", "timeout", origin=tool.origin)


async def _outcome(tool: Runnable, typed: Mapping[str, Any], context: ToolContext) -> Observation:
    try:
        result = read_result(await _returned(tool, dict(typed), context))
    except asyncio.CancelledError:
        if _is_cancelled():  # from outside; a tool may also cancel itself
            raise
        return _failed(tool, "the tool was cancelled")
    except BaseException as error:  # also SystemExit: a tool must not end the program
        return _failed(tool, str(error) if isinstance(error, SansiError) else _named(error))
    tainted = tool.tainted if result.tainted is None else result.tainted
    origin = f"{tool.origin} {result.origin}" if result.origin else tool.origin
    status, text = ("error", f"error: {result.text}") if result.is_error else ("ok", result.text)
    return Observation(text, status, result.attachments, origin, tainted, result.ends_run)  # type: ignore[arg-type]


async def _returned(tool: Runnable, typed: dict[str, Any], context: ToolContext) -> Any:
    if tool.takes_context:
        typed[tool.takes_context] = context
    if inspect.iscoroutinefunction(tool.function):
        return await _on_tool_loop(tool.function(**typed))
    returned = await on_thread(lambda: tool.function(**typed), f"tool-{tool.name}")
    return await _on_tool_loop(returned) if inspect.isawaitable(returned) else returned


async def _on_tool_loop(work: Awaitable[T]) -> T:
    """What an asynchronous tool returns. In a run that has a loop of its own, tools have another one, on a thread: one
    that blocks it holds up neither its deadline nor a stop. In a caller's loop they share that, as asyncio has it."""
    loop = _TOOL_LOOP.get()
    return await work if loop is None else await asyncio.wrap_future(loop.submit(work))


class _ToolLoop:
    """An event loop for the asynchronous tools of one run, on a thread that is started by the first of them."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, work: Awaitable[T]) -> Future[T]:
        if self._loop is None:
            self._loop = loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(loop,), name="async-tools", daemon=True)
            self._thread.start()

        async def awaited() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop)

    def close(self) -> None:
        """End what still runs there, so that each tool has heard of it; one that blocks is left on its thread."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    _end_tasks(loop)


_TOOL_LOOP: contextvars.ContextVar[_ToolLoop | None] = contextvars.ContextVar("tool_loop", default=None)


def _failed(tool: Runnable, reason: str) -> Observation:
    text = head_and_tail(f"error: {reason}", tool.max_result_chars, "{cut} characters left out")
    return Observation(text, "error", origin=tool.origin, tainted=tool.tainted)


def _named(error: BaseException) -> str:
    """An error of a group of errors by its first cause."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # an error whose text can not be made
        return type(error).__name__


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Deadline:
    """`timeout` seconds from the start, and again from each progress, up to EXTENSIONS times the timeout in all."""

    def __init__(self, timeout: float):
        self._timeout, self._watch = timeout, Stopwatch()
        self._last = 0.0  # the watch's seconds at the last progress

    def left(self) -> float:
        if self._watch.stands:
            return self._timeout  # until when it is looked at again
        end = min(self._last + self._timeout, EXTENSIONS * self._timeout)
        return min(end - self._watch.seconds(), threading.TIMEOUT_MAX)

    @property
    def told(self) -> str:
        if not self._last:
            return f"{self._timeout:g} s"
        if self._last + self._timeout >= EXTENSIONS * self._timeout:
            return f"{EXTENSIONS * self._timeout:g} s, for all its progress"
        return f"{self._timeout:g} s of its last progress"

    def watching(self, context: ToolContext) -> ToolContext:
        """The same context for the one call, with its own `cancelled`, whose progress this deadline hears, and whose
        questions to the user take none of its time."""

        def progress(text: str) -> None:
            if not context.cancelled.is_set():  # nobody waits any longer
                self._last = self._watch.seconds()
                context.progress(text)

        return ToolContext(
            context.conversation,
            context.room,
            lambda: context.folder,
            progress,
            context.cancelled,
            context.call_id,
            context.tainted,
            context.ask and self._unhurried(context.ask),
            context.addresses,
        )

    def _unhurried(self, ask: Ask) -> Ask:
        home = asyncio.get_running_loop()  # of the run, which is asked there; the tool may have another one

        async def asked(question: Question) -> Reply:
            try:
                with self._watch.waiting():
                    if asyncio.get_running_loop() is home:
                        return await reply_to(ask, question)
                    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(reply_to(ask, question), home))
            finally:
                self._last = self._watch.seconds()

        return asked


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, or its error, from a thread with or without a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run_loop(coroutine)
    outcome: Future[T] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            outcome.set_result(context.run(run_loop, coroutine))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, name="run_sync", daemon=True).start()
    return outcome.result()


def run_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, but tasks that do not end when they are cancelled are left behind after a second."""
    loop, tools = asyncio.new_event_loop(), _ToolLoop()
    token = _TOOL_LOOP.set(tools)
    try:
        return loop.run_until_complete(coroutine)
    finally:
        _TOOL_LOOP.reset(token)
        tools.close()
        _end_tasks(loop)


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left in a loop, and close it."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        _, stubborn = loop.run_until_complete(asyncio.wait(left, timeout=PATIENCE))
        for task in stubborn:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # nobody can end it
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
