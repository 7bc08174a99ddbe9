"""From a file, a folder or a pattern to parts."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from sansi.base.errors import SansiError, did_you_mean
from sansi.data.parts import PART_BYTES, Part
from sansi.data.readers.fields import Fields
from sansi.data.readers.json_lines import json_lines_parts
from sansi.data.readers.parquet import parquet_parts
from sansi.data.readers.plain_files import file_parts
from sansi.data.readers.unpacking import without_packing
from sansi.data.readers.warc import warc_parts
from sansi.documents.docx import MEDIA_TYPE as DOCX
from sansi.documents.source_code import ENDINGS as CODE_ENDINGS
from sansi.documents.source_code import MEDIA_TYPE as SOURCE_CODE

_ENDINGS = {  # of file names, without what says how they are compressed
    "jsonl": (".jsonl", ".ndjson", ".jsonlines"),
    "parquet": (".parquet", ".pq"),
    "warc": (".warc", ".wet"),
    "text": (".txt", ".text", ".rst", ".adoc", ".org"),
    "markdown": (".md", ".markdown", ".mdx"),
    "html": (".html", ".htm", ".xhtml"),
    "man": tuple(f".{section}" for section in (*range(1, 10), "1p", "3p", "3pm", "3perl", "1ssl", "3ssl", "n", "l")),
    "pdf": (".pdf",),
    "docx": (".docx",),
    "code": CODE_ENDINGS,
}
_MEDIA_TYPES = {
    "text": "text/plain",
    "markdown": "text/markdown",
    "html": "text/html",
    "man": "text/troff",
    "pdf": "application/pdf",
    "docx": DOCX,
    "code": SOURCE_CODE,
}
FORMATS = ("jsonl", "parquet", "warc", "files", *_MEDIA_TYPES)
_KINDS = ("jsonl", "parquet", "warc")  # which hold many records in a file


def parts_of(
    path: str | Path | Sequence[str | Path],
    format: str | None = None,
    fields: Fields | None = None,
    part_bytes: int = PART_BYTES,
) -> list[Part]:
    """The parts of a file, of all files of a folder or of a pattern (`data/**/*.jsonl`), or of several of these.

    format: one of `FORMATS`; None: each file by its name. Of a folder it takes the files that have an ending of this
    format. Files are sorted by their names; hidden ones are no part of a folder. Raises SansiError where nothing is
    there to be read, and where no record of a file can have a text.
    """
    if format is not None and format not in FORMATS:
        raise SansiError(f'no format "{format}"{did_you_mean(format, FORMATS)}', param="format")
    files = _files([path] if isinstance(path, (str, Path)) else list(path), format)
    parts: list[Part] = []
    for kind, group in itertools.groupby(files, lambda entry: _kind(entry[0], format)):
        if kind == "files":
            parts += file_parts(list(group), _MEDIA_TYPES.get(format or ""), part_bytes)
        else:
            for file, label in group:
                parts += _split(kind, file, label, fields or Fields(), part_bytes)
    return parts


def format_of(name: str) -> str | None:
    """The format of files of this name, packed or not; None: nothing says that there is text in them."""
    ending = PurePath(without_packing(name)).suffix.lower()
    return next((format for format, endings in _ENDINGS.items() if ending in endings), None)


def _split(kind: str, file: Path, label: str, fields: Fields, part_bytes: int) -> Sequence[Part]:
    if kind == "warc":
        return warc_parts(file, label, part_bytes)
    return (json_lines_parts if kind == "jsonl" else parquet_parts)(file, label, part_bytes, fields)


def _kind(file: Path, format: str | None) -> str:
    """How a file is parted: "jsonl", "parquet", "warc" or "files"."""
    if format is not None:
        return format if format in _KINDS else "files"
    ending = PurePath(without_packing(file.name)).suffix.lower()
    return next((kind for kind in _KINDS if ending in _ENDINGS[kind]), "files")


def _files(named: Sequence[str | Path], format: str | None) -> list[tuple[Path, str]]:
    """Paths and names of all files, sorted. Of several paths the names begin with what tells these apart."""
    found: dict[str, tuple[Path, str]] = {}
    roots = [_root(str(path)) for path in named]
    common = Path(os.path.commonpath([os.path.abspath(root) for root in roots])) if roots else Path()
    for path in named:
        for file in _named_files(str(path), format):
            absolute = os.path.abspath(file)
            found.setdefault(absolute, (Path(absolute), Path(os.path.relpath(absolute, common)).as_posix()))
    if not found:
        raise SansiError("no file is named that could be read", param="path")
    return sorted(found.values(), key=lambda entry: entry[1])


def _root(path: str) -> str:
    """The folder that names begin below: a folder itself, that of a file, or of a pattern the part without signs."""
    if os.path.isdir(path):
        return path
    if os.path.exists(path) or not glob.has_magic(path):
        return os.path.dirname(path) or "."
    fixed = []
    for step in PurePath(path).parts[:-1]:
        if glob.has_magic(step):
            break
        fixed.append(step)
    return os.path.join(*fixed) if fixed else "."


def _named_files(path: str, format: str | None) -> list[str]:
    if os.path.isdir(path):
        return _folder_files(path, format)
    if os.path.exists(path):
        return [path]
    if not glob.has_magic(path):
        raise SansiError(f"{path}: no such file or folder", param="path")
    found = [file for file in glob.glob(path, recursive=True) if not os.path.isdir(file)]
    if not found:
        raise SansiError(f"{path}: no file matches this pattern", param="path")
    return found


def _folder_files(folder: str, format: str | None) -> list[str]:
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(place, name) for name in files if not name.startswith(".")]
    if not found:
        raise SansiError(f"{folder}: no files are in this folder", param="path")
    endings = _ENDINGS.get(format or "")
    fitting = [file for file in found if not endings or PurePath(without_packing(file)).suffix.lower() in endings]
    if not fitting and endings:
        told = f'{folder}: no file in it ends in {", ".join(endings[:6])}, as "{format}" does'
        raise SansiError(f"{told}; name the files by a pattern if they end otherwise", param="format")
    return fitting
