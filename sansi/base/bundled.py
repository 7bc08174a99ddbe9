"""The models that come with the package, by name: there wherever a program was started, and without a network."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).resolve().parents[1] / "bundled"


def bundled_models() -> dict[str, Path]:
    """The folder of each bundled model, by its name."""
    return {folder.name: folder for folder in sorted(BUNDLED.glob("*")) if (folder / "config.json").is_file()}
