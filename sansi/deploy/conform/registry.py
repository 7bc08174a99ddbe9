"""What a check is, and all of them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sansi.deploy.conform.endpoint import Answer
from sansi.deploy.conform.probe import Probe


class Failed(Exception):
    """A check that does not hold: a sentence, and what was seen."""

    def __init__(self, words: str, *evidence: Any):
        super().__init__(words)
        self.evidence = evidence


class NotOffered(Exception):
    """What a check is about is not there, and the server says so; or it can not be seen from outside."""


def offered(found: Answer) -> Answer:
    """The answer. Raises NotOffered where the server has refused to give one."""
    if found.is_refused:
        raise NotOffered(f"refused with status {found.status}")
    return found


@dataclass(frozen=True)
class Check:
    """One thing that has to hold."""

    name: str
    title: str
    run: Callable[[Probe], str | None]
    """Returns what was seen, in a few words; raises Failed or NotOffered."""


CHECKS: dict[str, Check] = {}


def check(name: str, title: str) -> Callable[[Callable[[Probe], str | None]], Callable[[Probe], str | None]]:
    """Enter a function into the suite."""

    def enter(run: Callable[[Probe], str | None]) -> Callable[[Probe], str | None]:
        assert name not in CHECKS
        CHECKS[name] = Check(name, title, run)
        return run

    return enter
