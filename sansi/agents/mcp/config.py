"""What one MCP server is and how long it may take. Files of `{"mcpServers": …}` are read by `sansi.agents.mcp.load`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sansi.base import SansiError

Transport = Literal["stdio", "http", "sse", "auto"]
"""`http` is streamable HTTP; `auto` tries it, and SSE where the address does not speak it."""
Era = Literal["auto", "legacy", "modern"]
"""Of the protocol: `legacy` begins with a handshake (to 2025-11-25), `modern` has none (from 2026-07-28)."""

STDIO_START, REMOTE_START = 30.0, 10.0
"""Seconds: `npx` and `uvx` install a server before they start it, and a JVM takes its time."""


@dataclass(frozen=True)
class ServerConfig:
    """One MCP server: a program that is started (`command`) or an address (`url`)."""

    name: str
    """How the server is called in this program; part of the names of its tools."""
    command: str | None = None
    """The program of a stdio server: a name that is looked for in PATH, or a path."""
    args: tuple[str, ...] = ()
    """The program's arguments."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables of the program, beside the usual ones of this process (`environment.py` lists them)."""
    inherit: tuple[str, ...] = ()
    """Further variables of this process that the program gets: names, with `*` for anything; `("*",)` is all."""
    cwd: str | None = None
    """The folder in which the program starts."""
    url: str | None = None
    """The address of a remote server."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """HTTP headers of every request, such as Authorization."""
    transport: Transport = "auto"
    """How the server is spoken to: a program over stdio alone, which `auto` means for it."""
    era: Era = "auto"
    """Which protocol is spoken; auto asks the server."""
    start_timeout: float = STDIO_START
    """Seconds until the server must have answered for the first time."""
    list_timeout: float = 15.0
    """Seconds for the list of its tools, resources or prompts."""
    call_timeout: float = 60.0
    """Seconds that a call may be silent: news of progress start them anew."""
    call_limit: float = 900.0
    """Seconds that a call may take in all, whatever progress it tells."""
    max_message_mib: float = 48.0
    """MiB of one message of the server; a larger one is dropped, and what waited for it gets an error."""
    trusted: bool = False
    """Whether its annotations (read-only, idempotent) are believed and its results count as untainted."""
    allow: tuple[str, ...] = ()
    """Names of its tools that run without a question, as far as the policy follows this file."""
    include: tuple[str, ...] | None = None
    """Names of the tools to offer; None offers all."""
    exclude: tuple[str, ...] = ()
    """Names of tools not to offer."""
    polling: tuple[str, ...] = ()
    """Names of its tools that are there to be asked the same again and again (`Tool.polling`)."""
    disabled: bool = False
    """Known, and not started."""
    discreet: bool = False
    """Whether failures leave out what only its operator should read: what the program wrote to stderr, and folders."""
    notes: tuple[str, ...] = ()
    """What its file said that is not applied, a sentence each."""
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """Values that its file took from the environment and that are told to nobody (`secrets.py`)."""
    problem: str | None = None
    """Why it cannot be started; the other servers of the file are."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise SansiError("an MCP server has no name", param="name")
        for key in ("start_timeout", "list_timeout", "call_timeout", "call_limit", "max_message_mib"):
            value = getattr(self, key)
            if not (value > 0 and math.isfinite(value)):
                raise SansiError(f'MCP server "{self.name}": {key} must be over 0, not {value}', param=key)
        if self.problem is None and not self.disabled and (self.command is None) == (self.url is None):
            has = "both a command and a url" if self.command else "neither a command nor a url"
            raise SansiError(f'MCP server "{self.name}": it has {has}; give one of them')
        if self.command is not None and self.transport == "auto":
            object.__setattr__(self, "transport", "stdio")
        if self.problem is None and not self.disabled and (self.command is not None) != (self.transport == "stdio"):
            wants = "a url" if self.command is not None else "a command"
            told = f'MCP server "{self.name}": the transport "{self.transport}" needs {wants}'
            raise SansiError(told, param="transport")

    @property
    def max_message_bytes(self) -> int:
        return int(self.max_message_mib * 2**20)
