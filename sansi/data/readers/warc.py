"""WARC, the format of web archives (ISO 28500): its pages, member by member.

A page is a response with HTTP status 200 and a text media type, or a conversion to plain text (the .wet files of Common
Crawl). What else an archive holds (requests, redirects, errors, pictures, style sheets) is no record.
"""

from __future__ import annotations

import dataclasses
import mmap
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.base.sizes import size_text
from sansi.data.documents import BadRecord, Record
from sansi.data.parts import Records
from sansi.data.readers.part import CHUNK, MAX_RECORD_BYTES, ranged
from sansi.data.readers.unpacking import BROKEN, open_unpacked, packing_of

_MEMBER = b"\x1f\x8b\x08"
_FIRST_READ = 2**16  # bytes of a member that are unpacked at first: most are smaller
_LONGEST_HEADER = 2**16
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,15})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_PAGES = ("response", "conversion", "resource")
_NO_PROSE = ("text/css", "text/javascript", "text/ecmascript", "text/calendar", "text/vcard", "text/event-stream")
_HTML = re.compile(rb"\s*+(?:<!--.{0,2000}?-->\s*+)?<(?:!doctype\s+html|html[\s>])", re.IGNORECASE | re.DOTALL)

Piece = tuple[int, bytes | BadRecord]  # where in the file it begins; its bytes, or why it has none


@dataclass(frozen=True)
class WarcPart:
    """The records of an archive that begin in a range of its bytes."""

    path: str
    label: str  # the file in the ids of its records
    start: int
    end: int | None  # None: the whole file, which cannot be entered elsewhere than at its beginning
    size: int

    @property
    def name(self) -> str:
        return ranged(self.label, self.start, self.end)

    def records(self) -> Records:
        """A record of each page, by where its member begins."""
        pieces = _stream(self) if self.end is None or not packing_of(self.path) else _members(self)
        for offset, found in pieces:
            place = f"{self.label}:{offset}"
            if isinstance(found, BadRecord):
                yield dataclasses.replace(found, id=place)
            elif (record := _page(found, place)) is not None:
                yield record


def warc_parts(path: Path, label: str, part_bytes: int) -> list[WarcPart]:
    """Ranges of bytes that begin where a record does."""
    size = path.stat().st_size
    if size == 0:
        return []
    if packing_of(path.name) not in (None, "gzip") or (packing_of(path.name) and not _one_each(path)):
        return [WarcPart(str(path), label, 0, None, size)]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        cuts = _gzip_cuts(data, part_bytes) if packing_of(path.name) else _plain_cuts(data, part_bytes)
    return [WarcPart(str(path), label, a, b, b - a) for a, b in zip([0, *cuts], [*cuts, size], strict=True)]


def _gzip_cuts(data: mmap.mmap, part_bytes: int) -> list[int]:
    cuts, at = [], 0
    while (at := _next_member(data, at + part_bytes)) < len(data):
        cuts.append(at)
    return cuts


def _plain_cuts(data: mmap.mmap, part_bytes: int) -> list[int]:
    """By the lengths that records give, as a page may quote an archive."""
    cuts, at, start = [], 0, 0
    while at < len(data):
        if at - start >= part_bytes:
            cuts.append(start := at)
        at = _plain_end(data, at)
    return cuts


def _plain_end(data: mmap.mmap, at: int) -> int:
    """Where the record after this one begins."""
    head_end = data.find(b"\r\n\r\n", at, at + _LONGEST_HEADER)
    length = _LENGTH.search(data[at : head_end + 2]) if head_end >= 0 and data[at : at + 5] == b"WARC/" else None
    if length is None:  # broken: where the next one seems to begin
        found = data.find(b"\r\n\r\nWARC/", at + 1)
        return found + 4 if found >= 0 else len(data)
    end = head_end + 4 + int(length[1])
    while data[end : end + 1] in (b"\r", b"\n"):
        end += 1
    return end


def _one_each(path: Path) -> bool:
    """Whether a gzip file has a member for each record, as the standard recommends."""
    with path.open("rb") as file:
        head = _unpacked_start(file.read(CHUNK), CHUNK)
    head_end = head.find(b"\r\n\r\n")
    length = _LENGTH.search(head[: head_end + 2]) if head_end >= 0 else None
    return length is None or not head[head_end + 4 + int(length[1]) :].strip()


def _unpacked_start(data: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(data, most)
    except zlib.error:
        return b""


def _next_member(data: mmap.mmap, at: int) -> int:
    """Where the next member begins that holds a record; the end where there is none."""
    at = data.find(_MEMBER, at)
    while at >= 0:
        if _unpacked_start(data[at : at + 1024], 64).startswith(b"WARC/"):
            return at
        at = data.find(_MEMBER, at + 1)
    return len(data)


def _members(part: WarcPart) -> Iterator[Piece]:
    """The members of a gzip file that begin inside the part. After a broken one it goes on with the next."""
    with open(part.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = part.start
        while at < (part.end or len(data)):
            found, end = _member(data, at)
            yield at, found
            at = end


def _member(data: mmap.mmap, at: int) -> tuple[bytes | BadRecord, int]:
    """What a member holds, and where it ends."""
    unpacker, read, pieces, length = zlib.decompressobj(31), at, [], 0
    try:
        while not unpacker.eof:
            fed = unpacker.unconsumed_tail
            if not fed:
                fed = data[read : read + _FIRST_READ]
                read += len(fed)
            if not fed:
                return BadRecord("", "cut record", "the file ends inside it"), len(data)
            piece = unpacker.decompress(fed, MAX_RECORD_BYTES)
            length += len(piece)
            if length <= MAX_RECORD_BYTES:
                pieces.append(piece)
    except zlib.error as error:
        return BadRecord("", "broken gzip member", str(error)), _next_member(data, at + 1)
    end = read - len(unpacker.unused_data)
    if length > MAX_RECORD_BYTES:
        return _too_large(length), end
    # Some writers pad members with zeros.
    while data[end : end + 1] == b"\0":
        end += 1
    return b"".join(pieces), end


def _too_large(length: int) -> BadRecord:
    return BadRecord("", "too large", f"{size_text(length)}; at most {size_text(MAX_RECORD_BYTES)} are read")


def _stream(part: WarcPart) -> Iterator[Piece]:
    """The records of a stream that begin inside the part, by the lengths that they give."""
    at = part.start
    try:
        with open_unpacked(part.path) as file:
            if part.start:
                file.seek(part.start)
            while part.end is None or at < part.end:
                piece, size = _stream_record(file)
                if piece is None:
                    return
                if piece != b"":
                    yield at, piece
                at += size
    except BROKEN as error:
        yield at, BadRecord("", "broken file", f"{str(error) or type(error).__name__}; what follows byte {at} is lost")


def _stream_record(file: IO[bytes]) -> tuple[bytes | BadRecord | None, int]:
    """The next record and the bytes that it takes; b"" for what stands between records, None at the end."""
    first = file.readline(_LONGEST_HEADER)
    if not first or not first.strip():
        return (b"" if first else None), len(first)
    if not first.startswith(b"WARC/"):
        return BadRecord("", "no WARC record", "it is skipped up to the next one"), len(first) + _skip(file)
    head = first
    while (line := file.readline(_LONGEST_HEADER)).strip() and len(head) < _LONGEST_HEADER:
        head += line
    length = _LENGTH.search(head)
    size = len(head) + len(line)
    if length is None:
        return BadRecord("", "no WARC record", "its header gives no length"), size + _skip(file)
    wanted = int(length[1])
    body = file.read(min(wanted, MAX_RECORD_BYTES))
    taken = len(body)
    while taken < wanted and (more := file.read(min(CHUNK, wanted - taken))):
        taken += len(more)
    if wanted > MAX_RECORD_BYTES:
        return _too_large(wanted), size + taken
    return head + b"\r\n" + body + b"\r\n\r\n", size + taken


def _skip(file: IO[bytes]) -> int:
    """Bytes up to the next line that opens a record, which is left to be read."""
    skipped = 0
    while line := file.readline(_LONGEST_HEADER):
        if line.startswith(b"WARC/1."):
            file.seek(-len(line), 1)
            break
        skipped += len(line)
    return skipped


# --- pages -----------------------------------------------------------------------------------------------------------


def _page(data: bytes, place: str) -> Record | BadRecord | None:
    """The page that a record of the archive holds; None for a record of another kind."""
    try:
        record = _warc_record(data)
    except OSError as error:
        return BadRecord(place, "no WARC record", str(error))
    kind = (record.headers.get("WARC-Type") or "").strip().lower()
    if kind not in _PAGES:
        return None
    if len(data) - data.find(b"\r\n\r\n") - 4 < int(record.headers.get("Content-Length") or 0):
        return BadRecord(place, "cut record", "it is shorter than its header says")
    try:
        found = _response(record, data) if kind == "response" else _stored(record)
    except OSError as error:
        return BadRecord(place, "broken content", str(error))
    if found is None:
        return None
    media_type, body = found
    if len(body) > MAX_RECORD_BYTES:
        return BadRecord(place, "too large", f"more than {size_text(MAX_RECORD_BYTES)} once it is unpacked")
    url = record.headers.get("WARC-Target-URI")
    metadata = {"truncated": cut} if (cut := record.headers.get("WARC-Truncated")) else {}
    url = url.strip("<>") if url else None
    return Record(place, body, media_type, url=url, date=record.headers.get("WARC-Date"), metadata=metadata)


def _warc_record(data: bytes) -> Any:
    try:
        from fastwarc.warc import WarcRecord
    except ImportError as error:
        raise SansiError(f"reading WARC needs fastwarc; run: {install_command('train')}") from error
    return WarcRecord.from_bytes(data)


def _response(record: Any, data: bytes) -> tuple[str, bytes] | None:
    """Media type and content of a page; None for what is none."""
    if not record.is_http:
        return None
    record.parse_http(auto_decode="none")
    headers = record.http_headers
    if headers is None or headers.status_code != 200:
        return None
    declared = headers.get("Content-Type") or record.headers.get("WARC-Identified-Payload-Type") or ""
    if declared and not _is_text(declared):
        return None
    body = _decoded(data)
    if not declared:
        return ("text/html", body) if _HTML.match(body[:4096]) else None
    return declared, body


def _decoded(data: bytes) -> bytes:
    """The content without chunks and compression. Some archives keep it without, but its headers as they were."""
    failure: OSError | None = None
    for decoding in ("all", "transfer", "none"):
        record = _warc_record(data)
        try:
            record.parse_http(auto_decode=decoding)
            body = bytes(record.reader.read(MAX_RECORD_BYTES + 1))
        except OSError as error:
            failure = failure or error
            continue
        if failure is None or _reads_as_text(body):
            return body
    raise failure or OSError("no content")


def _reads_as_text(body: bytes) -> bool:
    return b"\0" not in body[:1024] and body.lstrip()[:1] == b"<"


def _stored(record: Any) -> tuple[str, bytes] | None:
    declared = record.headers.get("Content-Type") or ""
    return (declared, bytes(record.reader.read(MAX_RECORD_BYTES + 1))) if _is_text(declared) else None


def _is_text(declared: str) -> bool:
    kind = declared.partition(";")[0].strip().lower()
    return (kind.startswith("text/") and kind not in _NO_PROSE) or kind == "application/xhtml+xml"
