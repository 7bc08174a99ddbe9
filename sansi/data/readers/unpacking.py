"""Compressed files as streams of bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import PurePath
from typing import IO, Any, cast

from sansi.base.errors import SansiError
from sansi.base.installing import install_command

ENDINGS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
# What the libraries raise for broken or cut files.
BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError)


def packing_of(name: str) -> str | None:
    """How a file is compressed, by its name; None: not at all."""
    return ENDINGS.get(PurePath(name).suffix.lower())


def without_packing(name: str) -> str:
    """The name that a file has once it is unpacked."""
    return name[: -len(PurePath(name).suffix)] if packing_of(name) else name


def open_unpacked(path: str) -> IO[bytes]:
    """The file's content, whatever it is compressed by. Reading raises one of `BROKEN` where it is damaged."""
    packing = packing_of(path)
    if packing is None:
        return open(path, "rb")
    if packing == "zstd":
        return cast(IO[bytes], _zstd(path))
    opened: Any = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}[packing]
    return cast(IO[bytes], opened(path, "rb"))


def _zstd(path: str) -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise SansiError(f"{path}: reading zstd needs pyarrow; run: {install_command('train')}") from error
    import io

    return io.BufferedReader(pyarrow.input_stream(path, compression="zstd"))
