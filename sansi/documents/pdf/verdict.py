"""The verdict on each page of a PDF: what it is, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sansi.documents.pdf.characters import clean_page
from sansi.documents.pdf.garbled import garbled
from sansi.documents.pdf.pages import Page, PdfFile

State = Literal["ok", "garbled", "empty", "failed"]
FEW = 100  # characters that a page with a large picture may have beside it: a number, a stamp, a title that runs
LARGE = 0.5  # of a page
MANY_PATHS = 50  # that may be letters which were turned into curves
HIDDEN = 0.5  # of a page's characters


@dataclass(frozen=True)
class Verdict:
    """Of one page."""

    state: State
    reason: str = ""
    """A few words that are the same for each of the kind: "picture", "shifted alphabet", "blank"."""
    value: float | None = None
    """What the reason is judged by, where it is a number."""

    @property
    def drawn(self) -> bool:
        """Whether there is something on the page that its text does not tell, so that a look at it may."""
        return self.state != "ok" and self.reason not in ("blank", "not read")


def judge(page: Page) -> Verdict:
    """By the page alone."""
    if page.text is None:
        return Verdict("failed", "broken")
    text = clean_page(page.text)
    dense = "".join(text.split())
    if not dense:
        if page.pictures:
            return Verdict("empty", "picture", page.largest)
        return Verdict("empty", "curves", page.paths) if page.paths >= MANY_PATHS else Verdict("empty", "blank")
    fixed = sum(len(line.text) for line in page.lines if line.fixed)
    found = garbled(text, page.unmapped, code=2 * fixed > sum(len(line.text) for line in page.lines))
    if found is not None:
        return Verdict("garbled", found.reason, found.value)
    if page.largest >= LARGE and len(dense) < FEW:
        return Verdict("empty", "picture", page.largest)
    if page.hidden > HIDDEN and not page.pictures:
        return Verdict("garbled", "hidden text", page.hidden)
    return Verdict("ok")


def judge_all(file: PdfFile) -> tuple[Verdict, ...]:
    """One verdict for each page of the file: those that were not read have failed, so that none is forgotten."""
    verdicts = [judge(page) for page in file.pages]
    reason = "broken" if file.end == "broken" else "not read"
    return tuple(verdicts + [Verdict("failed", reason)] * (file.count - len(verdicts)))


def numbers_by_reason(verdicts: Sequence[Verdict]) -> dict[tuple[State, str], list[int]]:
    """The numbers of the pages, from 1, that are not ok."""
    found: dict[tuple[State, str], list[int]] = {}
    for number, verdict in enumerate(verdicts, 1):
        if verdict.state != "ok":
            found.setdefault((verdict.state, verdict.reason), []).append(number)
    return found
