"""Deduplication as jobs on disk: the same bytes whoever runs them, wherever it was broken off, in whatever order."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from dedup_made import kept_in, write_files
from documents_made import document, prose
from sansi.base import SansiError
from sansi.data.dedup import DedupConfig, DedupReport, apply, decision_files, deduplicate, read_decisions
from sansi.data.documents import Document
from sansi.data.ledger import Dropped
from sansi.data.store import read_documents, write_documents
from sansi.data.work import Job, LocalExecutor

HERE = LocalExecutor(0)


def corpus() -> list[Document]:
    """Copies, near-copies, repeated paragraphs and a patchwork, among others that share nothing."""
    texts = [prose(n, 20) for n in range(12)]
    texts += [prose(3, 20), prose(4, 20).replace("river", "brook", 2), "\n\n".join([prose(30, 5), prose(31, 5)])]
    texts += [f"{prose(40 + n, 12)}\n\n{prose(30, 5)}" for n in range(3)]
    texts += [f"{prose(31, 5)}\n\n{prose(60, 1)}\n\n{prose(30, 5)}"]
    return [dataclasses.replace(document(text), id=f"made/{n}", source=f"s{n % 2}") for n, text in enumerate(texts)]


class Breaking:
    """Runs jobs here and breaks off before job number `last`, as a kill would."""

    def __init__(self, last: int):
        self.left = last

    def run(self, jobs: Iterable[Job], title: str) -> None:
        for job in jobs:
            if not job.is_done:
                if self.left == 0:
                    raise KeyboardInterrupt
                self.left -= 1
                HERE.run([job], title)


def bytes_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.*")) if path.name != "inputs.json"}


def test_workers_and_breaks_change_no_byte(tmp_path: Path):
    files = write_files(tmp_path, corpus(), 3)
    config = DedupConfig(entries_at_once=1000)  # several ranges of keys
    report = deduplicate(files, tmp_path / "here", config, HERE)
    expected = bytes_of(tmp_path / "here")
    deduplicate(files, tmp_path / "workers", config, LocalExecutor(2))
    assert bytes_of(tmp_path / "workers") == expected and len(expected) == 4
    broken = 0
    for _ in range(40):  # the folder is gone on with each time: four more jobs are done
        try:
            deduplicate(files, tmp_path / "broken", config, Breaking(4))
            break
        except KeyboardInterrupt:
            broken += 1
    assert broken > 2 and bytes_of(tmp_path / "broken") == expected
    assert report == DedupReport.load(tmp_path / "broken" / "report.json")
    assert not (tmp_path / "broken" / "work").exists()
    assert deduplicate(files, tmp_path / "broken", config, Breaking(0)) == report  # all is there


def test_no_order_of_files_or_documents_changes_what_is_kept(tmp_path: Path):
    made = corpus()
    kept = []
    for number, (documents, files) in enumerate([(made, 1), (made[::-1], 4), (made[7:] + made[:7], 2)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        paths = write_files(folder, documents, files)
        deduplicate(paths, folder / "out", executor=HERE)
        kept.append({d.id: (d.text, d.metadata.get("copies")) for d in kept_in(paths, folder / "out")})
    assert kept[0] == kept[1] == kept[2] and len(kept[0]) < len(made)


def test_decisions_tell_why_and_because_of_whom(tmp_path: Path):
    files = write_files(tmp_path, corpus(), 1)
    report = deduplicate(files, tmp_path / "out", executor=HERE)
    decisions = list(read_decisions(decision_files(tmp_path / "out", 1)[0]))
    assert [decision.row for decision in decisions] == list(range(len(corpus())))
    told = {decision.row: (decision.rule or decision.state, decision.other) for decision in decisions}
    assert told[12] == ("duplicate", "made/3") and told[13] == ("duplicate", "made/4")
    assert told[14] == ("duplicate", "made/18")  # which is longer by one sentence
    assert told[18] == told[15] == told[17] == ("cut", None)  # of its paragraphs the longest document keeps one
    assert {told[row] for row in (*range(12), 16)} == {("kept", None)}
    total = report.total
    assert total.documents == len(corpus()) == total.kept + sum(total.dropped.values())
    assert total.kept_bytes == sum(d.size for d in kept_in(files, tmp_path / "out"))


def refuse_short(document: Document) -> Dropped | None:
    return Dropped("too short", document.size) if document.size < 900 else None


def test_what_is_dropped_after_a_cut_owns_no_paragraph(tmp_path: Path):
    """The second page loses its notice, is too short without, and goes: the third keeps what the second had first."""
    notice, shared = prose(1, 8), prose(2, 8)
    texts = [f"{notice}\n\n{prose(3, 60)}", f"{notice}\n\n{shared}", f"{shared}\n\n{prose(5, 3)}"]
    made = [dataclasses.replace(document(text), id=str(n)) for n, text in enumerate(texts)]
    files = write_files(tmp_path, made, 1)
    deduplicate(files, tmp_path / "out", executor=HERE, revise=refuse_short)
    assert [decision.rule for decision in read_decisions(tmp_path / "out" / "00000.parquet")] == [
        None,
        "too short",
        None,
    ]
    assert [d.text for d in kept_in(files, tmp_path / "out")] == [texts[0], texts[2]]


def test_a_source_that_loses_much_raises_an_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    made = [dataclasses.replace(document(prose(n % 3, 9)), id=f"{n}", source="mirror") for n in range(30)]
    made += [dataclasses.replace(document(prose(n, 9)), id=f"o{n}", source="other") for n in range(100, 130)]
    files = write_files(tmp_path, made, 2)
    with caplog.at_level(logging.WARNING):
        report = deduplicate(files, tmp_path / "warned", executor=HERE)
    assert len(report.alarms) == 1 and '"mirror" lost 90%' in report.alarms[0] and report.alarms[0] in caplog.text
    with pytest.raises(SansiError, match='"mirror" lost 90%'):
        deduplicate(files, tmp_path / "stopped", DedupConfig(on_source_loss="stop"), HERE)
    assert not deduplicate(files, tmp_path / "high", DedupConfig(max_source_loss=0.95), HERE).alarms


def test_a_decision_is_for_the_text_that_was_judged(tmp_path: Path):
    (file,) = write_files(tmp_path, [document(prose(1))], 1)
    deduplicate([file], tmp_path / "out", executor=HERE)
    (decision,) = read_decisions(tmp_path / "out" / "00000.parquet")
    assert apply(document(prose(1)), decision) == document(prose(1))
    with pytest.raises(SansiError, match="another than was judged"):
        apply(document(prose(2)), decision)


def test_changed_documents_or_settings_are_judged_anew(tmp_path: Path):
    (file,) = write_files(tmp_path, [document(prose(1)), document(prose(2))], 1)
    deduplicate([file], tmp_path / "out", executor=HERE)
    write_documents(file, [document(prose(3)), document(prose(3))])
    assert deduplicate([file], tmp_path / "out", executor=HERE).total.dropped == {"duplicate": 1}
    strict = DedupConfig(similarity=1.0, containment=1.0)
    assert deduplicate([file], tmp_path / "out", strict, HERE).total.kept == 1
    assert len(list(kept_in([file], tmp_path / "out"))) == 1


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: (folder / "documents-0.parquet").unlink(), "can not be read"),
        (lambda folder: (folder / "documents-0.parquet").write_bytes(b"PAR1" + b"x" * 100), "damaged"),
        (lambda folder: (folder / "out").mkdir() or (folder / "out" / "mine.txt").write_text("x"), "an empty folder"),
    ],
)
def test_what_can_not_be_judged_is_named(tmp_path: Path, break_it: Callable[[Path], object], message: str):
    files = write_files(tmp_path, corpus()[:2], 1)
    break_it(tmp_path)
    with pytest.raises(SansiError, match=message):
        deduplicate(files, tmp_path / "out", executor=HERE)


def test_nothing_and_empty_documents_are_judged(tmp_path: Path):
    assert deduplicate([], tmp_path / "none", executor=HERE).total.documents == 0
    files = write_files(tmp_path, [document(""), document(""), document("one"), document("1" * 10_000)], 2)
    report = deduplicate(files, tmp_path / "out", executor=HERE)
    assert report.total.dropped == {"duplicate": 1}
    assert len(read_documents_of(files)) == 4 and json.loads((tmp_path / "out" / "report.json").read_text())["sources"]


def read_documents_of(files: list[Path]) -> list[Document]:
    return [document for path in files for document in read_documents(path)]
