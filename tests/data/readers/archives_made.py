"""Web archives made by hand, as crawlers write them."""

from __future__ import annotations

import gzip
import zlib

PAGE = "<!doctype html><title>T{0}</title><p>Page number {0}, with a sentence of its own."


def response(url: str, body: bytes, headers: str = "Content-Type: text/html; charset=utf-8", status: str = "200 OK"):
    http = f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n".encode() + body
    return record("response", http, f"WARC-Target-URI: {url}\r\nContent-Type: application/http; msgtype=response\r\n")


def record(kind: str, content: bytes, headers: str = "", length: int | None = None) -> bytes:
    size = len(content) if length is None else length
    date = "WARC-Date: 2026-03-01T12:00:00Z\r\n"
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\n{headers}{date}Content-Length: {size}\r\n\r\n"
    return head.encode() + content + b"\r\n\r\n"


def chunked(body: bytes, size: int = 7) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def archive(pages: int) -> list[bytes]:
    """The records of an archive: what it is, and for each page its request and response."""
    records = [record("warcinfo", b"software: made by hand\r\n", "Content-Type: application/warc-fields\r\n")]
    for number in range(pages):
        url = f"https://example.org/{number}"
        records.append(record("request", b"GET / HTTP/1.1\r\n\r\n", f"WARC-Target-URI: {url}\r\n"))
        records.append(response(url, PAGE.format(number).encode()))
    return records


def packed(records: list[bytes]) -> bytes:
    return b"".join(gzip.compress(one, mtime=0) for one in records)


def deflated(body: bytes) -> bytes:
    return zlib.compress(body)
