"""Reads one PDF from standard input and writes what it finds to standard output, an object of JSON a line.

It runs as a process of its own, `python pdf_worker.py LIMITS`, and imports nothing of this package: a file that makes
the library crash, loop or take all memory ends this process and no other. PDFium is not safe for threads, either.

Lines: {"pages", "title"}; for each page {"text", "pictures"}; at the end {"end": "all" | "pages" | "characters" |
"time"}. Where the file cannot be opened, only {"error": "password" | "format" | "memory" | "missing"}.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

PASSWORD = 4  # FPDF_ERR_PASSWORD


def tell(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def bound(memory: int, seconds: float) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # no such limits on this system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def open_pdf(data: bytes) -> Any:
    """The document, with the values of its forms where it has any."""
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    with contextlib.suppress(Exception):  # a form that cannot be read is left out
        if document.get_formtype():
            document.init_forms()
    return document


def title_of(document: Any) -> str:
    try:
        return document.get_metadata_value("Title")
    except Exception:
        return ""


def page_of(document: Any, number: int) -> dict[str, Any]:
    """The text of one page, and whether it has pictures."""
    import pypdfium2.raw

    page = document[number]
    try:
        if document.formenv is not None:
            page.flatten()  # what was filled into a form becomes text of the page
            page.close()
            page = document[number]
        text = page.get_textpage().get_text_bounded()
        pictures = not text.strip() and has_pictures(page, pypdfium2.raw.FPDF_PAGEOBJ_IMAGE)
    finally:
        page.close()
    return {"text": text, "pictures": pictures}


def has_pictures(page: Any, kind: int) -> bool:
    return next(iter(page.get_objects(filter=[kind], max_depth=4)), None) is not None


def read(document: Any, limits: dict[str, Any], now: Callable[[], float] = time.process_time) -> str:
    """Tells the pages, and says why it ended."""
    begun, characters, count = now(), 0, len(document)
    tell(pages=count, title=title_of(document))
    for number in range(min(count, limits["max_pages"])):
        if now() - begun > limits["seconds"]:
            return "time"
        if characters > limits["max_characters"]:
            return "characters"
        try:
            page = page_of(document, number)
        except MemoryError:
            raise
        except Exception:  # one page that is broken takes no other with it
            page = {"text": None, "pictures": False}
        characters += len(page["text"] or "")
        tell(**page)
    return "all" if count <= limits["max_pages"] else "pages"


def main() -> None:
    limits = json.loads(sys.argv[1])
    data = sys.stdin.buffer.read()
    try:
        import pypdfium2
    except ImportError:
        tell(error="missing")
        return
    bound(limits["memory"], limits["seconds"])
    try:
        document = open_pdf(data)
    except pypdfium2.PdfiumError as error:
        tell(error="password" if getattr(error, "err_code", None) == PASSWORD else "format")
        return
    except MemoryError:
        tell(error="memory")
        return
    tell(end=read(document, limits))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
