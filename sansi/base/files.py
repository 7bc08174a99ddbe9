"""Files and folders that are either whole or absent, and that never take the place of somebody else's."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sansi.base import drafts
from sansi.base.drafts import draft_beside
from sansi.base.errors import SansiError
from sansi.base.marker import MARKER, Entries, describe, entry_names, marker_of, others_files, read_marker, shown
from sansi.base.placing import NEW, flush_folder, hide, place, settle
from sansi.base.shown import show
from sansi.base.strict_json import json_fault

UNMARKED = f"(a folder of an earlier version has no {MARKER}: if nothing in it is yours, delete it first)"


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`; on success it takes the place of `target`, on failure it vanishes.

    The files are on the disk before they get their place, so that neither a killed process nor a lost machine leaves a
    folder that looks whole and is not. What killed processes left beside `target` is removed first.

    Raises SansiError, before any work, unless `target` is absent, empty, or a folder that Sansi wrote, with nothing in
    it that somebody else put there or changed since (`.sansi.json` in it says what Sansi wrote).
    """
    target = _place_for(target)
    check_replaceable(target)
    with _workspace(target) as workspace:
        draft = _empty_draft(workspace, target)
        yield draft
        entries = _finish(draft)
        before = entry_names(target)  # what comes later is nobody's to delete
        _keep_late_comers(target, draft, entries)
        _write_marker(draft, entries)
        place(workspace, target, before)


@contextmanager
def updated_folder(target: Path, supersedes: Callable[[str], bool] = lambda name: False) -> Iterator[Path]:
    """Like `atomic_folder`, but what else is in `target` stays: files are added, or replaced by those of their name.

    supersedes: names of files in `target` that go although none of their name is written (shards of an older save).
    Raises SansiError when `target` is a file, or can not be replaced where it is.
    """
    target = _place_for(target)
    check_place(target)
    with _workspace(target) as workspace:
        draft = _empty_draft(workspace, target)
        yield draft
        entries = _finish(draft)
        known = read_marker(target) or {}
        before = entry_names(target)
        kept = [name for name in before if name not in entries and not supersedes(name)]
        _keep(target, draft, kept, _folders_in(target))
        _write_marker(draft, {name: known[name] for name in kept if name in known} | entries)
        place(workspace, target, before)


def remove_folder(folder: Path) -> None:
    """Delete a folder that Sansi wrote, so that it is at no moment there in part: it is hidden first.

    Raises SansiError as `atomic_folder` does.
    """
    folder = _place_for(folder)
    check_replaceable(folder)
    with _workspace(folder) as workspace:
        hide(workspace, folder, entry_names(folder))


def as_path(folder: object, what: str = "a folder") -> Path:
    """The path that was given. Raises SansiError for what is none, and for what no file system takes."""
    if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
        raise SansiError(f"{what} is given by its path, not by {show(folder)}", param="folder")
    try:
        os.stat(folder)
    except ValueError as error:
        raise SansiError(f"{show(folder)} is no path ({error}); choose another name", param="folder") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            reason = f"{show(os.fspath(folder))}: the name is too long; choose a shorter one"
            raise SansiError(reason, param="folder") from error
    return Path(folder)


def check_replaceable(target: Path) -> None:
    """Raise SansiError unless `atomic_folder` may replace what is at `target` now."""
    target = Path(target)
    check_place(target)
    if not target.is_dir():
        return
    if others := others_files(target):
        marked = read_marker(target) is not None
        why = "were put there, or changed, after Sansi wrote the folder" if marked else "Sansi did not write"
        advice = "move them away, or choose another folder" + ("" if marked else f" {UNMARKED}")
        raise SansiError(f"{target} holds files that {why} ({shown(others)}), and they would be deleted; {advice}")


def clean_drafts(folder: Path) -> None:
    """Remove what killed processes left in `folder` of the files and folders that they were writing there."""
    drafts.clean_drafts(Path(folder), settle)


def _place_for(target: Path) -> Path:
    """The folder that is meant, behind any links: a link to a folder stays, what it leads to is replaced."""
    return Path(os.path.realpath(as_path(target)))


def check_place(target: Path) -> None:
    """Raise SansiError where no folder can be put, whatever it holds: to be called before the work."""
    target = _place_for(target)
    _check_no_file(target)
    if _is_mount(target):
        raise SansiError(f"{target} is a mount point, which no other folder can replace; give a folder inside it")
    check_above(target)


def _check_no_file(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise SansiError(f"{folder} is a file where a folder is to be written; move it away or choose another name")


def check_above(path: Path) -> None:
    """Raise SansiError where nothing of this name can be made: below a file, or where writing is not allowed."""
    above = next(folder for folder in Path(os.path.abspath(path)).parents if os.path.lexists(folder))
    if not above.is_dir():
        raise SansiError(f"{path}: {above} is a file, so there can be no folder in it; choose another name")
    if not os.access(above, os.W_OK | os.X_OK):
        raise SansiError(f"{path} can not be written: you may not write to {above}; choose another folder")


def nearest_there(path: Path) -> Path:
    """The path, or the nearest above it that is there: on the same disk as what would be made there."""
    return next(each for each in (path, *path.parents) if each.exists())


def make_folder(folder: Path) -> Path:
    """The folder, made if it is not there, for files that are written one by one. Raises SansiError where none can be.

    To be called before the work whose results go there.
    """
    folder = as_path(folder)
    _check_no_file(folder)
    if not folder.is_dir():  # one that is there may lie in a folder where nothing else may be made
        check_above(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SansiError(f"{folder} can not be made ({error.strerror}); choose another folder") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SansiError(f"{folder} can not be written: you may not write there; choose another folder")
    return folder


def _is_mount(target: Path) -> bool:
    """Folders that are mounted from the same disk look like any other; Linux lists them."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        lines = []
    points = (line.split(" ")[4] for line in lines)
    return os.path.ismount(target) or str(target) in (re.sub(r"\\(\d{3})", _octal, point) for point in points)


def _octal(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 8))


@contextmanager
def _workspace(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    drafts.clean_drafts(target.parent, settle, target)
    with draft_beside(target) as workspace:
        try:
            workspace.mkdir()
            yield workspace
        finally:
            settle(workspace)


def _empty_draft(workspace: Path, target: Path) -> Path:
    draft = workspace / NEW
    draft.mkdir()
    if target.is_dir():
        shutil.copymode(target, draft)  # a private folder stays private
    return draft


def _finish(draft: Path) -> dict[str, Any]:
    """Bring a draft to the disk, as readable as the user wants new files to be; what is in it, for the marker."""
    mask = _umask()
    names = [name for name in entry_names(draft) if os.path.basename(name) != MARKER]
    for file in (draft / name for name in names):
        if file.is_file() and not file.is_symlink():
            file.chmod(0o666 & ~mask)  # libraries that write through a temporary file leave it to its owner alone
            _flush(file)
    for root, _, _ in os.walk(draft):
        flush_folder(Path(root))
    return {name: describe(draft / name) for name in names}


def _write_marker(draft: Path, entries: Entries) -> None:
    """The last file that a draft gets."""
    write_json(draft / MARKER, marker_of(entries))
    flush_folder(draft)


def _keep_late_comers(target: Path, draft: Path, entries: Entries) -> None:
    """What was put into `target` during the work, which may have taken hours, costs neither itself nor the work."""
    check_place(target)
    late = others_files(target)
    if clash := [name for name in late if name in entries]:
        raise SansiError(f"{target}: {shown(clash)} came there during the work, and would be replaced; move it away")
    _keep(target, draft, late, [os.path.dirname(name) for name in late])


def _keep(target: Path, draft: Path, names: list[str], folders: list[str]) -> None:
    """Let the draft have these files of the target too, without reading them where the disk can link."""
    for folder in folders:
        if os.path.lexists(draft / folder) and not (draft / folder).is_dir():
            raise SansiError(f"{target / folder} is a folder where a file is to be written; move it away")
        (draft / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        if os.path.lexists(draft / name):
            raise SansiError(f"{target / name} is a file where a folder is to be written; move it away")
        try:
            os.link(target / name, draft / name, follow_symlinks=False)
        except OSError:
            shutil.copy2(target / name, draft / name, follow_symlinks=False)


def _folders_in(folder: Path) -> list[str]:
    pairs = [os.path.join(root, name) for root, folders, _ in os.walk(folder) for name in folders]
    return [os.path.relpath(path, folder) for path in pairs if not os.path.islink(path)]


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A hidden folder on the disk of `beside`, for the time of the block; those of killed processes are removed."""
    with _workspace(_place_for(beside)) as folder:
        yield folder


def mark(folder: Path, names: Iterable[str]) -> None:
    """Note in the marker of a folder, if it has one, that Sansi wrote these files of it (anew)."""
    folder = Path(folder)
    known = read_marker(folder)
    if known is not None:
        write_json(folder / MARKER, marker_of(known | {name: describe(folder / name) for name in names}))


def write_text(path: Path, text: str) -> None:
    """Write a file that a crash can not leave half-written."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file that a crash can not leave half-written."""
    with atomic_file(path) as draft:
        draft.write_bytes(data)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path for a draft; what was written there takes the place of `path` on success, and vanishes on failure.

    Raises SansiError, before any work, where no file can be put.
    """
    path = Path(path)
    if path.is_dir():
        raise SansiError(f"{path} is a folder where a file is to be written; choose another name")
    if path.exists() and not path.is_file():
        raise SansiError(f"{path} is a device or a pipe, which a file would replace; choose another name")
    check_above(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    drafts.clean_drafts(path.parent, settle, path)
    with draft_beside(path) as draft:
        try:
            yield draft
            if path.is_file():
                shutil.copymode(path, draft)
            _flush(draft)
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _umask() -> int:
    """What the user wants new files not to allow. Asked of the system where it tells: setting it is for all threads."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    except (OSError, StopIteration, ValueError):
        mask = os.umask(0o022)
        os.umask(mask)
        return mask


def _flush(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def write_json(path: Path, value: Any) -> None:
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


DAMAGED = "the file is damaged, copy or download it again"
WRITTEN = "correct it there"


def read_json(path: Path, advice: str = DAMAGED) -> Any:
    """The JSON value in `path`. Raises SansiError when the file is missing or is not JSON.

    advice: what to do about a file that is no JSON; WRITTEN for one that a person wrote.
    """
    path = Path(path)
    if not path.is_file():
        raise SansiError(f"{path}: no such file")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SansiError(f"{path}: not valid JSON ({json_fault(error)}); {advice}") from error
