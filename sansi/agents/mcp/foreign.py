"""Words of servers on their way to people: without what could steer a terminal or hide from a reader."""

from __future__ import annotations

import re

from sansi.base.words import count

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HIDDEN = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_QUOTED_PATH = re.compile(r"""(?<=["'])(?:~|(?=/))[^"']*/([^"'/]+)/?(?=["'])""")
_PATH = re.compile(r"""(?<![\w/.~-])(?:~|/[^\s/"'():;,]+)(?:/[^\s/"'():;,]+)*/([^\s/"'():;,]+)/?""")
LONGEST = 10_000
"""Characters of a description: a model reads it with every request."""


def shown(text: str) -> str:
    """`text` without escape sequences, control characters, and characters that show nothing or turn others around."""
    return _HIDDEN.sub("", _CONTROLS.sub("", _ESCAPES.sub("", text)))


def one_line(text: str) -> str:
    """The same in one line."""
    return " ".join(shown(text).split())


def without_folders(text: str) -> str:
    """`text` in which a path is the name at its end: where things lie on a machine concerns those who keep it."""
    return _PATH.sub(r"…/\1", _QUOTED_PATH.sub(r"…/\1", text))


def description(text: str) -> str:
    """A description as a model and a user may have it: shown as it is, and not longer than a page or two."""
    text = shown(text).strip()
    left = len(text) - LONGEST
    return text if left <= 0 else f"{text[:LONGEST]} [cut: {count(left, 'more character')}]"
