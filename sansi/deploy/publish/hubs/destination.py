"""What every hub can do, and the words for what goes wrong on the way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sansi.base.errors import SansiError

AGAIN = "start the same command again: what has arrived is not sent twice"


@dataclass(frozen=True)
class Upload:
    """What goes up, all in one folder."""

    name: str
    folder: Path
    licence: str | None
    private: bool
    """Of a repository that is new."""
    message: str
    notes: Path
    """A file in which a client notes what has arrived, for the next try."""


class Destination(Protocol):
    """A hub that takes models. Every method may ask the network, and raises SansiError."""

    title: str
    endpoint: str

    def check_access(self) -> None:
        """Raise SansiError where there is no token, before anything is sent."""

    def exists(self, name: str) -> bool:
        """Whether there is a model of that name, as far as this token may see."""

    def upload(self, upload: Upload) -> str:
        """Make the repository where there is none, and send the files; the address of its page."""


def no_token(title: str, sign_in: str) -> SansiError:
    return SansiError(f"there is no token for {title}: {sign_in}", code="no_token")


def refused(name: str, endpoint: str, sign_in: str, status: int | None = None) -> SansiError:
    """For a token that may not."""
    told = f"{endpoint} does not let you write to {name}{f' ({status})' if status else ''}"
    return SansiError(f"{told}; sign in as its owner, with a token that may write: {sign_in}", code="refused")


def broken_off(name: str, endpoint: str, why: str) -> SansiError:
    """For a network that is away, or goes away."""
    return SansiError(f"{name}: {endpoint} can not be reached, or broke off ({why}); {AGAIN}", code="hub_offline")


def turned_down(name: str, endpoint: str, why: str) -> SansiError:
    """For what a hub does not take."""
    return SansiError(f"{name}: {endpoint} did not take it ({why}); put that right, then {AGAIN}", code="turned_down")


def first_line(error: BaseException) -> str:
    """What an error says, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"\[Errno -?\d+\] ", "", lines[0])[:200] if lines else type(error).__name__
