"""All attempts to get out of a sandbox, as functions: see `registry`."""

from . import files, kernel, network, processes, shown
from .registry import ATTEMPTS, run_attempts

__all__ = ["ATTEMPTS", "files", "kernel", "network", "processes", "run_attempts", "shown"]
