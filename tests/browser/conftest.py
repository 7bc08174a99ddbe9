"""The chat page in a real Chromium: against the bundled model, and against a scripted one.

Whatever a test does, at its end the page must have logged no error and asked no other server for anything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sansi.base.model_card import CurvePoint, Example, ModelCard

ROOT = Path(__file__).resolve().parents[2]
# The scripted model and live server serve here too, and the files that are made for the readers of files.
sys.path += [str(ROOT / "tests" / "serve"), str(ROOT / "tests" / "documents")]
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EXAMPLES = [Example("", "How does merge sort work?"), Example("", "What is 12 + 30?")]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# The last three keep the browser from looking for Google's hosts.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium here: install Debian's package `chromium`")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def nano_url() -> Iterator[str]:
    """`sansi serve checkpoints/nano`, as a user starts it."""
    command = [str(Path(sys.executable).parent / "sansi"), "serve", "checkpoints/nano", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = (re.search(r"chat\s+(http\S+)", line) for line in server.stdout)
            yield next(filter(None, found))[1]
        finally:
            server.terminate()


@pytest.fixture
def scripted() -> Any:
    from scripted_chat import ScriptedChat

    return ScriptedChat()


@pytest.fixture
def scripted_url(scripted: Any) -> Iterator[str]:
    from live_server import running

    with running([scripted], {"scripted": ModelCard(examples={"en": EXAMPLES})}) as url:
        yield url


# What a model folder says of itself.
CARD = ModelCard(
    description={"en": "A scripted model: it says what a test wants.", "zh": "按脚本回答的模型。"},
    examples={
        "en": [Example("Sort", "How does merge sort work?"), Example("", "What is 12 + 30?")],
        "zh": [Example("三思", "“三思而后行”出自哪里？")],
    },
    budget_curve=[CurvePoint(*point) for point in ((0, 0.41), (16, 0.48), (64, 0.9), (128, 0.94), (None, 0.94))],
    text="# Scripted\n\nIt has **no** weights.",
)


@pytest.fixture
def carded_url(scripted: Any) -> Iterator[str]:
    """The scripted model with a card."""
    from live_server import running

    with running([scripted], {"scripted": CARD}) as url:
        yield url


@dataclass
class Watched:
    """A page, and what went wrong in it that it should not have."""

    page: Page
    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """An error that the test provokes is none."""
        self.expected.append(pattern)

    def unexpected(self) -> list[str]:
        return [each for each in self.problems if not any(re.search(pattern, each) for pattern in self.expected)]


def watch(page: Page, origin: str) -> Watched:
    watched = Watched(page)

    def on_request(request: Any) -> None:
        if not request.url.startswith((origin, "blob:" + origin)):
            watched.problems.append(f"request to {request.url}")

    page.on("request", on_request)
    page.on("pageerror", lambda error: watched.problems.append(f"uncaught {error}"))
    page.on("console", lambda m: m.type in ("error", "warning") and watched.problems.append(f"{m.type} {m.text}"))
    return watched


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """visit(url, **options of the context) -> Watched, with the page loaded and its examples shown."""
    open_: list[Watched] = []

    def visit(url: str, wait: str = ".welcome .chip", **options: Any) -> Watched:
        options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US", "reduced_motion": "reduce"} | options
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
        # Long, since a busy machine decides nothing; PAGE_TIMEOUT shortens it for who writes tests.
        context.set_default_timeout(int(os.environ.get("PAGE_TIMEOUT", 120_000)))
        watched = watch(context.new_page(), url)
        open_.append(watched)
        watched.page.goto(url)
        watched.page.wait_for_selector(wait)
        return watched

    yield visit
    unexpected = [problem for watched in open_ for problem in watched.unexpected()]
    for watched in open_:
        watched.page.context.close()
    assert not unexpected, "\n".join(unexpected)


@pytest.fixture(scope="session")
def axe() -> str:
    package = pytest.importorskip("axe_playwright_python")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[Page, str], None]:
    """Take a screenshot: for the docs where SHOTS is set, else to see that it can be taken."""
    folder = ROOT / "docs" / "images" if os.environ.get("SHOTS") else tmp_path

    def take(page: Page, name: str) -> None:
        page.screenshot(path=folder / name, scale="device")

    return take
