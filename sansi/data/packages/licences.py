"""Under which licence a package says that it is, by its registry's own metadata."""

from __future__ import annotations

import json
import re
from email.parser import HeaderParser
from pathlib import Path

_NOTHING = frozenset(["", "unknown", "unlicensed", "none", "see license", "license", "other/proprietary license"])
_CLASSIFIER = "License :: "
_LONGEST = 100  # characters; what is longer is the text of a licence


def licence_of(registry: str, name: str, root: Path) -> str | None:
    """The licence that the metadata in an unpacked package names, an SPDX expression where it is one; None: none."""
    found = {"pypi": _of_python, "npm": _of_node, "deb": _of_debian}[registry](root, name)
    found = re.sub(r"\s+", " ", found or "").strip()
    unclear = found.lower() in _NOTHING or found.lower().startswith("see license in")
    return None if unclear or len(found) > _LONGEST else found


def _of_python(root: Path, name: str) -> str | None:
    for file in sorted([*root.glob("*.dist-info/METADATA"), *root.glob("PKG-INFO"), *root.glob("*/PKG-INFO")]):
        told = HeaderParser().parsestr(file.read_text(encoding="utf-8", errors="replace"))
        stated = [told.get("License-Expression"), told.get("License")]
        classes = [c.split(" :: ")[-1] for c in told.get_all("Classifier") or [] if c.startswith(_CLASSIFIER)]
        classes = [c for c in classes if c != "OSI Approved"]
        for licence in [*stated, " AND ".join(classes)]:
            if licence and licence.strip().lower() not in _NOTHING and len(licence) <= _LONGEST:
                return licence
    return None


def _of_node(root: Path, name: str) -> str | None:
    for file in sorted(root.glob("*/package.json")):
        try:
            told = json.loads(file.read_text(encoding="utf-8", errors="replace"))
        except ValueError:
            continue
        licence = told.get("license") or told.get("licenses") if isinstance(told, dict) else None
        many = licence if isinstance(licence, list) else [licence]
        names = [each.get("type") if isinstance(each, dict) else each for each in many]
        if names and all(isinstance(each, str) for each in names):
            return " OR ".join(map(str, names))
    return None


def _of_debian(root: Path, name: str) -> str | None:
    """Of the machine-readable form: what is said of all files, else every licence that is named."""
    file = root / "usr/share/doc" / name / "copyright"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    if not re.search(r"^Format:\s*https?://\S*copyright-format", text, re.MULTILINE):
        return None
    paragraphs = re.split(r"\n\s*\n", text)
    of_all = [p for p in paragraphs if re.search(r"^Files:\s*\*\s*$", p, re.MULTILINE)]
    for chosen in (of_all, paragraphs):
        named = re.findall(r"^License:[ \t]*(\S[^\n]*)$", "\n\n".join(chosen), re.MULTILINE)
        if named:
            return " AND ".join(dict.fromkeys(re.sub(r"^(.+ (?:or|and) .+)$", r"(\1)", each.strip()) for each in named))
    return None
