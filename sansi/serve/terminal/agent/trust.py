"""Files that hold text of strangers, and taking one as the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sansi.agents.tainted_files import TaintedFiles
from sansi.base.errors import SansiError


def trust(paths: Sequence[Path]) -> Iterator[str]:
    """Take files, or all in folders, as the user's own; without any, tell which are not. A line each.

    Raises SansiError for one of which nothing is known.
    """
    files = TaintedFiles()
    if not paths:
        for each in files.all():
            yield f"{each.path}{'/ and all in it' * each.tree}  ({each.origin})"
        return
    for path in paths:
        if not path.exists():
            raise SansiError(f"{path} is not there", param="file")
        files.forget(path)
        yield f"{path}: taken as yours from now on"
