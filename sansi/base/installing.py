"""How more packages get beside this one: the command for the Python that runs, in a checkout or beside a wheel."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of a checkout; where a wheel is, the folder of all packages


def install_command(extra: str = "") -> str:
    """What installs Sansi with one of its extras, whatever the working directory and the active environment are."""
    what = f"[{extra}]" if extra else ""
    return pip_install(*(["-e", f"{ROOT}{what}"] if (ROOT / "pyproject.toml").is_file() else [f"sansi{what}"]))


def pip_install(*wanted: str) -> str:
    """The command for packages that no extra brings."""
    return shlex.join([sys.executable or "python", "-m", "pip", "install", *wanted])
