"""Stop strings: text is passed on up to the first of them, whatever the pieces it comes in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import show

MAX_STOPS = 64
MAX_STOP_CHARACTERS = 256  # looking for long ones takes time at every token


class StopStrings:
    """Feed it text; it gives back what is certain to stand before any stop string.

    A stop string is found as soon as its last character came; of two that end there, the longer one counts. What may
    be the beginning of one is held back.
    """

    def __init__(self, stops: Sequence[str] = ()):
        self.found: str | None = None
        """The stop string that came; no text follows it."""
        self._stops = sorted(stops, key=len, reverse=True)
        self._begins = frozenset(stop[:n] for stop in stops for n in range(1, len(stop)))
        self._longest = max(map(len, stops), default=1) - 1  # beginning of a stop string
        self._held = ""

    def feed(self, text: str) -> str:
        """The text that is certain now."""
        if not self._stops or self.found is not None:
            return "" if self.found is not None else text
        text, self._held = self._held + text, ""
        ends = [(text.find(stop) + len(stop), stop) for stop in self._stops if stop in text]
        if ends:
            end, self.found = min(ends, key=lambda found: found[0])  # the first of equals, which is the longest
            return text[: end - len(self.found)]
        held = self._overlap(text)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def pass_over(self, text: str) -> str:
        """The text that is certain now, where a stop string that it completes is no end."""
        text, self._held = self._held + text, ""
        over = max((text.rfind(stop) + len(stop) for stop in self._stops if stop in text), default=0)
        return text[:over] + self.feed(text[over:])

    def _overlap(self, text: str) -> int:
        """How much of the end of `text`, which holds no stop string, is the beginning of one."""
        longest = min(len(text), self._longest)
        return next((n for n in range(longest, 0, -1) if text[-n:] in self._begins), 0)

    def finish(self) -> str:
        """What was held back, as nothing follows."""
        held, self._held = self._held, ""
        return held


def check_stops(stops: Any) -> None:
    """Raise SansiError unless `stops` is a list of at most MAX_STOPS strings that are neither empty nor too long."""
    if isinstance(stops, str) or not isinstance(stops, Sequence):
        raise SansiError(f"stop must be a list of strings, not {show(stops)}", param="stop")
    if len(stops) > MAX_STOPS:
        raise SansiError(f"stop has {len(stops)} strings; at most {MAX_STOPS} are looked for", param="stop")
    for i, stop in enumerate(stops):
        if not isinstance(stop, str) or not 0 < len(stop) <= MAX_STOP_CHARACTERS:
            reason = f"stop[{i}] must be a string of 1 to {MAX_STOP_CHARACTERS} characters, not {show(stop)}"
            raise SansiError(reason, param="stop")
