"""Scripture in several translations."""

from __future__ import annotations

import json

from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records


def read_quran(part: PackagePart) -> Records:
    """npm `quran-json`: one document per chapter and translation, and the Arabic text."""
    for path in part.files:
        language = path.stem.removeprefix("quran").removeprefix("_") or "ar"
        for chapter in json.loads(read_text(path)):
            verses = [verse.get("translation", verse["text"]) for verse in chapter["verses"]]
            yield text_record(f"{language}/{chapter['id']}", "\n".join(verses), "verse", language)
