"""Evaluation texts by name: fields of files in archives, files of one's own, and what is not there."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from sansi.base import SansiError
from sansi.data.decontaminate import Decontaminator
from sansi.data.decontaminate.benchmarks import BENCHMARKS, benchmark_names, benchmark_texts, check_benchmarks
from sansi.data.decontaminate.benchmarks.reading import Texts, texts_in_archive, values_at

LONG = "first multiply five by two and then add two to what you have and you are done with it"


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        folder = path.parent / "files"
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        with tarfile.open(path, "w:gz") as tar:
            tar.add(folder, ".")
    return path


def test_fields_of_files_in_an_archive(tmp_path: Path):
    lines = [{"question": "one two three four five six seven", "answer": "8"}, {"question": "a b c", "answer": LONG}]
    files = {
        "x/data/q.jsonl.gz": gzip.compress("\n".join(map(json.dumps, lines)).encode()),
        "x/data/t.csv": b"question,context\nWho was it?,long\n",
        "x/data/turns.json": json.dumps(
            [{"input": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}]
        ).encode(),
        "x/tasks.py": b'class A:\n    GOAL = f"send {x} dollars"\n    OTHER = "no"\n',
        "x/t.toml": b'question = "Wie alt?"\n',
        "x/big.json": json.dumps([{"input": "too large a file"}] * 50).encode(),
        "x/arc.json": json.dumps({"train": {"t1": {"train": [{"input": [[1, 2], [3, 4]]}]}}}).encode(),
    }
    rules = (
        Texts("x/data/*.jsonl.gz", ("question",), ("answer",), least_words=4),
        Texts("x/data/*.csv", ("question",)),
        Texts("x/data/turns.json", ("input[role=user].content",)),
        Texts("x/*.py", ("GOAL",)),
        Texts("x/*.toml", ("question",)),
        Texts("x/*.json", ("input",), most_bytes=10, unless=("x/none",)),
        Texts("x/arc.json", ("*.*.@grids",)),
    )
    wheel = write_archive(tmp_path / "x-1.whl", files)
    with pytest.raises(SansiError, match=r"benchmark x: x-1.whl holds no texts in x/\*.json"):
        list(texts_in_archive(wheel, "x", rules))
    rules = (*rules[:5], rules[6])  # type: ignore[assignment]
    expected = {lines[0]["question"], LONG, "Who was it?", "u", "send   dollars", "Wie alt?", "1 2\n3 4"}
    assert {text.text for text in texts_in_archive(wheel, "x", rules)} == expected
    tar = write_archive(tmp_path / "x-1.tar.gz", files)
    inside = tuple(Texts(f"./{rule.glob}", rule.questions, rule.answers, rule.least_words) for rule in rules)
    assert {text.text for text in texts_in_archive(tar, "x", inside)} == expected
    assert {text.id for text in texts_in_archive(wheel, "x", rules[:1])} == {"x/data/q/0", "x/data/q/1"}


def test_texts_under_a_path_of_fields():
    record = {"a": [{"b": "1", "c": 2}, {"b": ["3", {"d": "4"}]}], "e": None}
    assert list(values_at(record, "a.b")) == ["1", "3", "4"]
    assert list(values_at(record, "*.b")) == ["1", "3", "4"]
    assert list(values_at(record, "a.x")) == list(values_at(record, "e")) == []


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "own.jsonl",
            '{"question": "Who was it?", "answer": "He", "note": "no"}\n{"text": "Two"}\n',
            ["Who was it?", "He", "Two"],
        ),
        ("own.json", '[{"problem": "One"}, {"other": "Two"}]', ["One", "Two"]),
        ("own.csv", "question,n\nWho?,1\n", ["Who?"]),
        ("own.txt", "One line\n\nAnother\n", ["One line", "Another"]),
        ("chat.jsonl", '{"messages": [{"role": "user", "content": "Why so?"}]}\n', ["user", "Why so?"]),
    ],
)
def test_files_of_ones_own(tmp_path: Path, name: str, content: str, expected: list[str]):
    (tmp_path / name).write_text(content)
    texts = list(benchmark_texts([name], tmp_path / "cache", tmp_path))
    assert [text.text for text in texts] == [each for each in expected if each != "user"]
    assert all(text.id.startswith(name.split(".")[0] + "/") for text in texts)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("humaneval", None, 'did you mean "human-eval"'),
        ("gone.jsonl", None, '"gone.jsonl", which is neither a benchmark nor a file'),
        ("own.jsonl", b'{"a": \n', "not JSONL"),
        ("own.jsonl", b"\xff\xfe", "not UTF-8 at byte 0"),
        ("own.txt", b"\n\n", "holds no text"),
    ],
)
def test_what_is_no_benchmark_is_named(tmp_path: Path, name: str, content: bytes | None, message: str):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SansiError, match=message):
        list(benchmark_texts([name], tmp_path / "cache", tmp_path))


def test_the_problems_that_sansi_evaluates_on_are_a_benchmark(tmp_path: Path):
    texts = list(benchmark_texts(["sansi-problems"], tmp_path))
    assert len(texts) == 1000 and texts[0].id == "sansi-problems/0"
    assert Decontaminator(texts[:5]).is_contaminated(f"Exercise. {texts[3].text}")


def test_every_benchmark_is_pinned_and_named_once():
    assert len({benchmark.name for benchmark in BENCHMARKS}) == len(BENCHMARKS)
    assert all(len(benchmark.sha256) == 64 and benchmark.rules for benchmark in BENCHMARKS)
    assert not check_benchmarks(benchmark_names())
