"""Where on the network a call leads: a host, and the addresses that its name stands for, for a question to show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True)
class Destination:
    """Of one call of a tool, `Tool.destination`; `ToolContext.addresses` are those that its question has shown."""

    host: str
    """A name in ASCII, or an IP address."""
    look_up: Callable[[], Awaitable[Sequence[str]]]
    """The addresses of the host, each checked. Raises SansiError where the call can not go there, or must not."""
    check: Callable[[Sequence[str]], object]
    """The same check, of addresses that were looked up before."""

    @property
    def is_number(self) -> bool:
        """The host is an address, so nobody is asked for it."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True
