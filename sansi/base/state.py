"""Where the program keeps what it remembers from one time to the next."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """The XDG state folder, by default ~/.local/state/sansi. It need not be there yet."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".local" / "state") / "sansi"
