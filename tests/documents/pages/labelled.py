"""All made pages."""

from __future__ import annotations

from functools import cache

from pages.english import ENGLISH
from pages.made import MadePage
from pages.world import WORLD


@cache
def labelled_pages() -> tuple[MadePage, ...]:
    return tuple(make() for make in (*ENGLISH, *WORLD))
