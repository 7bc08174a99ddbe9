"""What becomes of MCP servers while Sansi serves: a line of the log for each change that an operator wants to know."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from sansi.agents.mcp import ServerStatus, Status
from sansi.agents.mcp.status import LINES_SHOWN

log = logging.getLogger("sansi.mcp")


class ServerLog:
    """Told each new status of the servers. before: what is known already, as the announcement has it."""

    def __init__(self, before: Status):
        self._before = {server.name: server for server in before.servers}
        self._down = {server.name for server in before.servers if server.state in ("failed", "lost")}
        self._lock = threading.Lock()
        self._warned: set[str] = set()

    def __call__(self, status: Status) -> None:
        with self._lock:
            for server in status.servers:
                self._compare(self._before[server.name], server)
                self._before[server.name] = server

    def warn(self, told: Sequence[str]) -> None:
        """What is odd beside the servers' own state, each once."""
        with self._lock:
            new = [each for each in told if each not in self._warned]
            self._warned.update(new)
        for each in new:
            log.warning("mcp", extra={"fields": {"note": each}})

    def _compare(self, before: ServerStatus, now: ServerStatus) -> None:
        if now.state in ("failed", "lost") and (now.state, now.cause) != (before.state, before.cause):
            self._down.add(now.name)
            last = " | ".join(now.stderr[-LINES_SHOWN:]) or None
            self._write(logging.WARNING, now, cause=now.cause, stderr=last)
        elif now.state == "ready" and now.name in self._down:
            self._down.discard(now.name)
            self._write(logging.INFO, now, tools=now.tools, restarts=now.restarts)
        for note in now.told:
            if note not in before.told:
                self._write(logging.WARNING, now, note=note)

    def _write(self, level: int, server: ServerStatus, **fields: object) -> None:
        told = {"server": server.name, "state": server.state, **fields}
        log.log(level, "mcp", extra={"fields": {name: value for name, value in told.items() if value is not None}})
