"""The errors that a user can cause. Everything else is a bug and fails an `assert`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_COMPARED = 64  # characters of a name
MOST_COMPARED, MOST_SHOWN = 500, 80  # names


class SansiError(ValueError):
    """Bad input from a user: the message says what was wrong, where, and what to do."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None):
        super().__init__(message)
        self.code = code  # a word for programs, where one has been agreed upon
        self.param = param  # the request field or configuration key at fault, for callers that report it separately


class ConfigError(SansiError):
    """One or more configuration values are wrong; all of them are listed in the one message."""

    def __init__(self, where: str, problems: Iterable[str], *, a_line_each: bool = False):
        """a_line_each: several problems stand in lines of their own, for a file that a person goes through."""
        self.problems = list(problems)
        if a_line_each and len(self.problems) > 1:
            super().__init__("\n".join([f"{where}: {len(self.problems)} problems", *(f"  {p}" for p in self.problems)]))
        else:
            super().__init__(f"{where}: " + "; ".join(self.problems))


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """'; did you mean "x"?' for the nearest known word, or the list of all of them when none is near."""
    known = sorted(known)
    if near := nearest(str(word), known):
        return f'; did you mean "{near}"?'
    shown = [name[:LONGEST_COMPARED] for name in known[:MOST_SHOWN]]
    more = f" and {len(known) - MOST_SHOWN} more" if len(known) > MOST_SHOWN else ""
    return f"; known: {', '.join(shown) or 'none'}{more}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, if any is much like it."""
    if len(word) > LONGEST_COMPARED:
        return None
    # Comparing takes the product of the lengths, and a message is for people: long words and lists are left out.
    nearby = [name for name in sorted(known)[:MOST_COMPARED] if len(name) <= LONGEST_COMPARED]
    return next(iter(difflib.get_close_matches(word, nearby, n=1)), None)
