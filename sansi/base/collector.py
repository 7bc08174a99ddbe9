"""Python's collector of garbage, at rest while a program starts."""

from __future__ import annotations

import gc

_USUAL = gc.get_threshold()
_RESTING = 100_000, 50, 1000


def rest() -> None:
    """Let the collector look rarely, until `wake`. What imports and loading make stays: to look for garbage among it,
    again and again, is a tenth of a start. (Never would cost a megabyte.)"""
    gc.set_threshold(*_RESTING)


def wake() -> None:
    """The usual again."""
    if gc.get_threshold() == _RESTING:
        gc.set_threshold(*_USUAL)
