"""The models that come with the package, by name: they are there wherever a program was started, and need no network."""

from __future__ import annotations

from pathlib import Path

CHECKPOINTS = Path(__file__).resolve().parents[1] / "checkpoints"


def bundled_models() -> dict[str, Path]:
    """The folder of each bundled model, by its name."""
    return {folder.name: folder for folder in sorted(CHECKPOINTS.glob("*")) if (folder / "config.json").is_file()}
