"""A reader in a process of its own, for files that may break it, stop it or eat all memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sansi.base.errors import SansiError

# What a busy machine may take beyond the processor's time for the file, which the worker keeps itself.
START_SECONDS = 120.0


def output_of(worker: Path, arguments: Sequence[str], data: bytes, seconds: float) -> bytes:
    """What a worker writes when it is given `data`, as far as it came. Raises SansiError where none can be started."""
    # Only of this interpreter's own path is something imported, never of the folder that somebody happens to be in.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", str(worker), *arguments]
    try:
        done = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=seconds + START_SECONDS,
        )
    except subprocess.TimeoutExpired as late:
        return late.stdout or b""
    except OSError as error:
        raise SansiError(f"no process for reading a file can be started: {error.strerror}") from error
    return done.stdout
