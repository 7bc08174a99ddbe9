"""The patterns of one language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

INSIDE = r"(?:[^.;,]|\.\w){0,80}?"
"""What may stand between two parts of a clause, in French, German and Spanish: no comma, and dots inside of words."""


@dataclass(frozen=True)
class Language:
    """Patterns that are searched for in one sentence."""

    plan: re.Pattern[str]
    """Something is about to be done, by whoever speaks."""
    waits: re.Pattern[str]
    """It depends on the user, or is only explained."""
    used: re.Pattern[str]
    """A tool was used; its name has to stand in what is found."""
    changed: re.Pattern[str]
    """Something outside of the conversation was changed, by whoever speaks."""
    passive: re.Pattern[str]
    """The same, without saying by whom."""
    done: re.Pattern[str]
    """Words in what `passive` has found by which the user may have told of it first."""
    written: re.Pattern[str]
    """In what `changed` has found: what was done may be a text that follows after a colon."""
    looked: re.Pattern[str]
    """Something was searched, queried or fetched."""
    negated: re.Pattern[str]
    """Before what is said: it is not, or only supposed."""
    draft: re.Pattern[str]
    """The sentence speaks of what stands in the reply itself."""
    own: re.Pattern[str]
    """Tells the language, for what the model is asked in it."""
    stems: Mapping[str, Sequence[str]]
    """Of names of tools, and words for what such tools do."""
    requests: Mapping[str, str]
    """What the model is asked, for what is "planned" and for what is "claimed"; `{}` is what it said."""


def pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)
