"""Seals: what this user's programs wrote on this machine is told from what others wrote or changed."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from functools import cache
from pathlib import Path

from sansi.base.state import state_folder

FILE = "seal.key"
LENGTH = 32  # hexadecimal digits of a seal
_OF_THIS_PROCESS = secrets.token_bytes(32)


def seal_of(data: bytes) -> str:
    """The seal of some bytes: HMAC-SHA-256 with a key of the user's, which is made when it is first wanted.

    Where the key can not be kept to the user alone, the seal holds as long as this process.
    """
    return hmac.new(seal_key(), data, hashlib.sha256).hexdigest()[:LENGTH]


def is_sealed(data: bytes, seal: object) -> bool:
    """Whether this is the seal of these bytes."""
    return isinstance(seal, str) and seal.isascii() and hmac.compare_digest(seal_of(data), seal)


def seal_key() -> bytes:
    return _key(state_folder() / FILE)


@cache
def _key(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        if not path.exists():
            _make(path)
        state = path.stat()
        if state.st_uid == os.geteuid() and not state.st_mode & 0o077 and state.st_size >= len(_OF_THIS_PROCESS):
            return path.read_bytes()
    return _OF_THIS_PROCESS


def _make(path: Path) -> None:
    """Whole, and only if there is none: of two processes that begin at once one wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{FILE}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
