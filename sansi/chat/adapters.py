"""What is said of adapters as they are loaded."""

from __future__ import annotations

import logging

from sansi.chat.model import ChatModel

log = logging.getLogger("sansi")


def tell_other_bases(chat: ChatModel, model: str) -> None:
    """Warn of adapters that name another base than what the model is called: shapes may be alike, weights are not."""
    for name, adapter in chat.engine.adapters.items():
        base = adapter.base.rstrip("/").rpartition("/")[2]
        if base and not _alike(base, model):
            told = 'adapter %s was trained on "%s", and is put beside %s: is that the same model?'
            log.warning(told, name, base, model)


def _alike(one: str, other: str) -> bool:
    """Whether one name is the other with something more, such as how it was quantised."""
    first, second = sorted((one.lower(), other.lower()), key=len)
    return first in second
