"""One live connection to a server: requests are made within their times, and the server may ask back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import mcp_types as types
from mcp.client.session import ClientRequestContext, ClientSession
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost, listen
from mcp.shared.exceptions import MCPError, UrlElicitationRequiredError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from sansi import __version__
from sansi.agents.forms import Ask
from sansi.agents.mcp.agreement import agree
from sansi.agents.mcp.calls import Calls, told_in_a_line
from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.deadline import Deadline
from sansi.agents.mcp.definitions import NOBODY, Caller
from sansi.agents.mcp.dispatcher import Dispatcher
from sansi.agents.mcp.failures import DeadlinePassed
from sansi.agents.mcp.foreign import one_line
from sansi.agents.mcp.http import http_transport
from sansi.agents.mcp.process import Begun, ServerProcess
from sansi.agents.mcp.sse import sse_transport
from sansi.agents.mcp.status import MOST_SHOWN
from sansi.agents.mcp.stdio import stdio_transport
from sansi.agents.mcp.traffic import Traffic
from sansi.base import SansiError
from sansi.base.words import count

logging.getLogger("mcp").addHandler(logging.NullHandler())  # the SDK logs tracebacks; ours are sentences

MOST_PAGES, MOST_ITEMS, MOST_ROUNDS = 200, 10_000, 10
LISTED = {"resources/list": "resource", "resources/templates/list": "resource template", "prompts/list": "prompt"}
STATE_PAUSE = 0.25  # seconds before a request is repeated that the server has only put off

_CALL: TypeAdapter[Any] = TypeAdapter(types.CallToolResult | types.InputRequiredResult)
_PROMPT: TypeAdapter[Any] = TypeAdapter(types.GetPromptResult | types.InputRequiredResult)
_RESOURCE: TypeAdapter[Any] = TypeAdapter(types.ReadResourceResult | types.InputRequiredResult)


class Connection:
    """A session with a server. Made by `connect`; used from any task of the loop that made it."""

    def __init__(self, config: ServerConfig, traffic: Traffic, ask: Ask | None):
        self.config, self.traffic = config, traffic
        self.calls = Calls(config.name, traffic, ask)
        self.process: ServerProcess | None = None
        self.transport = config.transport
        self.changed = anyio.Event()
        """Set when the server says that its list of tools is another; whoever reads the list makes it anew."""
        self.notes: list[str] = []
        self.session: ClientSession
        self.dispatcher: Dispatcher

    @property
    def protocol(self) -> str:
        return self.session.protocol_version or "unknown"

    @property
    def capabilities(self) -> types.ServerCapabilities:
        return self.session.server_capabilities or types.ServerCapabilities()

    @property
    def rejected(self) -> dict[str, str]:
        """Tools that no client could read, and why."""
        return self.dispatcher.rejected.get("tools/list", {})

    def left_out(self) -> list[str]:
        """Resources and prompts of the last lists that no client could read, a sentence each."""
        found = [
            f'its {what} "{name}" is left out: {why}'
            for method, what in LISTED.items()
            for name, why in list(self.dispatcher.rejected.get(method, {}).items())
        ]
        more = len(found) - MOST_SHOWN
        return [*found[:MOST_SHOWN], *([f"{count(more, 'more item')} of its lists cannot be read"] if more > 0 else [])]

    async def tools(self) -> list[types.Tool]:
        self.dispatcher.rejected.pop("tools/list", None)
        return await self._pages(self.session.list_tools, "tools", lambda page: page.tools)

    async def resources(self) -> list[types.Resource]:
        self.dispatcher.rejected.pop("resources/list", None)
        return await self._pages(self.session.list_resources, "resources", lambda page: page.resources)

    async def templates(self) -> list[types.ResourceTemplate]:
        self.dispatcher.rejected.pop("resources/templates/list", None)
        return await self._pages(
            self.session.list_resource_templates, "templates", lambda page: page.resource_templates
        )

    async def prompts(self) -> list[types.Prompt]:
        self.dispatcher.rejected.pop("prompts/list", None)
        return await self._pages(self.session.list_prompts, "prompts", lambda page: page.prompts)

    @property
    def era(self) -> str:
        return "modern" if self.protocol in MODERN_PROTOCOL_VERSIONS else "legacy"

    async def call(self, name: str, arguments: dict[str, Any], caller: Caller) -> types.CallToolResult:
        def request(**given: Any) -> types.CallToolRequest:
            return types.CallToolRequest(params=types.CallToolRequestParams(name=name, arguments=arguments, **given))

        return await self._ask_for(request, _CALL, caller)

    async def read_resource(self, uri: str) -> types.ReadResourceResult:
        def request(**given: Any) -> types.ReadResourceRequest:
            return types.ReadResourceRequest(params=types.ReadResourceRequestParams(uri=uri, **given))

        return await self._ask_for(request, _RESOURCE, NOBODY)

    async def get_prompt(self, name: str, arguments: dict[str, str]) -> types.GetPromptResult:
        def request(**given: Any) -> types.GetPromptRequest:
            return types.GetPromptRequest(params=types.GetPromptRequestParams(name=name, arguments=arguments, **given))

        return await self._ask_for(request, _PROMPT, NOBODY)

    async def _pages(
        self, fetch: Callable[..., Awaitable[Any]], what: str, items_of: Callable[[Any], list[Any]]
    ) -> Any:
        """All pages of a list, within its time. What a list that never ends has repeated is told, not read on."""
        found: list[Any] = []
        seen: set[Any] = set()
        cursors: set[str] = set()
        cursor: str | None = None
        with anyio.move_on_after(self.config.list_timeout):
            for _ in range(MOST_PAGES):
                page = await fetch(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
                new = [item for item in items_of(page) if _identity(item) not in seen]
                seen |= {_identity(item) for item in new}
                found += new if cursor else items_of(page)
                cursor = page.next_cursor
                if not cursor:
                    return found
                if cursor in cursors or not new or len(found) >= MOST_ITEMS:
                    break
                cursors.add(cursor)
            note = f"its list of {what} does not end: the first {len(found)} are kept"
            self.notes += [] if note in self.notes else [note]
            return found
        got = f" (after {len(found)} {what})" if found else ""
        raise DeadlinePassed(
            f"no answer within {self.config.list_timeout:g} s{got} (list_timeout_s){self.traffic.told()}"
        )

    async def _ask_for(self, request: Callable[..., Any], answer: TypeAdapter[Any], caller: Caller) -> Any:
        """One request within the limits of a call. Raises DeadlinePassed, and what the session raises."""
        deadline = Deadline(self.config.call_timeout, self.config.call_limit)

        async def heard(done: float, total: float | None, message: str | None) -> None:
            deadline.heard()
            if caller.progress is not None:
                caller.progress(_words(done, total, message))

        with self.calls.running(caller, deadline) as call, deadline.scope:
            result = await self._rounds(request, answer, heard)
            call.answered = True
            return result
        raise DeadlinePassed(f"{deadline.passed()}{self.traffic.told()}")

    async def _rounds(self, request: Callable[..., Any], answer: TypeAdapter[Any], heard: Any) -> Any:
        """The answer, after all that the server wants to know first (2026-07-28: it answers with its questions)."""
        responses = state = None
        for _ in range(MOST_ROUNDS):
            asked = request(input_responses=responses, request_state=state)
            try:
                result = await self.session.send_request(asked, answer, progress_callback=heard)
            except MCPError as error:
                if error.code != types.URL_ELICITATION_REQUIRED:
                    raise
                await self._visited(error)
                continue
            if not isinstance(result, types.InputRequiredResult):
                return result
            responses = {key: await self._input(key, wanted) for key, wanted in (result.input_requests or {}).items()}
            responses, state = responses or None, result.request_state
            if responses is None:
                await anyio.sleep(STATE_PAUSE)
        raise SansiError(f"it asked for more input {MOST_ROUNDS} times, and was given up")

    async def _visited(self, error: MCPError) -> None:
        """Have the user visit the pages that a server wants visited first. Raises SansiError where they are not."""
        try:
            pages = UrlElicitationRequiredError.from_error(error.error).elicitations
        except ValidationError:
            raise error from None
        if not pages:
            raise error
        for page in pages:
            context = ClientRequestContext(session=self.session, request_id="page", meta=None)
            if (await self._elicit(context, page)).action != "accept":
                raise SansiError(f"it wants the user to visit {one_line(page.url)} first, which was declined")

    async def _input(self, key: str, wanted: Any) -> Any:
        context = ClientRequestContext(session=self.session, request_id=key, meta=None)
        given = await self.session.dispatch_input_request(context, wanted)
        if isinstance(given, types.ErrorData):
            raise MCPError.from_error_data(given)
        return given

    async def _elicit(self, _: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        return await self.calls.elicit(params)

    async def _heard(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.changed.set()

    async def watch(self) -> None:
        """Keep `changed` up to date where the server has to be asked for such news (2026-07-28)."""
        offered = self.capabilities.tools
        if self.protocol not in MODERN_PROTOCOL_VERSIONS or offered is None or not offered.list_changed:
            return
        with suppress(ListenNotSupportedError, SubscriptionLost, MCPError):
            async with listen(self.session, tools_list_changed=True) as events:
                async for _ in events:
                    self.changed.set()


@asynccontextmanager
async def connect(
    config: ServerConfig, ask: Ask | None, traffic: Traffic, begun: Begun = None
) -> AsyncIterator[Connection]:
    """A connection to the server, by the first transport that it speaks. The caller sets the time for it."""
    connection = Connection(config, traffic, ask)
    async with _streams(connection, traffic, begun) as (read, write):
        dispatcher = Dispatcher(read, write, traffic, discover_timeout=config.start_timeout)
        session = ClientSession(
            dispatcher=dispatcher,
            elicitation_callback=connection._elicit,  # type: ignore[arg-type]  # a union, spelled otherwise
            message_handler=connection._heard,
            client_info=types.Implementation(name="sansi", version=__version__),
        )
        connection.session, connection.dispatcher = session, dispatcher
        async with session:
            await agree(session, config)
            dispatcher.version = session.protocol_version
            traffic.healthy = True
            yield connection


@asynccontextmanager
async def _streams(connection: Connection, traffic: Traffic, begun: Begun) -> AsyncIterator[Any]:
    config = connection.config
    if config.transport == "stdio":
        async with stdio_transport(config, traffic, begun) as (read, write, process):
            connection.process = process
            yield read, write
    elif config.transport == "sse":
        async with sse_transport(config, traffic) as streams:
            yield streams
    else:
        connection.transport = "http"
        async with http_transport(config, traffic) as streams:
            yield streams


def _identity(item: Any) -> Any:
    return getattr(item, "uri", None) or getattr(item, "uri_template", None) or item.name


def _words(done: float, total: float | None, message: str | None) -> str:
    count = f"{done:g} of {total:g}" if total else f"{done:g}"
    told = told_in_a_line(message or "")
    return f"{told} ({count})" if told else count
