"""Texts that language identification is measured on; no model of ours has learned from them.

Handbook and GNOME's help are manuals by other translators than those of the training texts. MediaWiki's messages are by
some of the same people as a few of the training packages (translatewiki.net): near, not far. The Declaration's held-out
articles are the same document as a training text, other articles.
"""

from __future__ import annotations

import json
import random
import re
import string
import sysconfig
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sansi.base.files import scratch_folder
from sansi.data.language_id.registry import main_language
from sansi.data.language_id.training.noise import encoded, log_lines, mojibake, numbers, raw_bytes
from sansi.data.language_id.training.packages import TEACHERS
from sansi.data.language_id.training.readers import json_strings, plain, read_declaration
from sansi.data.language_id.training.texts import unpacked
from sansi.data.languages import LANGUAGES
from sansi.data.packages.fetch import fetch_package
from sansi.data.packages.package import Package, PackagePart
from sansi.data.packages.unpack import unpack_package

HANDBOOK = ("debian-handbook", "11.20220922", "3d5dbeac1f1afc9c094eab9d0f701f6ecff99c4927d5a4794cf6c85678134faa")
GNOME = ("gnome-user-docs", "43.0-2", "0d635a840747958ca84da778b40d341f1155603851f922c9a171f5a181d6a39f")
MEDIAWIKI_FILES = {
    "als": "sq",
    "ydd": "yi",
    "zh-Hans": "zh-hans",
    "zh-Hant": "zh-hant",
    "sr": "sr-ec",
    "tg": "tg-cyrl",
    "kk": "kk-cyrl",
    "tt": "tt-cyrl",
    "aeb": "aeb-arab",
}
PER_LANGUAGE, LONGEST, NOISE = 150, 600, 200
REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True)
class Case:
    """A text and the language that it is in: a tag of the 119, or of another label."""

    set: str
    tag: str
    text: str


def all_cases(cache: Path) -> list[Case]:
    """Handbook, GNOME, MediaWiki (a half each for choosing and for measuring), the Declaration."""
    return [*_handbook(cache), *_gnome(cache), *_mediawiki(cache), *_declaration(cache)]


def noise_cases(cases: list[Case], seed: int = 7) -> list[Case]:
    """Pieces of no text; code from the standard library and this repository, mojibake of the texts to measure on."""
    rng, texts = random.Random(seed), [case.text for case in cases if case.set != "udhr"]
    code = [p.read_text(errors="replace") for p in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))]
    code += [
        p.read_text(errors="replace")
        for g in ("sansi/**/*.cpp", "*.toml", "Makefile", "web/**/*.ts", "web/**/*.css")
        for p in sorted(REPOSITORY.glob(g))
        if "node_modules" not in p.parts
    ]

    def excerpt() -> str:
        lines = rng.choice(code).split("\n")
        start = rng.randrange(max(1, len(lines) - 5))
        return "\n".join(lines[start : start + rng.randint(3, 12)])[:LONGEST]

    def broken() -> str:
        while True:
            if made := mojibake(rng.choice(texts), rng):
                return made

    def letters() -> str:
        return " ".join(
            "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 12))) for _ in range(rng.randint(3, 15))
        )

    makers = {
        "code": excerpt,
        "base64, hex, digests": lambda: encoded(rng),
        "mojibake": broken,
        "bytes": lambda: raw_bytes(rng),
        "numbers": lambda: numbers(rng),
        "logs, addresses": lambda: log_lines(rng),
        "random letters": letters,
    }
    return [
        Case(kind, "zxx", text)
        for kind, make in makers.items()
        for text in (make() for _ in range(NOISE))
        if text.strip()
    ]


def _is_text(text: str, least: int) -> bool:
    letters = sum(unicodedata.category(char)[0] in "LM" for char in text)
    return len(text) >= least and letters >= 0.6 * len(text)


def _sampled(found: dict[str, set[str]], name: str, original: str, least: int) -> Iterator[Case]:
    """Of each language some texts that no other language has: those that nobody translated are in English."""
    owners = Counter(text for texts in found.values() for text in texts)
    for tag, texts in sorted(found.items()):
        own = sorted(t[:LONGEST] for t in texts if _is_text(t, least) and (owners[t] == 1 or tag == original))
        random.Random(0).shuffle(own)
        yield from (Case(name, main_language(tag) or tag, text) for text in own[:PER_LANGUAGE])


@contextmanager
def _debian(cache: Path, name: str, version: str, sha256: str) -> Iterator[Path]:
    def nothing(part: PackagePart) -> Iterator[object]:
        return iter(())

    package = Package(name, "deb", name, version, sha256, "not learned from", nothing)  # type: ignore[arg-type]
    with scratch_folder(cache / name) as folder:
        yield unpack_package(fetch_package(package, cache), folder / "whole")


def _paragraphs(path: Path, pattern: str) -> Iterator[str]:
    for found in re.finditer(pattern, path.read_text(errors="replace"), re.DOTALL):
        yield plain(found[1])


def _handbook(cache: Path) -> Iterable[Case]:
    with _debian(cache, *HANDBOOK) as root:
        found: dict[str, set[str]] = {}
        for path in sorted(root.glob("usr/share/doc/debian-handbook/html/*/*.html")):
            found.setdefault(path.parent.name, set()).update(_paragraphs(path, r'<div class="para">(.*?)</div>'))
    yield from _sampled(found, "handbook", "en-US", 40)


def _gnome(cache: Path) -> Iterable[Case]:
    with _debian(cache, *GNOME) as root:
        found: dict[str, set[str]] = {}
        for path in sorted(root.glob("usr/share/help/*/**/*.page")):
            tag = path.relative_to(root / "usr/share/help").parts[0].replace("C", "en") if path.parts else ""
            texts = _paragraphs(path, r"<(?:p|title)\b[^>]*>(.*?)</(?:p|title)>")
            found.setdefault(tag, set()).update(texts)
    yield from _sampled(found, "gnome", "en", 30)


def _mediawiki(cache: Path) -> Iterable[Case]:
    teacher = next(teacher for teacher in TEACHERS if teacher.package == "mediawiki")
    found: dict[str, set[str]] = {}
    with unpacked(teacher, cache, allow_newer=True) as root:
        learned = {text for _, text in teacher.read(root)}
        for tag in LANGUAGES:
            path = root / f"usr/share/mediawiki/languages/i18n/{MEDIAWIKI_FILES.get(tag, tag)}.json"
            if path.is_file():
                found[tag] = {plain(text) for text in json_strings(json.loads(path.read_text()))} - learned
    for case in _sampled(found, "mediawiki", "en", 20):
        half = "mediawiki" if zlib.crc32(case.text.encode()) % 2 else "mediawiki (chosen by)"
        yield Case(half, case.tag, case.text)


def _declaration(cache: Path) -> Iterable[Case]:
    teacher = next(teacher for teacher in TEACHERS if teacher.package == "udhr")
    with unpacked(teacher, cache, allow_newer=False) as root:
        for tag, text in read_declaration(root, held_out=True):
            if len(text) >= 20:
                yield Case("udhr", main_language(tag) or tag, text[:LONGEST])
