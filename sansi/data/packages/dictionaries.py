"""Dictionaries in the format of dictd: one document per entry."""

from __future__ import annotations

import re

from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records
from sansi.documents.lines import unwrap


def read_foldoc(part: PackagePart) -> Records:
    """deb `dict-foldoc`: one document per entry of the dictionary of computing."""
    for path in part.files:
        for number, entry in enumerate(re.split(r"\n\n(?=\S)", read_text(path))):
            if not entry.startswith(("00-database", "GNU Free Documentation")):
                yield text_record(str(number), _foldoc_entry(entry), "reference", "en")


def _foldoc_entry(entry: str) -> str:
    head, _, body = entry.partition("\n\n")
    body = "\n".join(line.removeprefix("   ") for line in body.splitlines())
    body = re.sub(r"\n\(\d{4}-\d\d-\d\d\)\s*$", "", unwrap(body, width=50))  # the date of the last change
    body = re.sub(r"^(\d+\. )?<[^<>]+>\s+", r"\1", body, flags=re.MULTILINE)  # the subject field
    return f"# {', '.join(head.splitlines())}\n\n" + re.sub(r"[{}]", "", body).strip()
