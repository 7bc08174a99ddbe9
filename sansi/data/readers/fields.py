"""From an object (a line of JSON, a row of a table) to a record: which of its fields is what."""

from __future__ import annotations

import datetime
import email.utils
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sansi.base.config import Config
from sansi.base.shown import show
from sansi.data.documents import BadRecord, Record

GUESSES = {
    "text": ("text", "content", "body", "raw_content"),
    "url": ("url", "uri", "link", "source_url"),
    "language": ("language", "lang"),
    "date": ("date", "created", "published", "timestamp"),
    "licence": ("licence", "license"),
    "title": ("title",),
}
CONVERSATIONS = ("messages", "conversations", "conversation")
NO_DOCUMENTS = "conversations are samples for fine-tuning, not documents"
NESTED = ("metadata", "meta")  # objects whose members count as the record's own
_DEEPEST = 8  # objects in objects; below it they are kept as JSON
_LONGEST = 1000  # characters of a value that is kept as metadata
_ISO = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)?)?)?)?")
_EARLIEST, _LATEST = 0.0, 4e9  # seconds since 1970 that are taken for a date


@dataclass(frozen=True)
class Fields(Config):
    """The names of the fields of JSON lines or of the columns of a table; a dot goes into an object ("meta.url")."""

    text: str | None = None
    """Field with the text; not given: "text", "content", "body" or "raw_content"."""
    id: str | None = None
    """Field with an id that no other record of the source has; not given: the file's name and the line's number."""
    url: str | None = None
    """Field with the address; not given: "url", "uri", "link" or "source_url"."""
    language: str | None = None
    """Field with the language as BCP-47; not given: "language" or "lang"."""
    date: str | None = None
    """Field with the date; not given: "date", "created", "published" or "timestamp"."""
    licence: str | None = None
    """Field with the licence; not given: "licence" or "license"."""
    title: str | None = None
    """Field with the title; not given: "title"."""
    media_type: str = "text/plain"
    """What the text is: "text/html" where it is the source of web pages, "text/markdown", "text/x-python"."""


def record_of(row: Mapping[str, Any], place: str, fields: Fields) -> Record | BadRecord:
    """The record of one object. place: its id where it has none of its own."""
    values = dict(flat(row))
    found = {name: _field(values, name, getattr(fields, name)) for name in GUESSES}
    id, data = place, values.get(found["text"] or "")
    if fields.id is not None and (own := values.get(fields.id)) not in (None, ""):
        id = str(own)
    elif fields.id is not None:
        return BadRecord(place, "id missing", f'no value in the field "{fields.id}"')
    if not isinstance(data, (str, bytes)):
        key = found["text"]
        return _without_text(id, row, (key, values[key]) if key else None, fields)
    if not data.strip():
        return BadRecord(id, "empty", f'the field "{found["text"]}" holds no text')
    taken = {name: text_of(values.get(key)) if key else None for name, key in found.items() if name != "text"}
    taken["date"] = iso_date(values.get(found["date"] or ""))
    used = {key for name, key in found.items() if name == "text" or taken.get(name)} | {fields.id}
    return Record(id, data, fields.media_type, metadata=_metadata(values, used), **taken)  # type: ignore[arg-type]


def flat(row: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The fields of an object, and with dots those of the objects in it."""
    for key, value in row.items():
        if isinstance(value, dict) and depth < _DEEPEST:
            yield from flat(value, f"{before}{key}.", depth + 1)
        else:
            yield f"{before}{key}", value


def _field(values: Mapping[str, Any], name: str, given: str | None) -> str | None:
    """The name of the field that holds this; None where there is none."""
    if given is not None:
        return given if values.get(given) is not None else None
    guesses = (*GUESSES[name], *(f"{nested}.{guess}" for nested in NESTED for guess in GUESSES[name] if name != "text"))
    return next((guess for guess in guesses if values.get(guess) not in (None, "")), None) or next(
        (guess for guess in guesses if guess in values), None
    )


def _without_text(place: str, row: Mapping[str, Any], value: tuple[str, Any] | None, fields: Fields) -> BadRecord:
    """Why there is no text, and what is there instead. value: the name and value of the field that should hold it."""
    if value is not None:
        return BadRecord(place, "text missing", f'the field "{value[0]}" holds no text but {show(value[1])}')
    if any(name in row for name in CONVERSATIONS):
        return BadRecord(place, "a conversation", f"it holds messages and no text; {NO_DOCUMENTS}")
    wanted = f'"{fields.text}"' if fields.text else ", ".join(f'"{guess}"' for guess in GUESSES["text"])
    there = ", ".join(map(str, row))[:_LONGEST] or "none"
    return BadRecord(place, "text missing", f"no field {wanted}; there are {there}")


def _metadata(values: Mapping[str, Any], used: set[str | None]) -> dict[str, str]:
    """All other fields as text; those that are too long are named."""
    kept, long = {}, []
    for key, value in values.items():
        if key in used or value is None:
            continue
        name = next((key.removeprefix(f"{nested}.") for nested in NESTED if key.startswith(f"{nested}.")), key)
        text = text_of(value) or ""
        if len(text) > _LONGEST:
            long.append(name)
        elif text:
            kept[key if name in kept else name] = text
    return kept | ({"left_out": ", ".join(sorted(long))[:_LONGEST]} if long else {})


def text_of(value: Any) -> str | None:
    """A value in one text: JSON where it is not plain."""
    if value is None or isinstance(value, (bytes, bytearray)):
        return None
    if isinstance(value, str):
        return value.strip() or None
    return json.dumps(value, ensure_ascii=False, default=str)


def iso_date(value: Any) -> str | None:
    """A date in ISO 8601: of one, of the form of mails and HTTP, or of the seconds or milliseconds since 1970."""
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, str):
        text = value.strip()
        if _ISO.fullmatch(text):
            return text.replace(" ", "T", 1) if len(text) > 10 else text
        try:
            return email.utils.parsedate_to_datetime(text).isoformat()
        except (ValueError, IndexError, TypeError):
            return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value / 1000 if value > _LATEST else value
        if 1900 <= value <= 2100 and isinstance(value, int):
            return str(value)
        if _EARLIEST < seconds < _LATEST:
            return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
    return None
