"""Dictionaries in the format of dictd: one document per entry."""

from __future__ import annotations

import re

from sansi.data.documents import Record
from sansi.data.packages.held_out import is_held_out
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


# Of GCIDE's marks, what is not read: where an entry comes from (with the head of the next entry, which the conversion
# left there), how a word is spoken, accents of single letters.
_GCIDE_SOURCE = re.compile(
    r"\s*\[(?:\d{4} Webster|WordNet [\d.]+|PJC|RHU?D?|AS|GG|Century Dict[^\]]*)(?:\s*\+\s*[\w.]+)*\]"
    r"(?:[ \t]+\S[^\n]*$)?"
)
_GCIDE_SAID = re.compile(r"\s*\\[^\\]*\\|\s*\((?=[^()]*(?:\[[^\]]{1,3}\]|\?))[^()]*\)")
_GCIDE_ACCENT = re.compile(r"\[([a-z]{1,2})[\^=\"'`*,.~-]\]|\[[\^=\"'`*,.~-]([a-z]{1,2})\]")
_GCIDE_GREEK = re.compile(r"\s*\[[^\[\]]*\?[^\[\]]*\]")  # origins from words whose letters were lost
_GCIDE_AUTHOR = re.compile(r"\s*\n?[ \t]{2,}(?=--[A-Z])|\n(?=--[A-Z])")
ENTRY_BYTES = 2000  # of entries that one document holds, about


def read_gcide(part: PackagePart) -> Records:
    """deb `dict-gcide`: runs of neighbouring entries, as on the page of a dictionary."""
    for path in part.files:
        entries = re.split(r"\n\n(?=\S)", read_text(path))
        run: list[str] = []
        first = 0
        for number in part.share(len(entries)):
            if not entries[number].startswith("00-database"):
                run.append(_gcide_entry(entries[number]))
            if sum(map(len, run)) >= ENTRY_BYTES:
                yield _run(first, run)
                first, run = number + 1, []
        if run:
            yield _run(first, run)


def _run(first: int, entries: list[str]) -> Record:
    id = f"{first:06}"
    text = "\n\n".join(entries)
    return text_record(id, text, "reference", "en", held_out=is_held_out(f"gcide/{id}"))


def _gcide_entry(entry: str) -> str:
    head, _, body = entry.partition("\n   ")
    text = _GCIDE_SOURCE.sub("", f"{unwrap(head, 40)}\n   {body}")
    text = _GCIDE_GREEK.sub("", _GCIDE_ACCENT.sub(r"\1\2", _GCIDE_SAID.sub("", text)))
    text = _GCIDE_AUTHOR.sub(" ", text)
    lines = [line.strip() for line in text.replace("{", "").replace("}", "").splitlines()]
    return re.sub(r"\n\s*\n+", "\n", unwrap("\n".join(lines), 45)).strip()
