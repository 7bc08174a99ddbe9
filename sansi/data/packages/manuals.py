"""Manuals as HTML: one document per page or section, without its navigation."""

from __future__ import annotations

from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records
from sansi.documents.html_text import html_to_text


def read_handbook(part: PackagePart) -> Records:
    """deb `debian-handbook`: one document per section and locale. English is the original, so that in the other locales
    the paragraphs that nobody translated are recognised as repeats."""
    for path in part.files:
        # What stands before the first heading are links to other editions.
        text = "#" + html_to_text(read_text(path)).partition("#")[2]
        locale = path.parent.name
        yield text_record(f"{locale}/{path.stem}", text, language=locale, original=locale == "en-US")


def read_debian_reference(part: PackagePart) -> Records:
    """deb `debian-reference-zh-cn`: one document per chapter."""
    for path in part.files:
        yield text_record(path.name.split(".")[0], html_to_text(read_text(path)), language="zh-CN")
