"""What replies say when they plan a call, or claim one, in five languages; and calls that are written out as text."""

from __future__ import annotations

from sansi.agents.loop.phrases import written
from sansi.agents.loop.phrases.chinese import CHINESE
from sansi.agents.loop.phrases.english import ENGLISH
from sansi.agents.loop.phrases.french import FRENCH
from sansi.agents.loop.phrases.german import GERMAN
from sansi.agents.loop.phrases.language import Language
from sansi.agents.loop.phrases.spanish import SPANISH

LANGUAGES = (ENGLISH, CHINESE, GERMAN, FRENCH, SPANISH)

__all__ = ["LANGUAGES", "Language", "written"]
