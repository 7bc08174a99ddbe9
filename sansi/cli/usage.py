"""Mistakes of a command line that only its command can see, told as the command line's: with exit code 2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sansi.base.errors import SansiError


class CommandLineError(SansiError):
    """Options that are wrong, or do not go together."""


@contextlib.contextmanager
def command_line() -> Iterator[None]:
    """What is wrong in here is wrong with the command line. Raises CommandLineError for any SansiError."""
    try:
        yield
    except SansiError as error:
        raise CommandLineError(str(error), param=error.param) from error
