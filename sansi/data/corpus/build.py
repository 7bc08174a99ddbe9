"""Build a corpus: every source part by part, all of them compared with each other, and what is left written down.

    OUT/documents/SOURCE/00000.parquet   what is kept, in the order of the source
    OUT/held_out/SOURCE/00000.parquet    kept apart for evaluation
    OUT/ledger/SOURCE/00000.parquet      what became of every record
    OUT/manifest.json                    what came from where, under which licence, by which rules, with digests
    OUT/report.md, OUT/plots/            the same to be read and looked at
    OUT/work/                            while it is being built

The folder is filled in place, and `manifest.json` comes last. A build that was killed goes on with the parts that are
missing; what it leaves does not depend on that, nor on who ran the jobs.
"""

from __future__ import annotations

import functools
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sansi.base.errors import SansiError
from sansi.base.files import make_folder, write_json, write_text
from sansi.base.marker import shown
from sansi.data.corpus.config import CorpusConfig
from sansi.data.corpus.feeds import Feed, feeds_of
from sansi.data.corpus.inputs import BUILD_FILE, CorpusInputs, check_unchanged
from sansi.data.corpus.report import MANIFEST_FILE, CorpusReport, source_report
from sansi.data.corpus.steps import (
    PartFiles,
    hash_of,
    held_out_of,
    read_part,
    reason_against_rest,
    settle_part,
    write_part,
)
from sansi.data.corpus.summary import count_by, plot_counts, summary_text
from sansi.data.decontaminate import Decontaminator, EvaluationText, as_texts, find_contaminated
from sansi.data.decontaminate.benchmarks import benchmark_origins, benchmark_texts
from sansi.data.dedup import decision_files, deduplicate
from sansi.data.store import columns_of, read_documents
from sansi.data.work import Executor, Job, LocalExecutor

LOCK_FILE = ".lock"
log = logging.getLogger(__name__)


def build_corpus(
    out: Path,
    config: CorpusConfig | None = None,
    *,
    evaluation_texts: Iterable[str] = (),
    executor: Executor | None = None,
    base: Path = Path(),
    restart: bool = False,
) -> CorpusReport:
    """Build a corpus in `out`, or go on with it; a folder with files of yours is refused.

    No document that overlaps with one of `evaluation_texts`, with a benchmark, or with what is held out, is kept.
    base: where the paths of the configuration begin. executor: who runs the jobs; None: processes of this machine, one
    for each core. restart: what a build left in `out` is moved aside first.

    Raises SansiError where `out` was begun from something else, where a source cannot be had, where the ledger does not
    balance, and where no document is left.
    """
    out, config, texts = Path(out), config or CorpusConfig(), as_texts(evaluation_texts)
    if restart:
        _move_aside(out)
    with _alone(out), LocalExecutor() as here:
        return _Build(out, config, texts, executor or here, base).run()


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Only one build works in a folder; the system releases the lock of one that was killed."""
    make_folder(out)
    try:
        with FileLock(out / LOCK_FILE, timeout=0):
            yield
    except Timeout as error:
        raise SansiError(f"another build works in {out}; wait for it, or build into another folder") from error


def _move_aside(out: Path) -> None:
    """Nothing is deleted: it may have taken days."""
    if not (out / BUILD_FILE).is_file():
        return
    number = 1
    while (target := out.with_name(f"{out.name}.old-{number}")).exists():
        number += 1
    with _alone(out):
        os.replace(out, target)
    log.warning("%s is now %s; delete it when nothing in it is wanted", out, target)


class _Build:
    def __init__(self, out: Path, config: CorpusConfig, texts: list[str], executor: Executor, base: Path):
        self.out, self.work, self.config, self.texts = out, out / "work", config, texts
        self.executor, self.base = executor, base

    def run(self) -> CorpusReport:
        self._check_folder()
        feeds = feeds_of(self.config, self.work / "unpacked", self.base)
        benchmarks = benchmark_origins(self.config.benchmarks, self.config.cache, self.base)
        inputs = CorpusInputs.of(self.config, feeds, self.texts, benchmarks)
        check_unchanged(self.out, inputs)
        if not (self.out / MANIFEST_FILE).is_file():
            write_json(self.out / BUILD_FILE, inputs.as_dict())
            parts = {feed.name: self._parts(feed) for feed in feeds}
            self._read(feeds, parts)
            self._decontaminate(feeds, parts)
            self._deduplicate(feeds, parts)
            self._write(feeds, parts)
            self._report(feeds, inputs)
        shutil.rmtree(self.work, ignore_errors=True)  # of a corpus that was there already, the unpacked packages
        return CorpusReport.load(self.out)

    def _check_folder(self) -> None:
        """Raise SansiError where a folder was not begun by a build and somebody's files lie in it."""
        if (self.out / BUILD_FILE).is_file():
            return
        # A recipe's stage writes its record before the work.
        others = sorted(f.name for f in self.out.iterdir() if not f.name.startswith(".") and f.name != "stage.json")
        if others:
            raise SansiError(f"{self.out} holds what no build put there ({shown(others)}); build into another folder")

    def _parts(self, feed: Feed) -> list[PartFiles]:
        folders = [self.work / step / feed.name for step in ("read", "decontaminated", "settled")]
        return [PartFiles(*(folder / f"{n:05d}.parquet" for folder in folders)) for n in range(len(feed.parts))]

    def _read(self, feeds: Sequence[Feed], parts: dict[str, list[PartFiles]]) -> None:
        answers = self.work / "answers" if self.config.pdf.asks else None
        jobs = [
            Job(
                read_part,
                files.read,
                {"part": part, "settings": feed.settings, "answers": answers},
                True,
                max(part.size, 1),
            )
            for feed in feeds
            for part, files in zip(feed.parts, parts[feed.name], strict=True)
        ]
        self.executor.run(jobs, "reading")

    def _decontaminate(self, feeds: Sequence[Feed], parts: dict[str, list[PartFiles]]) -> None:
        files = [(files.read, files.decontaminated) for files in _all(feeds, parts)]
        index, decisions = self.work / "evaluation", self.work / "overlaps"
        if not index.is_dir():
            Decontaminator(self._evaluation_texts([read for read, _ in files])).save(index)
        found = find_contaminated(
            [read for read, _ in files], index, decisions, self.config.decontamination, self.executor
        )
        if found.dropped:
            log.info("%s documents overlap with evaluation texts: %s", found.dropped, dict(found.by_set))
        self._settle(files, decisions, "decontaminate")

    def _evaluation_texts(self, files: Sequence[Path]) -> Iterator[EvaluationText]:
        """What was given, the benchmarks, and what is held out."""
        yield from (EvaluationText(f"given/{number}", text) for number, text in enumerate(self.texts))
        yield from benchmark_texts(self.config.benchmarks, self.config.cache, self.base)
        held_out = (document for file in files for document in read_documents(held_out_of(file)))
        yield from (EvaluationText(f"held out/{document.id}", document.text) for document in held_out)

    def _deduplicate(self, feeds: Sequence[Feed], parts: dict[str, list[PartFiles]]) -> None:
        files = [(files.decontaminated, files.settled) for files in _all(feeds, parts)]
        decisions = self.work / "repeats"
        # Judged while repeats are: what is dropped for its rest must not take paragraphs of others with it.
        revise = functools.partial(reason_against_rest, rules={feed.name: feed.settings.rules for feed in feeds})
        deduplicate([before for before, _ in files], decisions, self.config.dedup, self.executor, revise)
        self._settle(files, decisions, "dedup")

    def _settle(self, files: Sequence[tuple[Path, Path]], decisions: Path, step: str) -> None:
        """files: of each part before and after."""
        jobs = [
            Job(settle_part, after, {"documents": before, "decisions": file, "step": step}, size=_size(before))
            for (before, after), file in zip(files, decision_files(decisions, len(files)), strict=True)
        ]
        self.executor.run(jobs, step)

    def _write(self, feeds: Sequence[Feed], parts: dict[str, list[PartFiles]]) -> None:
        jobs = []
        for feed in feeds:
            kept_ids = self._within_limit(feed, parts[feed.name])
            for number, files in enumerate(parts[feed.name]):
                name = f"{feed.name}/{number:05d}.parquet"
                arguments = {
                    "files": files,
                    "documents": self.out / "documents" / name,
                    "held_out": self.out / "held_out" / name,
                    "kept_ids": kept_ids,
                }
                jobs.append(Job(write_part, self.out / "ledger" / name, arguments, size=_size(files.settled)))
        self.executor.run(jobs, "writing")

    def _within_limit(self, feed: Feed, parts: Sequence[PartFiles]) -> Path | None:
        """A file of the ids that are kept of a source with a limit."""
        if feed.limit_bytes is None:
            return None
        found: list[tuple[str, int]] = []
        for files in parts:
            columns = columns_of(files.settled, ["id", "size"])
            found += zip(columns["id"], columns["size"], strict=True)
        path = self.work / "limits" / f"{feed.name}.json"
        write_json(path, sorted(within(found, feed.limit_bytes)))
        return path

    def _report(self, feeds: Sequence[Feed], inputs: CorpusInputs) -> None:
        sources = tuple(source_report(self.out, feed.origin) for feed in feeds)
        report = CorpusReport(self.out, sources, inputs)
        report.check()
        counts = count_by([self.out / name for s in sources for name in s.files if name.startswith("documents/")])
        write_text(self.out / "report.md", summary_text(report, counts))
        plot_counts(report, counts, self.out / "plots")
        report.write()


def within(sizes: Iterable[tuple[str, int]], limit: int) -> set[str]:
    """Ids whose sizes together are at most `limit`, chosen evenly by a hash of the ids."""
    kept, total = set(), 0
    for id, size in sorted(sizes, key=lambda item: (hash_of(item[0]), item[0])):
        if total + size <= limit:
            kept.add(id)
            total += size
    return kept


def _all(feeds: Sequence[Feed], parts: dict[str, list[PartFiles]]) -> list[PartFiles]:
    return [files for feed in feeds for files in parts[feed.name]]


def _size(path: Path) -> int:
    return max(1, path.stat().st_size)
