"""`shell`: programs in a sandbox that works in the user's folder. Off unless it is asked for by name."""

from __future__ import annotations

from pathlib import Path

from sansi.agents.context import ToolContext
from sansi.agents.folder_watch import FolderWatch
from sansi.agents.observation import Result
from sansi.agents.tool import Tool
from sansi.agents.tools.workers import START_SECONDS, Workers, Workspace, shared_folder
from sansi.sandbox import Limits, RunResult
from sansi.sandbox.worker import KEPT, LOST

DESCRIPTION = """Run a command of the shell (sh) in a sandbox and see its output and exit status.

It starts in the folder that the user shares, which it may change; of the rest of the machine it sees programs and \
libraries alone. There is no network. Each call is a shell of its own: `cd` and variables do not stay."""


class Shell:
    """Makes the tool, and ends its processes on `close`. folder: where commands run, and what they may change."""

    def __init__(self, folder: Path, limits: Limits | None = None):
        self.folder = Path(folder)
        # A project may be large: what it holds is not counted, what a command adds is bounded.
        self.limits = limits or Limits(seconds=120, cpu_seconds=240, folder_size=4 * 2**30, folder_files=200_000)
        self._workers = Workers(self.limits)

    def tool(self) -> Tool:
        """The tool that a model calls."""
        return Tool.from_function(
            self.run,
            name="shell",
            description=DESCRIPTION,
            timeout=self.limits.seconds + START_SECONDS,
            effects={"execute", "write"},
            origin="built-in",
            in_order=True,
            watch=FolderWatch((self.folder,)),
            show=lambda arguments: f"$ {arguments.get('command', '')}\n(in {self.folder})",
        )

    def close(self) -> None:
        self._workers.close()

    def run(self, command: str, context: ToolContext) -> Result:
        """Run a command.

        Args:
            command: The command line, as for sh -c.
        """
        with self._workers.of(context.conversation, lambda: self.folder, context.cancelled) as worker:
            done = worker.command(["/bin/sh", "-c", command], cancelled=context.cancelled)
        return Result(_told(done), is_error=done.error is not None)


def tools(workspace: Workspace) -> list[Tool]:
    """Raises SansiError where the user shares no folder."""
    shell = Shell(shared_folder(workspace, "shell"))
    workspace.close_with(shell.close)
    return [shell.tool()]


def _told(done: RunResult) -> str:
    parts = [printed] if (printed := done.text.rstrip("\n")) else []
    if done.error:
        parts.insert(0, done.error.replace(f": {LOST}", "").replace(f"; {KEPT}", ""))
    elif done.status:
        parts.append(f"[exit status {done.status}]")
    return "\n".join([*(parts or ["[no output]"]), f"[sandbox: {done.rung}]"])
