"""Cut a PDF of thousands of pages into files of some pages each."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence

from sansi.base.errors import SansiError
from sansi.base.installing import install_command


def page_ranges(data: bytes, pages: int, chosen: Callable[[int], Sequence[int]] = range) -> Iterator[tuple[int, bytes]]:
    """The first page, counted from 1, of each range of `pages` pages, and the range as a PDF of its own.

    chosen: of the number of ranges, which ones; all by default. For files that are trusted: a hostile one could end the
    process, which `sansi.documents.read_document` is safe from. Raises SansiError for what is no PDF.
    """
    try:
        import pypdfium2
    except ImportError as error:
        raise SansiError(f"reading PDF needs pypdfium2; run: {install_command()}") from error
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise SansiError(f"not a PDF that can be read ({error})") from error
    with document:
        count = len(document)
        for number in chosen(-(-count // pages)):
            first, end = number * pages, min((number + 1) * pages, count)
            buffer = io.BytesIO()
            with pypdfium2.PdfDocument.new() as part:
                part.import_pages(document, list(range(first, end)))
                part.save(buffer)
            yield first + 1, buffer.getvalue()
