"""What MCP servers say in the user's place: prompts, and resources that a message names. It is not the user's word."""

from __future__ import annotations

import re
from typing import Any

from sansi.text import Message

RESOURCE = re.compile(r"(?<!\S)@([\w.-]+):(\S+)")


def message_from(servers: Any, server: str, text: str) -> Message:
    """A message with text of a server, which is a stranger's where the user does not trust the server."""
    trusted = any(config.trusted for config in servers.configs if config.name == server)
    return Message("user", text, origin=f"mcp:{server}", tainted=not trusted)


def with_resources(servers: Any, text: str) -> list[Message]:
    """What the user typed, and each resource that it names by @SERVER:ADDRESS. servers: None where there are none."""
    messages = [Message("user", text)]
    configured = {config.name for config in servers.configs} if servers is not None else set()
    for server, uri in RESOURCE.findall(text):
        if server in configured:
            told = f"Resource {uri} of {server}:\n\n{servers.read_resource(server, uri).text}"
            messages.append(message_from(servers, server, told))
    return messages
