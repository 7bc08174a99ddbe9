"""Source code: one document per file."""

from __future__ import annotations

from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records

NO_LIBRARY = frozenset(["__pycache__", "ensurepip", "idle_test", "pydoc_data", "site-packages", "test", "tests"])
"""Folders of the standard library whose files are not of it, or not written by hand, or tests."""


def read_python(part: PackagePart) -> Records:
    """Modules of Python."""
    for path, name in zip(part.files, part.paths, strict=True):
        if path.stat().st_size:
            yield text_record(name, read_text(path), "code", "python")
