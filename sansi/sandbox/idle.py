"""Between calls, too, code may run on: threads and programs that a call left behind stay under their limits.

One thread looks at all sessions of this process that are not being asked anything.
"""

from __future__ import annotations

import threading
import time
import weakref
from contextlib import suppress
from typing import Protocol

from sansi.base.processes import once_per_process

EVERY = 0.1  # seconds


class Idle(Protocol):
    """A session, as it is seen from here."""

    def look(self) -> None:
        """End it if it is beyond a limit; at once if it is being asked something."""


_lock = threading.Lock()


def watch_between_calls(session: Idle) -> None:
    """Look after it until nobody holds it any more."""
    sessions = _watched()
    with _lock:
        sessions.add(session)


@once_per_process
def _watched() -> weakref.WeakSet[Idle]:
    sessions: weakref.WeakSet[Idle] = weakref.WeakSet()
    threading.Thread(target=_serve, args=(sessions,), name="sansi-sandbox-watch", daemon=True).start()
    return sessions


def _serve(sessions: weakref.WeakSet[Idle]) -> None:
    while True:
        time.sleep(EVERY)
        with _lock:
            present = list(sessions)
        for session in present:
            with suppress(OSError):  # it was closed, and its folder deleted, in this moment
                session.look()
        del present
