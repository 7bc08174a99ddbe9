"""One PDF file to one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.base.sizes import size_text
from sansi.base.words import count as counted
from sansi.client.bulk import BulkClient, EndpointSettings
from sansi.client.bulk.cache import AnswerCache
from sansi.data.documents import RawDocument, Record
from sansi.data.language_id import NOT_TEXT, identify
from sansi.data.ledger import Dropped
from sansi.data.pdf.recognise import Recognised, by_endpoint, by_tesseract
from sansi.data.pdf.refine import Refined, refine
from sansi.data.pdf.settings import PIXELS, PdfSettings
from sansi.documents.document import DocumentError, Limits, named
from sansi.documents.pdf import Laid, PdfFile, Verdict, judge_all, lay_out, page_notes, read_pages, render_pages

EXTRACTOR = "pdf"
TOLD = 20_000  # characters of other pages that a language is identified by


@dataclass(frozen=True)
class _Pages:
    """What became of a file's pages: each is in one of the counts."""

    verdicts: Sequence[Verdict]
    recognised: Mapping[int, Recognised]

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.state_of(number) for number in range(len(self.verdicts)))

    def state_of(self, number: int) -> str:
        verdict, found = self.verdicts[number], self.recognised.get(number)
        if verdict.state == "ok":
            return "ok"
        if verdict.reason in ("blank", "not read"):
            return verdict.reason
        if found is not None and not found.reason:
            return "recognised" if found.text.strip() else "blank"
        return "lost"

    @property
    def lost(self) -> list[str]:
        """Why pages are lost, with their number."""
        reasons: Counter[str] = Counter()
        for number, verdict in enumerate(self.verdicts):
            if self.state_of(number) == "lost":
                found = self.recognised.get(number)
                reasons[f"{verdict.reason}; {found.reason}" if found else verdict.reason] += 1
        return [f"{reason} ({number:,})" for reason, number in reasons.most_common()]


class PdfReader:
    """Reads PDF files by one set of settings; close it, or leave its block, when there are no more."""

    def __init__(self, settings: PdfSettings, folder: Path | None = None):
        """folder: where answers of endpoints and of Tesseract are kept, and the cost log; endpoints need it."""
        if settings.asks and folder is None:
            raise SansiError("an endpoint is to read or refine pages: give a folder for its answers", param="folder")
        self.settings, self.folder = settings, folder
        self._clients: dict[str, BulkClient] = {}

    def __enter__(self) -> PdfReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def extract(self, record: Record) -> RawDocument | Dropped:
        """The text of a file; Dropped where too many of its pages are lost.

        Raises DocumentError for what can not be read at all, EndpointDown where an endpoint answers nobody.
        """
        data, name = record.content, record.name or record.url
        limits = self._limits(data, name)
        file = read_pages(data, name, limits, lines=True)
        verdicts = judge_all(file)
        pages = _Pages(verdicts, self._recognised(data, file, verdicts, record, limits))
        counts = pages.counts
        assert counts.total() == file.count, "a page without a verdict"
        self._check(file, pages, name)
        if counts["lost"] > max(1.0, self.settings.max_lost * file.count):
            return Dropped("lost pages", f"{counts['lost']} of {file.count}: {', '.join(pages.lost)}")
        laid = lay_out(file.pages, self._replaced(pages, len(file.pages)))
        laid, refined = self._refined(laid)
        if not laid.text.strip():
            raise DocumentError(f"{named(name)} ({counted(file.count, 'page')}) holds no text", code="empty")
        return self._document(record, file, pages, laid, refined)

    def _limits(self, data: bytes, name: str | None) -> Limits:
        settings = self.settings
        if len(data) > settings.max_bytes:
            size = f"{size_text(len(data))}, and at most {size_text(settings.max_bytes)} are read"
            raise DocumentError(f"{named(name)} has {size}; raise max_bytes, or take a part of it", code="too_large")
        return Limits(settings.max_bytes, settings.max_pages, 10**8, settings.seconds)

    def _recognised(
        self, data: bytes, file: PdfFile, verdicts: Sequence[Verdict], record: Record, limits: Limits
    ) -> dict[int, Recognised]:
        numbers = [number for number, verdict in enumerate(verdicts) if verdict.drawn and number < len(file.pages)]
        if self.settings.ocr == "none" or not numbers:
            return {}
        pictures = render_pages(data, numbers, self.settings.pixels or PIXELS[self.settings.ocr], limits)
        if self.settings.ocr == "endpoint":
            assert self.settings.endpoint is not None
            found = by_endpoint(self._client(self.settings.endpoint), pictures)
        else:
            cache = AnswerCache(self.folder / "answers") if self.folder is not None else None
            found = by_tesseract(pictures, self._languages(file, verdicts, record), cache)
        return dict(zip(numbers, found, strict=True))

    def _languages(self, file: PdfFile, verdicts: Sequence[Verdict], record: Record) -> tuple[str, ...]:
        if self.settings.languages:
            return self.settings.languages
        texts = [p.text or "" for p, v in zip(file.pages, verdicts, strict=False) if v.state == "ok"]
        tag = identify(" ".join(texts)[:TOLD]).tag if any(texts) else None
        known = tag if tag not in (None, NOT_TEXT) else record.language
        return (known,) if known else ()

    def _client(self, endpoint: EndpointSettings) -> BulkClient:
        assert self.folder is not None
        key = repr(endpoint)
        if key not in self._clients:
            self._clients[key] = BulkClient(endpoint, self.folder, self.settings.budget)
        return self._clients[key]

    def _check(self, file: PdfFile, pages: _Pages, name: str | None) -> None:
        """Raises DocumentError where no page has text."""
        counts, it = pages.counts, f"{named(name)} ({counted(file.count, 'page')})"
        if counts["ok"] or counts["recognised"]:
            return
        if not file.count or not counts["lost"]:
            raise DocumentError(f"{it} holds no text", code="empty")
        if all(verdict.state == "failed" for verdict in pages.verdicts):
            raise DocumentError(f"{it} is broken: no page of it can be read; save it anew from a viewer", code="broken")
        how = "set ocr to tesseract or endpoint" if self.settings.ocr == "none" else "they can not be recognised"
        raise DocumentError(f"{it} has pages without text of their own, {', '.join(pages.lost)}: {how}", code="scanned")

    def _replaced(self, pages: _Pages, read: int) -> dict[int, str]:
        """Texts from elsewhere; "" for the pages that are lost."""
        states = {n: pages.state_of(n) for n in range(read)}
        return {
            n: pages.recognised[n].text if state == "recognised" else "" for n, state in states.items() if state != "ok"
        }

    def _refined(self, laid: Laid) -> tuple[Laid, Refined | None]:
        if not self.settings.refine:
            return laid, None
        endpoint = self.settings.refine_endpoint or self.settings.endpoint
        assert endpoint is not None
        texts = {number: "\n\n".join(parts) for number, parts in enumerate(laid.pages) if parts}
        refined = refine(self._client(endpoint), texts, self.settings.max_changed)
        pages = tuple((refined.texts[n],) if n in refined.texts else parts for n, parts in enumerate(laid.pages))
        return Laid(pages, laid.running_lines, laid.hidden_lines, laid.reordered_pages), refined

    def _document(
        self, record: Record, file: PdfFile, pages: _Pages, laid: Laid, refined: Refined | None
    ) -> RawDocument:
        told = {f"pages_{state.replace(' ', '_')}": str(number) for state, number in sorted(pages.counts.items())}
        provenance = {"extractor": EXTRACTOR, "pages": str(file.count), **told}
        by = sorted({found.by for found in pages.recognised.values() if found.by and not found.reason})
        provenance |= {"recognised_by": ", ".join(by)} if by else {}
        if refined is not None:
            provenance["refined_by"] = refined.by
            provenance["refined"] = ", ".join(f"{what} {number}" for what, number in refined.counts.items())
        if notes := page_notes(pages.verdicts):
            provenance["notes"] = "; ".join(notes)
        return RawDocument(
            record.id,
            laid.text,
            record.kind or "prose",
            record.language,
            record.held_out,
            record.original,
            record.url,
            record.date,
            dict(record.metadata),
            record.licence,
            record.title or " ".join(file.title.split()) or None,
            "application/pdf",
            provenance,
        )
