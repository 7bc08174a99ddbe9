"""Watches what a tool reads and writes in folders, so that text of strangers is known as theirs also from a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from sansi.agents.context import ToolContext
from sansi.agents.observation import Observation
from sansi.agents.tainted_files import Begun, TaintedFiles
from sansi.base import SansiError
from sansi.client.chat_client import on_thread


class Watched(Protocol):
    """What is needed of a Tool."""

    @property
    def name(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def effects(self) -> frozenset[Any]: ...
    @property
    def tainted(self) -> bool: ...


@dataclass(frozen=True)
class FolderWatch:
    """Of one tool. shared: folders that its calls may read, and may write to; private: those of a conversation.

    A call in folders with text of strangers may have read it, so its result is theirs; what a call changes after their
    text was read may be theirs, so the files are noted.
    """

    shared: tuple[Path, ...] = ()
    private: Callable[[ToolContext], Iterable[Path]] = lambda context: ()
    files: TaintedFiles = field(default_factory=TaintedFiles)

    async def observe(
        self, tool: Watched, context: ToolContext, run: Callable[[], Awaitable[Observation]]
    ) -> Observation:
        """What `run` observes. Where nothing can be noted that has to be, it is not run."""
        origin = f"{tool.origin} {tool.name}"
        try:
            read = None if tool.tainted else await on_thread(lambda: self._read(context))
            tainted = context.tainted or tool.tainted or read is not None
            begun = await on_thread(lambda: self._begin(tool, context, origin)) if tainted else []
        except SansiError as error:
            return Observation(f"error: not executed: {error}", "error", origin=tool.origin)
        try:
            seen = await run()
        except BaseException:  # cancelled: there may be nobody who waits for a thread
            self.files.end(begun)
            raise
        return await on_thread(lambda: self._ended(begun, seen, read, tainted, origin))

    def _read(self, context: ToolContext) -> str | None:
        return self.files.origin_below(*self.shared, *self.private(context))

    def _begin(self, tool: Watched, context: ToolContext, origin: str) -> list[Begun]:
        if tool.effects and not tool.effects & {"write", "execute"}:
            return []
        return self.files.begin([*self.shared, *self.private(context)], origin)

    def _ended(
        self, begun: list[Begun], seen: Observation, read: str | None, tainted: bool, origin: str
    ) -> Observation:
        try:
            trees = self.files.end(begun)
            if (tainted or seen.tainted) and seen.attachments:
                self.files.note_contents([each.data for each in seen.attachments], origin)
        except SansiError as error:  # what was begun is noted as begun
            return replace(seen, text=f"{seen.text}\n[{error}]", tainted=True)
        for folder in trees:
            told = f"[so much changed in {folder} that all of it counts as text of strangers from now on]"
            seen = replace(seen, text=f"{seen.text}\n{told}")
        return seen if read is None else replace(seen, tainted=True, origin=f"{seen.origin}, files of {read}")
