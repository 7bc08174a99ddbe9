"""Web pages to text: Sansi's careful and fast reading beside trafilatura and resiliparse, on the same pages in turn.

    python bench/data_html.py --out FOLDER [--rounds 2] [--each 20] [--publish]

Two sets of pages: the labelled ones of tests/documents/pages (words against the label; strings that must be there, in
order, or not there) and real ones from Debian packages (listings kept to the space, speed), which apt-get fetches into
FOLDER. Then a web archive is written of the real pages, and read. Times are of the processor; contenders read each page
one after another, in an order that turns from page to page.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import ROOT, commit, machine, publish
from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text
from sansi.base.files import read_json, write_json
from sansi.data.extract import extract
from sansi.data.readers import parts_of
from sansi.documents import extract_document
from sansi.documents.charset import decode
from selectolax.lexbor import LexborHTMLParser

sys.path[:0] = [str(ROOT / "tests" / "documents"), str(ROOT / "tests" / "data" / "readers")]
from archives_made import packed, record, response  # noqa: E402
from pages.labelled import labelled_pages  # noqa: E402
from pages.score import code_kept, score, table  # noqa: E402

PACKAGES = (
    "python3.11-doc",
    "rust-doc",
    "installation-guide-amd64",
    "libreoffice-help-de",
    "gap-doc",
    "debian-handbook",
)
SMALLEST, LARGEST = 2_000, 400_000  # bytes of a page
Reader = Callable[[str], str]


def readers() -> dict[str, Reader]:
    import trafilatura

    def careful(source: str) -> str:
        return trafilatura.extract(source, output_format="markdown", include_comments=False) or ""

    def plain(source: str) -> str:
        return trafilatura.extract(source, include_comments=False) or ""

    return {
        "sansi accurate": lambda source: _sansi(source, "accurate"),
        "sansi fast": lambda source: _sansi(source, "fast"),
        "trafilatura": plain,
        "trafilatura, Markdown": careful,
        "resiliparse": lambda source: extract_plain_text(source, main_content=True),
    }


def _sansi(source: str, how) -> str:
    from sansi.base.errors import SansiError

    try:
        return extract_document(source, None, "text/html", how).text
    except SansiError:
        return ""


@dataclass
class Page:
    source: str
    listings: list[str]


def real_pages(folder: Path, each: int) -> list[Page]:
    """Pages of Debian packages, the same ones of the same versions."""
    found: list[Page] = []
    for package in PACKAGES:
        root = folder / "unpacked" / package
        if not root.is_dir():
            (folder / "debs").mkdir(parents=True, exist_ok=True)
            subprocess.run(["apt-get", "download", package], cwd=folder / "debs", check=True, capture_output=True)
            (archive,) = (folder / "debs").glob(f"{package}_*.deb")
            subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True)
        files = sorted(file for file in root.rglob("*.html") if file.is_file() and not file.is_symlink())
        files = [file for file in files if SMALLEST <= file.stat().st_size <= LARGEST]
        for file in random.Random(package).sample(files, min(each, len(files))):
            source = decode(file.read_bytes(), None, "text/html").text
            listings = [node.text().strip("\n") for node in LexborHTMLParser(source).css("pre")]
            found.append(Page(source, [text for text in listings if len(text.strip()) > 10]))
    return found


def time_all(ways: dict[str, Reader], sources: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Seconds of processor time for all pages, for each round."""
    for read in ways.values():
        read(sources[0])
    times: dict[str, list[float]] = {name: [0.0] * rounds for name in ways}
    names = list(ways)
    for number in range(rounds):
        for turn, source in enumerate(sources):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                begin = time.process_time()
                ways[name](source)
                times[name][number] += time.process_time() - begin
    return times


def measure_labelled(ways: dict[str, Reader]) -> dict[str, dict[str, float]]:
    pages = labelled_pages()
    texts = [decode(page.source, page.media_type.partition("charset=")[2] or None, "text/html").text for page in pages]
    return {
        name: table([score(page, read(text)) for page, text in zip(pages, texts, strict=True)])
        for name, read in ways.items()
    }


def measure_listings(ways: dict[str, Reader], pages: Sequence[Page]) -> dict[str, float]:
    with_code = [page for page in pages if page.listings]
    total = sum(len(page.listings) for page in with_code)
    kept = {}
    for name, read in ways.items():
        texts = [read(page.source) for page in with_code]
        pairs = zip(with_code, texts, strict=True)
        kept[name] = sum(code_kept(code, text) for page, text in pairs for code in page.listings) / total
    return kept | {"listings": total}


def measure_archive(pages: Sequence[Page], folder: Path, rounds: int) -> dict[str, float]:
    """Pages a second of a web archive: by the reader alone, with each extraction, and by fastwarc with resiliparse."""
    records = [record("warcinfo", b"software: bench\r\n")]
    for number, page in enumerate(pages):
        url = f"https://example.org/{number}"
        records.append(record("request", b"GET / HTTP/1.1\r\n\r\n", f"WARC-Target-URI: {url}\r\n"))
        records.append(response(url, page.source.encode("utf-8", "replace")))
    path = folder / "pages.warc.gz"
    path.write_bytes(packed(records))

    def ours(how=None) -> None:
        for part in parts_of(path):
            for one in part.records():
                if how:
                    extract(one, how)

    def theirs(take: Callable[[bytes], object]) -> None:
        with path.open("rb") as file:
            for one in ArchiveIterator(io.BytesIO(file.read()), record_types=WarcRecordType.response):
                take(one.reader.read())

    runs: dict[str, Callable[[], None]] = {
        "sansi reading": ours,
        "sansi reading and fast": lambda: ours("fast"),
        "sansi reading and accurate": lambda: ours("accurate"),
        "fastwarc": lambda: theirs(lambda data: data),
        "fastwarc and resiliparse": lambda: theirs(
            lambda data: extract_plain_text(data.decode("utf-8", "replace"), main_content=True)
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            times[name].append(time.process_time() - begin)
    return {name: len(pages) / statistics.median(all_of) for name, all_of in times.items()}


def report(found: dict) -> str:
    quality, real, archive = found["labelled"], found["real"], found["archive"]
    pages, versions = found["pages"], found["versions"]
    lines = [
        "",
        f"`python bench/data_html.py --out FOLDER` at `{found['commit']}`, {found['machine']['cpu']}, one core, "
        f"processor time, medians of {found['rounds']} rounds, readers in turn page by page; trafilatura "
        f"{versions['trafilatura']}, resiliparse {versions['resiliparse']}. {pages['labelled']} labelled pages (made "
        f"by hand: {pages['languages']} languages, 9 charsets; Sansi's rules were written on them) and "
        f"{pages['real']} real ones of {len(PACKAGES)} Debian packages, {pages['bytes'] / pages['real'] / 1000:.0f} kB "
        f"each, with {real['listings']:.0f} listings.",
        "",
        "| | F of words | precision | recall | present | in order | absent | listings (labelled) | listings (real) |"
        " pages/s | MB/s | time ÷ trafilatura |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for name, one in quality.items():
        shares = [one[key] for key in ("f", "precision", "recall", "present", "ordered", "absent", "code")]
        speed = real["speed"][name]
        lines.append(
            f"| {name} | "
            + " | ".join(f"{share:.3f}" for share in [*shares, real["kept"][name]])
            + f" | {speed['pages']:,.0f} | {speed['megabytes']:.2f} | {speed['ratio']:.2f} |"
        )
    lines += ["", "The same pages from a web archive (.warc.gz, a request and a response each), pages a second:", ""]
    lines += ["| " + " | ".join(archive) + " |", "|" + " --: |" * len(archive)]
    lines += ["| " + " | ".join(f"{value:,.0f}" for value in archive.values()) + " |", ""]
    return "\n".join(lines) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="folder for packages, the archive and the figures")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--each", type=int, default=20, help="pages of each package")
    options.add_argument("--publish", action="store_true", help="only write the saved figures into docs/RESULTS.md")
    arguments = options.parse_args()
    file = arguments.out / "html.json"
    if not arguments.publish:
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_json(file, measure(arguments.out, arguments.rounds, arguments.each))
    found = read_json(file)
    publish("data html", report(found)) if arguments.publish else print(report(found))


def measure(folder: Path, rounds: int, each: int) -> dict:
    import resiliparse
    import trafilatura

    ways, pages = readers(), real_pages(folder, each)
    sources = [page.source for page in pages]
    size = sum(len(source.encode("utf-8", "replace")) for source in sources)
    times = time_all(ways, sources, rounds)
    peer = times["trafilatura"]
    speed = {
        name: {
            "pages": len(sources) / statistics.median(all_of),
            "megabytes": size / 1e6 / statistics.median(all_of),
            "ratio": statistics.median(mine / other for mine, other in zip(all_of, peer, strict=True)),
        }
        for name, all_of in times.items()
    }
    kept = measure_listings(ways, pages)
    labelled = labelled_pages()
    return {
        "commit": commit(),
        "machine": machine(1),
        "rounds": rounds,
        "versions": {"trafilatura": trafilatura.__version__, "resiliparse": _version(resiliparse)},
        "pages": {"labelled": len(labelled), "languages": 18, "real": len(pages), "bytes": size},
        "labelled": measure_labelled(ways),
        "real": {"speed": speed, "kept": kept, "listings": kept["listings"]},
        "archive": measure_archive(pages, folder, rounds),
    }


def _version(module) -> str:
    from importlib.metadata import version

    return version(module.__name__)


if __name__ == "__main__":
    main()
