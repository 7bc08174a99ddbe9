"""Many servers on one thread in the background: started at once, used from any thread, closed together."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from sansi.agents.forms import Ask
from sansi.agents.mcp.across import across
from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.definitions import NOBODY, Caller, CallResult, Definition, Prompt, Resource
from sansi.agents.mcp.failures import MCPFailure
from sansi.agents.mcp.process import ServerProcess, begin
from sansi.agents.mcp.status import ServerStatus, Status
from sansi.agents.mcp.tools import tool_of
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.base.installing import install_command

if TYPE_CHECKING:
    from sansi.agents.mcp.server import Server

Result = TypeVar("Result")
log = logging.getLogger("sansi.mcp")
CLOSED = "the MCP servers were closed"
CLOSE_TIMEOUT = 10.0  # seconds for all servers to end, each of which takes about two at most


class MCPServers:
    """The servers of a configuration. They start when this is made, at the same time and in the background.

    `ask` is called when a server asks the user something in the middle of a call; without it the question goes to whom
    the call's own run asks (`Agent(ask=…)`), and is declined where that is nobody. `on_change` is called with the new
    status whenever it is another, on the servers' thread: it may not wait.

        with MCPServers(load_servers("mcp.json")) as servers:
            agent = Agent(client, servers.tools())
    """

    def __init__(
        self,
        configs: Iterable[ServerConfig],
        *,
        ask: Ask | None = None,
        on_change: Callable[[Status], None] | None = None,
    ):
        if find_spec("mcp") is None:
            raise ModuleNotFoundError(f"MCP needs the package mcp: {install_command('agents')}", name="mcp")
        self.configs = tuple(configs)
        names = [config.name for config in self.configs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise SansiError(f'two MCP servers are called "{twice}"; rename one of them', param="mcp")
        self._ask, self.on_change = ask, on_change
        self._servers: dict[str, Server] = {}
        self._unloadable: str | None = None
        self._loop = asyncio.new_event_loop()
        self._made = threading.Event()
        self._closed = False
        self._gate = threading.Lock()  # nothing is begun on the loop while it is being closed
        self._thread = threading.Thread(target=self._run, name="mcp-servers", daemon=True)
        self._thread.start()
        _OPEN.add(self)

    def status(self) -> Status:
        """How they are now: `str()` of it is "N of M MCP servers ready" and a sentence for each that is not."""
        return Status(tuple(map(self._status_of, self.configs)))

    def _status_of(self, config: ServerConfig) -> ServerStatus:
        if config.name in self._servers:
            return self._servers[config.name].current()
        if self._unloadable is None:
            return ServerStatus(config.name, "starting")
        return ServerStatus(config.name, "failed", "start", str(MCPFailure(config.name, "start", self._unloadable)))

    def wait(self, timeout: float | None = None) -> Status:
        """Until none is starting any more (each has its own deadline), or `timeout` seconds."""

        async def settled() -> None:
            await asyncio.gather(*(server.settled() for server in self._servers.values()))

        end = None if timeout is None else time.monotonic() + timeout
        if not self._closed and self._made.wait(timeout):
            with contextlib.suppress(TimeoutError, SansiError):  # where it is closed meanwhile
                self._do(settled(), None if end is None else max(0.0, end - time.monotonic()))
        return self.status()

    def definitions(self, timeout: float | None = None) -> list[Definition]:
        """The tools of all servers that are ready, after `wait(timeout)`; server by server in the configured order."""
        self.wait(timeout)
        return [definition for server in self._servers.values() for definition in list(server.definitions.values())]

    def tools(self, timeout: float | None = None) -> list[Tool]:
        """The same as tools for an agent."""
        configs = {config.name: config for config in self.configs}
        return [tool_of(self, configs[each.server], each) for each in self.definitions(timeout)]

    def call(self, definition: Definition, arguments: Mapping[str, Any], caller: Caller = NOBODY) -> CallResult:
        """Call a tool and wait. Raises MCPFailure: a sentence with server, phase and cause."""
        return self._do(self._server(definition.server).call(definition, dict(arguments), caller))

    def submit(
        self, definition: Definition, arguments: Mapping[str, Any], caller: Caller = NOBODY
    ) -> concurrent.futures.Future[CallResult]:
        """Call a tool and do not wait. Cancelling the future tells the server that nobody wants the result any more."""
        return self._submit(self._server(definition.server).call(definition, dict(arguments), caller))

    async def acall(self, definition: Definition, arguments: Mapping[str, Any], caller: Caller = NOBODY) -> CallResult:
        """The same for a task of any loop; cancelling it reaches the server."""
        return await across(self._post, self._server(definition.server).call(definition, dict(arguments), caller))

    def resources(self, server: str | None = None) -> list[Resource]:
        """What can be read: of one server, or of all that are ready. One of several that fails is left out, and its
        status says why."""
        return self._listed(server, lambda one: one.resources())

    def read_resource(self, server: str, uri: str) -> CallResult:
        return self._do(self._server(server).read_resource(uri))

    def prompts(self, server: str | None = None) -> list[Prompt]:
        """Prompts of one server, or of all that are ready, as `resources`."""
        return self._listed(server, lambda one: one.prompts())

    def get_prompt(self, server: str, name: str, arguments: Mapping[str, str] | None = None) -> CallResult:
        return self._do(self._server(server).get_prompt(name, dict(arguments or {})))

    def restart(self, server: str) -> None:
        """Start a server again that failed or was lost, in the background. Raises MCPFailure where that cannot be."""
        one = self._server(server)
        one.check_startable()
        self._post(one.restart)

    def close(self) -> None:
        """End all servers and what they started, calls in progress included. Nothing of them is left afterwards."""
        self._made.wait()
        with self._gate:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._end)
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_TIMEOUT)
        _OPEN.discard(self)

    def __enter__(self) -> MCPServers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        """The thread: all servers' tasks, until they are closed."""
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._run_all())
        finally:
            self._made.set()
            with self._gate:
                self._closed = True
            rest = asyncio.all_tasks(self._loop)
            for task in rest:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _run_all(self) -> None:
        """Programs first: they load while the SDK does, a second of this thread and none of the caller's."""
        self._ending = asyncio.Event()
        begun = {config.name: await begin(config) for config in self.configs}
        try:
            from sansi.agents.mcp.server import Server
        except ImportError as error:  # of another version, or of half an installation
            await asyncio.gather(*(one.stop(0) for one in begun.values() if isinstance(one, ServerProcess)))
            self._unloadable = f"the package mcp cannot be loaded ({error}); {install_command('agents')}"
            self._made.set()
            await self._ending.wait()
            return
        self._servers = {
            config.name: Server(config, self._ask, self._told, begun[config.name]) for config in self.configs
        }
        self._made.set()
        await asyncio.gather(self._ending.wait(), *(server.run() for server in self._servers.values()))

    def _end(self) -> None:
        self._ending.set()
        for server in self._servers.values():
            server.close()

    def _told(self) -> None:
        if self.on_change is None:
            return
        try:
            self.on_change(self.status())
        except Exception:  # a listener's fault is not the servers'
            log.exception("what listens to the state of MCP servers failed")

    def _server(self, name: str) -> Server:
        self._made.wait()
        if self._unloadable is not None:
            raise MCPFailure(name, "start", self._unloadable)
        if name not in self._servers:
            raise SansiError(f'there is no MCP server "{name}"{did_you_mean(name, self._servers)}')
        return self._servers[name]

    def _chosen(self, name: str | None) -> list[Server]:
        if name is not None:
            return [self._server(name)]
        self.wait()
        return [server for server in self._servers.values() if server.status.state in ("ready", "lost")]

    def _listed(self, name: str | None, lists: Callable[[Server], Awaitable[list[Result]]]) -> list[Result]:
        """Of one server, or of all side by side. Raises MCPFailure where none gives its list."""
        chosen = self._chosen(name)

        async def each() -> list[list[Result] | BaseException]:
            return await asyncio.gather(*map(lists, chosen), return_exceptions=True)

        found = self._do(each())
        failed = [one for one in found if isinstance(one, BaseException)]
        if failed and len(failed) == len(found):
            raise failed[0]
        return [item for items in found if not isinstance(items, BaseException) for item in items]

    def _submit(self, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        try:
            with self._open():
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        except SansiError:
            work.close()
            raise

    def _post(self, act: Callable[[], None]) -> None:
        """Have the servers' thread do it."""
        with self._open():
            self._loop.call_soon_threadsafe(act)

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        """Within it the loop does not end. Raises SansiError where nothing can be done any more."""
        with self._gate:
            if self._closed:
                raise SansiError(CLOSED)
            yield

    def _do(self, work: Coroutine[Any, Any, Result], timeout: float | None = None) -> Result:
        self._made.wait()
        future = self._submit(work)
        try:
            return future.result(timeout)
        except concurrent.futures.CancelledError:
            raise SansiError(CLOSED) from None
        except BaseException:  # Ctrl-C, too: the server hears that nobody waits any more
            future.cancel()
            raise


_OPEN: weakref.WeakSet[MCPServers] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for servers in list(_OPEN):
        servers.close()
