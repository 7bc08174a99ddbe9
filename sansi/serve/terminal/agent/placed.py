"""Files put into a folder that code may have written to as well: nothing in it is replaced, and no link followed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import BinaryIO

from sansi.base.errors import SansiError

MOST_OF_A_NAME = 10_000


def placed(source: BinaryIO, folder: Path, name: str) -> Path:
    """What `source` has, as a file of that name in `folder`, which is made; a name that is taken gets a number."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    plain = re.sub(r"[^\w.-]+", "_", Path(name).name).lstrip(".") or "file"
    stem, suffix = os.path.splitext(plain)
    for number in range(1, MOST_OF_A_NAME):
        path = folder / (plain if number == 1 else f"{stem}-{number}{suffix}")
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        try:
            with os.fdopen(handle, "wb") as copy:
                shutil.copyfileobj(source, copy)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path
    raise SansiError(f"there are too many files called {plain}; rename it")
