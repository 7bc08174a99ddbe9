"""One program instead of Python code."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any


def run_command(argv: list[str]) -> dict[str, Any]:
    """Run it to its end; what it prints goes where our own output goes."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    except OSError as error:
        return {"error": f"{argv[0]}: {os.strerror(error.errno or 0)}", "status": 127, "figures": []}
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.kill()
        process.wait()
        return {"error": "KeyboardInterrupt", "status": 130, "figures": []}
    return {"error": None, "status": status, "figures": []}
