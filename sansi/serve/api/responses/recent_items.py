"""Output items of the latest responses, so that a request can refer to them in the place of sending them again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

MAX_CHARACTERS = 4 * 2**20  # of all items together
OVERHEAD = 512  # characters that an item counts for beside its text


class RecentItems:
    """Items by id, the latest ones, as many as fit. Ids are 128 random bits: who knows one was told it.

    It lives as long as the server's process and is shared with no other.
    """

    def __init__(self, most: int = MAX_CHARACTERS):
        self._most, self._held = most, 0
        self._items: OrderedDict[str, tuple[int, Mapping[str, Any]]] = OrderedDict()

    def add(self, item: Mapping[str, Any]) -> None:
        size = OVERHEAD + _characters(item)
        if size > self._most:
            return
        self._items[item["id"]] = (size, item)
        self._held += size
        while self._held > self._most:
            _, (gone, _) = self._items.popitem(last=False)
            self._held -= gone

    def get(self, id_: str) -> Mapping[str, Any] | None:
        found = self._items.get(id_)
        return None if found is None else found[1]


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return sum(map(_characters, parts))
