"""Where something is asked for over HTTP, and how it is loaded when somebody asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sansi.serve.api.computation import Computation
from sansi.serve.api.dialect import Dialect

T = TypeVar("T", Dialect, Computation)


@dataclass(frozen=True)
class Place(Generic[T]):
    """A path, and what answers there. It is loaded when somebody asks: most servers hear one or two dialects."""

    name: str
    path: str
    load: Callable[[], T]
    """Called with every request."""


def loaded(one: T) -> Place[T]:
    """The place of what every server needs."""
    return Place(one.name, one.path, lambda: one)
