"""Reads one PDF from standard input and writes what it finds to standard output.

It runs as a process of its own, `python worker.py TASK`, and imports nothing of this package: a file that makes the
library crash, loop or take all memory ends this process and no other. PDFium is not safe for threads, either.

TASK is JSON: limits (memory, seconds, max_pages, max_characters), `first` (pages before it are left out) and one of

* nothing more: an object of JSON a line. {"pages", "title"}; for each page what `page_of` gives; at the end {"end":
  "all" | "pages" | "characters" | "time"}. Where the file can not be opened, only {"error": "password" | "format" |
  "memory" | "missing"}.
* "lines": true: the same, with each page's "lines", see `lines_of`.
* "render": [page, …], "pixels": longest side: for each of these pages its length in bytes as a line, then a PNG in
  greys; 0 for one that can not be drawn.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

PASSWORD = 4  # FPDF_ERR_PASSWORD
SAMPLED = 64  # characters of a page that are asked for more than their code
INVISIBLE = 3  # rendering mode of text
FIXED_PITCH = 1  # of a font's flags
FIXED_NAMES = (b"mono", b"courier", b"typewriter", b"consol", b"cmtt", b"cmsltt", b"lmtt", b"menlo")
WIDE = 0.9  # times the size of the font: a gap that may part columns
HYPHEN = "\x02"  # PDFium's for one at the end of a line, whose break it takes away
MOST_OBJECTS = 5_000  # of a page that are looked at


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


def page_of(document: Any, number: int, with_lines: bool) -> dict[str, Any]:
    """One page: its text, "pictures" (the largest picture's share of the page), "paths" (lines and curves), the shares
    of "unmapped" and "hidden" characters in a sample, its size, and its lines."""
    page = document[number]
    try:
        if document.formenv is not None:
            page.flatten()  # what was filled into a form becomes text of the page
            page.close()
            page = document[number]
        textpage = page.get_textpage()
        found = {"text": textpage.get_text_bounded(), "size": [round(side, 1) for side in page.get_size()]}
        found |= objects_of(page) | marks_of(textpage)
        if with_lines:
            found["lines"] = [] if page.get_rotation() else list(lines_of(textpage))
        return found
    finally:
        page.close()


def objects_of(page: Any) -> dict[str, Any]:
    """What there is beside text."""
    import pypdfium2.raw as raw

    area = max(page.get_width() * page.get_height(), 1.0)
    largest, pictures, paths = 0.0, 0, 0
    for seen, thing in enumerate(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_PATH], max_depth=4)):
        if seen > MOST_OBJECTS:
            break
        paths += thing.type == raw.FPDF_PAGEOBJ_PATH
        if thing.type == raw.FPDF_PAGEOBJ_IMAGE:
            pictures += 1
            with contextlib.suppress(Exception):
                left, bottom, right, top = thing.get_bounds()
                largest = max(largest, (right - left) * (top - bottom) / area)
    return {"pictures": pictures, "largest": round(min(largest, 1.0), 3), "paths": paths}


def marks_of(textpage: Any) -> dict[str, float]:
    """Shares of a sample of the characters: without a character that the font knows, and drawn invisibly."""
    import pypdfium2.raw as raw

    count = raw.FPDFText_CountChars(textpage)
    sample = range(0, count, max(1, count // SAMPLED))
    unmapped = hidden = 0
    for index in sample:
        unmapped += raw.FPDFText_HasUnicodeMapError(textpage, index) == 1
        hidden += is_hidden(textpage, index)
    return {"unmapped": round(unmapped / max(len(sample), 1), 3), "hidden": round(hidden / max(len(sample), 1), 3)}


def is_hidden(textpage: Any, index: int) -> bool:
    import pypdfium2.raw as raw

    thing = raw.FPDFText_GetTextObject(textpage, index)
    return bool(thing) and raw.FPDFTextObj_GetTextRenderMode(thing) == INVISIBLE


def lines_of(textpage: Any) -> Iterator[list[Any]]:
    """PDFium's lines, in its order: [text, left, right, baseline, font size, flags, gaps]. Flags: "m" fixed pitch, "h"
    hidden, "-" its hyphen was taken away. Gaps: [place in the text, left, right] of those that may part columns."""
    import pypdfium2.raw as raw

    count = raw.FPDFText_CountChars(textpage)
    codes = characters_of(textpage, count)
    begin = 0
    for index in range(count + 1):
        char = codes[index] if index < count else "\n"
        if char in "\r\n\ufffe" or char == HYPHEN:
            if "".join(codes[begin:index]).strip():
                yield line_of(textpage, codes, begin, index, "-" if char in (HYPHEN, "\ufffe") else "")
            begin = index + 1


def characters_of(textpage: Any, count: int) -> list[str]:
    import pypdfium2.raw as raw

    buffer = (ctypes.c_ushort * (count + 1))()
    raw.FPDFText_GetText(textpage, 0, count, buffer)
    text = bytes(buffer).decode("utf-16-le", "replace")[:-1]
    if len(text) == count and "\0" not in text:
        return list(text)
    # Some have two units, or none: one by one.
    codes = (raw.FPDFText_GetUnicode(textpage, index) for index in range(count))
    return [chr(code) if code and not 0xD800 <= code < 0xE000 and code < 0x110000 else "\ufffd" for code in codes]


def line_of(textpage: Any, codes: list[str], begin: int, end: int, flags: str) -> list[Any]:
    import pypdfium2.raw as raw

    drawn = [index for index in range(begin, end) if not codes[index].isspace()]
    first, last = drawn[0], drawn[-1]
    probes = sorted({first, drawn[len(drawn) // 2], last})  # it may begin with a small number, or a word of code
    size, main = max((size_of(textpage, index), -index) for index in probes)
    flags += "m" if all(is_fixed(textpage, index) for index in probes) else ""
    flags += "h" if is_hidden(textpage, first) else ""
    x, y = ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetCharOrigin(textpage, -main, x, y)
    boxes: dict[int, tuple[float, float]] = {}
    gaps = []
    for one, other in itertools.pairwise(drawn):
        if other > one + 1:
            left, right = box_of(textpage, one, boxes)[1], box_of(textpage, other, boxes)[0]
            if right - left > WIDE * size:
                gaps.append([other - begin, round(left, 1), round(right, 1)])
    ends = (*box_of(textpage, first, boxes), *box_of(textpage, last, boxes))  # of a line that may run to the left
    text = "".join(codes[begin:end])
    return [text, round(min(ends), 1), round(max(ends), 1), round(y.value, 1), round(size, 1), flags, gaps]


def size_of(textpage: Any, index: int) -> float:
    """Of a character's font, as it is drawn."""
    import pypdfium2.raw as raw

    matrix = raw.FS_MATRIX()
    scale = 1.0
    if raw.FPDFText_GetMatrix(textpage, index, matrix):
        scale = max(abs(matrix.a), abs(matrix.b)) or 1.0
    return float(raw.FPDFText_GetFontSize(textpage, index)) * scale


def is_fixed(textpage: Any, index: int) -> bool:
    """Whether all characters of a font are as wide: by its flags, which many fonts have wrong, or by its name."""
    import pypdfium2.raw as raw

    font, name = ctypes.c_int(), ctypes.create_string_buffer(128)
    raw.FPDFText_GetFontInfo(textpage, index, name, len(name), font)
    return bool(font.value & FIXED_PITCH) or any(word in name.value.lower() for word in FIXED_NAMES)


def box_of(textpage: Any, index: int, known: dict[int, tuple[float, float]]) -> tuple[float, float]:
    import pypdfium2.raw as raw

    if index not in known:
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        raw.FPDFText_GetCharBox(textpage, index, left, right, bottom, top)
        known[index] = (left.value, right.value)
    return known[index]


def read(document: Any, task: dict[str, Any], now: Callable[[], float] = time.process_time) -> str:
    """Tells the pages, and says why it ended."""
    begun, characters, count = now(), 0, len(document)
    tell(pages=count, title=title_of(document))
    for number in range(task.get("first", 0), min(count, task["max_pages"])):
        if now() - begun > task["seconds"]:
            return "time"
        if characters > task["max_characters"]:
            return "characters"
        try:
            page = page_of(document, number, task.get("lines", False))
        except MemoryError:
            raise
        except Exception:  # one page that is broken takes no other with it
            page = {"text": None}
        characters += len(page["text"] or "")
        tell(**page)
    return "all" if count <= task["max_pages"] else "pages"


def render(document: Any, task: dict[str, Any]) -> None:
    for number in task["render"]:
        try:
            drawn = png_of(document, number, task["pixels"])
        except Exception:
            drawn = b""
        sys.stdout.buffer.write(b"%d\n" % len(drawn) + drawn)
        sys.stdout.buffer.flush()


def png_of(document: Any, number: int, pixels: int) -> bytes:
    """A page as a picture in greys, its longer side of so many pixels."""
    page = document[number]
    try:
        bitmap = page.render(scale=pixels / max(*page.get_size(), 1.0), grayscale=True)
        width, height, stride = bitmap.width, bitmap.height, bitmap.stride
        rows = bytes(bitmap.buffer)
    finally:
        page.close()
    lines = b"".join(b"\0" + rows[y * stride : y * stride + width] for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def main() -> None:
    task = json.loads(sys.argv[1])
    data = sys.stdin.buffer.read()
    try:
        import pypdfium2
    except ImportError:
        tell(error="missing")
        return
    bound(task["memory"], task["seconds"])
    try:
        document = open_pdf(data)
    except pypdfium2.PdfiumError as error:
        tell(error="password" if getattr(error, "err_code", None) == PASSWORD else "format")
        return
    except MemoryError:
        tell(error="memory")
        return
    if "render" in task:
        render(document, task)
    else:
        tell(end=read(document, task))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
