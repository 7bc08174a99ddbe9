"""PDF files to text: speed, words, order and verdicts beside other readers. `python bench/data_pdf.py [--quick]`.

Real files: the Debian package `installation-guide-amd64` (18 languages as PDF, and the same text as HTML) and
`r-doc-pdf`, fetched into data/cache by apt-get. Made files: fpdf2. Peers are read from build/pdf_peers where they are:

    python -m pip install --target build/pdf_peers pypdf==7.1.0 pdfminer.six==20260107
"""

import argparse
import gzip
import html
import io
import random
import re
import resource
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sansi.base.errors import SansiError
from sansi.data.words import split_words
from sansi.documents import Limits
from sansi.documents.pdf import judge_all, lay_out, read_pages
from sansi.documents.pdf.garbled import garbled

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "data" / "cache" / "pdf"
PEERS = ROOT / "build" / "pdf_peers"
PACKAGES = ("installation-guide-amd64", "r-doc-pdf")
LIMITS = Limits(max_pages=100_000, max_bytes=2**30, seconds=3600)
SPEED_PAGES = 60
SEED = 0


# ---- files


def unpacked(package: str) -> Path:
    """A Debian package's files, fetched once."""
    folder = CACHE / package
    if not (folder / "usr").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=folder, check=True)
    return folder


def guides() -> dict[str, tuple[bytes, str]]:
    """By language: the guide as PDF, and the text of its HTML pages."""
    found = {}
    root = unpacked(PACKAGES[0]) / "usr/share/doc/installation-guide-amd64"
    for file in sorted(root.glob("*/install.*.pdf.gz")):
        pages = [page.read_text(encoding="utf-8", errors="replace") for page in sorted(file.parent.glob("*.html"))]
        found[file.parent.name] = (gzip.decompress(file.read_bytes()), "\n".join(map(text_of, pages)))
    return found


def text_of(page: str) -> str:
    page = re.sub(r"(?s)<head.*?</head>|<div class=.(?:nav|toc).*?</div>", " ", page)
    page = re.sub(r"</?(?:p|div|li|td|th|tr|h\d|dt|dd|pre|br|ul|ol|table)[^>]*>", " ", page)
    return html.unescape(re.sub(r"<[^>]+>", "", page))


# ---- readers


def by_sansi(data: bytes) -> str:
    file = read_pages(data, None, LIMITS, lines=True)
    judge_all(file)
    return lay_out(file.pages).text


def by_pdfium(data: bytes) -> str:
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    return "\n".join(page.get_textpage().get_text_bounded() for page in document).replace("\r", "")


def by_pypdf(data: bytes) -> str:
    import pypdf

    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)


def by_pdfminer(data: bytes) -> str:
    from pdfminer.high_level import extract_text

    return extract_text(io.BytesIO(data))


READERS: dict[str, Callable[[bytes], str]] = {"sansi": by_sansi, "pypdfium2": by_pdfium}


def add_peers() -> None:
    sys.path.append(str(PEERS))
    for name, reader in (("pypdf", by_pypdf), ("pdfminer", by_pdfminer)):
        try:
            __import__(name)
            READERS[name] = reader
        except ImportError:
            print(f"{name} is not installed: left out", file=sys.stderr)


# ---- measurements


def first_pages(data: bytes, count: int) -> bytes:
    import pypdfium2

    whole, part = pypdfium2.PdfDocument(data), pypdfium2.PdfDocument.new()
    part.import_pages(whole, list(range(min(count, len(whole)))))
    out = io.BytesIO()
    part.save(out)
    return out.getvalue()


def processor_seconds() -> float:
    """Of this process and of those that it started: what a busy machine does besides does not count."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def speed(files: dict[str, bytes], rounds: int) -> None:
    print("\n| file | " + " | ".join(f"{name}, pages a second of processor" for name in READERS) + " |")
    print("|---|" + "---:|" * len(READERS))
    for title, data in files.items():
        part = first_pages(data, SPEED_PAGES)
        seconds: dict[str, list[float]] = {name: [] for name in READERS}
        for _ in range(rounds):  # in turns, so that a busy moment hits all of them
            for name, reader in READERS.items():
                begun = processor_seconds()
                reader(part)
                seconds[name].append(processor_seconds() - begun)
        rates = [f"{SPEED_PAGES / statistics.median(each):,.0f}" for each in seconds.values()]
        print(f"| {title} | " + " | ".join(rates) + " |", flush=True)


def words_by_language(found: dict[str, tuple[bytes, str]], skip: tuple[str, ...] = ()) -> None:
    """Words of the HTML that the PDF's text has, and the other way round."""
    names = [name for name in READERS if name not in skip]
    print("\n| language | pages ok | " + " | ".join(f"{name}: recall / precision" for name in names) + " |")
    print("|---|---:|" + "---:|" * len(names))
    for language, (data, text) in found.items():
        wanted = Counter(split_words(text))
        verdicts = Counter(verdict.state for verdict in judge_all(read_pages(data, None, LIMITS, lines=True)))
        cells = []
        for name in names:
            had = Counter(split_words(READERS[name](data)))
            both = (had & wanted).total()
            cells.append(f"{both / wanted.total():.1%} / {both / max(had.total(), 1):.1%}")
        print(f"| {language} | {verdicts['ok']} of {verdicts.total()} | " + " | ".join(cells) + " |", flush=True)


def sentences(text: str) -> list[str]:
    return [" ".join(s.split()) for s in re.split(r"(?<=[.!?])\s+", " ".join(text.split())) if len(s) > 40]


def made_files(text: str) -> dict[str, tuple[bytes, list[str]]]:
    """PDFs of known text: by what is hard about them, with the sentences that have to be in what is read."""
    import fpdf

    wanted = sentences(text)[:160]

    def blank() -> "fpdf.FPDF":
        made = fpdf.FPDF()
        made.set_margin(20)
        made.set_auto_page_break(False)
        made.set_font("Times", size=11)
        return made

    def columns(by_row: bool) -> bytes:
        made = blank()
        for at in range(0, len(wanted), 16):
            made.add_page()
            sides = [
                made.multi_cell(80, 6, " ".join(wanted[at + 8 * s : at + 8 * s + 8]), dry_run=True, output="LINES")
                for s in (0, 1)
            ]
            places = [(row, side) for row in range(max(map(len, sides))) for side in (0, 1)]
            for row, side in places if by_row else sorted(places, key=lambda place: place[::-1]):
                if row < len(sides[side]):
                    made.set_xy(20 + 92 * side, 20 + 6 * row)
                    made.cell(80, 6, sides[side][row])
        return bytes(made.output())

    def parted() -> bytes:
        """Words are parted at the ends of lines wherever they are long, as TeX does."""
        made = blank()
        rest = " ".join(wanted).split()
        while rest:
            made.add_page()
            for row in range(38):
                line = ""
                while rest and made.get_string_width(f"{line} {rest[0]}") < 160:
                    line = f"{line} {rest.pop(0)}".strip()
                if rest and len(rest[0]) > 7 and rest[0].isalpha():
                    line, rest[0] = f"{line} {rest[0][:4]}-", rest[0][4:]
                made.set_xy(20, 20 + 6.5 * row)
                made.cell(170, 6, line)
        return bytes(made.output())

    def running() -> bytes:
        made = blank()
        for number, at in enumerate(range(0, len(wanted), 8), 1):
            made.add_page()
            made.set_xy(20, 8)
            made.cell(170, 6, f"A Guide to Everything                    Chapter {number // 4 + 1}")
            made.set_xy(20, 20)
            made.multi_cell(170, 6, " ".join(wanted[at : at + 8]))
            made.set_xy(100, 285)
            made.cell(20, 6, str(number))
        return bytes(made.output())

    return {
        "two columns, drawn row by row": (columns(True), wanted),
        "two columns, drawn one after the other": (columns(False), wanted),
        "words parted at line ends": (parted(), wanted),
        "running heads and page numbers": (running(), wanted),
    }


def whole_sentences(files: dict[str, tuple[bytes, list[str]]]) -> None:
    """Sentences that are found as they were written, once line breaks are spaces."""
    print("\n| made PDF | " + " | ".join(f"{name}: whole sentences" for name in READERS) + " |")
    print("|---|" + "---:|" * len(READERS))
    for title, (data, wanted) in files.items():
        shares = []
        for reader in READERS.values():
            text = " ".join(reader(data).split())
            shares.append(f"{sum(sentence in text for sentence in wanted) / len(wanted):.1%}")
        print(f"| {title} | " + " | ".join(shares) + " |")


def exchanged(text: str, random_: random.Random) -> str:
    letters = sorted({c for c in text.lower() if c.isalpha()})
    table = dict(zip(letters, random_.sample(letters, len(letters)), strict=True))
    return "".join(table.get(c.lower(), c) for c in text)


def part_unmapped(text: str, random_: random.Random) -> str:
    return "".join("\ufffd" if random_.random() < 0.15 else c for c in text)


PLANTED: dict[str, Callable[[str, random.Random], str]] = {
    "glyph numbers for characters (moved by 29)": lambda t, r: "".join(
        chr(ord(c) - 29) if "=" < c <= "~" else c for c in t
    ),
    "letters exchanged": exchanged,
    "lines backwards": lambda t, r: "\n".join(line[::-1] for line in t.split("\n")),
    "private characters": lambda t, r: "".join(chr(0xE000 + ord(c)) if "!" <= c <= "~" else c for c in t),
    "every seventh character lost": part_unmapped,
    "UTF-8 read as Latin-1": lambda t, r: t.encode().decode("latin-1"),
}
LATIN = ("ca", "cs", "da", "de", "en", "es", "fr", "id", "it", "nl", "pt", "ro", "sv", "vi")


def verdicts(found: dict[str, tuple[bytes, str]]) -> None:
    """Garbled pages planted among real ones: each real page once as it is, and once in each way."""
    pages = {
        language: [page.text or "" for page in read_pages(data, None, LIMITS, lines=False).pages]
        for language, (data, _) in found.items()
    }
    pages = {language: [text for text in texts if len(text) > 600] for language, texts in pages.items()}
    real = [(language, text) for language, texts in pages.items() for text in texts]
    false = sum(garbled(text) is not None for _, text in real)
    print(f"\n{len(real):,} real pages, {false} of them taken for garbled")
    print("\n| planted | pages | recall | precision beside the real ones |\n|---|---:|---:|---:|")
    for title, spoil in PLANTED.items():
        random_ = random.Random(SEED)
        used = [text for language, text in real if _applies(title, language)]
        caught = sum(garbled(spoil(text, random_)) is not None for text in used)
        precision = caught / max(caught + false, 1)
        print(f"| {title} | {len(used):,} | {caught / len(used):.1%} | {precision:.1%} |", flush=True)


def _applies(title: str, language: str) -> bool:
    """Whether it changes a page of that language beyond what anybody could see in its characters."""
    if "moved" in title or "private" in title or "exchanged" in title or "backwards" in title:
        return language in LATIN or (language == "ru" and "exchanged" in title)
    return language in ("ru", "ja", "ko", "zh_CN") if "UTF-8" in title else True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three languages, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-peers", action="store_true", help="pdfminer over all languages, too")
    options = parser.parse_args()
    add_peers()
    try:
        found = guides()
    except (OSError, subprocess.CalledProcessError) as error:
        raise SansiError(f"the packages can not be fetched ({error}); this needs Debian") from error
    if options.quick:
        found = {language: found[language] for language in ("en", "de", "ja")}
    manual = unpacked(PACKAGES[1]) / "usr/share/R/doc/manual/R-intro.pdf"
    files = {"guide, en": found["en"][0], "guide, ja": found["ja"][0], "R-intro": manual.read_bytes()}
    speed(files, 1 if options.quick else options.rounds)
    whole_sentences(made_files(re.sub(r"[^\x20-\x7e\n]", " ", found["en"][1])))
    verdicts(found)
    words_by_language(found, () if options.slow_peers else ("pdfminer",))


if __name__ == "__main__":
    main()
