"""Every runtime that is there, one after the other, and the names of those that are not: `make runtimes`.

    python runs/deploy/all.py [NAME …] [--install NAME …] [--write]

What was seen is kept in build/runtimes/seen.json. --write writes the table in docs/deployment.md anew from it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import elsewhere
import with_llama_server
import with_mlx
import with_openvino
import with_transformers
import with_vllm
from runtime import ROOT, WORK, Runtime, Seen, look

HERE = (with_transformers, with_vllm, with_llama_server, with_mlx, with_openvino)
TRIED: tuple[tuple[Runtime, Callable[[], Iterator[Seen]]], ...] = (
    *((module.RUNTIME, module.tried) for module in HERE),
    *((runtime, partial(tried, runtime)) for runtime, tried in elsewhere.RUNTIMES),
)
SEEN = WORK / "seen.json"
PAGE, BEGIN, END = ROOT / "docs" / "deployment.md", "<!-- runtimes -->\n", "<!-- /runtimes -->\n"


def main() -> int:
    names = [runtime.name for runtime, _ in TRIED]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", choices=[[], *names], help="only these")
    parser.add_argument("--install", nargs="*", default=[], choices=names, help="from the registry first")
    parser.add_argument("--write", action="store_true", help="the table of the page, from what was last seen of each")
    asked = parser.parse_args()
    seen = _kept()
    wrong = 0
    for runtime, tried in TRIED:
        if asked.name and runtime.name not in asked.name:
            continue
        if runtime.name in asked.install:
            runtime.install()
        found = look(runtime, tried)
        wrong += sum(not one.right for one in found)
        seen = _kept() | {runtime.name: [asdict(one) for one in found]}
        WORK.mkdir(parents=True, exist_ok=True)
        SEEN.write_text(json.dumps(seen, indent=1))
    if asked.write:
        _write(
            [row for runtime, _ in TRIED for row in _rows(runtime, [Seen(**one) for one in seen.get(runtime.name, [])])]
        )
    return int(wrong > 0)


def _kept() -> dict[str, Any]:
    return json.loads(SEEN.read_text()) if SEEN.exists() else {}


def _rows(runtime: Runtime, found: list[Seen]) -> list[str]:
    start = f"| {runtime.name} | {runtime.version}"
    if not found:
        return [f"{start} | | not run here: {runtime.absent} |"]
    return [f"{start} | {seen.opened} | {'' if seen.right else '**wrong**: '}{seen.said} |" for seen in found]


def _write(rows: list[str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(["| runtime | version | opened | seen |", "| --- | --- | --- | --- |", *rows])
    PAGE.write_text(f"{before}{BEGIN}{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
