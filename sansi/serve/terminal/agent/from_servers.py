"""What MCP servers say in the user's place: prompts, and resources that a message names. It is not the user's word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.text import Message

if TYPE_CHECKING:
    from sansi.agents.mcp.definitions import Prompt

RESOURCE = re.compile(r"(?<![\w@./:])@([\w.-]+):(\S+)")
MUCH_ALIKE = 0.8
"""How like a server's name another one is that must be a slip of it."""
ENDS = ".,;:!?…'\"”’»)]}>。，；：！？）】」"
"""What ends a sentence, or a part of it, and not an address, unless the server has a resource that is called so."""


def message_from(servers: Any, server: str, text: str) -> Message:
    """A message with text of a server, which is a stranger's where the user does not trust the server."""
    trusted = any(config.trusted for config in servers.configs if config.name == server)
    return Message("user", text, origin=f"mcp:{server}", tainted=not trusted)


def with_resources(servers: Any, text: str) -> list[Message]:
    """What the user typed, and each resource that it names by @SERVER:ADDRESS. servers: None where there are none.

    Raises SansiError for a resource of a server that is not configured, and what reading it raises.
    """
    messages = [Message("user", text)]
    configured = {config.name for config in servers.configs} if servers is not None else set()
    for server, given in RESOURCE.findall(text):
        if server in configured:
            uri = _address_in(servers, server, given)
            told = f"Resource {uri} of {server}:\n\n{servers.read_resource(server, uri).text}"
            messages.append(message_from(servers, server, told))
        elif "://" in given or difflib.get_close_matches(server, configured, cutoff=MUCH_ALIKE):
            near = did_you_mean(server, configured) if configured else "; --mcp FILE names some"
            raise SansiError(f'there is no MCP server "{server}"{near} (a space after @ sends it as it is)')
    return messages


def _address_in(servers: Any, server: str, given: str) -> str:
    """The address of a resource, without what follows it in its sentence."""
    bare = given.rstrip(ENDS)
    if "(" in bare and given[len(bare) :].startswith(")"):
        bare += ")"
    if bare == given or any(resource.uri == given for resource in servers.resources(server)):
        return given
    return bare


def how_to_ask(prompt: Prompt) -> str:
    """The command with which a prompt is asked with, what may be left out in brackets."""
    given = [f"{name}=…" if required else f"[{name}=…]" for name, _, required in prompt.arguments]
    return " ".join([f"/prompt {prompt.server}/{prompt.name}", *given])


def check_arguments(offered: Iterable[Prompt], name: str, arguments: Mapping[str, str]) -> None:
    """Raises SansiError for a prompt that its server does not offer, or that lacks an argument which it must have."""
    known = {prompt.name: prompt for prompt in offered}
    if name not in known:
        raise SansiError(f'there is no prompt "{name}"{did_you_mean(name, known)}')
    missing = [each for each, _, required in known[name].arguments if required and each not in arguments]
    if missing:
        raise SansiError(f"the prompt lacks {', '.join(missing)}; usage: {how_to_ask(known[name])}")
