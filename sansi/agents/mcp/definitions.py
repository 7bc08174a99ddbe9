"""What servers offer, as plain values: tools, resources, prompts. Nothing here needs the SDK."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sansi.agents.forms import Ask
from sansi.agents.observation import Attachment


@dataclass(frozen=True)
class Definition:
    """A tool as its server defines it."""

    server: str
    name: str
    """The server's own name of it."""
    title: str | None
    description: str
    schema: dict[str, Any]
    """JSON schema of the arguments, whole."""
    output_schema: dict[str, Any] | None = None
    read_only: bool = False
    """The server says that it changes nothing. False where it says nothing."""
    idempotent: bool = False
    """The server says that doing it twice does no more than doing it once."""
    open_world: bool = True
    """It may reach beyond the server; True where the server says nothing."""

    @property
    def fingerprint(self) -> str:
        """sha256 of what a model is told and a user approves."""
        told = [self.name, self.description, self.schema, self.read_only, self.idempotent, self.open_world]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def repeatable(self) -> bool:
        """Whether it may be called again when nobody knows whether the first call was done."""
        return self.read_only or self.idempotent


@dataclass(frozen=True)
class Resource:
    """Something that a server lets itself be read: `MCPServers.read_resource(server, uri)`."""

    server: str
    uri: str
    """An address, or for a template one with `{parameters}`."""
    name: str
    title: str | None = None
    description: str = ""
    media_type: str | None = None
    size: int | None = None
    """Bytes, where the server says so."""
    template: bool = False


@dataclass(frozen=True)
class Prompt:
    """A prompt that a server offers: `MCPServers.get_prompt(server, name, arguments)`."""

    server: str
    name: str
    title: str | None = None
    description: str = ""
    arguments: tuple[tuple[str, str, bool], ...] = ()
    """Name, description and whether it is required, of each."""


@dataclass(frozen=True)
class CallResult:
    """What a call, a resource or a prompt gave."""

    text: str
    files: tuple[Attachment, ...] = ()
    """Pictures, sounds, resources."""
    is_error: bool = False
    """The tool itself says that it failed; `text` says how."""
    roles: tuple[tuple[str, str], ...] = ()
    """Of a prompt: role and text of each message."""


Progress = Callable[[str], None]
"""Told how far a call is, in words."""


@dataclass(frozen=True)
class Caller:
    """Who is behind a call: told how far it is, and asked what the server wants to know of the user."""

    progress: Progress | None = None
    ask: Ask | None = None
    conversation: str | None = None
    """Calls of one conversation have one user."""


NOBODY = Caller()
