"""What a reader of the page does and sees, as functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
BITS = "How many 1 bits are there in the binary representation of the number 1934?"


def send(page: Page, text: str) -> None:
    page.locator("#question").fill(text)
    page.locator("#question").press("Enter")


def ask(page: Page, text: str) -> Locator:
    """Send a message, wait for the whole answer and return it."""
    send(page, text)
    return whole(page)


def whole(page: Page) -> Locator:
    """The last answer, once it is whole."""
    page.wait_for_selector(".log > :last-child.answer:not(.running)")
    return page.locator(".answer").last


_ALL = """const result = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const database = await result(indexedDB.open("sansi"));
  const all = await result(database.transaction("conversations").objectStore("conversations").getAll());
  database.close();"""
SAVED = f"""async (status) => {{
  {_ALL}
  return all.some((each) => Object.values(each.nodes).some((node) => node.status === status));
}}"""
KEPT = f"async () => {{ {_ALL} return JSON.stringify(all).length; }}"  # characters in the browser's database


def saved(page: Page, status: str) -> None:
    """Wait until the browser keeps an answer of this status."""
    from live_server import wait_for

    assert wait_for(lambda: page.evaluate(SAVED, status))


def set_budget(page: Page, tokens: int | None) -> None:
    """Move the slider, by its steps of 8, 12, 16, 24, 32, …"""
    steps = [step for power in range(3, 16) for step in (2**power, 3 * 2 ** (power - 1))]
    last = int(page.locator("#budget").get_attribute("max") or 0)
    page.locator("#budget").fill(str(last if tokens is None else steps.index(tokens)))


def set_mode(page: Page, mode: str) -> None:
    page.locator(f"#modes input[value={mode}]").check(force=True)


def overflow(page: Page) -> int:
    """Pixels by which the page, or its scrolled middle, is wider than the window."""
    return page.evaluate(
        "() => Math.max(document.documentElement.scrollWidth - innerWidth,"
        " document.getElementById('scroller').scrollWidth - document.getElementById('scroller').clientWidth)"
    )


def violations(page: Page, axe: str) -> list[str]:
    """What the accessibility checker `axe` finds in the page as it is now."""
    page.evaluate(axe)
    found = page.evaluate("options => axe.run(document, options)", RULES)["violations"]
    return [f"{v['id']}: {v['help']}: {node['html'][:200]}" for v in found for node in v["nodes"]]


def plain(text: str) -> str:
    """The text with plain spaces where the page keeps a number and its unit together."""
    return text.replace("\u00a0", " ")


def shows(element: Locator, text: str) -> None:
    """Wait until `element` shows `text`."""
    element.filter(has_text=text).first.wait_for()


def answered_by(page: Page, chunks: list[dict]) -> None:
    """Let the next request for an answer get this stream."""
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    page.route(
        "**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=events), times=1
    )
