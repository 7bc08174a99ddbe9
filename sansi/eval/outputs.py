"""Where results go: looked at before anything is measured, because a measurement takes longer than its files."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sansi.base import SansiError
from sansi.base.files import write_text
from sansi.base.installing import install_command

LEAST_FREE = 20_000_000  # bytes that the files of a measurement may need


def check_output(out: str | Path, files: Sequence[str], needs_plot: bool = False) -> Path:
    """Make the folder and see that `files` can be written into it; what is there already stays until they are.

    Raises SansiError where it is a file, can not be made or written to, has no space left, or holds a folder of the
    name of a file, and where a plot is needed that nothing is installed for.
    """
    if not str(out):
        raise SansiError("out is empty; name a folder for the results", param="out")
    folder = Path(out)
    if needs_plot and importlib.util.find_spec("matplotlib") is None:
        raise SansiError(f"plots need matplotlib: {install_command('train')}", param="out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"written")
        free = shutil.disk_usage(folder).free
    except (FileExistsError, NotADirectoryError) as error:
        raise SansiError(f"{folder} can not be a folder: {error.filename or folder} is a file", param="out") from error
    except OSError as error:
        raise SansiError(f"{folder} can not be written to: {error.strerror or error}", param="out") from error
    if free < LEAST_FREE:
        needed = f"{LEAST_FREE / 1e6:.0f} MB"
        raise SansiError(f"{folder} has {free / 1e6:.1f} MB left; results need up to {needed}", param="out")
    if taken := [name for name in files if (folder / name).is_dir()]:
        raise SansiError(f"{folder / taken[0]} is a folder where a file is to be written; move it away", param="out")
    return folder


def write_records(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """A JSON object a line."""
    write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def save_figure(figure: Any, path: Path | str) -> None:
    """Write a matplotlib figure and close it. Raises SansiError for a path that no picture can be written to."""
    import matplotlib.pyplot as plt

    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except (OSError, ValueError) as error:  # ValueError: a kind of picture that there is not
        reason = getattr(error, "strerror", None) or error
        raise SansiError(f"the plot can not be written to {path}: {reason}", param="path") from error
    finally:
        plt.close(figure)
