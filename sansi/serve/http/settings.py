"""What the operator of a server decides: who may ask, how much, how long, and what is written down."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sansi.base.config import Config
from sansi.base.errors import SansiError
from sansi.serve.api.requests import LAX, Policy

SMALLEST_LIMIT, BYTES_PER_TOKEN, LARGEST_LIMIT = 2**20, 64, 16 * 2**20
MIN_KEY = 16  # characters; a shorter one can be guessed over the network


class Keys:
    """API keys. Only their hashes are kept, so that no log or traceback can show one."""

    def __init__(self, keys: Iterable[str]):
        self._hashes = [hashlib.sha256(key.encode()).digest() for key in keys]

    def __len__(self) -> int:
        return len(self._hashes)

    def number_of(self, given: bytes) -> int | None:
        """Which key it is, from 1; None for none. Takes as long for a right one as for a wrong one."""
        hashed, found = hashlib.sha256(given).digest(), 0
        for number, known in enumerate(self._hashes, 1):  # no early end: the time must not tell how far it came
            found |= number * hmac.compare_digest(known, hashed)
        return found or None


def read_keys(file: str | None = None, variable: str | None = None) -> Keys | None:
    """The keys in a file (one a line, # begins a comment) and in an environment variable (commas or lines between).

    None when neither is named. Raises SansiError when one is named and holds no key, or one too short to be safe.
    """
    keys: list[str] = []
    if file is not None:
        keys += _checked(_lines_of(file), f"the key file {file}")
    if variable is not None:
        if variable not in os.environ:
            raise SansiError(f"the environment variable {variable} is not set", param="api_key_env")
        keys += _checked(os.environ[variable].replace(",", "\n").splitlines(), f"the environment variable {variable}")
    return None if file is None and variable is None else Keys(dict.fromkeys(keys))


def who_may_ask(
    key_file: str | None, key_variable: str | None, hosts: Iterable[str] | None, origins: Iterable[str] | None
) -> dict[str, Any]:
    """Those fields of ServerSettings from the options of a command. Raises SansiError as `read_keys` does."""
    return {
        "keys": read_keys(key_file, key_variable),
        "hosts": tuple(host.lower() for host in hosts) if hosts else None,
        "origins": tuple(origin.rstrip("/").lower() for origin in origins or ()),
    }


def _lines_of(file: str) -> list[str]:
    try:
        return [line.partition("#")[0] for line in Path(file).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SansiError(f"the key file {file} can not be read: {error}", param="api_key_file") from error


def _checked(lines: list[str], where: str) -> list[str]:
    keys = [line.strip() for line in lines if line.strip()]
    if not keys:
        raise SansiError(f"{where} holds no key")
    for number, key in enumerate(keys, 1):  # by number: a message must not show a key
        if len(key) < MIN_KEY or not key.isascii() or any(c.isspace() for c in key):
            raise SansiError(
                f"{where}: key {number} must be {MIN_KEY} or more ASCII characters without spaces; "
                "one can be made with: openssl rand -hex 24"
            )
    return keys


def body_limit(context_length: int) -> int:
    """Bytes of the largest body that can be of use: what a context holds, several times over, and room for batches."""
    return min(SMALLEST_LIMIT + BYTES_PER_TOKEN * context_length, LARGEST_LIMIT)


@dataclass(frozen=True)
class ServerSettings(Config):
    """Limits and policy of one server. Times in seconds, sizes in bytes."""

    keys: Keys | None = field(default=None, repr=False)
    """Who may ask; None: everybody."""
    hosts: tuple[str, ...] | None = None
    """Names that a request may call this server by (its Host header), without port; None: any."""
    any_address: bool = False
    """Any IP address is such a name too: no page can make a browser call its victim by one that is not the page's."""
    origins: tuple[str, ...] = ()
    """Web pages of other origins ("https://example.com") that may use the API from a browser; "*": all."""
    max_body: int | None = None
    """Largest request body; None: by the largest context that is served, see `body_limit`."""
    max_bodies: int = 256 * 2**20
    """All request bodies that are being read, together."""
    body_timeout: float = 30
    """Longest time that a request body may take to arrive."""
    max_queue: int = 64
    """Requests that may wait for a model, beyond those that it runs."""
    timeout: float | None = 600
    """Longest time for one request, its wait in the queue included; None: no limit."""
    grace: float = 30
    """How long running requests may take to end once the server is told to stop."""
    policy: Policy = LAX
    """How requests are read."""
    log_text: bool = False
    """Write what was asked and answered into the log."""

    def problems(self) -> list[str]:
        positive = ("max_body", "max_bodies", "body_timeout", "timeout")
        found = [f'"{n}" must be above 0, not {v}' for n in positive if (v := getattr(self, n)) is not None and v <= 0]
        return found + [
            f'"{n}" must be 0 or more, not {v}' for n in ("max_queue", "grace") if (v := getattr(self, n)) < 0
        ]
