"""Faulty servers as programs, and what tests do with them."""

import sys
import threading
from pathlib import Path

from mcp_faults import PATIENT
from sansi.agents.mcp import ServerConfig

FAULTY = Path(__file__).with_name("mcp_faulty.py")


def program(word, name=None, **fields):
    command = (sys.executable, "-I", "-S", str(FAULTY), word)
    return ServerConfig(name or word, command=command[0], args=command[1:], transport="stdio", **PATIENT | fields)


def echo(servers, name, text):
    definition = next(d for d in servers.definitions() if d.server == name and d.name.startswith("echo"))
    return servers.call(definition, {"text": text})


def wait_for(servers, condition):
    """Until the status fulfils the condition; each change of it is told."""
    changed = threading.Event()
    servers.on_change = lambda status: changed.set()
    while not condition(servers.status()):
        assert changed.wait(20)
        changed.clear()
