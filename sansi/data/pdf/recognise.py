"""Pages that are pictures to text, by an endpoint that sees or by Tesseract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sansi.client.bulk import Answer, BulkClient, Request, picture, user_message
from sansi.client.bulk.cache import AnswerCache
from sansi.client.bulk.request import key_of
from sansi.data.pdf.prompts import NO_TEXT, TRANSCRIBE
from sansi.data.pdf.settings import MAX_TOKENS
from sansi.documents.pdf import tesseract
from sansi.documents.pdf.garbled import garbled

_FENCE = re.compile(r"\A\s*```(?:markdown|md|text|plaintext|latex|html)?[ \t]*\n(.*?)\n?```\s*\Z", re.DOTALL)
# Where a language has another name in Tesseract than in ISO 639-2.
_NAMES = {
    "zh": "chi_sim", "zh-hans": "chi_sim", "zh-hant": "chi_tra", "zh-tw": "chi_tra", "zh-hk": "chi_tra", "nb": "nor",
    "nn": "nor", "no": "nor", "ku": "kmr", "sr-latn": "srp_latn", "uz-cyrl": "uzb_cyrl", "az-cyrl": "aze_cyrl",
    "ms": "msa", "fa": "fas", "sq": "sqi", "hy": "hye", "lv": "lav", "et": "est", "sw": "swa", "mg": "mlg",
}  # fmt: skip


@dataclass(frozen=True)
class Recognised:
    """What came of one page. No `reason`: it has this text, or "" where there is none on it."""

    text: str = ""
    reason: str = ""
    """Why there is no text of it, in a few words that are the same for each of the kind."""
    by: str = ""
    """The model, as it calls itself."""


def by_endpoint(client: BulkClient, pictures: Sequence[bytes]) -> list[Recognised]:
    """Pages as a vision-language model reads them."""
    options = {"temperature": 0.0, "max_tokens": MAX_TOKENS}
    options = {name: value for name, value in options.items() if name not in client.settings.options}
    drawn = [png for png in pictures if png]
    requests = (Request([user_message(TRANSCRIBE, picture(png))], options) for png in drawn)
    answers = iter([_read(answer) for answer in client.ask(requests, "reading pages")])
    return [next(answers) if png else Recognised(reason="can not be drawn") for png in pictures]


def _read(answer: Answer) -> Recognised:
    if answer.status != "ok":
        return Recognised(reason=f"{answer.status}: {answer.reason}", by=answer.model)
    text = unfenced(answer.text)
    text = "" if text.strip().casefold() == NO_TEXT else text
    found = garbled(text)
    return Recognised(text, "" if found is None else f"garbled: {found.reason}", answer.model)


def unfenced(text: str) -> str:
    """An answer without the fence that models put around all of it."""
    found = _FENCE.match(text)
    return (found[1] if found and "```" not in found[1] else text).strip("\n")


def by_tesseract(pictures: Sequence[bytes], languages: Iterable[str], cache: AnswerCache | None) -> list[Recognised]:
    """Pages as Tesseract reads them. languages: BCP-47. Raises SansiError where it is not installed."""
    names = [name for tag in languages for name in names_of(tag)]
    return [_by_tesseract(png, names, cache) for png in pictures]


def _by_tesseract(png: bytes, names: Sequence[str], cache: AnswerCache | None) -> Recognised:
    by = tesseract.version()
    if not png:
        return Recognised(reason="can not be drawn")
    key = key_of({"program": by, "languages": list(names), "picture": png.hex()})
    if cache is not None and (kept := cache.get(key)) is not None and isinstance(kept.get("text"), str):
        return Recognised(kept["text"], by=by)
    try:
        text = tesseract.recognise(png, names)
    except tesseract.RecognitionError as error:
        return Recognised(reason=str(error), by=by)
    if cache is not None:
        cache.put(key, {"text": text})
    return Recognised(text, by=by)


def names_of(tag: str) -> list[str]:
    """Tesseract's names for a language; none for one that it can not read."""
    tag = tag.casefold()
    if name := _NAMES.get(tag) or _NAMES.get("-".join(tag.split("-")[:2])) or _NAMES.get(tag.split("-")[0]):
        return [name]
    import langcodes

    try:
        return [langcodes.get(tag).to_alpha3()]
    except (LookupError, ValueError):
        return []
