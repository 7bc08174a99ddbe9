"""What is computed from a body at once, without an answer of the model, such as the count of a prompt's tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sansi.chat import ChatModel
from sansi.serve.api.fields import Field
from sansi.serve.api.requests import Policy


class Asked(Protocol):
    """A checked body."""

    @property
    def model(self) -> str | None:
        """The name of a served model; None: the first."""


@dataclass(frozen=True)
class Computation:
    """A path, and a pair of functions."""

    name: str
    path: str
    fields: Mapping[str, Field]
    required: Sequence[str]
    parse: Callable[[Mapping[str, Any], Policy], Asked]
    """Raises SansiError, with `param`, for what is wrong with a body."""
    compute: Callable[[ChatModel, Any], Mapping[str, Any]]
    """Takes what `parse` gave; runs in a thread."""
    answer: Mapping[str, Any]
    """The JSON schema of the result."""
    error_schema: Mapping[str, Any] | None = None
    """As `Dialect.error_schema`."""
