"""`.sansi.json`: which files of a folder Sansi wrote, so that nobody else's are replaced or deleted with it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MARKER = ".sansi.json"
DIGESTED_BYTES = 1 << 20
"""Files up to this size are known by their content, larger ones (weights) by their size alone."""
_NOBODYS = frozenset({MARKER, ".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that the marker does not name and that hold nothing of anybody's."""

Entries = Mapping[str, Any]
"""What is known of each file, by its path inside the folder."""


def entry_names(folder: Path) -> list[str]:
    """The files, links and special files below `folder`, by their paths inside it; no link is followed."""
    found: list[str] = []
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        found += [os.path.relpath(os.path.join(root, name), folder) for name in (*files, *links)]
    return sorted(name for name in found if name != MARKER)


def describe(file: Path) -> dict[str, Any]:
    """What tells whether a file is still the one that was written."""
    if file.is_symlink():
        return {"link": os.readlink(file)}
    if not file.is_file():
        return {"special": True}
    size = file.stat().st_size
    if size > DIGESTED_BYTES:
        return {"bytes": size}
    return {"bytes": size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def marker_of(entries: Entries) -> dict[str, Any]:
    """What the marker of a folder with these files says."""
    return {"files": dict(sorted(entries.items()))}


def read_marker(folder: Path) -> dict[str, Any] | None:
    """The entries of a folder that Sansi wrote; None for any other, a damaged marker included."""
    try:
        files = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return files if isinstance(files, dict) else None


def others_files(folder: Path) -> list[str]:
    """The files in `folder` that Sansi did not write, or that were changed since it did."""
    entries = read_marker(folder) or {}
    names = [name for name in entry_names(folder) if not _is_nobodys(os.path.basename(name))]
    return [name for name in names if name not in entries or not _is_still(folder / name, entries[name])]


def _is_still(file: Path, entry: Any) -> bool:
    try:
        return describe(file) == entry
    except OSError:  # it can not even be read
        return False


def _is_nobodys(name: str) -> bool:
    return name in _NOBODYS or name.startswith(".nfs")  # what NFS keeps of a deleted file that is still open


def shown(names: Iterable[str]) -> str:
    """A few names for a message, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more
