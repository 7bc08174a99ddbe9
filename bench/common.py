"""What the benches share: where a figure comes from, and the block of docs/RESULTS.md that it goes to."""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sansi.base.files import write_text
from sansi.base.processes import stat_fields

ROOT = Path(__file__).resolve().parents[1]
LOGS = Path(tempfile.gettempdir()) / "sansi-bench"


def parser(description: str | None, shapes: str) -> argparse.ArgumentParser:
    """The options that the benches beside other programs share; each adds its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", help=f"name of the results: {shapes}")
    parser.add_argument("--model", help="Hugging Face folder")
    parser.add_argument("--vllm-python", help="interpreter that has vllm")
    parser.add_argument("--contenders", nargs="+", metavar="NAME", help="only these, such as 'sansi int4'")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="forget the figures of earlier runs")
    parser.add_argument("--publish", action="store_true", help="only write the saved figures into docs/RESULTS.md")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results")
    parser.add_argument("--logs", type=Path, default=LOGS, help=f"the programs' own output; default: {LOGS}")
    return parser


def machine(threads: int) -> dict[str, Any]:
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    features = set(text.split())
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": text.count("processor\t"),
        "threads": threads,
        "features": [name for name in known if name in features],
        "python": platform.python_version(),
    }


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, which other programs lengthen little."""
    fields = stat_fields(pid)
    if fields is None:
        raise SystemExit(f"process {pid} has ended before it was measured")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int | str = "self") -> int:
    """Most resident bytes of a process so far: its own, where what getrusage tells is inherited from its starter."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def commit(checkout: Path = ROOT) -> str:
    """The commit of a checkout, with a "+" where its package differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=checkout, capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "sansi") else "")


def publish(name: str, text: str) -> None:
    """Replace the block of this name in docs/RESULTS.md."""
    file = ROOT / "docs" / "RESULTS.md"
    block = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    old = file.read_text(encoding="utf-8")
    if not block.search(old):
        raise SystemExit(f"docs/RESULTS.md has no block {name}")
    write_text(file, block.sub(lambda found: found[1] + text + found[2], old))
