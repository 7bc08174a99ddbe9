"""Annotation and filters: what is known of a document, and why it is dropped."""

from __future__ import annotations

import pytest
from documents_made import ENGLISH, document
from sansi.data.annotate import quality
from sansi.data.filters import Rules, reason_to_drop

FRENCH = (
    "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
    "conscience et doivent agir les uns envers les autres dans un esprit de fraternité."
)


@pytest.mark.parametrize(
    ("text", "changes", "reason"),
    [
        (ENGLISH, {}, None),
        ("Short.", {}, "too short"),
        (ENGLISH + " caf\ufffd", {}, "wrong encoding"),
        (ENGLISH + " cafÃ© Ã\xa0 la", {}, "wrong encoding"),
        (ENGLISH + " <b>bold</b> <br/> &nbsp;", {}, "markup remains"),
        (ENGLISH + " <https://example.org> <file>", {}, None),
        ("A line that comes again and again.\n" * 9, {}, "too repetitive"),
        (ENGLISH, {"language": "fr"}, "not translated"),
        (FRENCH, {"language": "fr"}, None),
        ("1 | 2.5 | 7\n3 | 9.25 | 8\n" + "\n".join(f"{n * 7919} | {n * n}" for n in range(30)), {}, "low quality"),
        ("def f(x):\n    return '<b>' + x + '</b><br/>&amp;' * 2  # " + "1234567890" * 3, {"kind": "code"}, None),
    ],
)
def test_filters_name_their_reason(text: str, changes: dict, reason: str | None):
    found = reason_to_drop(document(text, **changes), Rules(min_bytes=50))
    assert (found.rule if found else None) == reason


def test_annotation():
    found = document("e\u0301t\u00e9\r\n" + FRENCH)
    assert found.text.startswith("été\n") and found.detected_language == "fr" == found.language
    assert found.licence == "CC0-1.0" and found.id == "made/x" and found.size == len(found.text.encode())
    assert document("zxq 12").language == "und"
    assert quality(ENGLISH) > 0.95 > 0.5 > quality("a | 1\nb | 2\na | 1")
