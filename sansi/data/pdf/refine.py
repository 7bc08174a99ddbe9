"""A language model mends pages, and is believed where it keeps their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sansi.client.bulk import BulkClient, Request, user_message
from sansi.client.token_count import estimated_tokens
from sansi.data.pdf.changed import changed
from sansi.data.pdf.prompts import REFINE
from sansi.data.pdf.recognise import unfenced
from sansi.documents.pdf.garbled import garbled

ROOM = 1.3  # times the page's tokens, for its answer
LEAST_ROOM = 256


@dataclass(frozen=True)
class Refined:
    """The pages whose new text is used, and what became of all."""

    texts: Mapping[int, str]
    counts: Mapping[str, int] = field(default_factory=dict)
    """Pages by what became of them: "used", "same", or why the old text was kept."""
    by: str = ""


def refine(client: BulkClient, pages: Mapping[int, str], max_changed: float) -> Refined:
    """pages: texts by number. A page whose answer loses or invents more than a share of the words stays as it was."""
    texts: dict[int, str] = {}
    counts: Counter[str] = Counter()
    by = ""
    requests = (Request([user_message(REFINE + text)], _options(client, text)) for text in pages.values())
    for (number, old), answer in zip(pages.items(), client.ask(requests, "refining pages"), strict=True):
        by = answer.model or by
        if answer.status != "ok":
            counts[f"{answer.status}: {answer.reason}"] += 1
            continue
        text = unfenced(answer.text)
        reason = _why_not(old, text, max_changed)
        counts[reason or ("used" if text != old else "same")] += 1
        if reason is None and text != old:
            texts[number] = text
    return Refined(texts, dict(sorted(counts.items())), by)


def _options(client: BulkClient, text: str) -> dict[str, float]:
    options = {"temperature": 0.0, "max_tokens": int(ROOM * estimated_tokens(text)) + LEAST_ROOM}
    return {name: value for name, value in options.items() if name not in client.settings.options}


def _why_not(old: str, new: str, max_changed: float) -> str | None:
    """Why a new text is not used."""
    difference = changed(old, new)
    if difference.lost > max_changed:
        return "lost words"
    if difference.new > max_changed:
        return "invented words"
    return "garbled" if garbled(new) is not None and garbled(old) is None else None
