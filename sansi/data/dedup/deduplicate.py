"""Deduplication on disk, as jobs of which each leaves one file: killed at any moment, it goes on where it was.

features    per file of documents: digest, size, MinHash keys, shingles, digests of the paragraphs
order       of all: in which order they are judged, and who is the first with the same text
keys        per range of keys: which documents share one, so that they are compared
paragraphs  per range of digests: which stand in several documents
texts       per file of documents: those that hold such a paragraph
verdicts    of all: judged in that order (`judge`)
decisions   per file of documents, and `report.json`
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from sansi.base.config import as_config, config_to_dict
from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json
from sansi.data.columns import Columns, Documents
from sansi.data.dedup.config import DedupConfig
from sansi.data.dedup.decisions import DIGITS, Decision, decision_files, write_decision_rows
from sansi.data.dedup.features import write_features
from sansi.data.dedup.index import write_keys, write_order, write_paragraphs, write_texts
from sansi.data.dedup.judge import Revise, write_verdicts
from sansi.data.dedup.report import DedupReport, write_report
from sansi.data.store import rows_of
from sansi.data.work import Executor, Job, LocalExecutor
from sansi.data.work.begun import begin, fingerprint

log = logging.getLogger(__name__)

PARAGRAPHS = 8  # for an estimate: of a document


def deduplicate(
    files: Sequence[Path],
    out: Path,
    config: DedupConfig | None = None,
    executor: Executor | None = None,
    revise: Revise | None = None,
) -> DedupReport:
    """Judge the documents of `files`; `out` gets a file of decisions for each, and `report.json`.

    The decisions depend on the documents and on `config` alone: not on the order of the files, on the executor, or on
    how often the work was broken off. A second pass over what is kept changes nothing. revise: judges what is left of a
    document that lost paragraphs, and says why it is not kept, or None; a function of a module.

    Raises SansiError for files that are missing or damaged, and for a source that lost too much where
    `config.on_source_loss` is "stop".
    """
    config = as_config(DedupConfig, config or {}, "dedup")
    files, out = [Path(file) for file in files], Path(out)
    inputs: dict[str, object] = {
        "config": config_to_dict(config),
        "revise": _digest_of(revise),
        "files": [fingerprint(file) for file in files],
    }
    begin(out, inputs, "deduplication")
    if not (out / "report.json").is_file():
        _work(files, out, config, executor or LocalExecutor(), revise)
        shutil.rmtree(out / "work")
    report = DedupReport.load(out / "report.json")
    for alarm in report.alarms:
        log.warning("%s", alarm)
    if report.alarms and config.on_source_loss == "stop":
        raise SansiError("; ".join(report.alarms), param="on_source_loss")
    return report


def _work(files: list[Path], out: Path, config: DedupConfig, executor: Executor, revise: Revise | None) -> None:
    work, rows = out / "work", sum(rows_of(file) for file in files)

    def names(step: str, count: int) -> list[Path]:
        return [work / step / f"{number:05d}.arrow" for number in range(count)]

    features = names("features", len(files))
    sizes = [max(file.stat().st_size, 1) for file in files]
    executor.run(
        [
            Job(write_features, output, {"documents": file, "config": config}, size=size)
            for output, file, size in zip(features, files, sizes, strict=True)
        ],
        "compare",
    )
    order = work / "order.arrow"
    keys = names("keys", _parts(rows * config.bands, config))
    paragraphs = names("paragraphs", _parts(rows * PARAGRAPHS, config))
    executor.run([Job(write_order, order, {"features": features})], "order")
    executor.run(
        [
            *(
                Job(write_keys, path, {"features": features, "part": i, "parts": len(keys)})
                for i, path in enumerate(keys)
            ),
            *(
                Job(write_paragraphs, path, {"features": features, "order": order, "part": i, "parts": len(paragraphs)})
                for i, path in enumerate(paragraphs)
            ),
        ],
        "sort",
    )
    texts = names("texts", len(files))
    executor.run(
        [
            Job(write_texts, output, {"documents": file, "features": own, "shared": paragraphs}, size=size)
            for output, file, own, size in zip(texts, files, features, sizes, strict=True)
        ],
        "collect",
    )
    verdicts = work / "verdicts.arrow"
    sorted_files = {"order": order, "keys": keys, "paragraphs": paragraphs, "texts": texts}
    executor.run(
        [Job(write_verdicts, verdicts, {"features": features, "config": config, "revise": revise, **sorted_files})],
        "judge",
    )
    shared = {"features": features, "verdicts": verdicts}
    executor.run(
        [
            *(
                Job(write_decisions, path, {**shared, "number": number})
                for number, path in enumerate(decision_files(out, len(files)))
            ),
            Job(write_report, work / "report.json", {**shared, "config": config}),
        ],
        "decide",
    )
    write_json(out / "report.json", read_json(work / "report.json"))  # last: with it all is there


def write_decisions(output: Path, features: Sequence[Path], verdicts: Path, number: int) -> None:
    """The job that writes the decisions of one file of documents."""
    write_decision_rows(output, _decisions(Documents(features), Columns(verdicts), number))


def _decisions(documents: Documents, verdicts: Columns, number: int) -> Iterator[Decision]:
    own, start = documents.files[number], documents.starts[number]
    columns = (own.values("first"), own.values("second"), verdicts.rows(start, start + len(own)))
    for row, (first, second, verdict) in enumerate(zip(*columns, strict=True)):
        other = verdict["other"]
        yield Decision(
            row=row,
            state="dropped" if verdict["rule"] else "cut" if verdict["cut"] else "kept",
            digest=f"{first:016x}{second:016x}"[:DIGITS],
            rule=verdict["rule"],
            value=verdict["value"],
            other=None if other is None else documents.value("id", other),
            cut=tuple(verdict["cut"]),
            copies=verdict["copies"],
        )


def _parts(entries: int, config: DedupConfig) -> int:
    return max(1, -(-entries // config.entries_at_once))


def _digest_of(revise: Revise | None) -> str | None:
    try:
        return None if revise is None else hashlib.sha256(pickle.dumps(revise)).hexdigest()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise SansiError(
            f'"revise" is {revise!r}, which other processes can not be given ({error}); give a function of a module',
            param="revise",
        ) from error
