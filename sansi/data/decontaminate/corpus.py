"""Decontamination of a whole corpus: what stands in very many documents is nobody's question.

A passage that many documents quote (a famous speech, a licence, a proverb) is found in evaluation texts too, and a run
of words of it tells nothing of them. So the documents are searched first, then the runs are counted, and only then it
is decided: a run counts as evidence unless it is common in the whole corpus or in the document's source. A document
that holds most of an evaluation text is dropped whatever is common.

    hits        per file of documents: which runs of evaluation texts stand in each
    common      of all: which runs are common, everywhere or in one source
    decisions   per file of documents, in the form of those of `sansi.data.dedup`, and `report.json`
"""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sansi.base.config import Config, as_config, config_to_dict
from sansi.base.files import read_json, write_json
from sansi.data.columns import Columns, column_writer, write_columns
from sansi.data.decontaminate.index import Index
from sansi.data.decontaminate.search import COMPLETE, TEMPLATE_TEXTS, Decontaminator, Match
from sansi.data.dedup.decisions import DIGITS, Decision, decision_files, read_decisions, write_decision_rows
from sansi.data.documents import Document
from sansi.data.store import read_documents
from sansi.data.work import Executor, Job, LocalExecutor
from sansi.data.work.begun import begin, fingerprint

RULE = "in an evaluation set"
WHOLE_TEXTS = 5  # times as many documents must hold a short evaluation text, which is all there
FEWEST_OF_SOURCE = 5  # documents of a source that can make a run common there
BATCH_ROWS, BATCH_CHARACTERS = 1000, 2_000_000


@dataclass(frozen=True)
class DecontaminationConfig(Config):
    """What is no evidence that an evaluation text was copied."""

    common_documents: int = 20
    """Documents of different texts from which a run of words that they share is a common passage (short evaluation
    texts, which are all there: five times as many)."""
    common_share: float = 0.02
    """Share of a source's documents (and at least 5 of them) from which a run that they share is common there."""
    template_texts: int = TEMPLATE_TEXTS
    """Evaluation texts from which a run of 13 words that they share counts as a template."""
    complete: float = COMPLETE
    """Share of an evaluation text's runs that tells of it, even if all of them are common or templates."""

    def problems(self) -> list[str]:
        found = [
            f'"{name}" is {getattr(self, name)}; give at least 2'
            for name in ("common_documents", "template_texts")
            if getattr(self, name) < 2
        ]
        found += [
            f'"{name}" is {getattr(self, name)}; it must lie above 0 and be at most 1'
            for name in ("common_share", "complete")
            if not 0 < getattr(self, name) <= 1
        ]
        return found


@dataclass(frozen=True)
class DecontaminationReport:
    """How many documents were searched and dropped, and because of which evaluation sets (the name before the "/")."""

    documents: int
    dropped: int
    by_set: Mapping[str, int]
    common_runs: int  # of words, that were found and are no evidence


HITS = pa.schema(
    {
        "source": pa.string(),
        "first": pa.uint64(),  # the first bytes of the text's SHA-256
        "second": pa.uint64(),
        "runs": pa.list_(pa.int64()),
        "passages": pa.list_(pa.string()),
    }
)


def find_contaminated(
    files: Sequence[Path],
    index: Path,
    out: Path,
    config: DecontaminationConfig | None = None,
    executor: Executor | None = None,
) -> DecontaminationReport:
    """Judge the documents of `files` by the index of evaluation texts in the folder `index`.

    `out` gets a file of decisions for each, to be read by `sansi.data.dedup.read_decisions` and applied by `apply`;
    `other` in them is the evaluation text's name, `value` the passage. Nothing depends on the order of the files or on
    who does the work, and a folder whose work was broken off is gone on with. Raises SansiError for what is no index.
    """
    config = as_config(DecontaminationConfig, config or {}, "decontaminate")
    files, out, executor = [Path(file) for file in files], Path(out), executor or LocalExecutor()
    inputs = {
        "config": config_to_dict(config),
        "index": Index.load(index).digest,
        "files": [fingerprint(file) for file in files],
    }
    begin(out, inputs, "decontamination")
    if not (out / "report.json").is_file():
        _work(files, Path(index), out, config, executor)
        shutil.rmtree(out / "work")
    return DecontaminationReport(**read_json(out / "report.json"))


def _work(files: list[Path], index: Path, out: Path, config: DecontaminationConfig, executor: Executor) -> None:
    work = out / "work"
    hits = [work / "hits" / f"{number:05d}.arrow" for number in range(len(files))]
    executor.run(
        [
            Job(find_part, output, {"documents": file, "index": index}, size=max(file.stat().st_size, 1))
            for output, file in zip(hits, files, strict=True)
        ],
        "search",
    )
    common = work / "common.arrow"
    executor.run([Job(count_common, common, {"hits": hits, "index": index, "config": config})], "count")
    arguments = {"common": common, "index": index, "config": config}
    jobs = [
        Job(decide_part, output, {"hits": own, **arguments})
        for output, own in zip(decision_files(out, len(files)), hits, strict=True)
    ]
    executor.run(jobs, "decide")
    report = work / "report.json"
    executor.run([Job(report_all, report, {"decisions": [job.output for job in jobs], "common": common})], "report")
    write_json(out / "report.json", read_json(report))  # last: with it all is there


def find_part(output: Path, documents: Path, index: Path) -> None:
    """The job that searches the documents of one file."""
    decontaminator = Decontaminator.load(index)
    with column_writer(output, HITS) as writer:
        for batch in _batches(read_documents(documents)):
            found = decontaminator.matches_of_all([document.text for document in batch])
            rows = [_hit(document, matches) for document, matches in zip(batch, found, strict=True)]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, HITS))


def _hit(document: Document, matches: Sequence[Match]) -> dict[str, object]:
    return {
        "source": document.source,
        "first": int(document.sha256[:16], 16),
        "second": int(document.sha256[16:32], 16),
        "runs": [match.run for match in matches],
        "passages": [match.passage for match in matches],
    }


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if len(batch) >= BATCH_ROWS or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def count_common(output: Path, hits: Sequence[Path], index: Path, config: DecontaminationConfig) -> None:
    """The job that tells which runs are common: a row for each with its source, None for all of them."""
    documents: Counter[str] = Counter()
    texts: set[tuple[str, int]] = set()
    seen: Counter[int] = Counter()
    seen_in: Counter[tuple[int, str]] = Counter()
    anywhere: set[int] = set()
    for path in hits:
        file = Columns(path)
        columns = (file.values("source"), file.values("first"), file.values("runs"))
        for source, first, runs in zip(*columns, strict=True):
            documents[source] += 1
            if not runs:
                continue
            if (source, first) not in texts:  # copies of a document count once
                texts.add((source, first))
                seen_in.update((run, source) for run in runs)
            if first not in anywhere:
                anywhere.add(first)
                seen.update(runs)
    kinds = Index.load(index).kinds
    least = {run: WHOLE_TEXTS if kinds[run] else 1 for run in seen}
    everywhere = [(run, None) for run, count in seen.items() if count >= config.common_documents * least[run]]
    in_source = [
        (run, source)
        for (run, source), count in seen_in.items()
        if count >= FEWEST_OF_SOURCE * least[run] and count >= config.common_share * documents[source]
    ]
    rows = sorted([*everywhere, *in_source], key=lambda row: (row[0], row[1] or ""))
    write_columns(
        output,
        {
            "run": np.asarray([run for run, _ in rows], np.int64),
            "source": pa.array([source for _, source in rows], pa.string()),
        },
    )


def decide_part(output: Path, hits: Path, common: Path, index: Path, config: DecontaminationConfig) -> None:
    """The job that decides on the documents of one file."""
    known, table = Index.load(index), Columns(common)
    no_evidence = set(zip(table.values("run"), table.values("source"), strict=True))
    write_decision_rows(output, _decisions(Columns(hits), Decontaminator.of(known), no_evidence, config))


def _decisions(
    hits: Columns, decontaminator: Decontaminator, common: set[tuple[int, str | None]], config: DecontaminationConfig
) -> Iterator[Decision]:
    for row, hit in enumerate(hits.rows()):
        digest = f"{hit['first']:016x}{hit['second']:016x}"[:DIGITS]
        matches = [Match(run, passage) for run, passage in zip(hit["runs"], hit["passages"], strict=True)]
        no_evidence = {m.run for m in matches if (m.run, None) in common or (m.run, hit["source"]) in common}
        found = decontaminator.judge(matches, no_evidence, config.template_texts, config.complete)
        if found:
            yield Decision(row, "dropped", digest, RULE, found.passage, found.text)
        else:
            yield Decision(row, "kept", digest)


def report_all(output: Path, decisions: Sequence[Path], common: Path) -> None:
    """The job that counts."""
    documents, by_set = 0, Counter[str]()
    for path in decisions:
        for decision in read_decisions(path):
            documents += 1
            if decision.state == "dropped":
                by_set[(decision.other or "").split("/")[0]] += 1
    runs = len(set(Columns(common).values("run")))
    report = DecontaminationReport(documents, by_set.total(), dict(sorted(by_set.items())), runs)
    write_json(output, dataclasses.asdict(report))
