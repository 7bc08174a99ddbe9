"""Source code: one document per file."""

from __future__ import annotations

from sansi.data.packages.held_out import is_held_out
from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records
from sansi.documents.source_code import programming_language

NO_LIBRARY = frozenset(["__pycache__", "ensurepip", "idle_test", "pydoc_data", "site-packages", "test", "tests"])
"""Folders of the standard library whose files are not of it, or not written by hand, or tests."""


def read_code(part: PackagePart) -> Records:
    """Files of source code, in whichever language their names tell."""
    for path, name in zip(part.files, part.paths, strict=True):
        language = programming_language(name)
        if language and path.stat().st_size:
            yield text_record(name, read_text(path), "code", language, held_out=is_held_out(name))


def read_python(part: PackagePart) -> Records:
    """Modules of Python."""
    for path, name in zip(part.files, part.paths, strict=True):
        if path.stat().st_size:
            yield text_record(name, read_text(path), "code", "python")
