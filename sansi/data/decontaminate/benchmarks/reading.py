"""Evaluation texts in files: which fields of which files of an archive, or of a file of yours, hold questions."""

from __future__ import annotations

import ast
import csv
import fnmatch
import gzip
import io
import json
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sansi.base.errors import SansiError
from sansi.data.decontaminate.index import EvaluationText
from sansi.data.words import count_words

ANSWER_WORDS = 13  # from which an answer says enough to be looked for


@dataclass(frozen=True)
class Texts:
    """Where texts stand in the files of an archive that fit `glob`.

    A path of fields is written "data.paragraphs.qas.question": each element of a list is gone through, "*" is every
    value of an object, "@grids" each grid of numbers below, "[role=user]" keeps the objects with that value, and what a
    path ends in may be texts at any depth. Of a Python file the fields are names that texts are assigned to.
    """

    glob: str
    questions: tuple[str, ...]
    answers: tuple[str, ...] = ()  # looked for if they have 13 words and more
    least_words: int = 0  # of a question; shorter ones are no questions but numbers and words
    most_bytes: int | None = None  # larger files are left out
    unless: tuple[str, ...] = ()  # globs of files that are read whatever their size


def texts_in_archive(archive: Path, name: str, rules: tuple[Texts, ...]) -> Iterator[EvaluationText]:
    """The texts of an archive (.whl, .zip, .tar.gz), read member by member.

    Raises SansiError where a rule finds no text: the package has another layout than it was written for.
    """
    found = dict.fromkeys(rules, 0)
    for path, read in _members(archive):
        for rule in rules:
            if fnmatch.fnmatchcase(path, rule.glob):
                size, load = read
                if (
                    rule.most_bytes
                    and size > rule.most_bytes
                    and not any(fnmatch.fnmatchcase(path, g) for g in rule.unless)
                ):
                    continue
                for text in texts_of(load(), path, name, rule):
                    found[rule] += 1
                    yield text
    if empty := [rule.glob for rule, count in found.items() if not count]:
        raise SansiError(f"benchmark {name}: {archive.name} holds no texts in {', '.join(empty)}", param="benchmarks")


def _members(archive: Path) -> Iterator[tuple[str, tuple[int, Any]]]:
    if archive.name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(archive) as unpacked:
            for info in unpacked.infolist():
                yield info.filename, (info.file_size, lambda info=info: unpacked.read(info))
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile():
                    yield member.name, (member.size, lambda member=member: tar.extractfile(member).read())  # type: ignore[union-attr]


def texts_of(data: bytes, path: str, name: str, rule: Texts) -> Iterator[EvaluationText]:
    """The texts of one file."""
    if path.endswith(".gz"):
        data, path = gzip.decompress(data), path.removesuffix(".gz")
    stem = PurePosixPath(path).with_suffix("").parts[-2:]
    for number, record in enumerate(_records(data, path)):
        for fields, least in ((rule.questions, rule.least_words), (rule.answers, ANSWER_WORDS)):
            for field in fields:
                for text in values_at(record, field):
                    if text.strip() and (not least or count_words(text) >= least):
                        yield EvaluationText(f"{name}/{'/'.join(stem)}/{number}", text)


def _records(data: bytes, path: str) -> Iterator[Any]:
    text = data.decode("utf-8-sig", "replace")
    if path.endswith(".csv"):
        csv.field_size_limit(min(sys.maxsize, 1 << 31))
        yield from csv.DictReader(io.StringIO(text))
    elif path.endswith(".toml"):
        yield tomllib.loads(text)
    elif path.endswith(".py"):
        yield from _assigned(text)
    elif path.endswith(".json") and (whole := _json_of(text)) is not None:
        yield whole
    else:  # lines of JSON, some under the name .json
        yield from (json.loads(line) for line in text.split("\n") if line.strip())


def _json_of(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _assigned(program: str) -> Iterator[dict[str, str]]:
    """What texts a program assigns to names; of an f-string what stands in it."""
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            parts = node.value.values if isinstance(node.value, ast.JoinedStr) else [node.value]
            words = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            if words:
                yield {node.targets[0].id: " ".join(words)}


def values_at(value: Any, path: str) -> Iterator[str]:
    """The texts under a path of fields."""
    if isinstance(value, list) and path != "@grids":
        for each in value:
            yield from values_at(each, path)
    elif not path:
        yield from _texts_below(value)
    elif path == "@grids":
        yield from _grids(value)
    elif isinstance(value, dict):
        step, _, rest = path.partition(".")
        step, _, condition = step.partition("[")
        for below in value.values() if step == "*" else [value[step]] if step in value else []:
            yield from values_at(_fitting(below, condition.removesuffix("]")), rest)


def _fitting(value: Any, condition: str) -> Any:
    if not condition:
        return value
    if isinstance(value, list):
        return [_fitting(each, condition) for each in value]
    key, _, wanted = condition.partition("=")
    return value if isinstance(value, dict) and value.get(key) == wanted else None


def _texts_below(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts_below(each)


def _grids(value: Any) -> Iterator[str]:
    """Each grid of numbers in a task, a line a row."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _grids(each)
    elif isinstance(value, list) and value and isinstance(value[0], list) and value[0] and isinstance(value[0][0], int):
        yield "\n".join(" ".join(map(str, row)) for row in value)
    elif isinstance(value, list):
        for each in value:
            yield from _grids(each)


def texts_of_file(path: Path) -> Iterator[EvaluationText]:
    """The texts of a file of yours: of JSONL, JSON and CSV all texts of each record, of others the lines of text.

    A JSONL line may name what counts: {"question": …, "answer": …} or {"text": …}; then the other fields do not.
    Raises SansiError for a file that is missing, no UTF-8, broken, or holds no text.
    """
    try:
        data = path.read_bytes()
        data.decode("utf-8-sig")
    except OSError as error:
        raise SansiError(f"{path}: can not be read: {error.strerror or error}", param="benchmarks") from error
    except UnicodeDecodeError as error:
        raise SansiError(f"{path}: not UTF-8 at byte {error.start}", param="benchmarks") from error
    found = False
    for number, record in _own_records(data, path):
        for text in _own_texts(record):
            found = True
            yield EvaluationText(f"{path.stem}/{number}", text)
    if not found:
        raise SansiError(f"{path}: holds no text", param="benchmarks")


def _own_records(data: bytes, path: Path) -> Iterator[tuple[int, Any]]:
    if path.suffix not in (".jsonl", ".json", ".csv"):
        yield from enumerate(data.decode("utf-8-sig").splitlines(), 1)
        return
    try:
        for number, record in enumerate(_records(data, path.name), 1):
            if isinstance(record, list):
                yield from enumerate(record, 1)
            else:
                yield number, record
    except ValueError as error:
        raise SansiError(f"{path}: not {path.suffix[1:].upper()}: {error}", param="benchmarks") from error


NAMED = (
    "question",
    "prompt",
    "text",
    "input",
    "problem",
    "query",
    "instruction",
    "answer",
    "solution",
    "passage",
    "messages",
)


def _own_texts(record: Any) -> Iterator[str]:
    if isinstance(record, dict) and "messages" in record:
        record = {"messages": list(values_at(record, "messages.content"))}
    if isinstance(record, dict) and (named := [record[key] for key in NAMED if key in record]):
        record = named
    for text in values_at(record, ""):
        if text.strip():
            yield text
