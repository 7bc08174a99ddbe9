"""How PDF files become text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sansi.base.config import Config, idle, too_small
from sansi.client.bulk import Budget, EndpointSettings

PIXELS = {"endpoint": 1536, "tesseract": 3300}
MAX_TOKENS = 4096


@dataclass(frozen=True)
class PdfSettings(Config):
    """What is done with pages whose text is no text, and when a whole file is dropped."""

    ocr: Literal["none", "tesseract", "endpoint"] = "none"
    """How pages are read whose own text is missing or garbled: by the program, by a vision-language model, or not."""
    endpoint: EndpointSettings | None = None
    """Of the vision-language model, and of the refining pass where that has none of its own."""
    refine: bool = False
    """Whether a language model mends what extraction broke, on all pages."""
    refine_endpoint: EndpointSettings | None = None
    """Of the language model that refines, where it is another one."""
    max_changed: float = 0.1
    """Share of a page's words that refining may lose, or invent; beyond it the page stays as it was."""
    budget: Budget = field(default_factory=Budget)
    """Of all requests of a corpus."""
    languages: tuple[str, ...] = ()
    """For Tesseract (BCP-47); none: what the file's other pages are in, what the source tells, or the script seen."""
    pixels: int | None = None
    """Of the longer side of a page's picture; left out: 1,536 for an endpoint, 3,300 for Tesseract."""
    max_lost: float = 0.1
    """Share of a file's pages that may be lost, one page always: beyond it the file is dropped."""
    max_pages: int = 5000
    """Of a file; those after it are left out."""
    max_bytes: int = 2**28
    """Of a file; larger ones are not read."""
    seconds: float = 600.0
    """Of processor time, for the first step of a file."""

    def problems(self) -> list[str]:
        found = too_small(self, 0, "max_changed", "max_lost") + too_small(self, 1, "max_pages", "max_bytes")
        found += too_small(self, 100, "pixels")
        if self.ocr == "endpoint" and self.endpoint is None:
            found.append('"ocr" is "endpoint", and there is no "endpoint"; give its base_url and model')
        if self.refine and (self.refine_endpoint or self.endpoint) is None:
            found.append('"refine" needs an "endpoint" or a "refine_endpoint"; give its base_url and model')
        if not self.refine:
            found += idle(self, 'needs "refine"', "refine_endpoint", "max_changed")
        if self.ocr != "endpoint" and not self.refine:
            found += idle(self, 'is not asked; set "ocr" to "endpoint", or "refine" to true', "endpoint", "budget")
        if self.ocr != "tesseract":
            found += idle(self, 'is read with "ocr" = "tesseract" alone', "languages")
        if self.ocr == "none":
            found += idle(self, 'needs "ocr"', "pixels")
        return found

    @property
    def asks(self) -> bool:
        """Whether an endpoint is asked, so that there is a folder needed for its answers."""
        return self.ocr == "endpoint" or self.refine
