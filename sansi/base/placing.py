"""A finished folder takes the place of an older one, in one step of the file system where it has one.

A workspace is a hidden folder that holds `new` (the draft) and, while the two change places, `old` and the plan: which
of the old files may be deleted. Whenever a process is killed, `settle` can go on from what lies there.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from sansi.base.marker import entry_names, others_files

NEW, OLD, GONE, PLAN = "new", "old", "gone", "plan.json"
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def place(workspace: Path, target: Path, deletable: Iterable[str]) -> None:
    """Put `workspace`/new in the place of `target`; of the old files only `deletable` go, any others are moved over."""
    new, old = workspace / NEW, workspace / OLD
    _write_plan(workspace, {"new": new.stat().st_ino, "target": target.name, "deletable": sorted(deletable)})
    here = _here()
    _swap(new, old, target)
    if here is not None and here.is_relative_to(target):  # this process stood in the old folder
        os.chdir(here if here.is_dir() else target)
    flush_folder(target.parent)


def _here() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # the folder in which this process stood was deleted
        return None


def _swap(new: Path, old: Path, target: Path) -> None:
    with suppress(OSError):
        os.rename(new, target)  # nothing there, or an empty folder
        return
    if exchange(new, target):
        os.rename(new, old)
    else:
        os.rename(target, old)
        os.rename(new, target)  # if this fails, `settle` brings the old one back


def hide(workspace: Path, target: Path, deletable: Iterable[str]) -> None:
    """Take `target` out of sight, whole, for `settle` to delete; files that are not `deletable` come back."""
    _write_plan(workspace, {"new": 0, "target": target.name, "deletable": sorted(deletable)})
    os.rename(target, workspace / GONE)
    flush_folder(target.parent)


def settle(workspace: Path) -> None:
    """Remove a workspace, whatever state it was left in; an old folder whose place is empty returns to it."""
    if not workspace.is_dir():
        workspace.unlink(missing_ok=True)  # the draft of a single file
        return
    new, old, gone = workspace / NEW, workspace / OLD, workspace / GONE
    plan = _read_plan(workspace)
    if plan is not None:
        target = workspace.with_name(plan["target"])
        if new.is_dir() and new.stat().st_ino != plan["new"]:  # killed after the exchange: it is the old one
            os.rename(new, old)
        if old.is_dir() and not os.path.lexists(target):  # killed between two renames
            os.rename(old, target)
        if old.is_dir():
            os.rename(old, gone)
        if gone.is_dir() and not _emptied(gone, target, frozenset(plan["deletable"])):
            warnings.warn(f"{gone} keeps files that were put into {target} while it was replaced", stacklevel=2)
            return
    shutil.rmtree(workspace, ignore_errors=True)


def exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step. False where the system or the disk can not, and then nothing has happened."""
    swap = _renameat2()
    return swap is not None and swap(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def flush_folder(folder: Path) -> None:
    """Bring names to the disk, where the system lets a folder be flushed."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@cache
def _renameat2() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
        function.restype = ctypes.c_int
    return function


def _write_plan(workspace: Path, plan: dict[str, Any]) -> None:
    draft = workspace / f"{PLAN}.draft"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(plan, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, workspace / PLAN)
    flush_folder(workspace)


def _read_plan(workspace: Path) -> dict[str, Any] | None:
    """None before there was one: then nothing but a draft lies there."""
    try:
        return json.loads((workspace / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _emptied(folder: Path, target: Path, deletable: frozenset[str]) -> bool:
    """Delete the old files that may go; what came in while they were replaced joins the new folder.

    False when such a file has to stay hidden, because the new folder has another one of its name.
    """
    names, others = entry_names(folder), others_files(folder)  # another save may have come between: its files are ours
    taken = False
    for name in names:
        if name in deletable or name not in others:
            with suppress(OSError):
                (folder / name).unlink()
        elif os.path.lexists(target / name):
            taken = True
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            os.rename(folder / name, target / name)
    return not taken
