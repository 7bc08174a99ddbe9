"""What a corpus is built from and by which rules, so that a changed one is never taken for another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sansi.base.config import config_to_dict, load_config
from sansi.base.differences import ABSENT, changes, flat
from sansi.base.errors import SansiError
from sansi.base.files import json_text, read_json

if TYPE_CHECKING:
    from sansi.data.corpus.config import CorpusConfig
    from sansi.data.corpus.feeds import Feed

BUILD_FILE = "build.json"
FORMAT = "sansi-corpus-3"
VERSION = 3
"""Counts up with a change of what the rules do; then a corpus of before is another one."""


@dataclass(frozen=True)
class CorpusInputs:
    """Two corpora of equal inputs hold the same documents."""

    sources: dict[str, str]  # name -> package, version and digest, or the files' digest
    settings: dict[str, Any]  # by source: how it is read and judged
    evaluation: str  # digest of the evaluation texts, whatever their order; "none" if there are none
    comparing: dict[str, Any]  # what counts as repeated, and as copied from an evaluation set
    rules: dict[str, float]  # thresholds of filters and decontamination

    @classmethod
    def of(
        cls,
        config: CorpusConfig,
        feeds: Sequence[Feed],
        evaluation_texts: Iterable[str],
        benchmarks: Mapping[str, str] | None = None,
    ) -> CorpusInputs:
        """benchmarks: by name, what each is read from."""
        return cls(
            sources={feed.name: _origin(feed) for feed in feeds},
            settings={feed.name: {**asdict(feed.settings), "limit_bytes": feed.limit_bytes} for feed in feeds},
            evaluation=digest_texts(evaluation_texts),
            comparing={
                "dedup": config_to_dict(config.dedup),
                "evaluation": config_to_dict(config.decontamination),
                "benchmarks": dict(benchmarks or {}),
            },
            rules=thresholds(),
        )

    @classmethod
    def load(cls, values: Any, where: str) -> CorpusInputs:
        return load_config(cls, values, where)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def differences(self, other: CorpusInputs) -> list[str]:
        """What `other` has otherwise, a phrase for each."""
        found = [] if self.evaluation == other.evaluation else ["another evaluation set"]
        for part, noun in (("sources", "source"), ("settings", "setting"), ("comparing", "setting"), ("rules", "rule")):
            there, here = (
                {f'{noun} "{name}"': value for name, value in flat(getattr(inputs, part)).items()}
                for inputs in (self, other)
            )
            found += changes(there, here, lambda value: "none" if value == ABSENT else str(value))
        return found


def thresholds() -> dict[str, float]:
    """Those that no configuration names."""
    from sansi.data import decontaminate, filters, languages

    return {
        "version": VERSION,
        "max_english": filters.MAX_ENGLISH,
        "max_markup": filters.MAX_MARKUP,
        "max_compression": languages.COMPRESSION,
        "evaluation_run_words": decontaminate.RUN_WORDS,
    }


def digest_texts(texts: Iterable[str]) -> str:
    """A digest of a set of texts, whatever their order."""
    parts = sorted({hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts})
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else "none"


def check_unchanged(folder: Path, inputs: CorpusInputs) -> None:
    """Raise SansiError that says what differs, where the folder's corpus was begun from something else."""
    path = folder / BUILD_FILE
    if not path.is_file():
        return
    begun = CorpusInputs.load(read_json(path), str(path))
    now = CorpusInputs.load(json.loads(json_text(inputs.as_dict())), str(path))  # as it would be read
    if differences := begun.differences(now):
        raise SansiError(
            f"{folder}: this corpus was built from something else: {'; '.join(differences)}; build into another "
            "folder, or begin anew with --restart (restart=True), which moves this one aside"
        )


def _origin(feed: Feed) -> str:
    origin = feed.origin
    if origin.version:
        return f"{origin.package} {origin.version} {origin.sha256 or ''}".strip()
    return f"{origin.package} {files_digest(feed)}"


def files_digest(feed: Feed) -> str:
    """A digest of the parts: their names and sizes. What the files hold is in the ledger, record by record."""
    lines = [f"{part.name}\0{part.size}\n" for part in feed.parts]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
