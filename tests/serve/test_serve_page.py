"""The chat page as files: whole, current, self-contained, and with few ways for text to become markup.

What it does in a browser is in tests/browser.
"""

import hashlib
import json
import re
from pathlib import Path

import pytest
from live_server import http
from sansi.serve.api.openai_chat import FIELDS
from sansi.serve.app import STATIC

WEB = Path(__file__).resolve().parents[2] / "web"
SOURCE = sorted((WEB / "src").glob("*.js"))
TEXTS = sorted(path for path in STATIC.rglob("*") if path.suffix in {".js", ".css", ".html", ".svg"})


def test_the_page_and_its_files_are_served(fake_url):
    page = http.get(fake_url)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    links = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert links and all(http.get(fake_url + link).status_code == 200 for link in links)


def test_what_is_loaded_late_is_served(fake_url):
    late = [path.relative_to(STATIC) for path in TEXTS if path.parent.name == "lazy"]
    fonts = re.findall(r"url\((fonts/[^)]+)\)", (STATIC / "katex.css").read_text())
    assert late and fonts
    assert all(http.get(f"{fake_url}/static/{name}").status_code == 200 for name in (*late, *fonts))


def test_the_bundle_is_made_from_the_sources_that_are_here():
    names = ["build.mjs", "index.html", "package-lock.json", "seal.svg"]
    names += [f"{folder}/{path.name}" for folder in ("src", "style", "icons") for path in (WEB / folder).iterdir()]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(name.encode() + b"\0" + (WEB / name).read_bytes() + b"\0")
    assert (STATIC / "SOURCES.sha256").read_text().strip() == digest.hexdigest(), (
        "run `make page` and commit the result"
    )


def test_the_page_travels_compressed(fake_url):
    whole = (STATIC / "page.js").read_bytes()
    packed = http.get(f"{fake_url}/static/page.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and packed.content == whole
    assert packed.num_bytes_downloaded < len(whole) / 2
    plain = http.get(f"{fake_url}/static/page.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.content == whole


def test_the_bundle_is_small():
    size = sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file() and path.suffix != ".woff2")
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    early = re.findall(r'modulepreload" href="/static/([^"]+)"', page)
    at_once = sum((STATIC / name).stat().st_size for name in ("index.html", "page.js", "page.css", "first.js", *early))
    shown = sum((STATIC / name).stat().st_size for name in ("page.js", *early))
    assert size < 1_000_000 and at_once < 165_000 and shown < 120_000


def test_the_licences_of_the_libraries_are_beside_it():
    text = (STATIC / "LICENSES.txt").read_text(encoding="utf-8")
    for name in ("dompurify", "highlight.js", "katex", "markdown-it"):
        assert re.search(rf"^{re.escape(name)} \d+\.\d+", text, re.MULTILINE)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(
        r"//cdn|@import|(?:src|href)=[\"']?https?:|url\([\"']?(?:https?:)?//|import\([\"']https?:", text
    )


@pytest.mark.parametrize("path", SOURCE, ids=lambda path: path.name)
def test_no_text_becomes_markup(path):
    """Markdown reaches the document as the sanitiser's fragment (markdown.js), all else as text nodes."""
    script = path.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", script)
    assert ("DOMPurify" in script) == (path.name == "markdown.js")


def test_the_page_has_no_inline_script_or_style():
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\son\w+=|<script>|<style|\sstyle=", page)


def test_every_element_that_a_script_looks_up_exists():
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    known = set(re.findall(r'\bid="([\w-]+)"', page))
    wanted = {name for path in SOURCE for name in re.findall(r'\$\("([\w-]+)"\)', path.read_text(encoding="utf-8"))}
    assert wanted and wanted <= known
    assert set(re.findall(r'href="#i-([\w-]+)"', page)) <= {path.stem for path in (WEB / "icons").iterdir()}


def test_every_string_that_is_asked_for_exists():
    table = (WEB / "src/strings.js").read_text(encoding="utf-8")
    known = set(re.findall(r"^  (\w+): \[", table, re.MULTILINE))
    asked = {name for path in SOURCE for name in re.findall(r'\bt\("(\w+)"', path.read_text(encoding="utf-8"))}
    asked |= set(re.findall(r'data-t(?:-\w+)?="(\w+)"', (WEB / "index.html").read_text(encoding="utf-8")))
    assert asked and asked <= known


def test_the_page_checks_values_by_the_servers_own_bounds():
    table = (WEB / "src/ranges.js").read_text(encoding="utf-8")
    ranges = json.loads(table[table.index("{") : table.rindex("}") + 1])
    schemas = {name: dict(FIELDS[name].kind.schema) for name in ranges}
    # Where a number has a second spelling of "no bound", the page leaves the field empty instead.
    assert ranges == {name: schema.get("anyOf", [schema])[0] for name, schema in schemas.items()}


def test_what_the_page_needs_first_is_asked_for_beside_it(fake_url):
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    early = re.findall(r'<link rel="modulepreload" href="(/static/lazy/[^"]+)">', page)
    entry = (STATIC / "page.js").read_text(encoding="utf-8")
    needed = re.findall(r'(?:from|import)"\./(lazy/[^"]+)"', entry)
    assert needed and {f"/static/{name}" for name in needed} == set(early), "nothing that comes after the first paint"
    assert all(http.get(fake_url + link).status_code == 200 for link in early)
