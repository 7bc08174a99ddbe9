"""The whole way from a web archive to a deduplicated corpus, beside datatrove's same steps, in turn on the same pages.

    python bench/data_pipeline.py --peers PYTHON [--pages 1500] [--rounds 3] [--publish]

PYTHON: an interpreter that has `datatrove[io,processing]`. The pages are those of Debian's packages of documentation,
which apt-get fetches. One process each; processor time of all processes and the most memory of any are told. Ours does
more on the way: it identifies languages, looks for held-out texts, verifies every pair that it calls a duplicate, takes
repeated paragraphs out, and keeps a ledger.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import ROOT, commit, machine, publish
from sansi.base.files import read_json, write_json
from sansi.data.packages.package import find_files

sys.path[:0] = [str(ROOT / "tests" / "data" / "readers")]
from archives_made import packed, record, response  # noqa: E402

PACKAGES = ("debian-handbook", "rust-doc", "python3.11-doc", "installation-guide-amd64")
SMALLEST, LARGEST = 2_000, 400_000
OURS = """
import sys
from pathlib import Path
from sansi.data import build_corpus
from sansi.data.corpus import CorpusConfig, SourceConfig
from sansi.data.work import LocalExecutor
source = SourceConfig(name="web", path=sys.argv[1] + "/*.warc.gz", licence="unknown", extract=sys.argv[3])
with LocalExecutor(1) as executor:
    report = build_corpus(Path(sys.argv[2]), CorpusConfig(source=(source,)), executor=executor)
print(report.documents)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="interpreter that has datatrove")
    parser.add_argument("--pages", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--publish", action="store_true", help="only write the saved figures into docs/RESULTS.md")
    arguments = parser.parse_args()
    results = ROOT / "bench" / "results" / "data-pipeline.json"
    if not arguments.publish:
        if not arguments.peers:
            parser.error("give --peers: a Python with datatrove")
        write_json(results, measured(arguments))
    publish("data-pipeline", told(read_json(results)))


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="sansi-pipeline-") as name:
        folder = Path(name)
        archives = write_archives(folder, arguments.pages)
        rounds: list[dict[str, Any]] = []
        for number in range(arguments.rounds):
            runs = {
                "sansi accurate": lambda n=number: _ours(archives, folder / f"accurate-{n}", "accurate"),
                "sansi fast": lambda n=number: _ours(archives, folder / f"fast-{n}", "fast"),
                "datatrove": lambda n=number: _theirs(arguments.peers, archives, folder / f"theirs-{n}"),
            }
            names = list(runs)[number % 3 :] + list(runs)[: number % 3]
            rounds.append({name: runs[name]() for name in names})
            print(json.dumps(rounds[-1]), flush=True)
    return {"pages": arguments.pages, "rounds": rounds, "machine": machine(1), "commit": commit()}


def write_archives(folder: Path, count: int) -> Path:
    """A web archive of pages of documentation, every tenth of them twice."""
    pages: list[Path] = []
    for package in PACKAGES:
        place = folder / package
        place.mkdir()
        subprocess.run(["apt-get", "download", "-qq", package], cwd=place, check=True)
        subprocess.run(["dpkg-deb", "-x", next(place.glob("*.deb")).name, "."], cwd=place, check=True)
        found = [p for p in find_files(place, ["**/*.html"]) if SMALLEST <= p.stat().st_size <= LARGEST]
        pages += random.Random(0).sample(found, min(len(found), count // len(PACKAGES)))
    archives = folder / "archives"
    archives.mkdir()
    records = [record("warcinfo", b"software: bench\r\n")]
    for number, page in enumerate(pages):
        copies = 2 if number % 10 == 0 else 1
        for copy in range(copies):
            records.append(response(f"https://example.org/{number}/{copy}", page.read_bytes()))
    (archives / "pages.warc.gz").write_bytes(packed(records))
    return archives


def _ours(archives: Path, out: Path, how: str) -> dict[str, Any]:
    return _timed([sys.executable, "-c", OURS, str(archives), str(out), how], out)


def _theirs(python: str, archives: Path, out: Path) -> dict[str, Any]:
    return _timed([python, str(ROOT / "bench" / "peers" / "datatrove_pipeline.py"), str(archives), str(out)], out)


def _timed(command: list[str], out: Path) -> dict[str, Any]:
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    alone = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=alone)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begun
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    shutil.rmtree(out)
    last = json.loads(done.stdout.strip().splitlines()[-1])
    return {"seconds": seconds, "cpu": cpu, "kept": last["kept"] if isinstance(last, dict) else last}


def told(results: dict[str, Any]) -> str:
    rounds, pages = results["rounds"], results["pages"] * 1.1
    lines = ["| | pages a second of processor time | ÷ datatrove | kept |", "|---|--:|--:|--:|"]
    for name in rounds[0]:
        rates = [pages / each[name]["cpu"] for each in rounds]
        ratios = [each["datatrove"]["cpu"] / each[name]["cpu"] for each in rounds]
        middle, ratio = statistics.median(rates), statistics.median(ratios)
        spread = f"{min(ratios):.2f}–{max(ratios):.2f}"
        lines.append(f"| {name} | {middle:.0f} | {ratio:.2f} ({spread}) | {rounds[0][name]['kept']:,} |")
    cpu = results["machine"]["cpu"]
    lines += ["", f"{len(rounds)} rounds in turn, one process each; {cpu}, commit {results['commit']}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
