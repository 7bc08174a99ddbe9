"""Files that are either whole or absent."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`; on success it takes the place of `target`, on failure it vanishes.

    The files are on the disk before they get their place, so that neither a killed process nor a lost machine leaves a
    folder that looks whole and is not. A killed process may leave hidden folders `.<name>.*`, which nothing reads: a
    draft, and if it died between the two renames the old folder.
    """
    target = Path(target)
    if target.exists() and not target.is_dir():
        raise SansiError(f"{target} is a file where a folder is to be written; move it away or choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    old = draft.with_name(draft.name + ".old")
    try:
        mask = _umask()
        draft.chmod(0o777 & ~mask)
        yield draft
        for file in filter(Path.is_file, draft.rglob("*")):
            file.chmod(0o666 & ~mask)  # libraries that write through a temporary file leave it to its owner alone
            _flush(file)
        if target.exists():
            os.replace(target, old)
        os.replace(draft, target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Delete a folder so that it is at no moment there in part: it is hidden first."""
    folder = Path(folder)
    hidden = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    os.replace(folder, hidden / folder.name)
    shutil.rmtree(hidden)


def write_text(path: Path, text: str) -> None:
    """Write a file that a crash can not leave half-written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        draft.write_text(text, encoding="utf-8")
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
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


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
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SansiError(f"{path}: not valid JSON ({error}); {advice}") from error
