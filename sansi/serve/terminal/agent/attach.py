"""A file of the user's where the model's code can open it: a copy in the working folder of `code_interpreter`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.base.sizes import size_text
from sansi.serve.terminal.agent.placed import placed

TOOL = "code_interpreter"
MOST_BYTES = 256 * 2**20


def attach(file: str | Path, folder: Path, tools: Collection[str]) -> str:
    """Copy `file` into the code's folder of a conversation, whose own is `folder`; what to tell the model of it.

    Nothing is replaced there: a name that is taken gets a number. Raises SansiError for what is no file, too large or
    can not be read, and where no tool runs code.
    """
    if TOOL not in tools:
        raise SansiError(f"a file is attached for the model's code: start with --tools {TOOL}", param="attach")
    path = Path(file).expanduser()
    try:
        if not path.is_file():
            raise SansiError(f"{path}: there is no such file to attach", param="attach")
        if (size := path.stat().st_size) > MOST_BYTES:
            told = f"{path} has {size_text(size)}, and {size_text(MOST_BYTES)} can be attached"
            raise SansiError(f"{told}; share its folder with --folder, which the code may read", param="attach")
        with path.open("rb") as source:
            name = placed(source, folder / TOOL, path.name).name
    except OSError as error:
        raise SansiError(f"{path} can not be attached: {error.strerror or error}", param="attach") from error
    return f"[Attached: {name} ({size_text(size)}), in the working folder of {TOOL}]"
