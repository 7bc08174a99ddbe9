"""What is kept apart for evaluation: named sections, the same in every language, chosen by a hash of their names."""

from __future__ import annotations

from sansi.base.digests import bytes_hash64

EVERY = 20
"""Of so many sections one is held out."""


def is_held_out(section: str, every: int = EVERY) -> bool:
    """Whether the section of this name is held out. Translations of a section have one name: no model that was trained
    on the others has read what it is asked about in another language."""
    return bytes_hash64(section.encode()) % every == 0
