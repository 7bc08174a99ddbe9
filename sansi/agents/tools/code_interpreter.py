"""`code_interpreter`: Python in a sandbox, one process for each conversation, which keeps its variables."""

from __future__ import annotations

import mimetypes
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sansi.agents.context import ToolContext
from sansi.agents.folder_watch import FolderWatch
from sansi.agents.observation import Attachment, Result
from sansi.agents.tool import Tool
from sansi.agents.tools.workers import START_SECONDS, Workers, Workspace, holds_everything
from sansi.base import SansiError
from sansi.base.sizes import size_text
from sansi.base.words import count
from sansi.sandbox import Limits, RunResult
from sansi.sandbox.rooted import RootedFolder

# What models ask for most; all that is installed can be imported, whether it stands here or not.
NOTABLE = """
    numpy scipy pandas polars sympy mpmath matplotlib seaborn scikit-learn statsmodels networkx pillow opencv-python
    openpyxl pyarrow beautifulsoup4 lxml pypdf pypdfium2 nltk torch
"""
MOST_FILES, LARGEST_FILE = 16, 4 * 2**20  # files handed out after one call, bytes of one
DESCRIPTION = """Run Python code in a sandbox and see what it prints, the value of its last expression, and its plots.

Variables, imports and functions stay from call to call. Figures of matplotlib are shown to the user by themselves. \
The working folder is private and stays; files that the code writes there are handed to the user. There is no network, \
and nothing can be installed. Python {python}; installed: {packages}."""


class CodeInterpreter:
    """Makes the tool, and ends its processes on `close`.

    readable: folders of the user's that the code may read under their own paths. Every conversation's code works in a
    folder of its own.
    """

    def __init__(self, limits: Limits | None = None, readable: Sequence[Path] = ()):
        self.limits = limits or Limits(seconds=60, cpu_seconds=120)
        self._readable = [Path(path).resolve() for path in readable]
        self._workers = Workers(self.limits, self._readable)

    def tool(self) -> Tool:
        """The tool that a model calls."""
        return Tool.from_function(
            self.run,
            name="code_interpreter",
            description=self._description(),
            timeout=self.limits.seconds + START_SECONDS,
            effects={"execute"},
            origin="built-in",
            in_order=True,
            watch=FolderWatch(tuple(self._readable), private=lambda context: (_work_folder(context),)),
            show=lambda arguments: str(arguments.get("code", "")),
        )

    def close(self) -> None:
        self._workers.close()

    def _description(self) -> str:
        text = DESCRIPTION.format(python=platform.python_version(), packages=installed())
        folders = ", ".join(map(str, self._readable))
        return f"{text} It may read, and not change, {folders}." if folders else text

    def run(self, code: str, context: ToolContext, reset: bool = False) -> Result:
        """Run code.

        Args:
            code: The Python code, which may be a whole program.
            reset: Whether to forget all variables first. Files stay.
        """
        with self._workers.of(context.conversation, lambda: _work_folder(context), context.cancelled) as worker:
            if reset:
                worker.reset()
            done = worker.run(code, cancelled=context.cancelled)
        files, left_out = _files(worker.folder, done.files)
        return Result(_told(done, files, left_out), (*_pictures(done), *files), is_error=done.error is not None)


def tools(workspace: Workspace) -> list[Tool]:
    """Its code may read what the user shares, unless that is everything."""
    shared = [Path(workspace.folder).resolve()] if workspace.folder else []
    interpreter = CodeInterpreter(readable=[folder for folder in shared if not holds_everything(folder)])
    workspace.close_with(interpreter.close)
    return [interpreter.tool()]


@cache
def installed() -> str:
    """The well-known packages that code can import, with their versions."""
    found = []
    for name in NOTABLE.split():
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found) or "the standard library alone"


def _work_folder(context: ToolContext) -> Path:
    folder = context.folder / "code_interpreter"
    folder.mkdir(exist_ok=True)
    return folder


def _pictures(done: RunResult) -> tuple[Attachment, ...]:
    return tuple(Attachment(each.name, each.media_type, each.data) for each in done.attachments)


def _files(folder: Path, names: Sequence[str]) -> tuple[tuple[Attachment, ...], list[str]]:
    """What the call wrote, read as strangers' work (a link or a pipe in its place is left), and what is not handed out
    and why."""
    rooted = RootedFolder(folder)
    found: list[Attachment] = []
    left_out: list[str] = []
    ordered = sorted(names)
    for name in ordered:
        if len(found) == MOST_FILES:
            rest = ordered[ordered.index(name) :]
            shown = ", ".join(rest[:3]) + (" …" if len(rest) > 3 else "")
            left_out.append(f"{count(len(rest), 'further file')} ({shown}): a call hands out {MOST_FILES}")
            break
        try:
            data = rooted.read(name)
        except SansiError as error:
            left_out.append(f"{name}: {error}")
            continue
        if len(data) > LARGEST_FILE:
            left_out.append(f"{name}: {size_text(len(data))}, and {size_text(LARGEST_FILE)} can be handed out")
            continue
        found.append(Attachment(name, mimetypes.guess_type(name)[0] or "application/octet-stream", data))
    return tuple(found), left_out


def _told(done: RunResult, files: Sequence[Attachment], left_out: Sequence[str] = ()) -> str:
    parts = [printed] if (printed := done.text.rstrip("\n")) else []
    if done.error:  # what went wrong comes first, how it came to it last
        *calls, reason = done.error.splitlines() or [""]
        parts = [reason, *parts, *(["\n".join(calls)] if calls else [])]
    if done.fresh:
        parts.append("[the process of earlier calls was lost: variables are gone, files are kept]")
    if shown := [each.name for each in done.attachments]:
        parts.append(f"[shown to the user: {', '.join(shown)}]")
    if files:
        sizes = [f"{each.name} ({count(len(each.data), 'byte')})" for each in files]
        parts.append(f"[files: {', '.join(sizes)}]")
    parts += [f"[not handed to the user, but kept in the working folder: {why}]" for why in left_out]
    if not parts:
        parts.append("[no output]")
    return "\n".join([*parts, f"[sandbox: {done.rung}]"])
