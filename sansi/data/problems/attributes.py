"""What `module:attribute` and `file.py:attribute` name."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from sansi.base.errors import SansiError, did_you_mean

_PREFIX = "sansi_file_"  # and the path of a file in hexadecimal digits is the name of its module


def load_attribute(name: str) -> Any:
    """What `module:attribute` or `file.py:attribute` names. Raises SansiError that says what there is not."""
    module_name, _, attribute = name.rpartition(":")
    if not module_name or not all(part.isidentifier() for part in attribute.split(".")):
        raise SansiError(f'"{name}" is not of the form module:attribute', param="task")
    value: Any = _module(module_name, name)
    for part in attribute.split("."):
        if not hasattr(value, part):
            known = [word for word in vars(value) if not word.startswith("_")] if hasattr(value, "__dict__") else []
            raise SansiError(f'"{name}": {module_name} has no "{part}"{did_you_mean(part, known)}', param="task")
        value = getattr(value, part)
    return value


def _module(module_name: str, name: str) -> ModuleType:
    is_file = module_name.endswith(".py")
    if not is_file and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", module_name):
        raise SansiError(f'"{name}" is not of the form module:attribute', param="task")
    try:
        return _file_module(Path(module_name)) if is_file else _importable(module_name)
    except SansiError:
        raise
    except Exception as error:
        raise SansiError(f'"{name}": {module_name} can not be imported: {error!r}', param="task") from error


def _importable(module_name: str) -> ModuleType:
    """An installed module, or one in the current folder, which a command does not search by itself."""
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        here = Path(*module_name.split("."))
        if error.name != module_name.split(".")[0] or not (here.with_suffix(".py").is_file() or here.is_dir()):
            raise
    sys.path.append(str(Path.cwd()))
    importlib.invalidate_caches()
    return importlib.import_module(module_name)


def _file_module(path: Path) -> ModuleType:
    if not path.is_file():
        raise SansiError(f"there is no file {path}", param="task")
    return importlib.import_module(_PREFIX + os.fsencode(path.resolve()).hex())


class _Files(importlib.abc.MetaPathFinder):
    """Finds the modules that stand for files, so that pickle finds their objects in another process too."""

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith(_PREFIX):
            return None
        file = os.fsdecode(bytes.fromhex(name.removeprefix(_PREFIX)))
        return importlib.util.spec_from_file_location(name, file)


sys.meta_path.append(_Files())
