"""The card beside the model file: what it learned from, under which licences, and which labels it has."""

from __future__ import annotations

from pathlib import Path

from sansi.base.files import write_text
from sansi.data.language_id.model import Model
from sansi.data.language_id.registry import LABELS
from sansi.data.language_id.training.packages import CALIBRATION, TEACHERS
from sansi.data.language_id.training.texts import OTHER, Learned

HEAD = """# The language model file: what it is and what it learned from

Written by `python -m sansi.data.language_id.training`, which makes `model.npz` anew from the packages below.
The file holds numbers fitted to hashes of n-grams; no text of the packages is in it.
"""


def write_card(learned: Learned, model: Model, path: Path) -> None:
    """Write the card as Markdown."""
    lines = [HEAD, "| package | version | licence | contents | characters | sha256 |", "|---|---|---|---|---|---|"]
    for teacher in (*TEACHERS, CALIBRATION):
        size = sum(len(t) for own in learned.texts.values() for t in own.get(teacher.name, ()))
        lines.append(
            f"| {teacher.kind} `{teacher.package}` | {teacher.version} | {teacher.licence} | {teacher.contents} "
            f"| {size:,} | `{teacher.sha256[:16]}…` |"
        )
    lines += ["", "| label | name | characters | packages |", "|---|---|---|---|"]
    for label in model.labels:
        own = learned.texts[label]
        size = sum(len(text) for texts in own.values() for text in texts)
        name = "languages of the Declaration that have no other text" if label == OTHER else LABELS[label].name
        lines.append(f"| {label} | {name} | {size:,} | {len(own)} |")
    write_text(path, "\n".join(lines) + "\n")
