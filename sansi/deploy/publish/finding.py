"""What the check before publishing says of a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that a publisher should know."""

    file: str
    """Its name in the repository; "" for the whole."""
    text: str
    """What is wrong and what to do, without a full stop."""
    blocks: bool = True
    """Nothing goes up until it is put right; False: it is told."""

    def __str__(self) -> str:
        return f"{self.file}: {self.text}" if self.file else self.text
