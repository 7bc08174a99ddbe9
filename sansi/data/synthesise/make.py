"""From seed documents to what a model makes of them: asked, parsed, filtered, with its origin."""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.client.bulk import Answer, BulkClient, BulkReport, Request, user_message
from sansi.data.annotate import annotate
from sansi.data.corpus.origin import Origin
from sansi.data.corpus.read import read_corpus
from sansi.data.corpus.report import CorpusReport
from sansi.data.corpus.write import write_corpus
from sansi.data.documents import Document, Kind, RawDocument, text_sha256
from sansi.data.ledger import Dropped, Entry
from sansi.data.synthesise.config import SynthesiseConfig
from sansi.data.synthesise.filters import reason_against
from sansi.data.synthesise.parsing import code, pairs, pairs_text, prose
from sansi.data.synthesise.prompts import PROMPTS, Prompt
from sansi.data.synthesise.reasoning import reasoning_documents
from sansi.data.synthesise.running import check_code
from sansi.data.words import split_words

SOURCE = "synthetic"
STEP = "synthesise"


@dataclass(frozen=True)
class _Wanted:
    """One document that is asked for."""

    id: str
    prompt: Prompt
    seed: Document
    shown: str
    sample: int


def synthetic_corpus(
    out: Path, config: SynthesiseConfig, seeds: Iterable[Document] | Path, answers: Path, transport: Any = None
) -> tuple[CorpusReport, BulkReport | None]:
    """A corpus folder of synthetic documents; what was asked for and left out stands in its ledger.

    seeds: documents, or the folder of a corpus. answers: a folder that keeps answers and costs: with the same one a run
    that was killed asks only for what is missing. Raises SansiError where nothing is left.
    """
    documents = read_corpus(seeds) if isinstance(seeds, Path) else seeds
    asked: list[BulkReport] = []

    def made() -> Iterator[Document | Entry]:
        kept = 0
        if config.endpoint is not None:
            with BulkClient(config.endpoint, answers, config.budget, transport=transport) as client:
                for each in synthesise(client, documents, config):
                    kept += isinstance(each, Document)
                    yield each
                asked.append(client.report)
        for document in reasoning_documents(config.reasoning, config.stream, config.families):
            kept += 1
            yield document
        if not kept:
            told = f": {asked[0]}" if asked else ""
            raise SansiError(f"no synthetic document is left{told}; look at the answers in {answers}", param="prompts")

    model = config.endpoint.model if config.endpoint is not None else "sansi"
    report = write_corpus(Path(out), Origin(SOURCE, f"written by {model}", "", "as its seeds"), made())
    return report, asked[0] if asked else None


def synthesise(client: BulkClient, seeds: Iterable[Document], config: SynthesiseConfig) -> Iterator[Document | Entry]:
    """For each seed document, prompt and sample a document, or the entry that says why there is none; in order."""
    waiting: deque[_Wanted] = deque()
    options = {"temperature": config.temperature, "max_tokens": config.max_tokens}
    options = {name: value for name, value in options.items() if name not in client.settings.options}
    seen: set[str] = set()

    def requests() -> Iterator[Request]:
        for wanted in _wanted(_chosen(seeds, config), config):
            waiting.append(wanted)
            yield Request([user_message(wanted.prompt.about(wanted.shown))], options, wanted.sample)

    for answer in client.ask(requests(), "synthesising"):
        wanted = waiting.popleft()
        made = _document(wanted, answer, config, seen)
        yield made if isinstance(made, Document) else _entry(wanted, made)


def _chosen(seeds: Iterable[Document], config: SynthesiseConfig) -> Iterator[Document]:
    """Seed documents that say enough, at most so many, in their order."""
    usable = (seed for seed in seeds if len(seed.text) >= config.min_characters and "generator" not in seed.provenance)
    if config.documents is None:
        yield from usable
        return
    numbered = ((_hash_of(seed.id), number, seed) for number, seed in enumerate(usable))
    for _, _, seed in sorted(heapq.nsmallest(config.documents, numbered, key=lambda each: each[:2]), key=_place):
        yield seed


def _place(numbered: tuple[bytes, int, Document]) -> int:
    return numbered[1]


def _hash_of(id: str) -> bytes:
    return hashlib.blake2b(id.encode("utf-8", "surrogatepass")).digest()


def _wanted(seeds: Iterable[Document], config: SynthesiseConfig) -> Iterator[_Wanted]:
    for seed in seeds:
        shown = excerpt(seed.text, config.max_characters)
        for name in config.prompts:
            for sample in range(config.samples):
                yield _Wanted(f"{name}/{seed.id}/{sample}", PROMPTS[name], seed, shown, sample)


def excerpt(text: str, most: int) -> str:
    """The beginning of a text, up to the end of a paragraph or a line where there is one."""
    if len(text) <= most:
        return text
    cut = text[:most]
    for end in ("\n\n", "\n", " "):
        if (at := cut.rfind(end)) > most // 2:
            return cut[:at]
    return cut


def _document(wanted: _Wanted, answer: Answer, config: SynthesiseConfig, seen: set[str]) -> Document | Dropped:
    if answer.status != "ok":
        return Dropped(f"answer {answer.status}", answer.reason)
    text = _parsed(wanted.prompt, answer.text)
    if text is None:
        return Dropped("another format", wanted.prompt.shape)
    if (dropped := reason_against(text, wanted.shown, wanted.prompt, config.max_echo)) is not None:
        return dropped
    if wanted.prompt.shape == "code" and (dropped := _checked(text)) is not None:
        return dropped
    digest = text_sha256(" ".join(split_words(text)))
    if digest in seen:
        return Dropped("repeated", 1)
    seen.add(digest)
    return _with_origin(wanted, answer, text)


def _parsed(prompt: Prompt, answer: str) -> str | None:
    """The document in an answer; None where it has another form."""
    if prompt.shape == "questions":
        found = pairs(answer)
        return None if found is None else pairs_text(found)
    if prompt.shape == "code":
        parts = code(answer)
        return None if parts is None else parts.text
    text = prose(answer)
    return text if prompt.name != "textbook" or text.startswith("#") else None


def _checked(text: str) -> Dropped | None:
    parts = code(text)
    assert parts is not None
    return check_code(parts)


def _with_origin(wanted: _Wanted, answer: Answer, text: str) -> Document:
    seed = wanted.seed
    kind: Kind = "code" if wanted.prompt.shape == "code" else "prose"
    provenance = {
        "generator": answer.model or "unknown",
        "prompt": wanted.prompt.title,
        "seed_document": seed.id,
        "seed_sha256": seed.sha256,
        "seed_licence": seed.licence,
        "request": answer.key,
    }
    language = seed.language if wanted.prompt.keeps_language else "python"
    raw = RawDocument(
        wanted.id, text, kind, language, original=False, licence=seed.licence, provenance=provenance,
        media_type="text/markdown",
    )  # fmt: skip
    document = annotate(raw, SOURCE, seed.licence)
    return replace(document, field=document.field or seed.field)


def _entry(wanted: _Wanted, dropped: Dropped) -> Entry:
    return Entry.of(f"{SOURCE}/{wanted.id}", STEP, dropped, language=wanted.seed.language)
