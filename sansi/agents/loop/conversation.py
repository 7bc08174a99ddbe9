"""What an agent keeps of a conversation between its runs: an id, a folder, and whether strangers had a word."""

from __future__ import annotations

import secrets
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sansi.agents.tools.read_result import RESULTS
from sansi.base import SansiError
from sansi.base.files import as_path
from sansi.text import Message

MAX_KNOWN = 256


@dataclass
class Conversation:
    """One conversation; tools keep their state by its id."""

    id: str
    root: Path
    tainted: bool = False
    messages: tuple[Message, ...] = ()
    """As its last run left it."""
    saved: int = 0
    """Files of whole texts so far."""

    @property
    def has_results(self) -> bool:
        """Whether whole texts are there, which may be of a run before a restart."""
        return self.saved > 0 or (self.root / self.id / RESULTS).is_dir()

    @property
    def folder(self) -> Path:
        folder = self.root / self.id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder


@dataclass
class Conversations:
    """Those of one agent. A run whose messages go on from where a former run ended is of the same conversation."""

    folder: Path | None = None
    _known: OrderedDict[str, Conversation] = field(default_factory=OrderedDict)
    _temporary: tempfile.TemporaryDirectory[str] | None = None

    def of(self, messages: Sequence[Message], id: str | None = None) -> Conversation:
        """By its id, or else by its messages; a new one where neither is known."""
        if id is not None and (not id or not all(char.isalnum() or char in "-_." for char in id) or id[0] == "."):
            raise SansiError(f'conversation "{id}" must be letters, digits, "-", "_" or "."', param="conversation")
        found = self._known.get(id) if id is not None else self._continued(tuple(messages))
        if found is None:
            found = Conversation(id or f"conversation-{secrets.token_hex(6)}", self._root())
        self._known[found.id] = found
        self._known.move_to_end(found.id)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return found

    def _continued(self, messages: tuple[Message, ...]) -> Conversation | None:
        for known in reversed(self._known.values()):
            if known.messages and messages[: len(known.messages)] == known.messages:
                return known
        return None

    def _root(self) -> Path:
        if self.folder is not None:
            return as_path(self.folder)
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="sansi-agent-", ignore_cleanup_errors=True)
        return Path(self._temporary.name)
