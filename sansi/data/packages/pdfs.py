"""Manuals as PDF: ranges of pages, from which the pipeline extracts the text as from any PDF."""

from __future__ import annotations

import gzip
import re

from sansi.base.errors import SansiError
from sansi.data.documents import BadRecord, Record
from sansi.data.packages.package import PackagePart
from sansi.data.parts import Records
from sansi.documents.pdf_ranges import page_ranges

PAGES = 50  # of a document; a manual has up to four thousand
_LOCALE = re.compile(r"install\.(\w+)\.pdf")


def read_pdfs(part: PackagePart) -> Records:
    """Every 50 pages of a manual in English, or in the language that its name tells."""
    for path, name in zip(part.files, part.paths, strict=True):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        title = name.removesuffix(".gz").removesuffix(".pdf")
        found = _LOCALE.search(name)
        try:
            for page, data in page_ranges(raw, PAGES, part.share):
                # None is held out: a manual says the same on many pages, and what overlaps would go with it.
                yield Record(
                    f"{title}/page-{page:04}", data, "application/pdf", f"{title}.pdf",
                    language=found[1] if found else "en", original=found is None,
                )  # fmt: skip
        except SansiError as error:
            yield BadRecord(title, "cannot be read", str(error))
