"""Tools by their names, and those of MCP servers by a file: what an operator or a user turns on, and closes again."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sansi.agents.folder_watch import FolderWatch
from sansi.agents.tool import Tool
from sansi.agents.tools.read_result import READ_RESULT
from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.base.files import as_path

if TYPE_CHECKING:
    from sansi.agents.approvals import Rule
    from sansi.agents.mcp import MCPServers, ServerConfig, Status
    from sansi.agents.tools.library import Embeddings

NO_WAIT = 0.0
STARTING = 15.0  # seconds that a run waits for MCP servers that are starting


class Workspace:
    """What a built-in tool is made with: the folder that the user shares, a model of embeddings, and a place to say how
    it is closed."""

    def __init__(self, folder: str | Path | None = None, embeddings: Embeddings | None = None):
        self.embeddings = embeddings
        self.folder = None if folder is None else as_path(folder, "the folder of the tools").expanduser()
        if self.folder is not None and not self.folder.is_dir():
            raise SansiError(f"{self.folder}: there is no such folder to share with tools", param="folder")
        self._closing = contextlib.ExitStack()

    def close_with(self, close: Callable[[], Any]) -> None:
        """Call `close` when the tools are no longer wanted; the last first."""
        self._closing.callback(close)

    def close(self) -> None:
        self._closing.close()


def _module(name: str) -> Callable[[Workspace], list[Tool]]:
    """The tools of a file in `sansi.agents.tools`, which is loaded when they are wanted."""

    def make(workspace: Workspace) -> list[Tool]:
        made: list[Tool] = importlib.import_module(f"sansi.agents.tools.{name}").tools(workspace)
        return made

    return make


ABOUT = {
    "calculator": "arithmetic, exactly",
    "clock": "date and time, anywhere",
    "code_interpreter": "Python in the sandbox; executes code",
    "fetch": "the text of a public web page; uses the network",
    "files": "list, read, search, write and edit the files of a folder",
    "memory": "notes from one conversation to the next",
    "retrieval": "passages of a folder's documents that fit a question",
    "shell": "commands in the sandbox, in a folder that they may change; executes code",
}
"""What each name turns on."""
TOOL_NAMES = {name: (name,) for name in ABOUT} | {
    "files": ("list_files", "read_file", "search_files", "write_file", "edit_file"),
    "memory": ("memory_save", "memory_search", "memory_delete"),
}
"""The tools that each turns on."""
WITH_FOLDER = ("code_interpreter", "files", "retrieval", "shell")
"""What uses the folder that a user shares."""
BUILT_IN: dict[str, Callable[[Workspace], list[Tool]]] = {name: _module(name) for name in ABOUT}
"""By name; none is on unless it is named."""


class Toolset:
    """Built-in tools and MCP servers, until they are closed. Servers start at once, in the background.

    names: of built-in tools. mcp: files or objects with "mcpServers". folder: that files and shell work in, and code
    may read; None: none. ask: answers questions of servers to the user, before the run's own `ask`. embeddings: lets
    retrieval search by meaning, too; the text of the folder's documents goes there. discreet: others than the servers'
    operator read what fails: without what programs wrote to stderr (`status` has it), and without folders. Raises
    SansiError for an unknown name, a tool that needs a folder, embeddings that no tool uses, or a file that names no
    servers.

        with Toolset(["calculator"], mcp=["mcp.json"]) as tools:
            agent = Agent(client, tools.all())
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        mcp: Sequence[str | Path | Mapping[str, Any]] = (),
        *,
        folder: str | Path | None = None,
        ask: Any = None,
        embeddings: Embeddings | None = None,
        discreet: bool = False,
    ):
        chosen = [(name, _maker(name)) for name in dict.fromkeys(names)]
        if embeddings is not None and "retrieval" not in dict(chosen):
            raise SansiError("embeddings are for retrieval, which is not among the tools", param="embeddings")
        self.workspace = Workspace(folder, embeddings)
        self._servers: MCPServers | None = None
        try:
            self._own = [tool for _, make in chosen for tool in make(self.workspace)]
            if mcp:
                self._servers = _start(mcp, ask, discreet)
                self.workspace.close_with(self._servers.close)
        except BaseException:
            self.workspace.close()
            raise

    def all(self, wait: float | None = None) -> list[Tool]:
        """The tools that can be called. wait: seconds for servers that are starting; None: until none is, each within
        its own time; NO_WAIT: those that are here now."""
        theirs = [] if self._servers is None else self._servers.tools(wait)
        taken = {tool.name for tool in self._own}
        return [*self._own, *(self._watched(tool) for tool in theirs if tool.name not in taken)]

    def _watched(self, tool: Tool) -> Tool:
        """What a server writes into the folder that the user shares is noted as its text."""
        from sansi.agents.tools.workers import holds_everything

        folder = self.workspace.folder
        if folder is None or holds_everything(folder.resolve()):
            return tool
        return replace(tool, watch=FolderWatch((folder,)))

    @property
    def servers(self) -> MCPServers | None:
        """None where none are configured."""
        return self._servers

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What the files of the servers approve (`alwaysAllow`), for a policy."""
        from sansi.agents.approvals import Rule, patterns

        configs = () if self._servers is None else self._servers.configs
        named = ((config.name, patterns.escaped(name)) for config in configs for name in config.allow)
        return tuple(Rule("always", f"mcp:{patterns.escaped(server)}/{name}") for server, name in named)

    def check_rules(self, rules: Iterable[Rule]) -> None:
        """Raises SansiError for a rule that speaks of no tool, as far as that is known before all servers are ready."""
        for told in self._unmatched(rules, self._servers is None):
            raise SansiError(told, param="rules")

    def unmatched(self, rules: Iterable[Rule]) -> list[str]:
        """A sentence for each rule that speaks of no tool, the servers' `alwaysAllow` too, now that servers are ready;
        none as long as one is not."""
        status = self.status()
        if status is None or any(server.state != "ready" for server in status.servers):
            return []
        return list(self._unmatched(dict.fromkeys([*rules, *self.rules]), True))

    def _unmatched(self, rules: Iterable[Rule], complete: bool) -> Iterator[str]:
        from sansi.agents.approvals.unmatched import unmatched

        servers = [] if self._servers is None else [config.name for config in self._servers.configs]
        return unmatched(rules, [*self.all(NO_WAIT), READ_RESULT], TOOL_NAMES, servers, complete)

    def status(self) -> Status | None:
        """How the servers are; None where none are configured."""
        return None if self._servers is None else self._servers.status()

    def close(self) -> None:
        """End servers, workers and what else the tools keep open."""
        self.workspace.close()

    def __enter__(self) -> Toolset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def names_in(given: Iterable[str]) -> list[str]:
    """Names as a command line has them: each option one, or several with commas. Raises SansiError for unknown ones."""
    found = [name.strip() for part in given for name in part.split(",") if name.strip() not in ("", "none")]
    for name in found:
        _maker(name)
    return list(dict.fromkeys(found))


def _maker(name: str) -> Callable[[Workspace], list[Tool]]:
    if name not in BUILT_IN:
        raise SansiError(f'there is no built-in tool "{name}"{did_you_mean(name, BUILT_IN)}')
    return BUILT_IN[name]


def _start(sources: Sequence[str | Path | Mapping[str, Any]], ask: Any, discreet: bool) -> MCPServers:
    from sansi.agents.mcp import MCPServers, load_servers
    from sansi.agents.mcp.load import without_clashes

    # Whoever names the file on the command line has chosen it, so that it may say which of its servers are trusted.
    by_source = [(_told(source), load_servers(source, trusted=True)) for source in sources]
    configs = without_clashes([config for _, found in by_source for config in found])
    return MCPServers([replace(_named(config, by_source), discreet=discreet) for config in configs], ask=ask)


def _told(source: str | Path | Mapping[str, Any]) -> str:
    return "an object" if isinstance(source, Mapping) else str(source)


def _named(config: ServerConfig, by_source: Sequence[tuple[str, Sequence[ServerConfig]]]) -> ServerConfig:
    """One of a name that several files have says which."""
    files = [told for told, found in by_source if any(each.name == config.name for each in found)]
    if len(files) < 2:
        return config
    from sansi.agents.mcp import ServerConfig

    return ServerConfig(config.name, problem=f"{' and '.join(files)} have a server of this name; rename one of them")
