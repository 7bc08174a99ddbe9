"""Digests of what lies on the disk."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, hexadecimal; it is read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def bytes_hash64(data: bytes) -> int:
    """64 bits of some bytes (BLAKE2b), the same on every machine, for choices and keys."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
