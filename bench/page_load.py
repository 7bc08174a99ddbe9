"""What the first visit of the chat page costs: bytes over the wire and time until one can type, beside an earlier page.

    python bench/page_load.py [--before CHECKOUT] [--rounds 11] [--publish]

One server per checkout with the same model; Chromium with an empty cache asks each in turn, on loopback and over a link
of 20 Mbit/s and 20 ms as it imitates one. "Usable" is when the question's field takes text and the model's name is
there, by the page's own clock; "painted" when the first words are. Limit: on loopback nothing but the server's answers,
the parser's and the scripts' own time. Needs `make browser`'s packages.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path
from typing import Any

from common import ROOT, commit, machine, publish
from playwright.sync_api import Browser, sync_playwright
from sansi.base.files import read_json, write_json
from serve_dialects import Server
from serve_load import HOST

RESULTS = ROOT / "bench" / "results" / "page-load.json"
SIZES = {"bytes": 1024, "requests": 1}
LINKS = (", loopback", ", 20 Mbit/s and 20 ms")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WATCH = """
const look = () => {
  const field = document.querySelector("#question")
  if (field && !field.disabled && field.offsetParent && performance.getEntriesByName("first-contentful-paint").length
      && performance.getEntriesByType("resource").some((r) => r.name.endsWith("/v1/models") && r.responseEnd))
    window.usableAfter = performance.now()
  else requestAnimationFrame(look)
}
look()
"""
TIMES = "() => [window.usableAfter, performance.getEntriesByName('first-contentful-paint')[0].startTime]"


def visit(browser: Browser, port: int, far: bool) -> dict[str, float]:
    """One visit with nothing in the cache; `far`: over a link of 20 Mbit/s and 20 ms, which Chromium imitates."""
    context = browser.new_context()
    page = context.new_page()
    traffic = {"bytes": 0.0, "requests": 0.0}
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    if far:
        link = {"latency": 20, "downloadThroughput": 2.5e6, "uploadThroughput": 2.5e6, "offline": False}
        session.send("Network.emulateNetworkConditions", link)

    def finished(event: dict[str, Any]) -> None:
        traffic["bytes"] += event["encodedDataLength"]
        traffic["requests"] += 1

    session.on("Network.loadingFinished", finished)
    page.add_init_script(WATCH)
    page.goto(f"http://{HOST}:{port}/", wait_until="networkidle")
    page.wait_for_function("() => window.usableAfter")
    usable, painted = page.evaluate(TIMES)
    context.close()
    return {"usable_ms": usable, "painted_ms": painted, **traffic}


def run(before: Path | None, model: str, rounds: int) -> dict[str, Any]:
    if CHROMIUM is None:
        raise SystemExit("Chromium is not installed: Debian's package chromium has it")
    checkouts = {"now": ROOT, **({"before": before} if before else {})}
    servers: dict[str, Server] = {}
    ways = [(name, far) for far in (False, True) for name in checkouts]
    found: dict[str, list[dict[str, float]]] = {name + LINKS[far]: [] for name, far in ways}
    try:
        for name, checkout in checkouts.items():
            servers[name] = Server(checkout, model)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for number in range(-1, rounds):
                for name, far in ways[:: 1 if number % 2 else -1]:
                    told = visit(browser, servers[name].port, far)
                    if number >= 0:  # the first visit of each warms the browser up
                        found[name + LINKS[far]].append(told)
            browser.close()
    finally:
        for server in servers.values():
            server.close()
    return {"commit": commit(), "before": before and commit(before), "machine": machine(2), "visits": found}


def report(results: dict[str, Any]) -> str:
    lines = ["| page | KiB | requests | painted after, ms | usable after, ms |", "|---|--:|--:|--:|--:|"]
    for name, visits in results["visits"].items():
        cells = [name, *(f"{statistics.median(v[key] for v in visits) / unit:.0f}" for key, unit in SIZES.items())]
        for key in ("painted_ms", "usable_ms"):
            times = [v[key] for v in visits]
            cells.append(f"{statistics.median(times):.0f} ({min(times):.0f} to {max(times):.0f})")
        lines.append("| " + " | ".join(cells) + " |")
    earlier = f"; before: `{results['before']}`" if results["before"] else ""
    about = results["machine"]
    rounds = len(next(iter(results["visits"].values())))
    lines.append(f"\nCommit `{results['commit']}`{earlier}; {about['cores']} cores of {about['cpu']}; {rounds} visits.")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--before", type=Path, help="a checkout to compare with")
    options.add_argument("--model", default=str(ROOT / "checkpoints" / "nano"))
    options.add_argument("--rounds", type=int, default=11)
    options.add_argument("--publish", action="store_true", help="only write the saved figures into docs/RESULTS.md")
    chosen = options.parse_args()
    if chosen.publish:
        return publish("serve:page", report(read_json(RESULTS)))
    results = run(chosen.before and chosen.before.resolve(), str(Path(chosen.model).resolve()), chosen.rounds)
    write_json(RESULTS, results)
    print(report(results))


if __name__ == "__main__":
    main()
