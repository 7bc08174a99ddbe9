"""What kind of file some bytes are: by the bytes themselves, then by what was declared, then by the name's ending."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from email.message import Message
from pathlib import PurePath

from sansi.documents.docx import MEDIA_TYPE as DOCX
from sansi.documents.docx import is_docx


@dataclass(frozen=True)
class Kind:
    """A media type and the charset that was declared with it."""

    media_type: str
    charset: str | None = None


@dataclass(frozen=True)
class Binary:
    """A kind of file that is no text, in words."""

    told: str
    instead: str = ""


_OFFICE = "save it as PDF or as text"
_PACKED = "unpack it first"
# The bytes that a file begins with, and what it then is.
_SIGNATURES: tuple[tuple[bytes, Binary], ...] = (
    (b"\x89PNG\r\n\x1a\n", Binary("a PNG picture")),
    (b"\xff\xd8\xff", Binary("a JPEG picture")),
    (b"GIF87a", Binary("a GIF picture")),
    (b"GIF89a", Binary("a GIF picture")),
    (b"BM", Binary("a BMP picture")),
    (b"II*\0", Binary("a TIFF picture")),
    (b"MM\0*", Binary("a TIFF picture")),
    (b"\0\0\x01\0", Binary("an icon")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Binary("a file of an older office program", _OFFICE)),
    (b"{\\rtf", Binary("a file in Rich Text Format", _OFFICE)),
    (b"\x1f\x8b", Binary("packed with gzip", _PACKED)),
    (b"BZh", Binary("packed with bzip2", _PACKED)),
    (b"\xfd7zXZ\0", Binary("packed with xz", _PACKED)),
    (b"\x28\xb5\x2f\xfd", Binary("packed with zstd", _PACKED)),
    (b"7z\xbc\xaf\x27\x1c", Binary("a 7z archive", _PACKED)),
    (b"Rar!\x1a\x07", Binary("a RAR archive", _PACKED)),
    (b"\x7fELF", Binary("a program")),
    (b"MZ\x90\0", Binary("a program")),
    (b"\xca\xfe\xba\xbe", Binary("a program")),
    (b"\0asm", Binary("a program (WebAssembly)")),
    (b"SQLite format 3\0", Binary("an SQLite database")),
    (b"ID3", Binary("an audio file")),
    (b"fLaC", Binary("an audio file")),
    (b"OggS", Binary("an audio or video file")),
    (b"\x1aE\xdf\xa3", Binary("a video file")),
    (b"wOFF", Binary("a font")),
    (b"wOF2", Binary("a font")),
    (b"GGUF", Binary("the weights of a model")),
    (b"\x93NUMPY", Binary("a NumPy array")),
)
_ZIPPED = {
    ".docx": Binary("a broken Word document", "open it in Word and save it anew"),
    ".xlsx": Binary("an Excel workbook", "save it as CSV"),
    ".pptx": Binary("a PowerPoint presentation", _OFFICE),
    ".odt": Binary("an OpenDocument text", _OFFICE),
    ".ods": Binary("an OpenDocument spreadsheet", "save it as CSV"),
    ".odp": Binary("an OpenDocument presentation", _OFFICE),
    ".epub": Binary("an e-book (EPUB)", _OFFICE),
}
_ASCII_SIGNATURES = (b"BM", b"ID3", b"BZh", b"OggS", b"fLaC", b"GGUF", b"wOFF", b"wOF2")  # a text may begin so, too
# Possessive, as a page of nothing but comments could else be parted in endless ways.
_HTML = re.compile(rb"\s*+(?:<!--(?:(?!-->).)*+-->\s*+)*+<(?:!doctype\s+html|html[\s>])", re.IGNORECASE | re.DOTALL)
# A man page begins with its title, or with comments and the definitions that a program put there.
_ROFF = re.compile(rb"(?:[.']\\\".*\n|[ \t]*\n)*+(?:\.TH|\.Dd) |[.']\\\"(?s:.{0,8000}?)\n\.(?:TH|Dd) ")
_PDF_WITHIN = 1024  # bytes before the header of a PDF, which readers allow
# What `mimetypes` says by the system's tables, or gets wrong for source.
_ENDINGS = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".htm": "text/html",
    ".html": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".pdf": "application/pdf",
    ".py": "text/x-python",
    ".ts": "text/x-typescript",
    ".rs": "text/x-rust",
    ".go": "text/x-go",
    ".java": "text/x-java",
    ".csv": "text/csv",
    ".json": "application/json",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".toml": "application/toml",
}


def binary_kind(data: bytes, name: str | None) -> Binary | None:
    """What a file is that is surely no text; None for all others."""
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        if is_docx(data):
            return None
        return _ZIPPED.get(_ending(name), Binary("a ZIP archive", _PACKED))
    if data[:4] == b"RIFF" and data[8:12] in (b"WEBP", b"WAVE", b"AVI "):
        return Binary({b"WEBP": "a WebP picture", b"WAVE": "an audio file"}.get(data[8:12], "a video file"))
    if data[4:8] == b"ftyp":
        return Binary("a HEIF picture or a video file")
    for signature, binary in _SIGNATURES:
        # Text has no such bytes in its first line.
        looks_so = signature not in _ASCII_SIGNATURES or re.search(rb"[\0-\x08\x0e-\x1a]", data[:512])
        if data.startswith(signature) and looks_so:
            return binary
    return None


def kind_of(data: bytes, name: str | None, media_type: str | None) -> Kind:
    """The kind of what is no known binary file; "text/plain" where nothing says more."""
    declared, charset = _declared(media_type)
    if b"%PDF-" in data[:_PDF_WITHIN] and (data.startswith(b"%PDF-") or "pdf" in f"{declared} {_ending(name)}"):
        return Kind("application/pdf")
    if data.startswith(b"PK\x03\x04"):  # of those that are read there is one
        return Kind(DOCX)
    ending = _ending(name)
    told = declared if _tells(declared) else _ENDINGS.get(ending) or _guessed(name)
    if told == "application/pdf":
        return Kind(told)  # without its header: the reader says that it is broken
    if _HTML.match(data[:4096]) and told in (None, "text/plain", "application/xml", "text/xml"):
        told = "text/html"
    if re.fullmatch(r"\.(?:[1-9][a-z]{0,4}|[ln])", ending) and _ROFF.match(data[:8192]):
        told = "text/troff"
    return Kind(told or "text/plain", charset)


def _declared(media_type: str | None) -> tuple[str | None, str | None]:
    if not media_type:
        return None, None
    message = Message()
    message["content-type"] = re.sub(r"[\r\n]+", " ", media_type)
    charset = message.get_param("charset")
    return message.get_content_type(), charset if isinstance(charset, str) else None


def _tells(declared: str | None) -> bool:
    """Whether a declared type says more than "some bytes" or "some text"."""
    return declared not in (None, "application/octet-stream", "binary/octet-stream", "text/plain")


def _ending(name: str | None) -> str:
    return PurePath(name or "").suffix.lower()


def _guessed(name: str | None) -> str | None:
    guessed = mimetypes.MimeTypes().guess_type(PurePath(name or "").name)[0]  # its own table, not the system's
    return guessed if guessed and guessed.startswith("text/") else None
