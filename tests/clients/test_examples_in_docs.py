"""What the documents show is what happens: their Python runs, their curl commands are answered, in order of the page.

Only the address is another. The blocks of a page share one namespace, as they would in a notebook.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from live_server import LONG

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/api.md")
ADDRESS = re.compile(r"http://(?:127\.0\.0\.1|localhost):8000")


def blocks(page: str, language: str) -> list[str]:
    file = ROOT / page
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """Every curl command, its continuation lines and the lines of its quoted body included."""
    found = []
    for block in blocks(page, "sh"):
        lines = iter(block.splitlines(keepends=True))
        for line in lines:
            if not line.startswith("curl "):
                continue
            while line.rstrip().endswith("\\") or not _closed(line):
                line += next(lines)
            found.append(line)
    return found


def _closed(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("page", PAGES)
def test_python_runs(page, base_url):
    examples = blocks(page, "python")
    if not examples:
        pytest.skip("no example")
    namespace: dict = {"__name__": "example"}
    for number, example in enumerate(examples, 1):
        source = ADDRESS.sub(base_url.removesuffix("/v1"), example)
        code = compile(source, f"{page}, example {number}", "exec", dont_inherit=True)
        exec(code, namespace)


@pytest.mark.parametrize("page", PAGES)
def test_curl_is_answered(page, base_url):
    asked = commands(page)
    if not asked or shutil.which("curl") is None:
        pytest.skip("no example, or no curl")
    for command in asked:
        shown = ADDRESS.sub(base_url.removesuffix("/v1"), command).replace("curl ", "curl -sS --fail-with-body ", 1)
        done = subprocess.run(["bash", "-c", shown], capture_output=True, text=True, timeout=LONG)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert done.stdout
