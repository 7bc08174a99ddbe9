"""How people see a call: the thing itself, whole, with nothing in it that the eye would not see."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sansi.agents.observation import head_and_tail
from sansi.base import SansiError
from sansi.base.state import state_folder

LONGEST = 20_000  # characters; what is longer is in a file whole
FOLDER, KEPT_SECONDS = "shown", 7 * 86_400
_KEPT_NAME = re.compile(r"[0-9a-f]{64}\.txt")
_LAYOUT = "\n\t"
_PLAIN = re.compile(r"[^\x20-\x7e\n\t]")
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
_BLANK = {"\u00ad", "\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u2800", "\u3164", "\uffa0"}


class Showable(Protocol):
    """What is needed of a Tool."""

    @property
    def show(self) -> Callable[[Mapping[str, Any]], str] | None: ...


@dataclass(frozen=True)
class Shown:
    """A call as it is shown."""

    text: str
    whole: Path | None = None
    """The file with all of it, where it is too long to be shown."""
    cut: bool = False


def visible(text: str) -> str:
    """`text` with characters that hide or reorder others (controls, bidirectional marks, blanks of no width) spelled
    out, as `\\u202e`; line breaks and tabs stay."""
    return _PLAIN.sub(lambda found: _spelled(found[0]) if _is_hidden(found[0]) else found[0], text)


def shown_call(tool: Showable, arguments: Mapping[str, Any]) -> str:
    """The call as `Tool.show` shows it (a command, a diff, an address), else its arguments, one to a line."""
    return visible(_whole(tool, arguments))


def glanced_call(tool: Showable, arguments: Mapping[str, Any]) -> str:
    """The same in little room, for who looks on: its beginning and its end, where it is long."""
    return visible(head_and_tail(_whole(tool, arguments), LONGEST, "{cut} characters left out"))


def asked_call(tool: Showable, arguments: Mapping[str, Any]) -> Shown:
    """The same for a question: what is too long to be shown at once is in a file."""
    text = shown_call(tool, arguments)
    if len(text) <= LONGEST:
        return Shown(text)
    told, whole = "{cut} characters are not shown here", None
    try:
        whole = _kept(text)
    except OSError as error:
        told += f", and all of it could not be written to a file: {error}".replace("{", "{{").replace("}", "}}")
    return Shown(head_and_tail(text, LONGEST, told), whole, True)


def shown_file(name: str) -> Path | None:
    """The file of this name among those that `asked_call` has written; None: there is none."""
    path = state_folder() / FOLDER / name
    return path if _KEPT_NAME.fullmatch(name) and path.is_file() else None


def _whole(tool: Showable, arguments: Mapping[str, Any]) -> str:
    if tool.show is None:
        return _plain(arguments)
    try:
        return str(tool.show(arguments))
    except Exception as error:  # what cannot be shown is shown as it was written, and the user is told
        return f"{_plain(arguments)}\n(it could not be shown better: {error})"


def _kept(text: str) -> Path:
    """A file with the text, for its owner alone; those of last week go."""
    data = text.encode("utf-8", "replace")
    folder = state_folder() / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in folder.glob("*.txt"):
        with contextlib.suppress(OSError):
            if old.stat().st_mtime < time.time() - KEPT_SECONDS:
                old.unlink()
    path = folder / f"{hashlib.sha256(data).hexdigest()}.txt"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    return path


def _plain(arguments: Mapping[str, Any]) -> str:
    lines = []
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        lines.append(f"{name}: {text}" if "\n" not in text else f"{name}:\n{text}")
    return "\n".join(lines) or "(no arguments)"


def _is_hidden(character: str) -> bool:
    if character.isascii():
        return not character.isprintable() and character not in _LAYOUT
    return unicodedata.category(character) in _HIDDEN or character in _BLANK


def _spelled(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def not_asked(error: BaseException) -> str:
    """Why a call was not made, where whoever was to be asked could not be asked."""
    said = visible(str(error)).strip() or "it gave no reason"
    kind = "" if isinstance(error, SansiError) else f"{type(error).__name__}: "
    return f"nobody could be asked whether this call may be made, so it was not made ({kind}{said:.300})"
