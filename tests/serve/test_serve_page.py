"""The chat page: self-contained, and without a way for text to become markup."""

import re

import httpx
import pytest
from sansi.serve.app import STATIC

FILES = ("index.html", "chat.js", "style.css", "icon.svg")


def test_the_page_and_its_files_are_served(fake_url):
    page = httpx.get(fake_url)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    links = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert links and all(httpx.get(fake_url + link).status_code == 200 for link in links)


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_from_elsewhere(name):
    text = (STATIC / name).read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://|//cdn|@import", text)


def test_no_text_becomes_markup():
    script = (STATIC / "chat.js").read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script)
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\son\w+=|<script>|style=", page)


def test_every_element_that_the_script_looks_up_exists():
    script, page = ((STATIC / name).read_text(encoding="utf-8") for name in ("chat.js", "index.html"))
    wanted = set(re.findall(r'\$\("([\w-]+)"\)', script))
    assert wanted and wanted <= set(re.findall(r'id="([\w-]+)"', page))
