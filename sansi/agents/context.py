"""What a tool may know of the run that calls it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sansi.agents.forms import Ask


ALONE = "none"
"""The conversation of a call without one."""


def nobody(text: str) -> None:
    """Nobody listens."""


class ToolContext:
    """A parameter of a tool's function with this annotation gets it; the model does not see that parameter."""

    def __init__(
        self,
        conversation: str = ALONE,
        room: int = 20_000,
        folder: Path | Callable[[], Path] | None = None,
        progress: Callable[[str], None] = nobody,
        cancelled: threading.Event | None = None,
        call_id: str = "",
        tainted: bool = False,
        ask: Ask | None = None,
        addresses: tuple[str, ...] = (),
    ):
        self.conversation = conversation
        """The id of the conversation: what a tool keeps between calls, it keeps for one conversation."""
        self.room = room
        """Characters that the result may have before it is cut to its head and tail."""
        self.call_id = call_id
        """The id of the call that is answered."""
        self.tainted = tainted
        """The model has read text of strangers, so that what it passes on may be theirs."""
        self.ask = ask
        """Asks the user something in the middle of the call (`sansi.agents.forms`); no time of the call runs meanwhile.
        None: there is no run that could."""
        self.addresses = addresses
        """Those that the user was shown as where the call connects (`Tool.destination`); none: nobody was asked."""
        self.cancelled = cancelled or threading.Event()
        """Set when nobody waits for the result any longer: its time is up, or the user stopped the run."""
        self._folder = folder
        self._progress = progress

    @property
    def folder(self) -> Path:
        """A folder of the conversation's own, for whole texts and files; it is there."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="sansi-tool-"))
        folder = self._folder() if callable(self._folder) else self._folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def progress(self, text: str) -> None:
        """Tell the user how far it is. The tool's time begins anew, up to ten times its timeout in all."""
        self._progress(str(text))
