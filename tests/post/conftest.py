"""Trainings of this room are tried in the layouts of `tests/train`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "train"))
