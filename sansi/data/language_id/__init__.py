"""Which language a text is in: `identify(text)`, `identify_all(texts)`."""

from sansi.data.language_id.identify import LANGUAGE_MODEL, NOT_TEXT, Identified, identify, identify_all

__all__ = ["LANGUAGE_MODEL", "NOT_TEXT", "Identified", "identify", "identify_all"]
