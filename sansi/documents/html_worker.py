"""Reads one web page from standard input, UTF-8, and writes its text as JSON: {"text", "title"} or {"error"}.

It runs as a process of its own, `python html_worker.py SECONDS MEMORY`: HTML's own rules take time with the square
of the depth that elements nest to, so a page can keep a parser busy for hours. This one ends when its time is up.
"""

from __future__ import annotations

import contextlib
import json
import sys


def bound(seconds: float, memory: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # no such limits on this system
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    source = sys.stdin.buffer.read().decode("utf-8", "replace")
    from sansi.base.errors import SansiError
    from sansi.documents.main_text import read_html_here

    bound(float(sys.argv[1]), int(sys.argv[2]))
    try:
        page = read_html_here(source)
    except SansiError as error:
        print(json.dumps({"error": str(error)}))
        return
    print(json.dumps({"text": page.text, "title": page.title}))


if __name__ == "__main__":
    main()
