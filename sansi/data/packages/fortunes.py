"""Collections of short texts that a line with a percent sign parts."""

from __future__ import annotations

import re

from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records
from sansi.documents.lines import unwrap

# Terminal colours, also where the escape byte itself was lost.
ANSI_COLOUR = re.compile(r"\x1b?\[[0-9;]*m")


def read_fortunes_zh(part: PackagePart) -> Records:
    """deb `fortunes-zh`: poems of the Tang and Song, quotations, explanations."""
    for path in part.files:
        poems = path.name in ("song100", "tang300")
        entries = ANSI_COLOUR.sub("", read_text(path)).split("\n%\n")
        for number, entry in enumerate(entries):
            text = entry.strip() if poems else unwrap(entry.strip("\n"), width=60)
            yield text_record(f"{path.name}/{number}", text, "verse" if poems else "prose", "zh-CN")
