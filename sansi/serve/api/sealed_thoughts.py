"""Thoughts as values that clients keep unread and send back.

Sealed is encoded, not encrypted and not signed: whoever has the value can read it, and can make one. Nothing depends on
either, since a client may send any thought in plain text as well.
"""

from __future__ import annotations

import base64
import binascii

PREFIX = "sansi-thought-1."


def seal(thought: str) -> str:
    return PREFIX + base64.urlsafe_b64encode(thought.encode()).decode()


def unseal(value: str) -> str | None:
    """The thought in what `seal` made; None for anything else, such as what another service encrypted."""
    if not value.startswith(PREFIX):
        return None
    try:
        return base64.b64decode(value[len(PREFIX) :].encode(), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
