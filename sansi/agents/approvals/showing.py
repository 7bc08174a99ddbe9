"""How a question shows a call: the thing itself, whole, with nothing in it that the eye would not see."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from sansi.agents.approvals.rules import Described

_LAYOUT = "\n\t"
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
_BLANK = {"\u00ad", "\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u2800", "\u3164", "\uffa0"}


def visible(text: str) -> str:
    """`text` with characters that hide or reorder others (controls, bidirectional marks, blanks of no width) spelled
    out, as `\\u202e`; line breaks and tabs stay."""
    return "".join(_spelled(character) if _is_hidden(character) else character for character in text)


def shown_call(tool: Described, arguments: Mapping[str, Any]) -> str:
    """The call as `Tool.show` shows it (a command, a diff, an address), else its arguments, one to a line."""
    if tool.show is None:
        return visible(_plain(arguments))
    try:
        return visible(str(tool.show(arguments)))
    except Exception as error:  # what cannot be shown is shown as it was written, and the user is told
        return visible(f"{_plain(arguments)}\n(it could not be shown better: {error})")


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
