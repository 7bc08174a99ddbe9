"""What is given as a model: a folder, or a file of a format that has the whole model in one."""

from __future__ import annotations

from pathlib import Path

from sansi.base.errors import SansiError
from sansi.base.files import as_path
from sansi.model.formats.files import model_name
from sansi.model.formats.folders import find_gguf, model_folder


def named_folder(path: str | Path) -> tuple[Path, str]:
    """The folder that is read for a model, and what the model is called. Raises SansiError where there is none."""
    folder = as_path(path, "a model folder")
    if find_gguf(folder):
        folder = model_folder(folder)
    if not folder.is_dir():
        raise SansiError(f"{folder}: no such folder; give the path of a model folder or of a GGUF file", param="model")
    return folder, model_name(folder)
