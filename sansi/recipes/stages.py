"""What a stage is: its kind, what it reads, and what its function is given to work with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sansi.base.config import Config
from sansi.data.problems import Problem

Result = Literal[
    "corpus", "tokenizer", "tokens", "weights", "mixture", "problems", "samples", "model", "evaluation", "file"
]
"""What a stage leaves, and what an input has to be."""


@dataclass(frozen=True)
class Role:
    """One of the inputs of a kind."""

    about: str
    """What it is for."""
    accepts: tuple[Result, ...]
    """What may be given."""
    many: bool = False
    """Several may be given, as a list."""
    optional: bool = False


@dataclass(frozen=True)
class Given:
    """An input as it was found on the disk."""

    name: str
    """The stage's name, or the path or hub name that the recipe gives."""
    path: Path
    """What is read: of a training stage its last checkpoint."""
    folder: Path | None = None
    """The folder of the stage that made it; None for what no stage of this recipe made."""

    @property
    def origin(self) -> Path:
        """Where records of its making lie, if there are any."""
        return self.folder or self.path


class Inputs:
    """The inputs of a stage by role."""

    def __init__(self, given: Mapping[str, Sequence[Given]]):
        self.given = given

    def __getitem__(self, role: str) -> Path:
        """The one input of a role."""
        (item,) = self.given[role]
        return item.path

    def __contains__(self, role: object) -> bool:
        return bool(self.given.get(role))  # type: ignore[call-overload]

    def get(self, role: str) -> Path | None:
        given = self.all(role)
        return given[0].path if given else None

    def all(self, role: str) -> list[Given]:
        """Every input of a role, in the recipe's order; none where it was left out."""
        return list(self.given.get(role, ()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)


@dataclass
class StageRun:
    """Where a stage works, and what it may say of itself."""

    path: Path
    """The folder that it fills."""
    home: Path
    """Where that folder will stand once it is whole; the same for a stage that works in its place."""
    name: str
    seed: int
    """The recipe's: of weights and of the order of batches."""
    device: str = "cpu"
    """Where models compute."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Of what it reads, by role and name."""
    facts: dict[str, Any] = field(default_factory=dict)
    base: Path = Path()
    """Where paths in the recipe begin: the folder of its file."""

    def record(self, **facts: Any) -> None:
        """Put numbers into the stage's record: tokens, documents, samples."""
        self.facts |= facts

    def say(self, text: str) -> None:
        print(f"   {text}", flush=True)


@dataclass(frozen=True)
class Estimate:
    """What a stage will take, as far as that can be known before it runs. Every number is about right, no more."""

    what: str = ""
    """Its size in words: steps, rows, documents."""
    count: int | None = None
    """Problems or samples."""
    tokens: int | None = None
    seconds: float | None = None
    memory: int | None = None
    """Peak bytes beyond what the process takes without it."""
    disk: int | None = None
    """Bytes that stay."""


@dataclass(frozen=True)
class Kind:
    """A kind of stage."""

    name: str
    about: str
    """What it does, in a line."""
    config: type[Config]
    """Its own fields."""
    make: Callable[[Any, Inputs, StageRun], Path]
    """Does the work in `run.path` and returns the folder of the result, which is that one or lies in it."""
    gives: Result
    inputs: Mapping[str, Role]
    resumes: bool = False
    """Works in its folder and goes on there after a kill; the folder of any other kind appears whole or not at all."""
    seeded: bool = False
    """The recipe's seed makes a difference to it."""
    check: Callable[[Any, Mapping[str, tuple[str, ...]]], list[str]] = lambda config, inputs: []
    """What does not fit together in a configuration and the names of its inputs."""
    judged: Callable[[Any, Inputs], Iterable[Problem]] | None = None
    """Problems that have all the verifiers which judge answers in it: their code is one of its inputs, too."""
    estimate: Callable[[Any, Mapping[str, Estimate]], Estimate] = lambda config, before: Estimate()


@dataclass(frozen=True)
class Stage:
    """A stage of a recipe, checked."""

    name: str
    kind: Kind
    config: Config
    inputs: dict[str, tuple[str, ...]]
    """By role: names of earlier stages, absolute paths, or names of a hub's models."""
