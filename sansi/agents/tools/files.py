"""`list_files`, `read_file`, `search_files`, `write_file`, `edit_file`: the files of one folder, and of no other."""

from __future__ import annotations

import difflib
import mimetypes
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sansi.agents.context import ToolContext
from sansi.agents.observation import Attachment, Result
from sansi.agents.tainted_files import TaintedFiles
from sansi.agents.tool import Tool
from sansi.agents.tools.workers import Workspace, shared_folder
from sansi.base import SansiError
from sansi.base.words import count as counted
from sansi.sandbox.rooted import MOST_WALKED, RootedFolder

MOST_LISTED, MOST_FOUND, MOST_LINES = 500, 100, 400  # entries, lines found, lines read at once
LONGEST_LINE = 500  # characters of a line that was found
MOST_COMPARED = 20_000  # lines; beyond, a diff could take minutes
TOLD = "a conversation in which strangers had spoken"
SKIPPED = (".git", "node_modules", "__pycache__", ".venv")  # folders that are listed and not searched


class Files:
    """The tools of one folder. Whatever a path says, no other can be reached (see sansi.sandbox.rooted)."""

    def __init__(self, root: Path, tainted: TaintedFiles | None = None):
        self._folder = RootedFolder(root)
        self._tainted = tainted or TaintedFiles()

    def tools(self) -> list[Tool]:
        """Those that look, and those that change, which show their diff before they are approved."""
        looking = [self._tool(function, "read") for function in (self.list_files, self.read_file, self.search_files)]
        return [
            *looking,
            self._tool(self.write_file, "write", self._shown_write),
            self._tool(self.edit_file, "write", self._shown_edit),
        ]

    def _tool(self, function: Callable[..., Any], effect: str, show: Callable[..., str] | None = None) -> Tool:
        return Tool.from_function(function, effects={effect}, origin="built-in", in_order=True, show=show)

    def list_files(self, path: str = ".", deep: bool = False) -> Result:
        """List a folder of the user's files.

        Args:
            path: The folder, relative to the user's folder.
            deep: Whether to list the folders in it too.
        """
        above = self._folder.relative(path)
        if not deep:
            found = [(os.path.join(above, each.name), each) for each in self._folder.entries(path)]
        else:
            found = list(self._folder.walk(path, MOST_LISTED + 1))
        rows = [_row(name if deep else each.name, each.kind, each.size) for name, each in found[:MOST_LISTED]]
        left = f"\n[more than {MOST_LISTED} entries; list a folder of it]" if len(found) > MOST_LISTED else ""
        text = "\n".join(rows) + left if rows else "[the folder is empty]"
        return _result(text, self._origin_of(name for name, _ in found[:MOST_LISTED]))

    def read_file(self, path: str, first_line: int = 1, lines: int = MOST_LINES) -> Result:
        """Read a text file of the user's, or show an image.

        Args:
            path: The file, relative to the user's folder.
            first_line: The line to begin with, counted from 1.
            lines: How many lines to read.
        """
        data = self._folder.read(path)
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        if kind.startswith("image/") and kind != "image/svg+xml":
            picture = Attachment(Path(path).name, kind, data)
            return _result(f"[{path}: {kind}, {counted(len(data), 'byte')}]", self._origin_of([path], data), picture)
        text = _text(data, path)
        every = text.splitlines(keepends=True)
        if first_line < 1 or lines < 1:
            raise SansiError(f"first_line and lines count from 1, not {first_line} and {lines}")
        if first_line > max(1, len(every)):
            raise SansiError(f'"{path}" has {counted(len(every), "line")}; there is no line {first_line}')
        part = every[first_line - 1 : first_line - 1 + lines]
        whole = len(part) == len(every)
        note = "" if whole else f"[lines {first_line} to {first_line + len(part) - 1} of {len(every)}]\n"
        return _result(note + "".join(part) if every else "[the file is empty]", self._origin_of([path], data))

    def search_files(self, text: str, path: str = ".", ignore_case: bool = False) -> Result:
        """Find lines that hold a text, in all text files of a folder.

        Args:
            text: What to look for, word for word.
            path: The folder, relative to the user's folder.
            ignore_case: Whether capital and small letters are the same.
        """
        if not text:
            raise SansiError("text is empty; say what to look for")
        wanted, found = text.lower() if ignore_case else text, list[str]()
        origin: str | None = None
        for number, (name, entry) in enumerate(self._folder.walk(path, MOST_WALKED, SKIPPED), 1):
            lines, data = self._lines_with(wanted, name, ignore_case) if entry.kind == "file" else ([], b"")
            found += lines
            origin = origin or (self._origin_of([name], data) if lines else None)
            if len(found) > MOST_FOUND:
                told = f"\n[more than {MOST_FOUND} lines; look for something rarer]"
                return _result("\n".join(found[:MOST_FOUND]) + told, origin)
            if number == MOST_WALKED:
                found.append(f"[only the first {MOST_WALKED:,} names were looked at; search a folder of it]")
        return _result("\n".join(found) or "[nothing found]", origin)

    def _lines_with(self, wanted: str, name: str, ignore_case: bool) -> tuple[list[str], bytes]:
        """The lines of a file that hold a text, and the whole of it; none where it is no text, too large, or gone."""
        try:
            data = self._folder.read(name)
            return _lines_with(wanted, _text(data, name), name, ignore_case), data
        except SansiError:
            return [], b""

    def _origin_of(self, names: Iterable[str], data: bytes | None = None) -> str | None:
        """Whose text is in the first of these files that is not the user's own; None: they are all."""
        return self._tainted.origin_of(*map(self._place, names), data=data)

    def _place(self, path: str) -> Path:
        return self._folder.root / self._folder.relative(path)

    def _write(self, path: str, data: bytes, context: ToolContext, whole: bool) -> None:
        """whole: nothing that stood there before stays."""
        place = self._place(path)
        if context.tainted:  # noted first: a program that is killed in between must not forget it
            self._tainted.note(place, TOLD, data)
        elif not whole and (origin := self._origin_of([path])):
            self._tainted.note(place, origin, data)
        self._folder.write(path, data)
        if whole and not context.tainted:
            self._tainted.replaced(place, data)

    def write_file(self, path: str, content: str, context: ToolContext) -> str:
        """Write a text file of the user's: make it, or replace all of it.

        Args:
            path: The file, relative to the user's folder. Folders are made as needed.
            content: The whole text.
        """
        before = self._folder.read(path) if self._folder.exists(path) else None
        data = content.encode("utf-8", "replace")
        lines = counted(len(content.splitlines()), "line")
        if before == data:
            return f"{path} is as it was: {lines}, the same text"
        self._write(path, data, context, whole=True)
        return f"{'wrote' if before is None else 'replaced'} {path}: {lines}"

    def edit_file(self, path: str, old: str, new: str, context: ToolContext, every: bool = False) -> str:
        """Replace a piece of a text file of the user's.

        Args:
            path: The file, relative to the user's folder.
            old: The piece as it stands there, spaces and line breaks included. It must be there once only.
            new: What is to stand there instead.
            every: Whether to replace it wherever it stands.
        """
        _, after, places = self._edited(path, old, new, every)
        self._write(path, after.encode("utf-8", "replace"), context, whole=False)
        return f"changed {path}: {counted(places, 'place')}, {counted(len(after.splitlines()), 'line')} now"

    def _edited(self, path: str, old: str, new: str, every: bool) -> tuple[str, str, int]:
        """The text before and after, and in how many places it changes."""
        data = self._folder.read(path)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SansiError(f'"{path}" is not UTF-8, so a piece of it can not be replaced') from error
        if "\r\n" in text and "\r\n" not in old:  # the file's line ends, whatever the model wrote
            old, new = old.replace("\n", "\r\n"), new.replace("\r\n", "\n").replace("\n", "\r\n")
        count = text.count(old) if old else 0
        if not old or not count:
            raise SansiError(f'the piece "old" does not stand in "{path}"{_nearest(text, old)}; read the file again')
        if count > 1 and not every:
            raise SansiError(
                f'the piece "old" stands in "{path}" {count} times; give more of what is around it, or every'
            )
        return text, text.replace(old, new), count

    def _before(self, path: str) -> str | None:
        return _text(self._folder.read(path), path) if self._folder.exists(path) else None

    def _shown_write(self, arguments: Mapping[str, Any]) -> str:
        path, content = str(arguments.get("path", "")), str(arguments.get("content", ""))
        try:
            return diff(path, self._before(path) or "", content)
        except SansiError as error:
            return f"{path}: {error}\n{content}"

    def _shown_edit(self, arguments: Mapping[str, Any]) -> str:
        path, old, new = (str(arguments.get(name, "")) for name in ("path", "old", "new"))
        try:
            before, after, _ = self._edited(path, old, new, bool(arguments.get("every")))
            return diff(path, before, after)
        except SansiError as error:
            return f"{path}: {error}"


def tools(workspace: Workspace) -> list[Tool]:
    """Raises SansiError where the user shares no folder."""
    return Files(shared_folder(workspace, "files")).tools()


def diff(path: str, before: str, after: str) -> str:
    """What changes, as a unified diff."""
    if before == after:
        return f"{path}: nothing changes"
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > MOST_COMPARED:
        return "\n".join([f"--- a/{path}", f"+++ b/{path}", *_roughly(old, new)])
    found = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="")
    return "\n".join(found) or f"{path}: line ends change"


def _roughly(old: list[str], new: list[str]) -> list[str]:
    """All lines between the first and the last difference, at once: so many can not be compared each with each."""
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    most = min(len(old), len(new)) - start
    end = next((i for i in range(most) if old[-1 - i] != new[-1 - i]), most)
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    if not before and not after:
        return []
    head = f"@@ -{start + 1},{len(before)} +{start + 1},{len(after)} @@"
    return [head, *(f"-{line}" for line in before), *(f"+{line}" for line in after)]


def _result(text: str, origin: str | None, *attachments: Attachment) -> Result:
    """origin: of what strangers wrote into a file."""
    if origin is None:
        return Result(text, attachments)
    return Result(text, attachments, origin=f"a file of {origin}", tainted=True)


def _lines_with(wanted: str, text: str, name: str, ignore_case: bool) -> list[str]:
    if wanted not in (text.lower() if ignore_case else text):
        return []
    lines = enumerate(text.splitlines(), 1)
    hits = ((n, line) for n, line in lines if wanted in (line.lower() if ignore_case else line))
    return [f"{name}:{number}: {line[:LONGEST_LINE]}" for number, line in hits]


def _row(name: str, kind: str, size: int) -> str:
    if kind == "file":
        return f"{name}  {counted(size, 'byte')}"
    return f"{name}/" if kind == "folder" else f"{name}  ({kind})"


def _text(data: bytes, path: str) -> str:
    if b"\0" in data[:8192] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SansiError(f'"{path}" is no text ({counted(len(data), "byte")})')
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def _nearest(text: str, old: str) -> str:
    """Where the piece stands but for spaces, if it does."""
    wanted = " ".join(old.split())
    if wanted and wanted in " ".join(text.split()):
        return " with these spaces and line breaks"
    return ""
