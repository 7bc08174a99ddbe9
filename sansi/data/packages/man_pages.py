"""Man pages: one document each."""

from __future__ import annotations

from sansi.data.packages.held_out import is_held_out
from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records
from sansi.documents.roff import man_to_text


def read_manpages_zh(part: PackagePart) -> Records:
    """deb `manpages-zh`: the simplified Chinese pages (the traditional ones are converted from them)."""
    for path in part.files:
        yield text_record(f"{path.parent.name}/{path.stem}", man_to_text(read_text(path)), "reference", "zh-CN")


def read_manpages(part: PackagePart) -> Records:
    """deb `manpages-*`: pages of many programs in some twenty languages."""
    for path in part.files:
        page, locale = f"{path.parent.name}/{path.stem}", path.parent.parent.name
        if text := man_to_text(read_text(path)):  # the others lead to a page
            yield text_record(f"{locale}/{page}", text, "reference", locale, original=False,
                              held_out=is_held_out(f"manpages/{page}"))  # fmt: skip


def read_perl_doc(part: PackagePart) -> Records:
    """deb `perl-doc`: the manual of Perl and of its modules."""
    for path in part.files:
        page = f"{path.parent.name}/{path.stem}"
        text = man_to_text(read_text(path))
        yield text_record(page, text, "reference", "en", held_out=is_held_out(f"perl-doc/{page}"))
