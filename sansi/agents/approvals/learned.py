"""What the answers of a session came to: what is approved, which values were seen, how tools were defined then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sansi.agents.approvals.scope import Scope
from sansi.base import SansiError


@dataclass
class Learned:
    """What the answers of a session came to; runs side by side share it."""

    session: list[tuple[str, Scope]] = field(default_factory=list)
    """Fingerprints of definitions, and what of their tools is approved."""
    values: list[tuple[str, str]] = field(default_factory=list)
    """Values that were seen and approved, by the fingerprint of the tool's definition."""
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of the tools that are approved for the session, by where they come from and their name there."""
    refused: int = 0
    """In a row."""

    def to_json(self, definitions: bool = True) -> dict[str, Any]:
        """definitions: with those of the tools, which are long."""
        saved: dict[str, Any] = {
            "session": [[known, scope.to_json()] for known, scope in self.session],
            "values": [list(kept) for kept in self.values],
            "refused": self.refused,
        }
        return saved | ({"definitions": dict(self.definitions)} if definitions else {})

    def add(self, saved: Mapping[str, Any]) -> None:
        """Add what `to_json` wrote. Raises SansiError for anything else, and adds nothing of it then."""
        try:
            session = [(str(f), Scope.from_json(covered)) for f, covered in saved["session"]]
            definitions = {str(key): dict(value) for key, value in saved.get("definitions", {}).items()}
            values, refused = [(str(f), str(value)) for f, value in saved["values"]], int(saved["refused"])
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise SansiError(f"these are no saved approvals ({error!r:.100})", param="approvals") from error
        self.session += [kept for kept in session if kept not in self.session]
        self.definitions |= definitions
        self.values += [kept for kept in values if kept not in self.values]
        self.refused = refused
