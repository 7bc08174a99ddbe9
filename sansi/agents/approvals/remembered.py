"""What a user approved for always, in a file of the user's: rules by hand, approvals and definitions by Sansi."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from sansi.agents.approvals.definitions import change_of, definition_of, fingerprint_of, key_of
from sansi.agents.approvals.rules import VERDICTS, Described, Rule
from sansi.agents.approvals.scope import EVERY, Scope
from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.base.files import WRITTEN, as_path, check_above, read_json, write_json

FORMAT = 1
_LISTS = (*VERDICTS, "approved")


@dataclass(frozen=True)
class Approved:
    """One tool that the user approved, or its calls with certain arguments."""

    key: str
    fingerprint: str
    scope: Scope = EVERY

    def __str__(self) -> str:
        call = f", with {self.scope.exact}" if self.scope.exact is not None else ""
        return f"{self.key}: {self.scope.told(self.key.rpartition('/')[2])}{call}"

    def covers(self, fingerprint: str, tool: Described, arguments: Mapping[str, Any]) -> bool:
        return self.fingerprint == fingerprint and self.scope.covers(tool, arguments)


@dataclass
class Remembered:
    """The file, which is read at once and written at each approval; without a path it lasts as long as the object.

    Its keys: "format", "always", "ask" and "never" (lists of rules, for people to write), "approved" and "definitions"
    (written by Sansi). Two sessions may share it. Raises SansiError for a file that is something else; it is then left
    as it is.
    """

    path: Path | None = None
    rules: tuple[Rule, ...] = field(init=False, default=())
    approved: list[Approved] = field(init=False, default_factory=list)
    definitions: dict[str, dict[str, Any]] = field(init=False, default_factory=dict)
    """The definition of each approved tool, by where it comes from and its name there."""

    def __post_init__(self) -> None:
        if self.path is not None:
            self.path = as_path(self.path, "the file of approvals").expanduser()
            check_above(self.path)
            self._read()

    def is_approved(self, tool: Described, arguments: Mapping[str, Any]) -> bool:
        fingerprint = fingerprint_of(definition_of(tool))
        return any(approved.covers(fingerprint, tool, arguments) for approved in self.approved)

    def change_of(self, tool: Described) -> str:
        """What changed in a definition since it was approved, by lines; empty where nothing did, or none was."""
        return change_of(tool, self.definitions.get(key_of(tool)))

    def for_others(self) -> Remembered:
        """The same rules, and no approvals, for somebody else; in no file."""
        made = Remembered()
        made.rules = self.rules
        return made

    def approve(self, tool: Described, scope: Scope = EVERY) -> None:
        """Approve a tool as it is now, for always; its earlier definition no longer counts."""
        definition = definition_of(tool)
        new = Approved(key_of(tool), fingerprint_of(definition), scope)
        with self._changing():
            kept = [old for old in self.approved if (old.key, old.fingerprint) == (new.key, new.fingerprint)]
            others = [old for old in self.approved if old.key != new.key]
            self.approved = [*others, *(old for old in kept if old != new), new]
            self.definitions[new.key] = definition

    def reread(self) -> None:
        """The file as it is now: another session may have written to it. Raises SansiError as at first."""
        if self.path is not None:
            self._read()

    def forget(self, approved: Approved) -> None:
        """Ask again from now on about what it covered. The tool's definition stays, so that a change of it is seen."""
        with self._changing():
            self.approved = [each for each in self.approved if each != approved]

    def note(self, tool: Described) -> None:
        """Remember the definition under which a tool first ran, so that a change of it is seen."""
        key = key_of(tool)
        if key not in self.definitions:
            self.definitions[key] = definition_of(tool)
            with self._changing():
                self.definitions.setdefault(key, definition_of(tool))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Change the file as it is now: another session may have written to it."""
        if self.path is None:
            yield
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            self._read()
            yield
            write_json(self.path, self.to_json())

    @classmethod
    def from_json(cls, saved: Any) -> Remembered:
        """What `to_json` wrote, without a file. Raises SansiError for anything else."""
        made = cls()
        made._take(saved, "what is remembered")
        return made

    def to_json(self) -> dict[str, Any]:
        rules: dict[str, Any] = {v: [str(rule) for rule in self.rules if rule.verdict == v] for v in VERDICTS}
        approved = [
            {"tool": a.key, "fingerprint": a.fingerprint, "arguments": a.scope.to_json()} for a in self.approved
        ]
        return {"format": FORMAT, **rules, "approved": approved, "definitions": self.definitions}

    def _read(self) -> None:
        assert self.path is not None
        if not self.path.exists():
            return
        self._take(read_json(self.path, WRITTEN), str(self.path))

    def _take(self, saved: Any, where: str) -> None:
        if not isinstance(saved, dict):
            raise SansiError(f"{where}: an object of lists of rules is expected, not {type(saved).__name__}")
        for key in saved:
            if key not in ("format", "definitions", *_LISTS):
                raise SansiError(f'{where}: unknown key "{key:.60}"{did_you_mean(key, ("definitions", *_LISTS))}')
        if saved.get("format", FORMAT) != FORMAT:
            raise SansiError(f"{where}: format is {saved['format']!r:.60}; this version of Sansi reads {FORMAT}")
        for name in _LISTS:
            if not isinstance(saved.get(name, []), list):
                raise SansiError(f'{where}: "{name}" must be a list; {WRITTEN}')
        try:
            self.rules = tuple(Rule.parse(v, text) for v in VERDICTS for text in saved.get(v, ()))
            self.approved = [
                Approved(a["tool"], a["fingerprint"], Scope.from_json(a["arguments"]))
                for a in saved.get("approved", ())
            ]
            self.definitions = {key: dict(value) for key, value in saved.get("definitions", {}).items()}
        except SansiError as error:
            raise SansiError(f"{where}: {error}", param=error.param) from error
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise SansiError(
                f'{where}: "approved" or "definitions" is not what Sansi wrote ({error!r:.100})'
            ) from error
