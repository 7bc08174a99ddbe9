"""The errors that a user can cause. Everything else is a bug and fails an `assert`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SansiError(ValueError):
    """Bad input from a user: the message says what was wrong, where, and what to do."""

    def __init__(self, message: str, *, param: str | None = None):
        super().__init__(message)
        self.param = param  # the request field or configuration key at fault, for callers that report it separately


class ConfigError(SansiError):
    """One or more configuration values are wrong; all of them are listed in the one message."""

    def __init__(self, where: str, problems: Iterable[str]):
        self.problems = list(problems)
        super().__init__(f"{where}: " + "; ".join(self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'; did you mean "x"?' for the nearest known word, or the list of all of them when none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f'; did you mean "{near[0]}"?' if near else f"; known: {', '.join(known) or 'none'}"
