"""Files in messages as text: OpenAI's `file` and `input_file` parts and Anthropic's `document` blocks, read as
POST /v1/documents reads them, before a dialect sees the request. A file is what its bytes are; nothing is fetched.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.base.words import count
from sansi.text.fence import fenced

if TYPE_CHECKING:
    from sansi.documents import Document, Limits

MOST_FILES = 32
MARKS = (b'"file"', b'"input_file"', b'"document"')
"""One of these stands in every body that has a file."""
LISTS = (("messages", "content"), ("input", "content"), ("input", "output"))
"""Where messages are, and where in them parts are."""
STORED = "no files are stored here; send its bytes in base64"
FETCHED = "this server fetches no files; send its bytes in base64"
HOLDS = ("file_data", "file_id", "file_url")
DEPTH = 3  # of blocks in blocks: a document in the result of a tool
_DATA_URL = re.compile(r"data:([^,;]*(?:;[^,;]*)*?)(;base64)?,", re.IGNORECASE)


@dataclass(frozen=True)
class _File:
    """One part that holds a file: the list that it stands in, its place there, and how errors call it."""

    parts: list[Any]
    at: int
    where: str

    @property
    def part(self) -> dict[str, Any]:
        part: dict[str, Any] = self.parts[self.at]
        return part


def may_have_files(raw: bytes) -> bool:
    """Whether a body is worth a look."""
    return any(mark in raw for mark in MARKS)


def has_files(body: Mapping[str, Any]) -> bool:
    return next(_files(body), None) is not None


def read_files(body: Mapping[str, Any], limits: Limits) -> None:
    """Put the text of each file in its place. limits: of all of them together. Raises SansiError with `param`."""
    files = list(_files(body))
    if len(files) > MOST_FILES:
        raise SansiError(
            f"the request has {count(len(files), 'file')}; at most {MOST_FILES} are read", param="messages"
        )
    for file in files:
        begun = time.monotonic()
        found = _read(file, limits)
        left, seconds = limits.max_characters - len(found), limits.seconds - (time.monotonic() - begun)
        limits = replace(limits, max_characters=max(left, 1), seconds=max(seconds, 1.0))


def _files(body: Mapping[str, Any]) -> Iterator[_File]:
    for outer, inner in LISTS:
        messages = body.get(outer)
        for index, message in enumerate(messages if isinstance(messages, list) else ()):
            if isinstance(message, dict):
                yield from _files_in(message.get(inner), f"{outer}[{index}].{inner}", DEPTH)


def _files_in(parts: Any, where: str, depth: int) -> Iterator[_File]:
    for at, part in enumerate(parts if isinstance(parts, list) and depth else ()):
        if not isinstance(part, dict):
            continue
        if _source_of(part) is not None:
            yield _File(parts, at, f"{where}[{at}]")
        elif part.get("type") == "tool_result":
            yield from _files_in(part.get("content"), f"{where}[{at}].content", depth - 1)


def _source_of(part: Mapping[str, Any]) -> str | None:
    """The field of the part that holds the file; None where it is none, or one that is text already."""
    kind, source = part.get("type"), part.get("source")
    if kind == "document":
        return "source" if isinstance(source, dict) and source.get("type") not in ("text", "content", None) else None
    if kind == "file":
        file = part.get("file")
        return "file" if isinstance(file, dict) and any(key in file for key in HOLDS) else None
    return "" if kind == "input_file" and any(key in part for key in HOLDS) else None


def _read(file: _File, limits: Limits) -> str:
    """The text that takes the file's place."""
    if file.part["type"] == "document":
        return _read_document(file, limits)
    field = _source_of(file.part)
    given: Mapping[str, Any] = file.part["file"] if field else file.part
    where = f"{file.where}.file" if field else file.where
    name = given.get("filename")
    if name is not None and not isinstance(name, str):
        raise SansiError(f"{where}.filename must be text, not {show(name)}", param=f"{where}.filename")
    for key, why in (("file_url", FETCHED), ("file_id", STORED)):
        if given.get(key) and not given.get("file_data"):
            raise SansiError(f"{where}.{key} is {show(given[key])}: {why}, in file_data", param=f"{where}.{key}")
    data, media_type = _bytes(given.get("file_data"), f"{where}.file_data")
    found = _document(data, name, media_type, f"{where}.file_data", limits)
    text = f"Attached file “{name or found.title or 'without a name'}”{_facts(found)}:\n{fenced(found.text)}\n"
    read = ("filename", "file_data", "file_id", "file_url", "type")
    rest = {key: value for key, value in file.part.items() if key not in (*read, "file")}
    rest |= {key: value for key, value in given.items() if key not in read} if field else {}
    file.parts[file.at] = {"type": "text" if field else "input_text", "text": text, **rest}
    return text


def _read_document(file: _File, limits: Limits) -> str:
    """A block of text in the place of one of bytes; its title and context stay."""
    source, where = file.part["source"], f"{file.where}.source"
    kind = source.get("type")
    if kind in ("url", "file"):
        key, why = ("url", FETCHED) if kind == "url" else ("file_id", STORED)
        raise SansiError(f"{where}.{key} is {show(source.get(key))}: {why}", param=f"{where}.{key}")
    if kind != "base64":
        reason = f'{where}.type is {show(kind)}; it must be "base64" or "text"'
        raise SansiError(reason, param=f"{where}.type")
    title = file.part.get("title")
    data, _ = _bytes(source.get("data"), f"{where}.data")
    media_type = source.get("media_type")
    named, declared = (value if isinstance(value, str) else None for value in (title, media_type))
    found = _document(data, named, declared, f"{where}.data", limits)
    text = f"{_facts(found).strip()}\n{found.text}".strip()
    rest = {key: value for key, value in source.items() if key not in ("type", "media_type", "data")}
    told = {"title": found.title} if found.title and not title else {}
    file.parts[file.at] = {**file.part, **told, "source": {"type": "text", "data": text, **rest}}
    return text


def _bytes(given: Any, where: str) -> tuple[bytes, str | None]:
    """The bytes of base64 or of a data URL, and the media type of that."""
    if not isinstance(given, str) or not given.strip():
        raise SansiError(f"{where} must be the file's bytes in base64, not {show(given)}", param=where)
    media_type, encoded = None, given
    if (url := _DATA_URL.match(given[:1024])) is not None:
        media_type, encoded = url[1] or None, given[url.end() :]
        if not url[2]:
            return unquote_to_bytes(encoded), media_type
    elif re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", given):
        raise SansiError(f"{where} is an address: {FETCHED}", param=where)
    try:
        return base64.b64decode(re.sub(r"\s+", "", encoded), validate=True), media_type
    except (binascii.Error, ValueError) as error:
        raise SansiError(f"{where} is no base64 ({error})", param=where) from error


def _document(data: bytes, name: str | None, media_type: str | None, where: str, limits: Limits) -> Document:
    from sansi.documents import read_document  # loaded when somebody has a file

    try:
        return read_document(data, name, media_type, replace(limits, max_bytes=max(len(data), 1)))
    except SansiError as error:
        raise SansiError(f"{where}: {error}", param=where, code=error.code) from error


def _facts(found: Document) -> str:
    """How many pages it has and what of it is missing, in brackets."""
    facts = [count(found.pages, "page")] if found.pages else []
    told = "; ".join([*facts, *found.notes])
    return f" ({told})" if told else ""
